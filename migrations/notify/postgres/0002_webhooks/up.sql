-- Where a tenant wants its events sent. Secrets are sealed with the key that seals the signing keys; the
-- old one signs beside the new one until its time is over.
CREATE TABLE notify_webhook_endpoints (
    id uuid NOT NULL PRIMARY KEY,
    tenant_id uuid NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    events text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('enabled', 'disabled')),
    disabled_because text CHECK (disabled_because IN ('gone', 'failing', 'person')),
    failing_since timestamptz,
    sealed_secret bytea NOT NULL,
    sealed_old_secret bytea,
    old_secret_until timestamptz,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX notify_webhook_endpoints_page ON notify_webhook_endpoints (tenant_id, id);

-- Each message for each endpoint, and what became of it. It outlives its endpoint until it is pruned.
-- attempts_before is how many attempts there were when it was last sent again by a person.
CREATE TABLE notify_webhook_deliveries (
    id uuid NOT NULL PRIMARY KEY,
    tenant_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    message_id uuid NOT NULL,
    event text NOT NULL,
    body text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'delivered', 'failed')),
    attempts integer NOT NULL,
    attempts_before integer NOT NULL,
    last_status integer,
    last_error text,
    next_attempt_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX notify_webhook_deliveries_message_key ON notify_webhook_deliveries (endpoint_id, message_id);
CREATE INDEX notify_webhook_deliveries_page ON notify_webhook_deliveries (tenant_id, id);
CREATE INDEX notify_webhook_deliveries_endpoint ON notify_webhook_deliveries (endpoint_id, id);
CREATE INDEX notify_webhook_deliveries_age ON notify_webhook_deliveries (created_at);

CREATE TABLE notify_webhook_attempts (
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    began_at timestamptz NOT NULL,
    latency_ms integer NOT NULL,
    status integer,
    response text,
    error text,
    PRIMARY KEY (delivery_id, number)
);
