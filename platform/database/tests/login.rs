//! Another password of the database while a node is at work.

use troupe_database::prelude::*;
use troupe_database::{DatabaseConfig, Db, DbError};
use troupe_kernel::config::{ConfigTree, Layers};

use crate::servers::{Server, until};

/// Everybody but the owner needs a password.
const ACCESS: &str =
    "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

fn settings(url: &str) -> ConfigTree {
    Layers::new().file("troupe.toml", &format!("[database]\nurl = \"{url}\"")).build().unwrap()
}

async fn works(db: &Db) -> bool {
    db.read(async move |conn: &mut DbConn| {
        let DbConn::Pg(conn) = conn else { panic!("a server was opened") };
        let query = diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1"));
        let one: i32 = diesel_async::RunQueryDsl::get_result(query, &mut **conn)
            .await
            .map_err(DbError::from)?;
        Ok(one == 1)
    })
    .await
    .unwrap_or(false)
}

fn end_sessions(server: &Server) {
    server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
}

#[tokio::test]
async fn another_password_counts_for_new_connections_once_the_server_takes_it() {
    let Some(server) = Server::start("", |server| server.put("pg_hba.conf", ACCESS)) else {
        return;
    };
    server.ask("CREATE ROLE app LOGIN PASSWORD 'first-hunter2'");
    let url =
        |password: &str| format!("postgres://app:{password}@127.0.0.1:{}/postgres", server.port());
    let db = Db::open(&DatabaseConfig::with_url(&url("first-hunter2"))).await.unwrap();
    assert!(works(&db).await);
    let reload = db.reload();
    let look = async |url: &str| reload.look(&settings(url)).await;

    let early = look(&url("second-hunter2")).await.map(drop).unwrap_err();
    assert_eq!(early[0].path, "database.url");
    let text = early[0].to_string();
    assert!(text.contains("password") && !text.contains("hunter2"), "{text}");
    assert!(look(&url("first-hunter2")).await.unwrap().keys().is_empty());
    let elsewhere = url("first-hunter2").replace("/postgres", "/template1");
    let elsewhere = look(&elsewhere).await.unwrap();
    assert!(elsewhere.keys().is_empty());
    assert_eq!(elsewhere.keys_later(), ["database.url"]);

    server.ask("ALTER ROLE app PASSWORD 'second-hunter2'");
    assert!(works(&db).await, "connections that are there go on");
    let change = look(&url("second-hunter2")).await.unwrap();
    assert_eq!(change.keys(), ["database.url"]);
    end_sessions(&server);
    assert!(!works(&db).await, "looking changes nothing");
    assert!(!works(&db).await, "the old password is refused");
    change.make();
    until("the new password is used", async || works(&db).await).await;
    end_sessions(&server);
    until("and used again", async || works(&db).await).await;
}
