-- What is known of uploads; their content is in the blob store under `blog/TENANT/ID`.
CREATE TABLE blog_media (
    id BLOB NOT NULL PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    uploader_id BLOB NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX blog_media_page ON blog_media (tenant_id, id);
