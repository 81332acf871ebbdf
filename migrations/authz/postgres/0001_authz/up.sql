-- Roles that tenants made for themselves. Built-in roles are not rows: modules register them.
CREATE TABLE authz_roles (
    id uuid NOT NULL PRIMARY KEY,
    tenant uuid NOT NULL,
    key text NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    permissions text[] NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX authz_roles_tenant_key_key ON authz_roles (tenant, key);

-- Roles that were granted. A binding without a tenant counts on the whole platform.
CREATE TABLE authz_bindings (
    id uuid NOT NULL PRIMARY KEY,
    subject uuid NOT NULL,
    tenant uuid,
    role text NOT NULL,
    condition text,
    granted_by uuid,
    granted_at timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE UNIQUE INDEX authz_bindings_grant_key
    ON authz_bindings (subject, COALESCE(tenant, '00000000-0000-0000-0000-000000000000'::uuid), role);
CREATE INDEX authz_bindings_page ON authz_bindings (tenant, id);
CREATE INDEX authz_bindings_role ON authz_bindings (role, tenant);
CREATE INDEX authz_bindings_expiry ON authz_bindings (expires_at) WHERE expires_at IS NOT NULL;

-- Roles that come with memberships, as identity reports them. A row without a role remembers that the
-- subject left, so that an older report that arrives later changes nothing.
CREATE TABLE authz_memberships (
    subject uuid NOT NULL,
    tenant uuid NOT NULL,
    role text,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (subject, tenant)
);

-- Rows that a transaction locks before it counts, so that two cannot both remove the last of something.
CREATE TABLE authz_guards (
    name text NOT NULL PRIMARY KEY,
    taken bigint NOT NULL
);
