//! SIGHUP: what a node takes anew while it serves, and what it refuses as a whole.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::data::Directory;
use crate::node::{Node, run, run_with_input};
use crate::people::PASSWORD;
use crate::secured::{Secured, install, make_certificate};

const SOON: Duration = Duration::from_secs(30);
const TAKEN: &str = "the configuration was read again";
const REFUSED: &str = "the reload is refused";

/// Waits until the log has so many lines with this text; answers the last of them.
fn logged(node: &Node, text: &str, count: usize) -> Value {
    let begun = Instant::now();
    loop {
        let log = node.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(text)).collect();
        if lines.len() >= count {
            return serde_json::from_str(lines[count - 1]).expect("a line of the log is JSON");
        }
        assert!(begun.elapsed() < SOON, "no {count} lines {text:?} in {log}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The first half of a login, and the rest.
fn login() -> (String, String) {
    let body = json!({ "email": "root@example.org", "password": PASSWORD }).to_string();
    let head = format!(
        "POST /v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(10);
    (head + first, rest.to_owned())
}

fn token_of(answer: (u16, String)) -> String {
    assert_eq!(answer.0, 200, "{answer:?}");
    let answer: Value = serde_json::from_str(&answer.1).expect("JSON");
    answer["access_token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_new_certificate_serves_new_connections_and_ends_none() {
    let directory = Directory::new();
    if !make_certificate(&directory, "first") || !make_certificate(&directory, "second") {
        return;
    }
    install(&directory, "first");
    let account = ["--data", "data", "admin", "create-user", "--email", "root@example.org"];
    let account = [&account[..], &["--name", "Root"]].concat();
    run_with_input(&directory, &account, PASSWORD).good();
    let tls = ["edge.tls.certificate=node.pem", "edge.tls.key=node.key"];
    let node = Node::within(directory, &tls);
    let connect = |name: &str| Secured::connect(&node.base, node.directory(), name);

    let mut kept = connect("first").expect("it serves the first");
    assert!(connect("second").is_err(), "nobody is trusted in vain");
    let (begin, rest) = login();
    kept.write(&format!("{begin}{rest}"));
    let token = token_of(kept.answer());
    let mut long = connect("first").expect("it serves the first");
    long.write(&begin);

    install(node.directory(), "second");
    node.signal("HUP");
    let line = logged(&node, TAKEN, 1);
    assert_eq!(line["changed"], "edge.tls.certificate", "{line}");
    let mut fresh = connect("second").expect("a new connection has the second");
    assert!(connect("first").is_err(), "and not the first");
    assert_eq!(kept.get("/v1/users/me", &token).0, 200, "the connection lives, and the token");
    long.write(&rest);
    let late = token_of(long.answer());
    assert_eq!(fresh.get("/v1/users/me", &late).0, 200);

    // Files that do not belong together: the old ones serve, and the log says why.
    std::fs::copy(node.directory().join("first.pem"), node.directory().join("node.pem"))
        .expect("both are there");
    node.signal("HUP");
    let line = logged(&node, REFUSED, 1);
    let reason = line["reason"].as_str().expect("a reason");
    assert!(reason.contains("edge.tls"), "{reason}");
    assert!(!reason.contains("PRIVATE"), "{reason}");
    // What is good besides is not taken either.
    node.directory().write("node.key", "no key at all");
    node.directory().write("troupe.toml", "[telemetry]\nlevel = \"debug\"");
    node.signal("HUP");
    logged(&node, REFUSED, 2);
    assert!(!node.log().contains("\"level\":\"debug\""), "the level is the one before");
    connect("second").expect("the old certificate serves");
    assert_eq!(kept.get("/v1/users/me", &token).0, 200);
    let (status, metrics) = kept.get("/metrics", "");
    assert_eq!(status, 200);
    for line in [
        "troupe_reloads_total{outcome=\"changed\"} 1",
        "troupe_reloads_total{outcome=\"refused\"} 2",
        "troupe_reload_succeeded 0",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }

    install(node.directory(), "first");
    node.signal("HUP");
    let line = logged(&node, TAKEN, 2);
    assert_eq!(line["changed"], "telemetry.level, edge.tls.certificate", "{line}");
    connect("first").expect("all of it was taken");
}

#[test]
fn levels_and_references_are_read_again_and_what_needs_a_restart_is_named() {
    let directory = Directory::new();
    directory.write("level", "info\n");
    let config = |timeout: &str, program: &str| {
        format!(
            "[telemetry]\nlevel = '${{command:[\"{program}\", \"level\"]}}'\n\
             [edge]\nrequest_timeout = \"{timeout}\"\n"
        )
    };
    directory.write("troupe.toml", &config("20s", "/bin/cat"));
    let node = Node::within(directory, &[]);
    node.signal("HUP");
    assert_eq!(logged(&node, TAKEN, 1)["changed"], "", "nothing is new");
    assert!(!node.log().contains("at the next start only"));

    node.directory().write("level", "debug\n");
    node.directory().write("troupe.toml", &config("25s", "/bin/cat"));
    run(node.directory(), &["reload", "--data", "data"]).good();
    assert_eq!(logged(&node, TAKEN, 2)["changed"], "telemetry.level");
    assert_eq!(logged(&node, "at the next start only", 1)["keys"], "edge.request_timeout");
    let host = node.base.strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(host).expect("it listens");
    stream.write_all(b"no request at all\r\n\r\n").expect("it is taken");
    assert_eq!(logged(&node, "a connection ended early", 1)["level"], "debug");

    node.directory().write("troupe.toml", &config("25s", "/bin/false"));
    node.signal("HUP");
    let line = logged(&node, REFUSED, 1);
    let reason = line["reason"].as_str().expect("a reason");
    assert!(reason.contains("telemetry.level: the command /bin/false failed"), "{reason}");
    node.web.get("/readyz").send().expect(200);
    let data = node.data();
    let recorded = audited(&data);
    assert!(recorded.contains("telemetry.level") && !recorded.contains("debug"), "{recorded}");
}

/// What the audit keeps of reloads.
fn audited(data: &std::path::Path) -> String {
    use diesel::RunQueryDsl as _;
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let query = "SELECT CAST(detail AS TEXT) AS detail FROM audit_entries \
                 WHERE action = 'node.configuration.reload' UNION ALL \
                 SELECT record FROM audit_queue WHERE record LIKE '%node.configuration.reload%'";
    let begun = Instant::now();
    loop {
        let rows: Vec<Row> =
            diesel::sql_query(query).load(&mut crate::data::sqlite(data)).expect("both are there");
        let text: String = rows.into_iter().map(|row| row.detail).collect();
        if text.contains("telemetry.level") || begun.elapsed() > SOON {
            return text;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_reload_needs_a_node_that_serves() {
    let directory = Directory::new();
    run(&directory, &["reload", "--data", "nowhere"]).refused(7, &["no node serves nowhere"]);
    let mut node = Node::start();
    node.signal("TERM");
    node.ended();
    run(node.directory(), &["reload", "--data", "data"]).refused(7, &["no node serves data"]);
}
