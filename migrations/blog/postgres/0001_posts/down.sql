DROP TABLE blog_revisions;
DROP TABLE blog_post_tags;
DROP TABLE blog_slugs;
DROP TABLE blog_contents;
DROP TABLE blog_posts;
