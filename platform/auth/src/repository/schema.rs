//! The tables of auth, as migrations/auth makes them.
#![allow(missing_docs, reason = "the columns are described in the migration")]

use troupe_database::{Id, Instant, TextArray};

diesel::table! {
    use diesel::sql_types::Text;
    use super::{Id, Instant};

    auth_credentials (user_id) {
        user_id -> Id,
        password_hash -> Text,
        created_at -> Instant,
        changed_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use super::{Id, Instant};

    auth_sessions (id) {
        id -> Id,
        user_id -> Id,
        tenant_id -> Nullable<Id>,
        device -> Nullable<Text>,
        address -> Nullable<Text>,
        created_at -> Instant,
        last_seen_at -> Instant,
        idle_expires_at -> Instant,
        expires_at -> Instant,
        ended_at -> Nullable<Instant>,
        end_reason -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Nullable};
    use super::{Id, Instant};

    auth_refresh_tokens (token_hash) {
        token_hash -> Binary,
        session_id -> Id,
        issued_at -> Instant,
        expires_at -> Instant,
        used_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use super::{Id, Instant};

    auth_one_time_tokens (token_hash) {
        token_hash -> Binary,
        purpose -> Text,
        user_id -> Id,
        tenant_id -> Nullable<Id>,
        created_at -> Instant,
        expires_at -> Instant,
        used_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use super::Instant;

    auth_failures (party) {
        party -> Text,
        failures -> BigInt,
        last_at -> Instant,
        locked_until -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Text};
    use super::Instant;

    auth_signing_keys (id) {
        id -> Text,
        sealed_key -> Binary,
        created_at -> Instant,
        activates_at -> Instant,
        retires_at -> Instant,
        ends_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use super::{Id, Instant, TextArray};

    auth_api_keys (id) {
        id -> Id,
        tenant_id -> Id,
        prefix -> Text,
        secret_hash -> Binary,
        name -> Text,
        permissions -> TextArray,
        created_by -> Id,
        created_at -> Instant,
        expires_at -> Nullable<Instant>,
        last_used_at -> Nullable<Instant>,
        revoked_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Nullable};
    use super::{Id, Instant};

    auth_totp (user_id) {
        user_id -> Id,
        sealed_secret -> Binary,
        last_step -> BigInt,
        created_at -> Instant,
        confirmed_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Nullable};
    use super::{Id, Instant};

    auth_recovery_codes (user_id, code_hash) {
        user_id -> Id,
        code_hash -> Binary,
        created_at -> Instant,
        used_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use super::{Id, Instant};

    auth_challenges (token_hash) {
        token_hash -> Binary,
        user_id -> Id,
        tenant_id -> Nullable<Id>,
        first_factor -> Text,
        device -> Nullable<Text>,
        created_at -> Instant,
        expires_at -> Instant,
        used_at -> Nullable<Instant>,
        passkey_state -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use super::{Id, Instant};

    auth_identities (id) {
        id -> Id,
        user_id -> Id,
        issuer -> Text,
        subject -> Text,
        provider -> Text,
        email -> Nullable<Text>,
        created_at -> Instant,
        last_used_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use super::{Id, Instant};

    auth_flows (state_hash) {
        state_hash -> Binary,
        browser_hash -> Binary,
        provider -> Text,
        link_user -> Nullable<Id>,
        tenant_id -> Nullable<Id>,
        created_at -> Instant,
        expires_at -> Instant,
        used_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use super::{Id, Instant};

    auth_passkeys (id) {
        id -> Id,
        user_id -> Id,
        credential_id -> Binary,
        credential -> Text,
        counter -> BigInt,
        name -> Text,
        created_at -> Instant,
        last_used_at -> Nullable<Instant>,
        copied_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use super::{Id, Instant};

    auth_ceremonies (token_hash) {
        token_hash -> Binary,
        purpose -> Text,
        user_id -> Nullable<Id>,
        state -> Text,
        created_at -> Instant,
        expires_at -> Instant,
        used_at -> Nullable<Instant>,
    }
}
