-- Passwords. Identity owns the accounts; auth keeps only what proves them.
CREATE TABLE auth_credentials (
    user_id uuid NOT NULL PRIMARY KEY,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
);

-- A session is also the family of its refresh tokens. Ended ones are kept until they are swept.
CREATE TABLE auth_sessions (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    tenant_id uuid,
    device text,
    address text,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    idle_expires_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason text
);
CREATE INDEX auth_sessions_user ON auth_sessions (user_id, last_seen_at) WHERE ended_at IS NULL;
CREATE INDEX auth_sessions_tenant ON auth_sessions (tenant_id) WHERE ended_at IS NULL;
CREATE INDEX auth_sessions_expiry ON auth_sessions (expires_at);

-- Only the SHA-256 of a token is kept. A used one stays, so that its second use is recognised.
CREATE TABLE auth_refresh_tokens (
    token_hash bytea NOT NULL PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES auth_sessions (id) ON DELETE CASCADE,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX auth_refresh_tokens_session ON auth_refresh_tokens (session_id);

-- Tokens of links: the set-up of the platform and password resets.
CREATE TABLE auth_one_time_tokens (
    token_hash bytea NOT NULL PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('setup', 'password_reset')),
    user_id uuid NOT NULL,
    tenant_id uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX auth_one_time_tokens_user ON auth_one_time_tokens (purpose, user_id, created_at);
CREATE INDEX auth_one_time_tokens_expiry ON auth_one_time_tokens (expires_at);

-- Failed attempts by party: a hash of an e-mail address, or a network address.
CREATE TABLE auth_failures (
    party text NOT NULL PRIMARY KEY,
    failures bigint NOT NULL,
    last_at timestamptz NOT NULL,
    locked_until timestamptz NOT NULL
);
CREATE INDEX auth_failures_age ON auth_failures (last_at);

-- Signing keys; the private half is sealed with a key that is not in the database.
CREATE TABLE auth_signing_keys (
    id text NOT NULL PRIMARY KEY,
    sealed_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    activates_at timestamptz NOT NULL,
    retires_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL
);

-- Keys of programs. Only the SHA-256 of the secret is kept; the prefix finds the row.
CREATE TABLE auth_api_keys (
    id uuid NOT NULL PRIMARY KEY,
    tenant_id uuid NOT NULL,
    prefix text NOT NULL,
    secret_hash bytea NOT NULL,
    name text NOT NULL,
    permissions text[] NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX auth_api_keys_prefix_key ON auth_api_keys (prefix);
CREATE INDEX auth_api_keys_page ON auth_api_keys (tenant_id, id) WHERE revoked_at IS NULL;
CREATE INDEX auth_api_keys_creator ON auth_api_keys (created_by) WHERE revoked_at IS NULL;
