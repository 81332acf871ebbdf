//! Events on their way to the log.

use crate::prelude::*;
use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, AsExpression, Expression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use troupe_kernel::{Event, Timestamp};
use uuid::Uuid;

use super::{Circumstances, Statement};
use crate::schema::outbox;

/// Adds the event; what its author left open comes from the circumstances.
pub(super) fn insertion(circumstances: &Circumstances<'_>, event: Event) -> impl Statement + use<> {
    let id = if event.id.is_nil() {
        troupe_kernel::ids::new_id(&**circumstances.clock)
    } else {
        event.id
    };
    let time = if event.time == Timestamp::EPOCH { circumstances.now() } else { event.time };
    let tenant: Option<Uuid> =
        event.tenant.map(Into::into).or_else(|| circumstances.scope.tenant());
    let row = (
        outbox::transaction_id.eq(CommitOrder::of(event.subject.clone())),
        outbox::event_id.eq(DbUuid(id)),
        outbox::kind.eq(event.kind),
        outbox::source.eq(event.source),
        outbox::subject.eq(event.subject),
        outbox::tenant.eq(tenant.map(DbUuid)),
        outbox::occurred_at.eq(DbTimestamp(time)),
        outbox::schema_version.eq(i32::from(event.schema_version)),
        outbox::data.eq(Json(event.data)),
        outbox::trace.eq(event.trace.or_else(|| circumstances.trace())),
    );
    diesel::insert_into(outbox::table).values(row).on_conflict_do_nothing()
}

/// The value of `transaction_id`.
///
/// PostgreSQL: the id of this transaction above the base of the epoch, or what the last one that
/// wrote an event of the same subject has when that is later. A transaction gets its id at its first
/// write, which may be before another one changed the same subject and committed; the maximum keeps the
/// order per subject then. It is safe for readers, who take only rows below every running transaction:
/// the own id is not above the value.
/// SQLite: 0, since its one writer already orders positions.
#[derive(Debug, Clone, QueryId)]
struct CommitOrder<S> {
    subject: S,
}

impl CommitOrder<()> {
    fn of(subject: String) -> CommitOrder<<String as AsExpression<Text>>::Expression> {
        CommitOrder { subject: AsExpression::<Text>::as_expression(subject) }
    }
}

impl<S> Expression for CommitOrder<S> {
    type SqlType = BigInt;
}

impl<S, QS> AppearsOnTable<QS> for CommitOrder<S> {}

impl<S> ValidGrouping<()> for CommitOrder<S> {
    type IsAggregate = is_aggregate::No;
}

impl<S: QueryFragment<Pg>> QueryFragment<Pg> for CommitOrder<S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "GREATEST((SELECT base FROM log_epoch) + pg_current_xact_id()::text::bigint, \
             COALESCE((SELECT max(transaction_id) FROM outbox WHERE subject = ",
        );
        self.subject.walk_ast(out.reborrow())?;
        out.push_sql("), 0))");
        Ok(())
    }
}

impl<S> QueryFragment<Sqlite> for CommitOrder<S>
where
    Sqlite: Backend,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("0");
        Ok(())
    }
}
