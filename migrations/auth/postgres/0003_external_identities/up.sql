-- Who somebody is at external providers: issuer and subject are unique together and never change
-- hands (OpenID Connect Core 5.7). provider is the name it had in the configuration.
CREATE TABLE auth_identities (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    provider text NOT NULL,
    email text,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE UNIQUE INDEX auth_identities_subject_key ON auth_identities (issuer, subject);
CREATE INDEX auth_identities_user ON auth_identities (user_id, created_at);

-- Sign-ins that are with a provider now. Only the SHA-256 of the state and of what the browser keeps
-- are stored; the code verifier and the nonce follow from the two and are nowhere. link_user is set
-- when somebody who is signed in links an identity.
CREATE TABLE auth_flows (
    state_hash bytea NOT NULL PRIMARY KEY,
    browser_hash bytea NOT NULL,
    provider text NOT NULL,
    link_user uuid,
    tenant_id uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX auth_flows_expiry ON auth_flows (expires_at);
