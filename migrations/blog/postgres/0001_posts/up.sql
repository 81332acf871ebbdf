-- Posts without their content, so that lists stay light. `summary` is the shown excerpt.
CREATE TABLE blog_posts (
    id uuid NOT NULL PRIMARY KEY,
    tenant_id uuid NOT NULL,
    author_id uuid NOT NULL,
    slug text NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    tags text[] NOT NULL,
    status text NOT NULL CHECK (status IN ('draft', 'scheduled', 'published')),
    comments_enabled boolean NOT NULL,
    version bigint NOT NULL,
    source_path text,
    source_digest text,
    published_at timestamptz,
    publish_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((status = 'scheduled') = (publish_at IS NOT NULL)),
    CHECK (status <> 'published' OR published_at IS NOT NULL)
);
CREATE UNIQUE INDEX blog_posts_source_key ON blog_posts (tenant_id, source_path);
CREATE INDEX blog_posts_page ON blog_posts (tenant_id, id);
CREATE INDEX blog_posts_author ON blog_posts (tenant_id, author_id, id);
CREATE INDEX blog_posts_published ON blog_posts (tenant_id, published_at, id) WHERE status = 'published';

-- The content of each post and what is derived from it at each save. Search reads the first
-- 200,000 characters: a tsvector holds 1 MB.
CREATE TABLE blog_contents (
    post_id uuid NOT NULL PRIMARY KEY REFERENCES blog_posts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tenant_id uuid NOT NULL,
    title text NOT NULL,
    keywords text NOT NULL,
    body text NOT NULL,
    html text NOT NULL,
    plain text NOT NULL,
    excerpt text,
    size_bytes bigint NOT NULL,
    search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A')
        || setweight(to_tsvector('english', keywords), 'B')
        || setweight(to_tsvector('english', left(plain, 200000)), 'C')
    ) STORED
);
CREATE INDEX blog_contents_search ON blog_contents USING gin (search);

-- Every slug a post has or had: the current one is in its row, the others lead to it.
CREATE TABLE blog_slugs (
    tenant_id uuid NOT NULL,
    slug text NOT NULL,
    post_id uuid NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, slug)
);
CREATE INDEX blog_slugs_post ON blog_slugs (post_id);

-- The tags of a post once more, for filters and counts.
CREATE TABLE blog_post_tags (
    post_id uuid NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tag text NOT NULL,
    tenant_id uuid NOT NULL,
    PRIMARY KEY (post_id, tag)
);
CREATE INDEX blog_post_tags_tag ON blog_post_tags (tenant_id, tag, post_id);

-- One row per save, with the content as it was after it.
CREATE TABLE blog_revisions (
    post_id uuid NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    version bigint NOT NULL,
    tenant_id uuid NOT NULL,
    editor_id uuid,
    title text NOT NULL,
    slug text NOT NULL,
    body text NOT NULL,
    excerpt text,
    tags text[] NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (post_id, version)
);
