-- What is known of uploads; their content is in the blob store under `blog/TENANT/ID`.
CREATE TABLE blog_media (
    id uuid NOT NULL PRIMARY KEY,
    tenant_id uuid NOT NULL,
    uploader_id uuid NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    digest text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX blog_media_page ON blog_media (tenant_id, id);
