//! The tables of identity, as migrations/identity makes them.
#![allow(missing_docs, reason = "the columns are described in the migration")]

use troupe_database::{Id, Instant};

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use super::{Id, Instant};

    identity_users (id) {
        id -> Id,
        email -> Text,
        email_verified_at -> Nullable<Instant>,
        display_name -> Text,
        locale -> Text,
        time_zone -> Text,
        status -> Text,
        suspended_reason -> Nullable<Text>,
        deletion_due_at -> Nullable<Instant>,
        version -> BigInt,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use super::{Id, Instant};

    identity_organisations (id) {
        id -> Id,
        slug -> Text,
        name -> Text,
        status -> Text,
        version -> BigInt,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use super::{Id, Instant};

    identity_memberships (id) {
        id -> Id,
        organisation_id -> Id,
        user_id -> Id,
        role -> Text,
        version -> BigInt,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use super::{Id, Instant};

    identity_invitations (id) {
        id -> Id,
        organisation_id -> Id,
        email -> Text,
        role -> Text,
        status -> Text,
        token_hash -> Text,
        invited_by -> Nullable<Id>,
        accepted_by -> Nullable<Id>,
        sent_count -> Integer,
        last_sent_at -> Instant,
        expires_at -> Instant,
        version -> BigInt,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use super::{Id, Instant};

    identity_email_tokens (id) {
        id -> Id,
        user_id -> Id,
        purpose -> Text,
        email -> Text,
        token_hash -> Text,
        used_at -> Nullable<Instant>,
        expires_at -> Instant,
        created_at -> Instant,
    }
}

diesel::joinable!(identity_memberships -> identity_organisations (organisation_id));
diesel::joinable!(identity_memberships -> identity_users (user_id));
diesel::allow_tables_to_appear_in_same_query!(
    identity_memberships,
    identity_organisations,
    identity_users,
);
