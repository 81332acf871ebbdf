//! The tables that belong to this crate; nobody else reads or writes them.
#![allow(missing_docs, reason = "the columns are described in the migration")]

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use troupe_database::{Id, Instant, TextArray};

    /// Roles that tenants made for themselves.
    authz_roles (id) {
        id -> Id,
        tenant -> Id,
        key -> Text,
        title -> Text,
        description -> Text,
        permissions -> TextArray,
        version -> BigInt,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use troupe_database::{Id, Instant};

    /// Roles that were granted.
    authz_bindings (id) {
        id -> Id,
        subject -> Id,
        tenant -> Nullable<Id>,
        role -> Text,
        condition -> Nullable<Text>,
        granted_by -> Nullable<Id>,
        granted_at -> Instant,
        expires_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use troupe_database::{Id, Instant};

    /// Roles that come with memberships.
    authz_memberships (subject, tenant) {
        subject -> Id,
        tenant -> Id,
        role -> Nullable<Text>,
        changed_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};

    /// Rows that a transaction locks before it counts.
    authz_guards (name) {
        name -> Text,
        taken -> BigInt,
    }
}
