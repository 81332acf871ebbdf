//! The tables that belong to this crate; nobody else writes them.
#![allow(missing_docs, reason = "the columns are described in the migration")]

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use troupe_database::{Id, Instant};

    /// The trail.
    audit_entries (chain, sequence) {
        chain -> Id,
        sequence -> BigInt,
        queue_position -> BigInt,
        recorded_at -> Instant,
        actor -> Nullable<Id>,
        action -> Text,
        resource -> Text,
        outcome -> Text,
        detail -> Text,
        request_id -> Nullable<Id>,
        address -> Nullable<Text>,
        previous_hash -> Binary,
        hash -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Text};
    use troupe_database::{Id, Instant};

    /// The end of each chain.
    audit_heads (chain) {
        chain -> Id,
        sequence -> BigInt,
        hash -> Binary,
        sealed_at -> Instant,
        checkpointed_sequence -> BigInt,
        key_id -> Text,
        signature -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Integer, Text};
    use troupe_database::Instant;

    /// Signed statements about the ends of chains.
    audit_checkpoints (number) {
        number -> BigInt,
        previous_hash -> Binary,
        created_at -> Instant,
        head_count -> Integer,
        hash -> Binary,
        key_id -> Text,
        signature -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary};
    use troupe_database::Id;

    /// What each statement says.
    audit_checkpoint_heads (chain, number) {
        chain -> Id,
        number -> BigInt,
        sequence -> BigInt,
        hash -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Integer};
    use troupe_database::Instant;

    /// The one row that every sealing locks.
    audit_seal (id) {
        id -> Integer,
        entries_since_checkpoint -> BigInt,
        uncovered_since -> Instant,
    }
}

diesel::joinable!(audit_checkpoint_heads -> audit_checkpoints (number));
diesel::allow_tables_to_appear_in_same_query!(audit_checkpoint_heads, audit_checkpoints);
