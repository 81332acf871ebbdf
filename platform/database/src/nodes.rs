//! Query nodes whose SQL differs between the dialects, or that diesel does not have.
//!
//! [`keyset`] compares a pair of columns as one row value: `(a, b) < ($1, $2)`. The `OR` form of the
//! same condition does not use the index (56 ms against 0.08 ms at 60,000 rows). [`in_locked`] claims
//! rows: `= ANY (ARRAY(… FOR UPDATE SKIP LOCKED))` on PostgreSQL, plain `IN (…)` on SQLite, whose one
//! writer holds every row anyway. [`one_of`] is `eq_any` whose statement is cached on SQLite, too.

use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, AsExpression, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, Bool, HasSqlType};
use diesel::sqlite::Sqlite;

/// Which way a keyset page runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Rows after the cursor in rising order (`>`).
    Ascending,
    /// Rows after the cursor in falling order (`<`).
    Descending,
}

/// A pair of columns compared with a pair of values as one row value; made by [`keyset`].
#[derive(Debug, Clone)]
pub struct Keyset<A, B, X, Y> {
    columns: (A, B),
    values: Option<(X, Y)>,
    direction: Direction,
}

/// The condition "after this cursor" for a page ordered by two columns.
///
/// Without a cursor the condition is true, so that the first page has the same query. The second
/// column must make the pair unique (use the id).
pub fn keyset<A, B, X, Y>(
    columns: (A, B),
    cursor: Option<(X, Y)>,
    direction: Direction,
) -> Keyset<A, B, X::Expression, Y::Expression>
where
    A: Expression<SqlType: diesel::sql_types::SqlType + diesel::expression::TypedExpressionType>,
    B: Expression<SqlType: diesel::sql_types::SqlType + diesel::expression::TypedExpressionType>,
    X: AsExpression<A::SqlType>,
    Y: AsExpression<B::SqlType>,
{
    let values = cursor.map(|(x, y)| (x.as_expression(), y.as_expression()));
    Keyset { columns, values, direction }
}

impl<A, B, X, Y> Expression for Keyset<A, B, X, Y> {
    type SqlType = Bool;
}

impl<A, B, X, Y, QS> AppearsOnTable<QS> for Keyset<A, B, X, Y>
where
    A: AppearsOnTable<QS>,
    B: AppearsOnTable<QS>,
    X: AppearsOnTable<QS>,
    Y: AppearsOnTable<QS>,
{
}

impl<A, B, X, Y, QS> SelectableExpression<QS> for Keyset<A, B, X, Y> where Self: AppearsOnTable<QS> {}

impl<A, B, X, Y> ValidGrouping<()> for Keyset<A, B, X, Y> {
    type IsAggregate = is_aggregate::No;
}

/// Two shapes (with and without a cursor), so the statement is cached by its text.
impl<A, B, X, Y> QueryId for Keyset<A, B, X, Y> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<A, B, X, Y, DB> QueryFragment<DB> for Keyset<A, B, X, Y>
where
    DB: Backend,
    A: QueryFragment<DB>,
    B: QueryFragment<DB>,
    X: QueryFragment<DB>,
    Y: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let Some((x, y)) = &self.values else {
            out.push_sql("1 = 1");
            return Ok(());
        };
        out.push_sql("(");
        self.columns.0.walk_ast(out.reborrow())?;
        out.push_sql(", ");
        self.columns.1.walk_ast(out.reborrow())?;
        out.push_sql(match self.direction {
            Direction::Ascending => ") > (",
            Direction::Descending => ") < (",
        });
        x.walk_ast(out.reborrow())?;
        out.push_sql(", ");
        y.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

/// A column restricted to the rows that a subquery could lock; made by [`in_locked`].
#[derive(Debug, Clone, Copy, QueryId)]
pub struct InLocked<C, S> {
    column: C,
    subquery: S,
}

/// The rows of `subquery` that nobody else has locked, locked now; plain `IN` on SQLite.
///
/// Use it in an `UPDATE … WHERE` that claims rows: two claimers never get the same row and never wait
/// for each other. The subquery must select one column of the column's type from one table. It is
/// wrapped in `ARRAY(…)` so that PostgreSQL runs it once: as a plain `IN` the planner may run it again
/// per row and claim more rows than its `LIMIT`.
pub fn in_locked<C, S>(column: C, subquery: S) -> InLocked<C, S>
where
    C: Expression,
{
    InLocked { column, subquery }
}

impl<C, S> Expression for InLocked<C, S> {
    type SqlType = Bool;
}

impl<C, S, QS> AppearsOnTable<QS> for InLocked<C, S> where C: AppearsOnTable<QS> {}

impl<C, S, QS> SelectableExpression<QS> for InLocked<C, S> where Self: AppearsOnTable<QS> {}

impl<C, S> ValidGrouping<()> for InLocked<C, S> {
    type IsAggregate = is_aggregate::No;
}

impl<C, S> QueryFragment<Pg> for InLocked<C, S>
where
    C: QueryFragment<Pg>,
    S: QueryFragment<Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" = ANY (ARRAY(");
        self.subquery.walk_ast(out.reborrow())?;
        out.push_sql(" FOR UPDATE SKIP LOCKED))");
        Ok(())
    }
}

impl<C, S> QueryFragment<Sqlite> for InLocked<C, S>
where
    C: QueryFragment<Sqlite>,
    S: QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (");
        self.subquery.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

/// A column compared with several values; made by [`one_of`].
#[derive(Debug, Clone)]
pub struct OneOf<C, T> {
    column: C,
    values: Vec<T>,
}

/// The rows in which the column has one of these values.
///
/// One value is compared with `=`, which is planned with less effort. More are `= ANY ($1)` on
/// PostgreSQL. On SQLite each is bound by itself; their number is brought to a power of two with
/// repetitions, so that few statements are prepared and kept. Give it no more than a few hundred.
pub fn one_of<C, T>(column: C, values: Vec<T>) -> OneOf<C, T>
where
    C: Expression,
{
    OneOf { column, values }
}

impl<C, T> Expression for OneOf<C, T> {
    type SqlType = Bool;
}

impl<C, T, QS> AppearsOnTable<QS> for OneOf<C, T> where C: AppearsOnTable<QS> {}

impl<C, T, QS> SelectableExpression<QS> for OneOf<C, T> where Self: AppearsOnTable<QS> {}

impl<C, T> ValidGrouping<()> for OneOf<C, T> {
    type IsAggregate = is_aggregate::No;
}

/// Cached by its text.
impl<C, T> QueryId for OneOf<C, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, T> QueryFragment<Pg> for OneOf<C, T>
where
    C: Expression<SqlType: 'static> + QueryFragment<Pg>,
    Pg: HasSqlType<C::SqlType> + HasSqlType<Array<C::SqlType>>,
    T: ToSql<C::SqlType, Pg>,
    Vec<T>: ToSql<Array<C::SqlType>, Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        if let [only] = self.values.as_slice() {
            out.push_sql(" = ");
            return out.push_bind_param::<C::SqlType, T>(only);
        }
        out.push_sql(" = ANY (");
        out.push_bind_param::<Array<C::SqlType>, Vec<T>>(&self.values)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<C, T> QueryFragment<Sqlite> for OneOf<C, T>
where
    C: Expression + QueryFragment<Sqlite>,
    Sqlite: HasSqlType<C::SqlType>,
    T: ToSql<C::SqlType, Sqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        if let [only] = self.values.as_slice() {
            out.push_sql(" = ");
            return out.push_bind_param::<C::SqlType, T>(only);
        }
        out.push_sql(" IN (");
        let Some(last) = self.values.last() else {
            out.push_sql(")");
            return Ok(());
        };
        let repeated = std::iter::repeat(last);
        let count = self.values.len().next_power_of_two();
        for (place, value) in self.values.iter().chain(repeated).take(count).enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            out.push_bind_param::<C::SqlType, T>(value)?;
        }
        out.push_sql(")");
        Ok(())
    }
}
