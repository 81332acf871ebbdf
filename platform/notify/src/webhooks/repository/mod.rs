//! Rows of webhooks.

pub mod attempts;
pub mod deliveries;
pub mod endpoints;

#[allow(missing_docs, reason = "the columns are described in the migration")]
pub(crate) mod schema {
    use troupe_database::{Id, Instant, TextArray};

    diesel::table! {
        use diesel::sql_types::{BigInt, Binary, Nullable, Text};
        use super::{Id, Instant, TextArray};

        notify_webhook_endpoints (id) {
            id -> Id,
            tenant_id -> Id,
            url -> Text,
            description -> Text,
            events -> TextArray,
            state -> Text,
            disabled_because -> Nullable<Text>,
            failing_since -> Nullable<Instant>,
            sealed_secret -> Binary,
            sealed_old_secret -> Nullable<Binary>,
            old_secret_until -> Nullable<Instant>,
            version -> BigInt,
            created_at -> Instant,
            updated_at -> Instant,
        }
    }

    diesel::table! {
        use diesel::sql_types::{Integer, Nullable, Text};
        use super::{Id, Instant};

        notify_webhook_deliveries (id) {
            id -> Id,
            tenant_id -> Id,
            endpoint_id -> Id,
            message_id -> Id,
            event -> Text,
            body -> Text,
            state -> Text,
            attempts -> Integer,
            attempts_before -> Integer,
            last_status -> Nullable<Integer>,
            last_error -> Nullable<Text>,
            next_attempt_at -> Nullable<Instant>,
            created_at -> Instant,
            updated_at -> Instant,
        }
    }

    diesel::table! {
        use diesel::sql_types::{Integer, Nullable, Text};
        use super::{Id, Instant};

        notify_webhook_attempts (delivery_id, number) {
            delivery_id -> Id,
            number -> Integer,
            began_at -> Instant,
            latency_ms -> Integer,
            status -> Nullable<Integer>,
            response -> Nullable<Text>,
            error -> Nullable<Text>,
        }
    }
}
