-- Files of a tenant. One that is being uploaded is `open` until its content is whole and checked; what
-- is known of the content was announced before it came.
CREATE TABLE files (
    id uuid NOT NULL PRIMARY KEY,
    tenant_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    digest text NOT NULL,
    part_size_bytes bigint NOT NULL CHECK (part_size_bytes > 0),
    state text NOT NULL CHECK (state IN ('open', 'stored')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    stored_at timestamptz
);
CREATE INDEX files_tenant ON files (tenant_id, state, id);
CREATE INDEX files_expiring ON files (expires_at) WHERE state = 'open';
