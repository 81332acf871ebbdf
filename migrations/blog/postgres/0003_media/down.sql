DROP TABLE blog_media;
