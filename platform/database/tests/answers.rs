//! What a caller gets from a server that does not answer, and what the metrics say of its pool.

use std::time::Duration;

use troupe_database::prelude::*;
use troupe_database::{DatabaseConfig, Db};

use crate::servers::Server;

fn config(server: &Server) -> DatabaseConfig {
    DatabaseConfig {
        connections_max: 1,
        statement_timeout: Duration::from_millis(400),
        ..DatabaseConfig::with_url(&server.url())
    }
}

#[tokio::test]
async fn a_read_of_a_paused_server_ends_and_its_connection_is_not_used_again() {
    let Some(server) = Server::start("", |_| {}) else { return };
    let db = Db::open(&config(&server)).await.unwrap();
    let process = async || {
        db.read(async |conn: &mut DbConn| {
            let backend = fragment::<diesel::sql_types::Integer>("pg_backend_pid()");
            Ok(run!(
                conn,
                pg | c | diesel::select(backend).get_result::<i32>(c),
                sqlite
                    | c
                    | diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("0"))
                        .get_result::<i32>(c),
            )?)
        })
        .await
    };
    let before = process().await.unwrap();
    assert_eq!(process().await.unwrap(), before, "a connection is used again");
    server.signal("STOP");
    let failure = process().await.unwrap_err();
    assert_eq!(failure.code(), "database.timeout");
    assert!(failure.retry_after_duration().is_some());
    server.signal("CONT");
    assert_ne!(process().await.unwrap(), before);
}
