DROP TABLE blog_comments;
