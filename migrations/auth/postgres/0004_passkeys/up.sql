-- Passkeys (WebAuthn). credential is the public key and what else is known of it, as JSON; counter
-- repeats the number of signatures in it, so that of two logins at once one can raise it. A passkey
-- that counted back exists twice: since copied_at it opens nothing.
CREATE TABLE auth_passkeys (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    credential_id bytea NOT NULL,
    credential text NOT NULL,
    counter bigint NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    copied_at timestamptz
);
CREATE UNIQUE INDEX auth_passkeys_credential_key ON auth_passkeys (credential_id);
CREATE INDEX auth_passkeys_user ON auth_passkeys (user_id, created_at);

-- Questions to browsers about passkeys that wait for their answer. Only the SHA-256 of what finds one
-- is kept. user_id is missing where anybody may answer.
CREATE TABLE auth_ceremonies (
    token_hash bytea NOT NULL PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('registration', 'login', 'proof')),
    user_id uuid,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX auth_ceremonies_user ON auth_ceremonies (user_id, created_at) WHERE used_at IS NULL;
CREATE INDEX auth_ceremonies_expiry ON auth_ceremonies (expires_at);

-- The question that a passkey answers as the second step; none where the user has no passkey.
ALTER TABLE auth_challenges ADD COLUMN passkey_state text;
