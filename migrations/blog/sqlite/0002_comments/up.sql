-- Comments. `origin` is a hash of the address it came from, kept for the rate limit only.
CREATE TABLE blog_comments (
    id BLOB NOT NULL PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    post_id BLOB NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE,
    author_id BLOB,
    author_name TEXT NOT NULL,
    author_email TEXT,
    body TEXT NOT NULL,
    html TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'spam')),
    origin TEXT,
    moderated_by BLOB,
    moderated_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX blog_comments_page ON blog_comments (tenant_id, id);
CREATE INDEX blog_comments_status ON blog_comments (tenant_id, status, id);
CREATE INDEX blog_comments_post ON blog_comments (post_id, status, id);
CREATE INDEX blog_comments_author ON blog_comments (author_id, id);
CREATE INDEX blog_comments_origin ON blog_comments (tenant_id, origin, created_at);
