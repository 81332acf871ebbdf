-- Files of a tenant. One that is being uploaded is `open` until its content is whole and checked; what
-- is known of the content was announced before it came.
CREATE TABLE files (
    id BLOB NOT NULL PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    owner_id BLOB NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    digest TEXT NOT NULL,
    part_size_bytes INTEGER NOT NULL CHECK (part_size_bytes > 0),
    state TEXT NOT NULL CHECK (state IN ('open', 'stored')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    stored_at INTEGER
) STRICT;
CREATE INDEX files_tenant ON files (tenant_id, state, id);
CREATE INDEX files_expiring ON files (expires_at) WHERE state = 'open';
