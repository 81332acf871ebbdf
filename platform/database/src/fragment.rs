//! SQL text inside a typed query, prepared once.
//!
//! `diesel::dsl::sql` does the same but marks the query as not cacheable, so it is prepared at every
//! call (a third of the throughput). A [`Fragment`]'s text is static, so the whole query is cached by
//! its text.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, AsExpression, Expression, SelectableExpression, TypedExpressionType,
    ValidGrouping, is_aggregate,
};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{SingleValue, SqlType};

/// SQL text of the type `ST`, with values bound into it; begun by [`fragment`].
#[derive(Debug, Clone, Copy)]
pub struct Fragment<ST, P> {
    parts: P,
    of: PhantomData<ST>,
}

/// The first text of a fragment.
#[derive(Debug, Clone, Copy)]
pub struct Text(&'static str);

/// What came before, a bound value, and the text after it.
#[derive(Debug, Clone, Copy)]
pub struct Bound<P, E> {
    before: P,
    value: E,
    after: &'static str,
}

/// Begins a fragment of the SQL type `ST`.
///
/// ```ignore
/// notes::table.filter(fragment::<Bool>("tags @> ARRAY[").bind::<Text, _>(tag, "]"))
/// ```
///
/// The text is not checked: columns are named as in SQL, and an `OR` needs its own parentheses.
#[must_use]
pub fn fragment<ST: SqlType + TypedExpressionType>(sql: &'static str) -> Fragment<ST, Text> {
    Fragment { parts: Text(sql), of: PhantomData }
}

impl<ST, P> Fragment<ST, P> {
    /// Binds a value of the SQL type `T`, followed by more text.
    pub fn bind<T, V>(self, value: V, after: &'static str) -> Fragment<ST, Bound<P, V::Expression>>
    where
        T: SqlType + SingleValue,
        V: AsExpression<T>,
    {
        let parts = Bound { before: self.parts, value: value.as_expression(), after };
        Fragment { parts, of: PhantomData }
    }
}

impl<ST: SqlType + TypedExpressionType, P> Expression for Fragment<ST, P> {
    type SqlType = ST;
}

impl<ST, P, QS> AppearsOnTable<QS> for Fragment<ST, P> where Self: Expression {}

impl<ST, P, QS> SelectableExpression<QS> for Fragment<ST, P> where Self: Expression {}

impl<ST, P> ValidGrouping<()> for Fragment<ST, P> {
    type IsAggregate = is_aggregate::No;
}

impl<ST, P> QueryId for Fragment<ST, P> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST, P, DB> QueryFragment<DB> for Fragment<ST, P>
where
    DB: Backend,
    P: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.parts.walk_ast(out)
    }
}

impl<DB: Backend> QueryFragment<DB> for Text {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

impl<P, E, DB> QueryFragment<DB> for Bound<P, E>
where
    DB: Backend,
    P: QueryFragment<DB>,
    E: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.before.walk_ast(out.reborrow())?;
        self.value.walk_ast(out.reborrow())?;
        out.push_sql(self.after);
        Ok(())
    }
}
