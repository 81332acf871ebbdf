//! What a repository module imports: diesel's query traits without its blocking `RunQueryDsl`, and
//! this crate's types.
//!
//! Do not import `diesel::prelude::*` beside it: its `RunQueryDsl` makes `get_result`, `load` and
//! `execute` ambiguous inside [`run!`](crate::run).

pub use diesel::associations::{Associations, Identifiable};
pub use diesel::deserialize::{Queryable, QueryableByName};
pub use diesel::expression::{IntoSql as _, Selectable, SelectableHelper};
pub use diesel::expression_methods::{
    AggregateExpressionMethods, BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods,
    NullableExpressionMethods, TextExpressionMethods,
};
pub use diesel::insertable::Insertable;
pub use diesel::query_builder::AsChangeset;
pub use diesel::query_dsl::{CombineDsl, JoinOnDsl, QueryDsl};
pub use diesel::{allow_tables_to_appear_in_same_query, joinable, table};

pub use crate::columns::{DbTimestamp, DbUuid, Json, TextList};
pub use crate::connection::{DbConn, Dialect};
pub use crate::error::{DbError, DbResult, OptionalRow};
pub use crate::fragment::fragment;
pub use crate::nodes::{Direction, in_locked, keyset, one_of};
pub use crate::run;
