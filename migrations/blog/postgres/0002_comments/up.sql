-- Comments. `origin` is a hash of the address it came from, kept for the rate limit only.
CREATE TABLE blog_comments (
    id uuid NOT NULL PRIMARY KEY,
    tenant_id uuid NOT NULL,
    post_id uuid NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE,
    author_id uuid,
    author_name text NOT NULL,
    author_email text,
    body text NOT NULL,
    html text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'spam')),
    origin text,
    moderated_by uuid,
    moderated_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX blog_comments_page ON blog_comments (tenant_id, id);
CREATE INDEX blog_comments_status ON blog_comments (tenant_id, status, id);
CREATE INDEX blog_comments_post ON blog_comments (post_id, status, id);
CREATE INDEX blog_comments_author ON blog_comments (author_id, id);
CREATE INDEX blog_comments_origin ON blog_comments (tenant_id, origin, created_at);
