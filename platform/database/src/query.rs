//! Queries whose type is forgotten before they run.
//!
//! diesel gives every query a type of its own, and running one compiles the whole way to the
//! connection for that type: seconds for each query and dialect. Behind a trait object that way is
//! compiled once for each type of row. What it costs is a box and the text of the statement, which
//! the connection's cache of prepared statements then has as its key.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;

use diesel::backend::Backend;
use diesel::deserialize::FromSqlRow;
use diesel::expression::QueryMetadata;
use diesel::pg::Pg;
use diesel::query_builder::{AsQuery, AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::CompatibleType;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::sqlite::SqliteConnection;

/// A statement at work.
pub type Running<'c, T> = Pin<Box<dyn Future<Output = QueryResult<T>> + Send + 'c>>;

/// A query of which only its dialect and the SQL types of its rows are known.
struct Erased<'q, DB: Backend, ST> {
    query: Box<dyn QueryFragment<DB> + Send + 'q>,
    row: PhantomData<fn() -> ST>,
}

impl<'q, DB: Backend, ST> Erased<'q, DB, ST> {
    fn of(query: impl QueryFragment<DB> + Send + 'q) -> Self {
        Self { query: Box::new(query), row: PhantomData }
    }
}

#[cfg(feature = "testing")]
impl<ST> Erased<'_, Pg, ST> {
    /// Tells the tests that it is about to be sent, and from where.
    fn told(self, caller: &Location<'static>) -> Self {
        crate::testing::statements::record(&self, caller);
        self
    }
}

#[cfg(feature = "testing")]
impl<ST> Erased<'_, Sqlite, ST> {
    fn told(self, _: &Location<'_>) -> Self {
        self
    }
}

#[cfg(not(feature = "testing"))]
impl<DB: Backend, ST> Erased<'_, DB, ST> {
    fn told(self, _: &Location<'_>) -> Self {
        self
    }
}

impl<DB: Backend, ST> QueryFragment<DB> for Erased<'_, DB, ST> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out)
    }
}

impl<DB: Backend, ST> QueryId for Erased<'_, DB, ST> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend, ST> Query for Erased<'_, DB, ST> {
    type SqlType = ST;
}

/// The ways to run a query of one dialect.
macro_rules! on_dialect {
    ($(#[$meta:meta])* $name:ident, $backend:ty, $connection:ty) => {
        $(#[$meta])*
        pub trait $name: Sized {
            /// Runs a statement and answers how many rows it changed.
            #[track_caller]
            fn execute<'c, 'q: 'c>(self, conn: &'c mut $connection) -> Running<'c, usize>
            where
                Self: QueryFragment<$backend> + Send + 'q,
            {
                let query = Erased::<$backend, ()>::of(self).told(Location::caller());
                Box::pin(RunQueryDsl::execute(query, conn))
            }

            /// Answers all rows.
            #[track_caller]
            fn load<'c, 'q: 'c, U>(self, conn: &'c mut $connection) -> Running<'c, Vec<U>>
            where
                Self: AsQuery,
                Self::Query: QueryFragment<$backend> + Send + 'q,
                Self::SqlType: CompatibleType<U, $backend> + 'static,
                <Self::SqlType as CompatibleType<U, $backend>>::SqlType: 'static,
                U: FromSqlRow<<Self::SqlType as CompatibleType<U, $backend>>::SqlType, $backend>
                    + Send
                    + 'static,
                $backend: QueryMetadata<Self::SqlType>,
            {
                let query = Erased::<$backend, Self::SqlType>::of(self.as_query());
                let query = query.told(Location::caller());
                Box::pin(RunQueryDsl::load::<U>(query, conn))
            }

            /// Answers all rows.
            #[track_caller]
            fn get_results<'c, 'q: 'c, U>(self, conn: &'c mut $connection) -> Running<'c, Vec<U>>
            where
                Self: AsQuery,
                Self::Query: QueryFragment<$backend> + Send + 'q,
                Self::SqlType: CompatibleType<U, $backend> + 'static,
                <Self::SqlType as CompatibleType<U, $backend>>::SqlType: 'static,
                U: FromSqlRow<<Self::SqlType as CompatibleType<U, $backend>>::SqlType, $backend>
                    + Send
                    + 'static,
                $backend: QueryMetadata<Self::SqlType>,
            {
                $name::load(self, conn)
            }

            /// Answers the first row; [`diesel::result::Error::NotFound`] when there is none.
            #[track_caller]
            fn get_result<'c, 'q: 'c, U>(self, conn: &'c mut $connection) -> Running<'c, U>
            where
                Self: AsQuery,
                Self::Query: QueryFragment<$backend> + Send + 'q,
                Self::SqlType: CompatibleType<U, $backend> + 'static,
                <Self::SqlType as CompatibleType<U, $backend>>::SqlType: 'static,
                U: FromSqlRow<<Self::SqlType as CompatibleType<U, $backend>>::SqlType, $backend>
                    + Send
                    + 'static,
                $backend: QueryMetadata<Self::SqlType>,
            {
                let query = Erased::<$backend, Self::SqlType>::of(self.as_query());
                let query = query.told(Location::caller());
                Box::pin(RunQueryDsl::get_result::<U>(query, conn))
            }
        }

        impl<T> $name for T {}
    };
}

on_dialect!(
    /// Runs a query on PostgreSQL; in scope inside [`run!`](crate::run).
    OnPg,
    Pg,
    AsyncPgConnection
);
on_dialect!(
    /// Runs a query on SQLite; in scope inside [`run!`](crate::run).
    OnSqlite,
    Sqlite,
    SqliteConnection
);
