-- What a unit of work writes beside the rows of its caller.

-- The log of events. There is one writer, so positions are in the order of commits and
-- transaction_id is always 0.
CREATE TABLE outbox (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id INTEGER NOT NULL,
    event_id       BLOB NOT NULL UNIQUE,
    kind           TEXT NOT NULL,
    source         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    tenant         BLOB,
    occurred_at    INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    data           TEXT NOT NULL,
    trace          TEXT
);
CREATE INDEX outbox_order ON outbox (transaction_id, position);
CREATE INDEX outbox_subject ON outbox (subject, transaction_id);
CREATE INDEX outbox_occurred_at ON outbox (occurred_at);

-- How far each consumer has come in the log, and which node delivers to it.
CREATE TABLE consumer_offsets (
    consumer       TEXT PRIMARY KEY,
    transaction_id INTEGER NOT NULL,
    position       INTEGER NOT NULL,
    lease          BLOB,
    lease_until    INTEGER,
    updated_at     INTEGER NOT NULL
);

-- Events a consumer has applied, written in the transaction that applied them.
CREATE TABLE inbox (
    consumer   TEXT NOT NULL,
    event_id   BLOB NOT NULL,
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (consumer, event_id)
) WITHOUT ROWID;
CREATE INDEX inbox_applied_at ON inbox (applied_at);

CREATE TABLE jobs (
    id           BLOB PRIMARY KEY,
    queue        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    payload      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'dead')),
    job_key      TEXT,
    unique_key   TEXT,
    tenant       BLOB,
    trace        TEXT,
    attempts     INTEGER NOT NULL,
    attempts_max INTEGER NOT NULL,
    run_at       INTEGER NOT NULL,
    lease        BLOB,
    lease_until  INTEGER,
    last_error   TEXT,
    updated_at   INTEGER NOT NULL
);
CREATE INDEX jobs_due ON jobs (queue, run_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_leased ON jobs (queue, lease_until) WHERE state = 'running';
CREATE INDEX jobs_dead ON jobs (updated_at, id) WHERE state = 'dead';
CREATE INDEX jobs_key ON jobs (queue, job_key) WHERE job_key IS NOT NULL AND state <> 'dead';
CREATE UNIQUE INDEX jobs_queue_job_key_key ON jobs (queue, job_key) WHERE job_key IS NOT NULL AND state = 'running';
CREATE UNIQUE INDEX jobs_unique_key_key ON jobs (unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead';

-- Replies by idempotency key, so that a repeated request is answered and not done again.
CREATE TABLE idempotency (
    tenant      BLOB NOT NULL,
    subject     BLOB NOT NULL,
    request_key TEXT NOT NULL,
    operation   TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    reply       TEXT,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, subject, request_key, operation)
);
CREATE INDEX idempotency_created_at ON idempotency (created_at);

-- Audit records waiting to be chained.
CREATE TABLE audit_queue (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant      BLOB,
    recorded_at INTEGER NOT NULL,
    record      TEXT NOT NULL
);
