//! Column types that mean the same in PostgreSQL and in SQLite, so that one `table!` serves both.
//!
//! | SQL type in `table!` | PostgreSQL | SQLite | Rust value |
//! |---|---|---|---|
//! | [`Id`] | `uuid` | `BLOB` (16 bytes) | [`DbUuid`] |
//! | [`Instant`] | `timestamptz` | `INTEGER` (µs since 1970) | [`DbTimestamp`] |
//! | [`JsonDoc`] | `jsonb` | `TEXT` | [`Json`] |
//! | [`TextArray`] | `text[]` | `TEXT` (JSON array) | [`TextList`] |
//!
//! Texts, integers, booleans and `Binary` are diesel's own. Bare `uuid::Uuid` and kernel types cannot
//! carry diesel's traits (they are foreign), hence the newtypes; they convert with [`DbUuid::of`],
//! [`DbUuid::to`] and `From`.
//!
//! Not here: anything that only one dialect has (tsvector, FTS5): such columns stay out of `table!`
//! and are used in the two-armed form of [`run!`](crate::run).

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::pg::data_types::PgTimestamp;
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{self as sql, SqlOrd, SqlType};
use diesel::sqlite::Sqlite;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use troupe_kernel::{Failure, Timestamp};
use uuid::Uuid;

/// SQL type of ids: `uuid` or a `BLOB` of 16 bytes.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951))]
#[diesel(sqlite_type(name = "Binary"))]
pub struct Id;

/// SQL type of points in time: `timestamptz` or microseconds since 1970.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Long"))]
pub struct Instant;

/// SQL type of JSON documents: `jsonb` or text.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 3802, array_oid = 3807))]
#[diesel(sqlite_type(name = "Text"))]
pub struct JsonDoc;

/// SQL type of lists of texts: `text[]` or a JSON array as text.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 1009, array_oid = 0))]
#[diesel(sqlite_type(name = "Text"))]
pub struct TextArray;

impl SqlOrd for Id {}
impl SqlOrd for Instant {}

/// An id as a column value.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    AsExpression,
    FromSqlRow,
)]
#[serde(transparent)]
#[diesel(sql_type = Id)]
pub struct DbUuid(pub Uuid);

impl DbUuid {
    /// The column value of any typed id.
    #[must_use]
    pub fn of(id: impl Into<Uuid>) -> Self {
        Self(id.into())
    }

    /// The typed id of this column value.
    #[must_use]
    pub fn to<T: From<Uuid>>(self) -> T {
        T::from(self.0)
    }
}

impl From<Uuid> for DbUuid {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<DbUuid> for Uuid {
    fn from(id: DbUuid) -> Self {
        id.0
    }
}

impl ToSql<Id, Pg> for DbUuid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql::Uuid, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<Id, Pg> for DbUuid {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql::Uuid, Pg>::from_sql(value).map(Self)
    }
}

impl ToSql<Id, Sqlite> for DbUuid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl FromSql<Id, Sqlite> for DbUuid {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes: Vec<u8> = FromSql::<sql::Binary, Sqlite>::from_sql(value)?;
        Ok(Self(Uuid::from_slice(&bytes)?))
    }
}

/// A point in time as a column value, with the precision of microseconds.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    AsExpression,
    FromSqlRow,
)]
#[serde(transparent)]
#[diesel(sql_type = Instant)]
pub struct DbTimestamp(pub Timestamp);

/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's clock starts.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl From<Timestamp> for DbTimestamp {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl From<DbTimestamp> for Timestamp {
    fn from(at: DbTimestamp) -> Self {
        at.0
    }
}

impl ToSql<Instant, Pg> for DbTimestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.as_micros().saturating_sub(POSTGRES_EPOCH_MICROS);
        ToSql::<sql::Timestamptz, Pg>::to_sql(&PgTimestamp(micros), &mut out.reborrow())
    }
}

impl FromSql<Instant, Pg> for DbTimestamp {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let PgTimestamp(micros) = FromSql::<sql::Timestamptz, Pg>::from_sql(value)?;
        Ok(Self(Timestamp::from_micros(micros.saturating_add(POSTGRES_EPOCH_MICROS))))
    }
}

impl ToSql<Instant, Sqlite> for DbTimestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_micros());
        Ok(IsNull::No)
    }
}

impl FromSql<Instant, Sqlite> for DbTimestamp {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let micros: i64 = FromSql::<sql::BigInt, Sqlite>::from_sql(value)?;
        Ok(Self(Timestamp::from_micros(micros)))
    }
}

/// A JSON document as a column value.
///
/// PostgreSQL refuses the character `\u0000` inside a document and SQLite takes it; the edge refuses
/// it for both.
#[derive(
    Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[serde(transparent)]
#[diesel(sql_type = JsonDoc)]
pub struct Json(pub serde_json::Value);

impl Json {
    /// The document of any serialisable value.
    ///
    /// # Errors
    /// When the value has no JSON form (a map with keys that are not texts).
    pub fn of<T: Serialize>(value: &T) -> Result<Self, Failure> {
        serde_json::to_value(value).map(Self).map_err(|error| {
            Failure::internal("database.json.encode", format!("a value has no JSON form: {error}"))
        })
    }

    /// The value a document holds.
    ///
    /// # Errors
    /// When the document was written by another version and does not have this form.
    pub fn to<T: DeserializeOwned>(self) -> Result<T, Failure> {
        serde_json::from_value(self.0).map_err(|error| {
            Failure::internal(
                "database.json.decode",
                format!("a stored document has another form: {error}"),
            )
        })
    }
}

impl ToSql<JsonDoc, Pg> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql::Jsonb, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<JsonDoc, Pg> for Json {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql::Jsonb, Pg>::from_sql(value).map(Self)
    }
}

impl ToSql<JsonDoc, Sqlite> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}

impl FromSql<JsonDoc, Sqlite> for Json {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text: String = FromSql::<sql::Text, Sqlite>::from_sql(value)?;
        Ok(Self(serde_json::from_str(&text)?))
    }
}

/// A list of texts as a column value.
#[derive(
    Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[serde(transparent)]
#[diesel(sql_type = TextArray)]
pub struct TextList(pub Vec<String>);

impl From<Vec<String>> for TextList {
    fn from(texts: Vec<String>) -> Self {
        Self(texts)
    }
}

impl From<TextList> for Vec<String> {
    fn from(list: TextList) -> Self {
        list.0
    }
}

impl ToSql<TextArray, Pg> for TextList {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql::Array<sql::Text>, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<TextArray, Pg> for TextList {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql::Array<sql::Text>, Pg>::from_sql(value).map(Self)
    }
}

impl ToSql<TextArray, Sqlite> for TextList {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}

impl FromSql<TextArray, Sqlite> for TextList {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text: String = FromSql::<sql::Text, Sqlite>::from_sql(value)?;
        Ok(Self(serde_json::from_str(&text)?))
    }
}
