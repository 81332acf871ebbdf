-- Accounts of people, across all organisations. Addresses are ASCII and unique without case.
CREATE TABLE identity_users (
    id uuid NOT NULL PRIMARY KEY,
    email text NOT NULL,
    email_verified_at timestamptz,
    display_name text NOT NULL,
    locale text NOT NULL,
    time_zone text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
    suspended_reason text,
    deletion_due_at timestamptz,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX identity_users_email_key ON identity_users (lower(email));

-- Organisations are the tenants.
CREATE TABLE identity_organisations (
    id uuid NOT NULL PRIMARY KEY,
    slug text NOT NULL,
    name text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX identity_organisations_slug_key ON identity_organisations (slug);

CREATE TABLE identity_memberships (
    id uuid NOT NULL PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES identity_organisations (id),
    user_id uuid NOT NULL REFERENCES identity_users (id),
    role text NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX identity_memberships_organisation_id_user_id_key ON identity_memberships (organisation_id, user_id);
CREATE INDEX identity_memberships_page ON identity_memberships (organisation_id, id);
CREATE INDEX identity_memberships_user ON identity_memberships (user_id, id);

-- An address has at most one open invitation to an organisation. Only the hash of a token is kept.
CREATE TABLE identity_invitations (
    id uuid NOT NULL PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES identity_organisations (id),
    email text NOT NULL,
    role text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'accepted', 'declined', 'revoked')),
    token_hash text NOT NULL,
    invited_by uuid,
    accepted_by uuid,
    sent_count integer NOT NULL,
    last_sent_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX identity_invitations_token_key ON identity_invitations (token_hash);
CREATE UNIQUE INDEX identity_invitations_open_key ON identity_invitations (organisation_id, lower(email)) WHERE status = 'pending';
CREATE INDEX identity_invitations_page ON identity_invitations (organisation_id, id);

-- Tokens that prove an address: the one of the account, or the one it changes to.
CREATE TABLE identity_email_tokens (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES identity_users (id),
    purpose text NOT NULL CHECK (purpose IN ('verify', 'change')),
    email text NOT NULL,
    token_hash text NOT NULL,
    used_at timestamptz,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX identity_email_tokens_token_key ON identity_email_tokens (token_hash);
CREATE INDEX identity_email_tokens_user ON identity_email_tokens (user_id, purpose, created_at);
CREATE INDEX identity_email_tokens_expiry ON identity_email_tokens (expires_at);
