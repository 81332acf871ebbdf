//! Every query of every dashboard and alert, run against a Prometheus that scraped nodes at work.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use troupe_kernel::Uuid;

use super::alerts::alerts;
use super::prometheus::{Found, Prometheus, WITHIN};
use super::{files_of, given, skipped};
use crate::data::{Directory, Postgres};
use crate::node::{Node, run};
use crate::people::{Person, administrator, register};

/// A query and where it stands.
struct Query {
    place: String,
    text: String,
}

/// What is not on this machine, as the beginnings of the names of metrics that only it has.
type Absent = BTreeSet<&'static str>;

/// Nodes of one installation, all that they stand on, and somebody who works with them.
struct Installation {
    nodes: Vec<Node>,
    root: Person,
    ada: Person,
    bob: Person,
    absent: Absent,
    _database: Postgres,
}

impl Installation {
    /// None without PostgreSQL.
    fn start() -> Option<Self> {
        let database = Postgres::create()?;
        let mut absent = Absent::new();
        let mut settings = vec![
            format!("database.url={}", database.url()),
            format!("auth.key_encryption_key={}=", "A".repeat(43)),
            "edge.principal_limit.quota=100000".to_owned(),
            // Nothing listens there; what is counted of it is on a dashboard.
            "traces.url=http://127.0.0.1:1".to_owned(),
            "sentry.dsn=http://key@127.0.0.1:1/1".to_owned(),
        ];
        match given("TROUPE_TEST_POSTGRES_REPLICA_URL") {
            Some(url) => {
                let name = database.url().rsplit('/').next().expect("a database");
                let (server, _) = url.rsplit_once('/').expect("a database");
                settings.push(format!("database.replica_url={server}/{name}"));
            }
            None => absent.extend([
                "database_replica_usable",
                "database_replica_behind",
                "database_replica_age",
            ]),
        }
        match given("TROUPE_TEST_REDIS_URL") {
            Some(url) => {
                settings.push(format!("cache.url={url}"));
                settings
                    .push(format!("cache.prefix=t-{}", &Uuid::now_v7().simple().to_string()[14..]));
            }
            None => absent.extend(["troupe_redis", "troupe_cache_redis"]),
        }
        let mut nodes = vec![Node::with(&words(&settings))];
        // Before there is a second node, which then knows by what key the tokens are signed.
        let root = administrator(&nodes[0]);
        let ada = register(&nodes[0], "ada", Some("Ada Press"));
        let bob = register(&nodes[0], "bob", Some("Bob Press"));
        match kafka(database.url()) {
            Some(brokers) => {
                settings.push(format!("events.kafka.brokers={brokers}"));
                settings.push(format!("events.kafka.topic_prefix=test-{}", Uuid::now_v7()));
                settings.push("events.kafka.replication=1".to_owned());
                nodes.push(Node::with(&words(&settings)));
            }
            None => absent.extend(["events_kafka", "events_relay"]),
        }
        Some(Self { nodes, root, ada, bob, absent, _database: database })
    }

    /// A little of everything, on every node.
    fn work(&self, round: u32) {
        for node in &self.nodes {
            let web = &node.web;
            let body = json!({ "title": format!("post {round}") }).to_string();
            web.post("/v1/blog/posts").token(&self.ada.token).json(&body).send().expect(201);
            web.get("/v1/blog/posts").token(&self.ada.token).send().expect(200);
            web.get("/v1/users/me").send().expect(401);
            web.get("/v1/audit/platform/verify").token(&self.ada.token).send().expect(403);
            web.get("/nowhere").send().expect(404);
        }
        // Each of these is followed by a job.
        let (change, body) = match round.is_multiple_of(2) {
            true => ("reinstate", "{}"),
            false => ("suspend", r#"{"reason":"the test"}"#),
        };
        let path = format!("/v1/organisations/{}/{change}", self.bob.organisation());
        self.nodes[0].web.post(&path).token(&self.root.token).json(body).send().expect(200);
    }
}

fn words(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}

/// The brokers of the tests, unless the binary was built without the feature.
fn kafka(database: &str) -> Option<String> {
    let brokers = given("TROUPE_TEST_KAFKA_BROKERS")?;
    let kafka = format!("events.kafka.brokers={brokers}");
    let database = format!("database.url={database}");
    let words = ["--set", &database, "--set", &kafka, "config", "check"];
    let checked = run(&Directory::new(), &words);
    if checked.err.contains("--features kafka") {
        skipped("dashboard and alerts of Kafka: built without the feature kafka");
        return None;
    }
    checked.good();
    Some(brokers)
}

/// The queries of all panels and variables of the dashboards.
fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for file in files_of("grafana", ".json") {
        let text = std::fs::read_to_string(&file).expect("a dashboard can be read");
        let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        let name = dashboard["title"].as_str().expect("a title").to_owned();
        let panels = dashboard["panels"].as_array().expect("panels");
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().expect("a title");
            let targets = panel["targets"].as_array().expect("queries");
            assert!(!targets.is_empty(), "{name}, {title}: a panel without a query");
            for target in targets {
                let text = target["expr"].as_str().expect("an expression").to_owned();
                queries.push(Query { place: format!("{name}, {title}"), text });
            }
        }
    }
    queries
}

#[test]
fn every_query_of_a_dashboard_and_an_alert_has_data() {
    let Some(here) = Installation::start() else { return };
    let nodes: Vec<&Node> = here.nodes.iter().collect();
    let Some(prometheus) = Prometheus::scraping(&nodes) else { return };
    let mut queries = queries();
    for alert in alerts() {
        let parts = alert.without_thresholds().into_iter();
        queries.extend(parts.map(|text| Query { place: format!("alert {}", alert.name), text }));
    }
    let all = queries.len();
    queries.retain(|query| !here.absent.iter().any(|metric| query.text.contains(metric)));
    if queries.len() < all {
        skipped(&format!("{} queries of what is not here", all - queries.len()));
    }
    let begun = Instant::now();
    let mut round = 0;
    while !queries.is_empty() && begun.elapsed() < WITHIN {
        round += 1;
        here.work(round);
        std::thread::sleep(Duration::from_millis(500));
        queries.retain(|query| match prometheus.ask(&query.text) {
            Found::Data => false,
            Found::Nothing => true,
            Found::Refused(why) => panic!("{}: {} is wrong: {why}", query.place, query.text),
        });
    }
    let without: Vec<String> =
        queries.iter().map(|query| format!("{}: {}", query.place, query.text)).collect();
    assert_eq!(without, [""; 0], "no data of Prometheus {} for these", prometheus.version());

    // The check is one: what names a metric that there is not, has no data.
    let misspelt = "sum by (job) (rate(troupe_http_request_total{job=~\"$job\"}[1m]))";
    assert_eq!(prometheus.ask(misspelt), Found::Nothing);
    assert!(matches!(prometheus.ask("rate(troupe_actors[1m)"), Found::Refused(_)));
}

#[test]
fn dashboards_have_ids_of_their_own_and_the_variables_that_they_use() {
    let mut ids = BTreeSet::new();
    for file in files_of("grafana", ".json") {
        let text = std::fs::read_to_string(&file).expect("a dashboard can be read");
        let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        let id = dashboard["uid"].as_str().expect("an id").to_owned();
        assert!(id.len() <= 40, "{id} is longer than Grafana takes");
        assert!(ids.insert(id), "{}: its uid is another's too", file.display());
        let variables = dashboard["templating"]["list"].as_array().expect("variables");
        let names: Vec<&str> =
            variables.iter().map(|each| each["name"].as_str().expect("a name")).collect();
        assert_eq!(names, ["datasource", "job", "instance"], "{}", file.display());
    }
}
