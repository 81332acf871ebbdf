-- Who somebody is at external providers: issuer and subject are unique together and never change
-- hands (OpenID Connect Core 5.7). provider is the name it had in the configuration.
CREATE TABLE auth_identities (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    provider TEXT NOT NULL,
    email TEXT,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE UNIQUE INDEX auth_identities_subject_key ON auth_identities (issuer, subject);
CREATE INDEX auth_identities_user ON auth_identities (user_id, created_at);

-- Sign-ins that are with a provider now. Only the SHA-256 of the state and of what the browser keeps
-- are stored; the code verifier and the nonce follow from the two and are nowhere. link_user is set
-- when somebody who is signed in links an identity.
CREATE TABLE auth_flows (
    state_hash BLOB NOT NULL PRIMARY KEY,
    browser_hash BLOB NOT NULL,
    provider TEXT NOT NULL,
    link_user BLOB,
    tenant_id BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX auth_flows_expiry ON auth_flows (expires_at);
