-- Events that a consumer could not apply, kept whole until a person replays or discards them.
CREATE TABLE dead_letters (
    id         UUID PRIMARY KEY,
    consumer   TEXT NOT NULL,
    event_id   UUID NOT NULL,
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    tenant     UUID,
    event      JSONB NOT NULL,
    attempts   INTEGER NOT NULL,
    cause_code TEXT NOT NULL,
    cause      TEXT NOT NULL,
    failed_at  TIMESTAMPTZ NOT NULL,
    -- When a replay was asked for; the node that delivers to the consumer does it.
    replay_at  TIMESTAMPTZ,
    UNIQUE (consumer, event_id)
);
CREATE INDEX dead_letters_newest ON dead_letters (failed_at, id);
