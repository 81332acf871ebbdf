//! The generator against a small server whose faults are known.

mod server;

use std::time::Duration;

use server::Server;
use troupe_load::{LoadError, Mode, Remote, Report, Scenario, Template, run};

fn closed(server: &Server, requests: u64, templates: Vec<Template>) -> Scenario {
    let mut scenario = Scenario::new(server.address());
    scenario.connections = 4;
    scenario.requests_max = requests;
    scenario.requests = templates;
    scenario
}

fn open(server: &Server, rate_per_second: f64, seconds: f64, path: &str) -> Scenario {
    let mut scenario = Scenario::new(server.address());
    scenario.mode = Mode::Open { rate_per_second };
    scenario.duration = Duration::from_secs_f64(seconds);
    scenario.connections = 8;
    scenario.requests = vec![Template::get(path)];
    scenario
}

fn measure(scenario: &Scenario) -> Report {
    run(scenario, Remote::Refused).expect("a run")
}

#[test]
fn the_open_loop_offers_its_rate_and_answers_what_was_due() {
    let server = Server::start();
    let scenario = open(&server, 2000.0, 1.0, "/ok");
    let report = measure(&scenario);
    // Five standard deviations of a Poisson count.
    assert!((1776..=2224).contains(&report.due), "{report}");
    assert_eq!(report.answers, report.due, "{report}");
    assert_eq!(measure(&scenario).due, report.due, "the same seed gives the same arrivals");
    let mut other = scenario;
    other.seed = 2;
    assert_ne!(measure(&other).due, report.due);
}

#[test]
fn the_warm_up_is_not_measured() {
    let server = Server::start();
    let mut scenario = open(&server, 1000.0, 0.2, "/ok");
    scenario.warm_up = Duration::from_millis(800);
    let report = measure(&scenario);
    assert!((130..=270).contains(&report.due), "{report}");
    assert_eq!(report.answers, report.due);
    assert!(server.requests() > 800, "{}", server.requests());
}

#[test]
fn a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one() {
    let server = Server::start();
    let mut scenario = open(&server, 1000.0, 2.0, "/stall");
    scenario.connections = 1;
    let report = measure(&scenario);
    assert!(report.latency.p99_us > 25_000.0, "{report}");
    assert!(report.generator.backlog_max > 10, "{report}");
    scenario.mode = Mode::Closed;
    scenario.requests_max = 2000;
    let report = measure(&scenario);
    assert!(report.latency.max_us > 45_000.0, "{report}");
    assert!(report.latency.p99_us < 25_000.0, "{report}");
}

#[test]
fn statuses_are_counted_and_those_not_expected_stand_out() {
    let server = Server::start();
    let mut right = Template::get("/ok");
    right.expect = vec![200];
    let mut wrong = Template::get("/missing");
    wrong.expect = vec![200, 201];
    let report = measure(&closed(&server, 1000, vec![right, wrong]));
    let (ok, missing) = (report.statuses[&200], report.statuses[&404]);
    assert_eq!(ok + missing, 1000);
    assert!((400..600).contains(&missing), "{report}");
    assert_eq!(report.unexpected, missing);
    assert_eq!(report.latency_by_class["4xx"].count, missing);
    assert!(!report.is_clean());
}

#[test]
fn a_broken_connection_is_counted_and_opened_again() {
    let server = Server::start();
    let mut good = Template::get("/ok");
    good.weight = 9;
    let report = measure(&closed(&server, 500, vec![good, Template::get("/break")]));
    assert!(report.errors.reset > 10, "{report}");
    assert_eq!(report.answers + report.errors.reset, 500, "{report}");
    assert_eq!(report.reopened, report.errors.reset, "{report}");
    assert_eq!(report.errors.total(), report.errors.reset, "{report}");
}

#[test]
fn a_connection_that_the_server_gives_up_politely_is_no_error() {
    let server = Server::start();
    let report = measure(&closed(&server, 200, vec![Template::get("/last")]));
    assert_eq!((report.answers, report.reopened), (200, 200), "{report}");
    assert!(report.is_clean(), "{report}");
}

#[test]
fn chunked_bodies_are_read_to_their_end() {
    let server = Server::start();
    let report = measure(&closed(&server, 300, vec![Template::get("/chunked")]));
    assert_eq!(report.answers, 300);
    assert!(report.is_clean(), "{report}");
}

#[test]
fn nonsense_and_silence_are_errors_of_their_kind() {
    let server = Server::start();
    let report = measure(&closed(&server, 20, vec![Template::get("/nonsense")]));
    assert_eq!(report.errors.malformed, 20, "{report}");
    assert!(report.void.expect("no answer").contains("no request was answered"));
    let mut scenario = closed(&server, 4, vec![Template::get("/never")]);
    scenario.timeout = Duration::from_millis(100);
    assert_eq!(measure(&scenario).errors.timeout, 4);
}

#[test]
fn a_full_backlog_makes_the_run_void_unless_overload_is_meant() {
    let server = Server::start();
    let mut scenario = open(&server, 2000.0, 0.5, "/slow");
    scenario.connections = 1;
    scenario.backlog_max = 10;
    let report = measure(&scenario);
    assert!(report.void.as_ref().is_some_and(|why| why.contains("overflowed")), "{report}");
    assert_eq!(report.generator.backlog_max, 10);
    scenario.overload = true;
    let report = measure(&scenario);
    assert!(report.void.is_none(), "{report}");
    assert_eq!(report.answers + report.generator.dropped, report.due, "{report}");
}

#[test]
fn a_body_arrives_with_its_values() {
    let server = Server::start();
    let scenario = Scenario::from_toml(&format!(
        r#"
        target = "{}"
        connections = 2
        requests_max = 30

        [[requests]]
        method = "POST"
        path = "/echo"
        headers = {{ authorization = "Bearer {{token}}" }}
        body = '{{"token":"{{token}}"}}'
        expect = [201]

        [values.token]
        lines = ["a", "bb", "ccc"]
        order = "random"
        "#,
        server.address()
    ))
    .expect("a right scenario");
    let report = measure(&scenario);
    assert!(report.is_clean() && report.answers == 30, "{report}");
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let error = Scenario::from_toml(
        r#"
        target = "127.0.0.1"
        connections = 0
        mode = "open"
        duration = "soon"
        colour = "red"

        [[requests]]
        path = "items {id}"
        headers = { host = "x" }

        [[requests]]
        path = "/"
        verb = "GET"
        "#,
    )
    .expect_err("it is full of faults");
    let text = error.to_string();
    for part in [
        "target: write it as HOST:PORT",
        "connections: 1 to",
        "rate: an open loop needs",
        "duration: `soon` is no duration",
        "colour: is not known",
        "requests[0].path: begins with /",
        "requests[0].headers.host: is written by the generator",
        "requests[0]: {id} stands for nothing",
        "requests[1]: unknown field `verb`",
    ] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[test]
fn other_machines_and_silent_ports_are_refused() {
    let mut scenario = Scenario::new("192.0.2.1:80");
    scenario.requests.push(Template::get("/"));
    let error = run(&scenario, Remote::Refused).expect_err("not loopback");
    assert!(matches!(error, LoadError::Remote(_)));
    assert!(error.to_string().contains("--allow-remote"), "{error}");
    scenario.target = server::unused_address();
    let error = run(&scenario, Remote::Refused).expect_err("nothing listens");
    assert!(matches!(error, LoadError::Unreachable { .. }), "{error}");
}
