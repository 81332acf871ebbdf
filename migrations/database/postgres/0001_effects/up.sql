-- What a unit of work writes beside the rows of its caller.

-- The log of events. transaction_id orders commits: a reader takes only rows below the oldest
-- transaction still running, so a row that commits late is never skipped.
CREATE TABLE outbox (
    position       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id BIGINT NOT NULL,
    event_id       UUID NOT NULL UNIQUE,
    kind           TEXT NOT NULL,
    source         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    tenant         UUID,
    occurred_at    TIMESTAMPTZ NOT NULL,
    schema_version INTEGER NOT NULL,
    data           JSONB NOT NULL,
    trace          TEXT
);
CREATE INDEX outbox_order ON outbox (transaction_id, position);
CREATE INDEX outbox_subject ON outbox (subject, transaction_id);
CREATE INDEX outbox_occurred_at ON outbox (occurred_at);

-- How far each consumer has come in the log, and which node delivers to it.
CREATE TABLE consumer_offsets (
    consumer       TEXT PRIMARY KEY,
    transaction_id BIGINT NOT NULL,
    position       BIGINT NOT NULL,
    lease          UUID,
    lease_until    TIMESTAMPTZ,
    updated_at     TIMESTAMPTZ NOT NULL
);

-- Events a consumer has applied, written in the transaction that applied them.
CREATE TABLE inbox (
    consumer   TEXT NOT NULL,
    event_id   UUID NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_applied_at ON inbox (applied_at);

CREATE TABLE jobs (
    id           UUID PRIMARY KEY,
    queue        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    payload      JSONB NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'dead')),
    job_key      TEXT,
    unique_key   TEXT,
    tenant       UUID,
    trace        TEXT,
    attempts     INTEGER NOT NULL,
    attempts_max INTEGER NOT NULL,
    run_at       TIMESTAMPTZ NOT NULL,
    lease        UUID,
    lease_until  TIMESTAMPTZ,
    last_error   TEXT,
    updated_at   TIMESTAMPTZ NOT NULL
);
CREATE INDEX jobs_due ON jobs (queue, run_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_leased ON jobs (queue, lease_until) WHERE state = 'running';
CREATE INDEX jobs_dead ON jobs (updated_at, id) WHERE state = 'dead';
CREATE INDEX jobs_key ON jobs (queue, job_key) WHERE job_key IS NOT NULL AND state <> 'dead';
CREATE UNIQUE INDEX jobs_queue_job_key_key ON jobs (queue, job_key) WHERE job_key IS NOT NULL AND state = 'running';
CREATE UNIQUE INDEX jobs_unique_key_key ON jobs (unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead';

-- Replies by idempotency key, so that a repeated request is answered and not done again.
CREATE TABLE idempotency (
    tenant      UUID NOT NULL,
    subject     UUID NOT NULL,
    request_key TEXT NOT NULL,
    operation   TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    reply       JSONB,
    created_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant, subject, request_key, operation)
);
CREATE INDEX idempotency_created_at ON idempotency (created_at);

-- Audit records waiting to be chained.
CREATE TABLE audit_queue (
    position    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      UUID,
    recorded_at TIMESTAMPTZ NOT NULL,
    record      JSONB NOT NULL
);
