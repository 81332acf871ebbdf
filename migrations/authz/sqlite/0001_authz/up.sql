-- Roles that tenants made for themselves. Built-in roles are not rows: modules register them.
CREATE TABLE authz_roles (
    id BLOB NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL,
    key TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    permissions TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX authz_roles_tenant_key_key ON authz_roles (tenant, key);

-- Roles that were granted. A binding without a tenant counts on the whole platform.
CREATE TABLE authz_bindings (
    id BLOB NOT NULL PRIMARY KEY,
    subject BLOB NOT NULL,
    tenant BLOB,
    role TEXT NOT NULL,
    condition TEXT,
    granted_by BLOB,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER
);
CREATE UNIQUE INDEX authz_bindings_grant_key
    ON authz_bindings (subject, COALESCE(tenant, x'00000000000000000000000000000000'), role);
CREATE INDEX authz_bindings_page ON authz_bindings (tenant, id);
CREATE INDEX authz_bindings_role ON authz_bindings (role, tenant);
CREATE INDEX authz_bindings_expiry ON authz_bindings (expires_at) WHERE expires_at IS NOT NULL;

-- Roles that come with memberships, as identity reports them. A row without a role remembers that the
-- subject left, so that an older report that arrives later changes nothing.
CREATE TABLE authz_memberships (
    subject BLOB NOT NULL,
    tenant BLOB NOT NULL,
    role TEXT,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (subject, tenant)
) WITHOUT ROWID;

-- Rows that a transaction locks before it counts, so that two cannot both remove the last of something.
CREATE TABLE authz_guards (
    name TEXT NOT NULL PRIMARY KEY,
    taken INTEGER NOT NULL
) WITHOUT ROWID;
