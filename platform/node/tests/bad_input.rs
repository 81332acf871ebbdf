//! What a node is given wrongly at its start: a message that says what to do, and an exit code.

use std::net::TcpListener;

use diesel::connection::SimpleConnection as _;

use crate::data::{Directory, Postgres, run_sql, sqlite};
use crate::node::{Node, run};

const CONFIGURATION: i32 = 3;
const DATA: i32 = 4;
const LISTEN: i32 = 5;

#[test]
fn unknown_sections_and_keys_and_wrong_types_are_told_all_at_once() {
    let directory = Directory::new();
    let file = directory.write(
        "troupe.toml",
        "[edge]\nlissten = \"127.0.0.1:80\"\nshards = \"many\"\n\
         [egde]\nlisten = \"127.0.0.1:80\"\n[database]\nreader_max = 3\n\
         [auth.tokens]\naccess = \"soon\"\n[telemetry]\nlevel = \"loud\"\n",
    );
    for command in ["serve", "migrate"] {
        let says = [
            "edge.lissten: unknown key; did you mean `listen`?",
            "edge.shards: invalid type",
            "egde: unknown section; did you mean `edge`?",
            "database.reader_max: unknown key; did you mean `readers_max`?",
            "auth.tokens.access",
            "telemetry.level",
            "troupe.toml",
        ];
        run(&directory, &["--config", &file, command]).refused(CONFIGURATION, &says);
    }
    assert!(!directory.join("troupe-data").exists(), "nothing was opened");
}

#[test]
fn a_flag_and_a_variable_are_named_as_the_source_of_their_fault() {
    let directory = Directory::new();
    let words = ["--set", "node.wire=sometimes", "--set", "nodes.name=x", "serve"];
    let says = ["node.wire", "(from flag node.wire)", "nodes: unknown section"];
    run(&directory, &words).refused(CONFIGURATION, &says);
}

#[test]
fn a_file_that_is_not_toml_or_not_there_is_named() {
    let directory = Directory::new();
    let file = directory.write("broken.toml", "[edge\nlisten = 1\n");
    let words = ["--config", &file, "config", "check"];
    run(&directory, &words).refused(CONFIGURATION, &["broken.toml", "line 1"]);
    let words = ["--config", "nowhere.toml", "config", "check"];
    run(&directory, &words).refused(CONFIGURATION, &["nowhere.toml", "--config"]);
}

#[test]
fn a_secret_that_cannot_be_read_is_named_with_its_key() {
    let directory = Directory::new();
    let file = "database.url=${file:/nowhere/password}";
    let variable = "auth.key_encryption_key=${env:TROUPE_NOWHERE}";
    run(&directory, &["--set", file, "--set", variable, "serve"]).refused(
        CONFIGURATION,
        &["database.url", "/nowhere/password", "auth.key_encryption_key", "TROUPE_NOWHERE"],
    );
}

#[test]
fn a_data_directory_that_cannot_be_written_is_refused() {
    let directory = Directory::new();
    directory.write("file", "not a directory");
    for (data, command) in [("file/data", "serve"), ("file", "serve"), ("file/data", "migrate")] {
        let says = ["the data directory", data, "choose another with --data"];
        run(&directory, &["--data", data, command]).refused(DATA, &says);
    }
}

#[test]
fn a_port_in_use_is_refused() {
    let directory = Directory::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("edge.listen={}", other.local_addr().unwrap());
    let says = ["another program listens there", "edge.listen"];
    run(&directory, &["--set", &listen, "serve"]).refused(LISTEN, &says);
    let words = ["--set", "edge.listen=203.0.113.7:80", "serve"];
    run(&directory, &words).refused(LISTEN, &["203.0.113.7:80", "no such address"]);
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let directory = Directory::new();
    run(&directory, &["--data", "data", "migrate"]).good();
    run_sql(
        &directory.join("data"),
        "INSERT INTO schema_migrations (owner, version, name, checksum, applied_order, applied_at) \
         VALUES ('blog', '9999', 'from_the_future', 'x', 999999, 0)",
    );
    for command in [&["serve"][..], &["migrate"], &["migrate", "--revert", "1"]] {
        let words = [&["--data", "data"], command].concat();
        let says = ["newer version", "blog/9999_from_the_future", "restore a backup"];
        run(&directory, &words).refused(DATA, &says);
    }
    let shown = run(&directory, &["--data", "data", "migrate", "--status"]).good();
    assert!(shown.contains("unknown  blog/9999_from_the_future"), "{shown}");
}

#[test]
fn an_sqlite_file_that_another_process_locks_is_refused() {
    let directory = Directory::new();
    run(&directory, &["--data", "data", "migrate"]).good();
    let mut other = sqlite(&directory.join("data"));
    other.batch_execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;").unwrap();
    let wait = ["--set", "database.lock_timeout=200ms"];
    for command in ["serve", "migrate"] {
        let words = [&["--data", "data"], &wait[..], &[command]].concat();
        let says = ["troupe.db", "locked by another process", "database.url"];
        run(&directory, &words).refused(DATA, &says);
    }
    drop(other);
    run(&directory, &["--data", "data", "migrate"]).good();
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let directory = Directory::new();
    let file = directory.write("notes.db", &"these are notes, not rows\n".repeat(100));
    let url = format!("database.url=sqlite:{file}");
    run(&directory, &["--set", &url, "migrate"]).refused(DATA, &["notes.db"]);
}

#[test]
fn one_data_directory_is_served_by_one_node() {
    let node = Node::start();
    let words = ["--data", "data", "--set", "edge.listen=127.0.0.1:0", "serve"];
    run(node.directory(), &words).refused(DATA, &["serve.lock", "another node", "--data"]);
    node.web.get("/readyz").send().expect(200);
    // Commands that work on the data do so beside the node.
    run(node.directory(), &["--data", "data", "migrate", "--status"]).good();
}

#[test]
fn a_lock_of_a_node_that_was_killed_is_no_lock() {
    let mut node = Node::start();
    node.signal("KILL");
    node.ended();
    node.again();
    node.web.get("/readyz").send().expect(200);
}

#[test]
fn a_postgresql_server_that_is_not_there_is_named() {
    let directory = Directory::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("database.url=postgres://troupe:hunter2@127.0.0.1:{port}/troupe");
    let says = ["does not answer", "start PostgreSQL 127.0.0.1", "database.url"];
    let ended = run(&directory, &["--set", &url, "serve"]).refused(DATA, &says);
    assert!(!ended.err.contains("hunter2"), "{ended:?}");
    let url = "database.url=postgres://troupe:hunter2@host.invalid/troupe";
    let ended = run(&directory, &["--set", url, "serve"]).refused(DATA, &["host.invalid"]);
    assert!(!ended.err.contains("hunter2"), "{ended:?}");
    let words = ["--set", "database.url=mysql://root@localhost/x", "serve"];
    run(&directory, &words).refused(CONFIGURATION, &["database.url", "postgres://USER:PASSWORD@"]);
}

#[test]
fn a_postgresql_login_that_is_refused_is_told_without_the_password() {
    let Some(database) = Postgres::create() else { return };
    let directory = Directory::new();
    let (_, place) = database.url().rsplit_once('@').expect("a URL with a user");
    let url = format!("database.url=postgres://nobody_of_this_name:hunter2@{place}");
    let says = ["refused the login", "database.url"];
    let ended = run(&directory, &["--set", &url, "serve"]).refused(DATA, &says);
    assert!(!ended.err.contains("hunter2"), "{ended:?}");
    let url = format!("database.url={}_not_there", database.url());
    run(&directory, &["--set", &url, "serve"]).refused(DATA, &["does not exist", "database.url"]);
}

#[test]
fn a_postgresql_database_of_a_newer_version_is_refused() {
    let Some(database) = Postgres::create() else { return };
    let directory = Directory::new();
    let url = format!("database.url={}", database.url());
    run(&directory, &["--set", &url, "migrate"]).good();
    database.run_sql(
        "INSERT INTO schema_migrations (owner, version, name, checksum, applied_order, applied_at) \
         VALUES ('blog', '9999', 'from_the_future', 'x', 999999, now())",
    );
    let says = ["newer version", "blog/9999_from_the_future"];
    run(&directory, &["--set", &url, "serve"]).refused(DATA, &says);
}
