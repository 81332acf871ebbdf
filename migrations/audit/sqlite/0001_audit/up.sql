-- The trail. One chain per tenant; the platform's own chain has the nil id. Rows are only ever added.
CREATE TABLE audit_entries (
    chain BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    queue_position INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    actor BLOB,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    request_id BLOB,
    address TEXT,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain, sequence)
);
CREATE UNIQUE INDEX audit_entries_position ON audit_entries (queue_position);
CREATE INDEX audit_entries_time ON audit_entries (recorded_at, queue_position);
CREATE INDEX audit_entries_chain_time ON audit_entries (chain, recorded_at, queue_position);
CREATE INDEX audit_entries_actor ON audit_entries (actor, recorded_at, queue_position);
CREATE INDEX audit_entries_resource ON audit_entries (resource, recorded_at, queue_position);

-- The end of each chain, signed at every sealing.
CREATE TABLE audit_heads (
    chain BLOB NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    sealed_at INTEGER NOT NULL,
    checkpointed_sequence INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    signature BLOB NOT NULL
);

-- Signed statements about the ends of chains, themselves chained.
CREATE TABLE audit_checkpoints (
    number INTEGER NOT NULL PRIMARY KEY,
    previous_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    head_count INTEGER NOT NULL,
    hash BLOB NOT NULL,
    key_id TEXT NOT NULL,
    signature BLOB NOT NULL
);
CREATE TABLE audit_checkpoint_heads (
    chain BLOB NOT NULL,
    number INTEGER NOT NULL REFERENCES audit_checkpoints (number),
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain, number)
);
CREATE INDEX audit_checkpoint_heads_number ON audit_checkpoint_heads (number, chain);

-- One row that every sealing locks, so that sealings of several nodes follow each other: how many
-- entries no checkpoint covers, and since when the oldest of them is there.
CREATE TABLE audit_seal (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    entries_since_checkpoint INTEGER NOT NULL,
    uncovered_since INTEGER NOT NULL
);
INSERT INTO audit_seal VALUES (1, 0, CAST(strftime('%s', 'now') AS INTEGER) * 1000000);

CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: UPDATE on audit_entries is refused'); END;
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: DELETE on audit_entries is refused'); END;
CREATE TRIGGER audit_checkpoints_no_update BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: UPDATE on audit_checkpoints is refused'); END;
CREATE TRIGGER audit_checkpoints_no_delete BEFORE DELETE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: DELETE on audit_checkpoints is refused'); END;
CREATE TRIGGER audit_checkpoint_heads_no_update BEFORE UPDATE ON audit_checkpoint_heads
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: UPDATE on audit_checkpoint_heads is refused'); END;
CREATE TRIGGER audit_checkpoint_heads_no_delete BEFORE DELETE ON audit_checkpoint_heads
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: DELETE on audit_checkpoint_heads is refused'); END;
CREATE TRIGGER audit_heads_no_delete BEFORE DELETE ON audit_heads
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: DELETE on audit_heads is refused'); END;
CREATE TRIGGER audit_heads_forward BEFORE UPDATE ON audit_heads WHEN NEW.sequence < OLD.sequence
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: a head only moves forward'); END;
-- INSERT OR REPLACE deletes without the delete triggers.
CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries
WHEN EXISTS (SELECT 1 FROM audit_entries WHERE (chain = NEW.chain AND sequence = NEW.sequence) OR queue_position = NEW.queue_position)
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: REPLACE on audit_entries is refused'); END;
CREATE TRIGGER audit_checkpoints_no_replace BEFORE INSERT ON audit_checkpoints
WHEN EXISTS (SELECT 1 FROM audit_checkpoints WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: REPLACE on audit_checkpoints is refused'); END;
CREATE TRIGGER audit_checkpoint_heads_no_replace BEFORE INSERT ON audit_checkpoint_heads
WHEN EXISTS (SELECT 1 FROM audit_checkpoint_heads WHERE chain = NEW.chain AND number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only: REPLACE on audit_checkpoint_heads is refused'); END;
