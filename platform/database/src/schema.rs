//! The tables that belong to this crate: the effects of a unit of work.
//!
//! The events, jobs and audit crates read them through here; nobody else does.
#![allow(missing_docs, reason = "the columns are described in the migration")]

diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use crate::columns::{Id, Instant, JsonDoc};

    /// The log of events.
    outbox (position) {
        position -> BigInt,
        transaction_id -> BigInt,
        event_id -> Id,
        kind -> Text,
        source -> Text,
        subject -> Text,
        tenant -> Nullable<Id>,
        occurred_at -> Instant,
        schema_version -> Integer,
        data -> JsonDoc,
        trace -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::columns::{Id, Instant};

    /// How far each consumer has come, and which node delivers to it.
    consumer_offsets (consumer) {
        consumer -> Text,
        transaction_id -> BigInt,
        position -> BigInt,
        lease -> Nullable<Id>,
        lease_until -> Nullable<Instant>,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::Text;
    use crate::columns::{Id, Instant};

    /// Events a consumer has applied.
    inbox (consumer, event_id) {
        consumer -> Text,
        event_id -> Id,
        applied_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    use crate::columns::{Id, Instant, JsonDoc};

    /// Work to be done later.
    jobs (id) {
        id -> Id,
        queue -> Text,
        kind -> Text,
        payload -> JsonDoc,
        state -> Text,
        job_key -> Nullable<Text>,
        unique_key -> Nullable<Text>,
        tenant -> Nullable<Id>,
        trace -> Nullable<Text>,
        attempts -> Integer,
        attempts_max -> Integer,
        run_at -> Instant,
        lease -> Nullable<Id>,
        lease_until -> Nullable<Instant>,
        last_error -> Nullable<Text>,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use crate::columns::{Id, Instant, JsonDoc};

    /// Replies by idempotency key.
    idempotency (tenant, subject, request_key, operation) {
        tenant -> Id,
        subject -> Id,
        request_key -> Text,
        operation -> Text,
        fingerprint -> Text,
        reply -> Nullable<JsonDoc>,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable};
    use crate::columns::{Id, Instant, JsonDoc};

    /// Audit records waiting to be chained.
    audit_queue (position) {
        position -> BigInt,
        tenant -> Nullable<Id>,
        recorded_at -> Instant,
        record -> JsonDoc,
    }
}
