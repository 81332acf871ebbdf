-- Where a tenant wants its events sent. Secrets are sealed with the key that seals the signing keys; the
-- old one signs beside the new one until its time is over.
CREATE TABLE notify_webhook_endpoints (
    id BLOB NOT NULL PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    events TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled')),
    disabled_because TEXT CHECK (disabled_because IN ('gone', 'failing', 'person')),
    failing_since INTEGER,
    sealed_secret BLOB NOT NULL,
    sealed_old_secret BLOB,
    old_secret_until INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notify_webhook_endpoints_page ON notify_webhook_endpoints (tenant_id, id);

-- Each message for each endpoint, and what became of it. It outlives its endpoint until it is pruned.
-- attempts_before is how many attempts there were when it was last sent again by a person.
CREATE TABLE notify_webhook_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    endpoint_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'failed')),
    attempts INTEGER NOT NULL,
    attempts_before INTEGER NOT NULL,
    last_status INTEGER,
    last_error TEXT,
    next_attempt_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX notify_webhook_deliveries_message_key ON notify_webhook_deliveries (endpoint_id, message_id);
CREATE INDEX notify_webhook_deliveries_page ON notify_webhook_deliveries (tenant_id, id);
CREATE INDEX notify_webhook_deliveries_endpoint ON notify_webhook_deliveries (endpoint_id, id);
CREATE INDEX notify_webhook_deliveries_age ON notify_webhook_deliveries (created_at);

CREATE TABLE notify_webhook_attempts (
    delivery_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    status INTEGER,
    response TEXT,
    error TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT;
