-- The trail. One chain per tenant; the platform's own chain has the nil id. Rows are only ever added.
CREATE TABLE audit_entries (
    chain uuid NOT NULL,
    sequence bigint NOT NULL,
    queue_position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor uuid,
    action text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL,
    request_id uuid,
    address text,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (chain, sequence)
);
CREATE UNIQUE INDEX audit_entries_position ON audit_entries (queue_position);
CREATE INDEX audit_entries_time ON audit_entries (recorded_at, queue_position);
CREATE INDEX audit_entries_chain_time ON audit_entries (chain, recorded_at, queue_position);
CREATE INDEX audit_entries_actor ON audit_entries (actor, recorded_at, queue_position);
CREATE INDEX audit_entries_resource ON audit_entries (resource, recorded_at, queue_position);

-- The end of each chain, signed at every sealing.
CREATE TABLE audit_heads (
    chain uuid NOT NULL PRIMARY KEY,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    sealed_at timestamptz NOT NULL,
    checkpointed_sequence bigint NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL
);

-- Signed statements about the ends of chains, themselves chained.
CREATE TABLE audit_checkpoints (
    number bigint NOT NULL PRIMARY KEY,
    previous_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    head_count integer NOT NULL,
    hash bytea NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL
);
CREATE TABLE audit_checkpoint_heads (
    chain uuid NOT NULL,
    number bigint NOT NULL REFERENCES audit_checkpoints (number),
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (chain, number)
);
CREATE INDEX audit_checkpoint_heads_number ON audit_checkpoint_heads (number, chain);

-- One row that every sealing locks, so that sealings of several nodes follow each other: how many
-- entries no checkpoint covers, and since when the oldest of them is there.
CREATE TABLE audit_seal (
    id integer NOT NULL PRIMARY KEY CHECK (id = 1),
    entries_since_checkpoint bigint NOT NULL,
    uncovered_since timestamptz NOT NULL
);
INSERT INTO audit_seal VALUES (1, 0, now());

CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_checkpoint_heads_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint_heads
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_heads_keep BEFORE DELETE OR TRUNCATE ON audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_heads_forward BEFORE UPDATE ON audit_heads
    FOR EACH ROW WHEN (NEW.sequence < OLD.sequence) EXECUTE FUNCTION audit_refuse_change();
