-- Posts without their content, so that lists stay light. `summary` is the shown excerpt.
CREATE TABLE blog_posts (
    id BLOB NOT NULL PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    author_id BLOB NOT NULL,
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    tags TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'scheduled', 'published')),
    comments_enabled INTEGER NOT NULL,
    version INTEGER NOT NULL,
    source_path TEXT,
    source_digest TEXT,
    published_at INTEGER,
    publish_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((status = 'scheduled') = (publish_at IS NOT NULL)),
    CHECK (status <> 'published' OR published_at IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX blog_posts_source_key ON blog_posts (tenant_id, source_path);
CREATE INDEX blog_posts_page ON blog_posts (tenant_id, id);
CREATE INDEX blog_posts_author ON blog_posts (tenant_id, author_id, id);
CREATE INDEX blog_posts_published ON blog_posts (tenant_id, published_at, id) WHERE status = 'published';

-- The content of each post and what is derived from it at each save. `number` is the row id that
-- the full-text index refers to.
CREATE TABLE blog_contents (
    number INTEGER PRIMARY KEY,
    post_id BLOB NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tenant_id BLOB NOT NULL,
    title TEXT NOT NULL,
    keywords TEXT NOT NULL,
    body TEXT NOT NULL,
    html TEXT NOT NULL,
    plain TEXT NOT NULL,
    excerpt TEXT,
    size_bytes INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX blog_contents_post_id_key ON blog_contents (post_id);

-- Every slug a post has or had: the current one is in its row, the others lead to it.
CREATE TABLE blog_slugs (
    tenant_id BLOB NOT NULL,
    slug TEXT NOT NULL,
    post_id BLOB NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, slug)
) STRICT;
CREATE INDEX blog_slugs_post ON blog_slugs (post_id);

-- The tags of a post once more, for filters and counts.
CREATE TABLE blog_post_tags (
    post_id BLOB NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tag TEXT NOT NULL,
    tenant_id BLOB NOT NULL,
    PRIMARY KEY (post_id, tag)
) STRICT;
CREATE INDEX blog_post_tags_tag ON blog_post_tags (tenant_id, tag, post_id);

-- One row per save, with the content as it was after it.
CREATE TABLE blog_revisions (
    post_id BLOB NOT NULL REFERENCES blog_posts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    version INTEGER NOT NULL,
    tenant_id BLOB NOT NULL,
    editor_id BLOB,
    title TEXT NOT NULL,
    slug TEXT NOT NULL,
    body TEXT NOT NULL,
    excerpt TEXT,
    tags TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (post_id, version)
) STRICT;

CREATE VIRTUAL TABLE blog_search USING fts5 (
    title,
    keywords,
    plain,
    content = 'blog_contents',
    content_rowid = 'number',
    tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER blog_contents_search_insert AFTER INSERT ON blog_contents BEGIN
    INSERT INTO blog_search (rowid, title, keywords, plain)
    VALUES (new.number, new.title, new.keywords, new.plain);
END;
CREATE TRIGGER blog_contents_search_delete AFTER DELETE ON blog_contents BEGIN
    INSERT INTO blog_search (blog_search, rowid, title, keywords, plain)
    VALUES ('delete', old.number, old.title, old.keywords, old.plain);
END;
CREATE TRIGGER blog_contents_search_update AFTER UPDATE OF title, keywords, plain ON blog_contents BEGIN
    INSERT INTO blog_search (blog_search, rowid, title, keywords, plain)
    VALUES ('delete', old.number, old.title, old.keywords, old.plain);
    INSERT INTO blog_search (rowid, title, keywords, plain)
    VALUES (new.number, new.title, new.keywords, new.plain);
END;
