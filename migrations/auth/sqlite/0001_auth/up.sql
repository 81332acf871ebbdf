-- Passwords. Identity owns the accounts; auth keeps only what proves them.
CREATE TABLE auth_credentials (
    user_id BLOB NOT NULL PRIMARY KEY,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- A session is also the family of its refresh tokens. Ended ones are kept until they are swept.
CREATE TABLE auth_sessions (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL,
    tenant_id BLOB,
    device TEXT,
    address TEXT,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    end_reason TEXT
) STRICT;
CREATE INDEX auth_sessions_user ON auth_sessions (user_id, last_seen_at) WHERE ended_at IS NULL;
CREATE INDEX auth_sessions_tenant ON auth_sessions (tenant_id) WHERE ended_at IS NULL;
CREATE INDEX auth_sessions_expiry ON auth_sessions (expires_at);

-- Only the SHA-256 of a token is kept. A used one stays, so that its second use is recognised.
CREATE TABLE auth_refresh_tokens (
    token_hash BLOB NOT NULL PRIMARY KEY,
    session_id BLOB NOT NULL REFERENCES auth_sessions (id) ON DELETE CASCADE,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX auth_refresh_tokens_session ON auth_refresh_tokens (session_id);

-- Tokens of links: the set-up of the platform and password resets.
CREATE TABLE auth_one_time_tokens (
    token_hash BLOB NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('setup', 'password_reset')),
    user_id BLOB NOT NULL,
    tenant_id BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX auth_one_time_tokens_user ON auth_one_time_tokens (purpose, user_id, created_at);
CREATE INDEX auth_one_time_tokens_expiry ON auth_one_time_tokens (expires_at);

-- Failed attempts by party: a hash of an e-mail address, or a network address.
CREATE TABLE auth_failures (
    party TEXT NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    locked_until INTEGER NOT NULL
) STRICT;
CREATE INDEX auth_failures_age ON auth_failures (last_at);

-- Signing keys; the private half is sealed with a key that is not in the database.
CREATE TABLE auth_signing_keys (
    id TEXT NOT NULL PRIMARY KEY,
    sealed_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    activates_at INTEGER NOT NULL,
    retires_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;

-- Keys of programs. Only the SHA-256 of the secret is kept; the prefix finds the row.
CREATE TABLE auth_api_keys (
    id BLOB NOT NULL PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    prefix TEXT NOT NULL,
    secret_hash BLOB NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_by BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE UNIQUE INDEX auth_api_keys_prefix_key ON auth_api_keys (prefix);
CREATE INDEX auth_api_keys_page ON auth_api_keys (tenant_id, id) WHERE revoked_at IS NULL;
CREATE INDEX auth_api_keys_creator ON auth_api_keys (created_by) WHERE revoked_at IS NULL;
