//! The Prometheus of the tests: it scrapes nodes of a test under a job of their own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use troupe_kernel::Uuid;

use super::given;
use crate::node::Node;
use crate::web::Web;

/// A Prometheus that scrapes nodes of one test, until this is dropped.
pub struct Prometheus {
    web: Web,
    targets: PathBuf,
    pub job: String,
}

/// What a query was answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Numbers.
    Data,
    /// No series, or none whose value is a number.
    Nothing,
    /// Prometheus does not understand it.
    Refused(String),
}

impl Prometheus {
    /// None where there is none.
    pub fn scraping(nodes: &[&Node]) -> Option<Self> {
        let url = given("TROUPE_TEST_PROMETHEUS_URL")?;
        let folder = given("TROUPE_TEST_PROMETHEUS_TARGETS")?;
        let job = format!("troupe-test-{}", Uuid::now_v7().simple());
        let targets = Path::new(&folder).join(format!("{job}.json"));
        let hosts: Vec<_> =
            nodes.iter().map(|node| node.base.trim_start_matches("http://")).collect();
        let groups = json!([{ "targets": hosts, "labels": { "job": job } }]);
        // Renamed into place: half a file would be read.
        let unfinished = targets.with_extension("unfinished");
        std::fs::write(&unfinished, groups.to_string()).expect("the folder is writable");
        std::fs::rename(&unfinished, &targets).expect("the folder is writable");
        let web = Web::new(&url);
        // Its rules are those of the repository as they are now.
        web.post("/-/reload").send().expect(200);
        Some(Self { web, targets, job })
    }

    /// Runs a query of a dashboard or an alert over the nodes of the test.
    pub fn ask(&self, query: &str) -> Found {
        let job = &self.job;
        let query = query
            .replace("$__rate_interval", "1m")
            .replace("$instance", ".*")
            .replace("$job", job)
            .replace("job=\"troupe\"", &format!("job=\"{job}\""));
        let form = format!("query={}", encoded(&self.narrowed(&query)));
        let form = form.as_bytes();
        let answer =
            self.web.post("/api/v1/query").body("application/x-www-form-urlencoded", form).send();
        match answer.status {
            200 => found(&answer.json()),
            400 | 422 => Found::Refused(answer.field("/error")),
            _ => panic!("Prometheus is not well: {answer:?}"),
        }
    }

    /// Alerts and recorded series name no job, and other tests' nodes have them too.
    fn narrowed(&self, query: &str) -> String {
        if query.contains(&self.job) {
            return query.to_owned();
        }
        format!("({query}) and on (job) (up{{job=\"{}\"}} or vector(0))", self.job)
    }

    pub fn version(&self) -> String {
        self.web.get("/api/v1/status/buildinfo").send().expect(200).field("/data/version")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.targets));
    }
}

fn found(answer: &Value) -> Found {
    let result = answer["data"]["result"].as_array().expect("a vector");
    let is_number = |series: &Value| series["value"][1].as_str().is_some_and(|text| text != "NaN");
    if result.iter().any(is_number) { Found::Data } else { Found::Nothing }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// How long it may take until something is scraped, recorded and answered.
pub const WITHIN: Duration = Duration::from_secs(120);
