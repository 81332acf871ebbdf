-- Secrets of authenticator apps, sealed with the key that seals the signing keys. One that is not
-- confirmed by a code counts for nothing. last_step is the time step of the code accepted last: no
-- code is good twice.
CREATE TABLE auth_totp (
    user_id BLOB NOT NULL PRIMARY KEY,
    sealed_secret BLOB NOT NULL,
    last_step INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    confirmed_at INTEGER
) STRICT;

-- Codes for whoever lost the app, each good once. Only the SHA-256 of user and code is kept.
CREATE TABLE auth_recovery_codes (
    user_id BLOB NOT NULL,
    code_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (user_id, code_hash)
) STRICT;

-- Logins that have passed the first step and wait for the second. Only the SHA-256 of a challenge is
-- kept; tenant_id is the organisation that was asked for.
CREATE TABLE auth_challenges (
    token_hash BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL,
    tenant_id BLOB,
    first_factor TEXT NOT NULL,
    device TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX auth_challenges_user ON auth_challenges (user_id, created_at) WHERE used_at IS NULL;
CREATE INDEX auth_challenges_expiry ON auth_challenges (expires_at);
