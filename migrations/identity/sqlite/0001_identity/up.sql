-- Accounts of people, across all organisations. Addresses are ASCII and unique without case.
CREATE TABLE identity_users (
    id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_verified_at INTEGER,
    display_name TEXT NOT NULL,
    locale TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
    suspended_reason TEXT,
    deletion_due_at INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX identity_users_email_key ON identity_users (lower(email));

-- Organisations are the tenants.
CREATE TABLE identity_organisations (
    id BLOB NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX identity_organisations_slug_key ON identity_organisations (slug);

CREATE TABLE identity_memberships (
    id BLOB NOT NULL PRIMARY KEY,
    organisation_id BLOB NOT NULL REFERENCES identity_organisations (id),
    user_id BLOB NOT NULL REFERENCES identity_users (id),
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX identity_memberships_organisation_id_user_id_key ON identity_memberships (organisation_id, user_id);
CREATE INDEX identity_memberships_page ON identity_memberships (organisation_id, id);
CREATE INDEX identity_memberships_user ON identity_memberships (user_id, id);

-- An address has at most one open invitation to an organisation. Only the hash of a token is kept.
CREATE TABLE identity_invitations (
    id BLOB NOT NULL PRIMARY KEY,
    organisation_id BLOB NOT NULL REFERENCES identity_organisations (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'declined', 'revoked')),
    token_hash TEXT NOT NULL,
    invited_by BLOB,
    accepted_by BLOB,
    sent_count INTEGER NOT NULL,
    last_sent_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX identity_invitations_token_key ON identity_invitations (token_hash);
CREATE UNIQUE INDEX identity_invitations_open_key ON identity_invitations (organisation_id, lower(email)) WHERE status = 'pending';
CREATE INDEX identity_invitations_page ON identity_invitations (organisation_id, id);

-- Tokens that prove an address: the one of the account, or the one it changes to.
CREATE TABLE identity_email_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES identity_users (id),
    purpose TEXT NOT NULL CHECK (purpose IN ('verify', 'change')),
    email TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    used_at INTEGER,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX identity_email_tokens_token_key ON identity_email_tokens (token_hash);
CREATE INDEX identity_email_tokens_user ON identity_email_tokens (user_id, purpose, created_at);
CREATE INDEX identity_email_tokens_expiry ON identity_email_tokens (expires_at);
