//! Statements without values, prepared once on each connection.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// The text of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain(pub(super) &'static str);

/// Behind whatever was written before it was asked. Not how far the log is flushed: a commit need not
/// wait for that.
pub(super) const WHERE: Plain = Plain("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint");

impl Plain {
    /// Runs a statement that answers a place in the log, in bytes since its beginning.
    pub(super) async fn place(self, mut connection: &AsyncPgConnection) -> QueryResult<u64> {
        let place: i64 = RunQueryDsl::get_result(self, &mut connection).await?;
        Ok(u64::try_from(place).unwrap_or_default())
    }
}

impl QueryFragment<Pg> for Plain {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

impl QueryId for Plain {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Plain {
    type SqlType = BigInt;
}
