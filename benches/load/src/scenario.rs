//! What is to be sent, how often and for how long.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Fault;
use crate::plan::placeholders;

const CONNECTIONS_MAX: usize = 16_384;
const RATE_MAX: f64 = 1_000_000.0;
const WARM_UP_MAX: Duration = Duration::from_secs(600);
const DURATION_MAX: Duration = Duration::from_secs(3600);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
const BACKLOG_MAX: usize = 1_000_000;
const REQUESTS_MAX: u64 = 1_000_000_000;
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
const TEMPLATES_MAX: usize = 64;
const TEMPLATE_BYTES_MAX: usize = 16 * 1024 * 1024;
const WEIGHT_MAX: u32 = 1_000_000;
/// Kinds of values in a scenario.
pub(crate) const VALUES_MAX: usize = 16;
/// Headers that the generator writes itself.
const OWN_HEADERS: [&str; 3] = ["host", "content-length", "transfer-encoding"];

/// A whole run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Host and port to connect to.
    pub target: String,
    /// The `host` header; without it the target.
    pub host: Option<String>,
    /// Connections that are kept open.
    pub connections: usize,
    /// When requests are sent.
    pub mode: Mode,
    /// Seed of arrivals, choices of templates and random values.
    pub seed: u64,
    /// Time before the measurement, with the same load.
    pub warm_up: Duration,
    /// Time of the measurement.
    pub duration: Duration,
    /// Measured requests after which it ends even if there is time left.
    pub requests_max: u64,
    /// How long an answer may take from the moment it was asked for.
    pub timeout: Duration,
    /// Requests that may be due and not sent yet (open loop).
    pub backlog_max: usize,
    /// More is offered than the server can take, on purpose: requests that are due while the
    /// backlog is full are counted as dropped and do not make the run void.
    pub overload: bool,
    /// The largest body of an answer, in bytes.
    pub answer_bytes_max: usize,
    /// The requests.
    pub requests: Vec<Template>,
    /// What stands for `{NAME}` in a template.
    pub values: BTreeMap<String, Values>,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// At random moments, whatever the server does.
    Open {
        /// Mean rate.
        rate_per_second: f64,
    },
    /// Each connection as soon as it has its answer.
    Closed,
}

/// One kind of request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// How many of these among the sum of all weights.
    #[serde(default = "one")]
    pub weight: u32,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query; may hold placeholders.
    pub path: String,
    /// Headers; values may hold placeholders.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; may hold placeholders.
    #[serde(default)]
    pub body: String,
    /// The statuses that are right; empty: any.
    #[serde(default)]
    pub expect: Vec<u16>,
}

impl Template {
    /// A `GET` without headers.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            weight: one(),
            method: get(),
            path: path.into(),
            headers: BTreeMap::new(),
            body: String::new(),
            expect: Vec::new(),
        }
    }
}

fn one() -> u32 {
    1
}

fn get() -> String {
    "GET".to_owned()
}

/// What stands for a placeholder: the lines of a file, or lines in place.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The file; relative to the scenario's file.
    pub file: Option<PathBuf>,
    /// The lines.
    #[serde(default)]
    pub lines: Vec<String>,
    /// Which line is next.
    #[serde(default)]
    pub order: Order,
    /// Only so many lines from the beginning; without it all.
    pub first: Option<usize>,
    /// Lines that are passed over at the start (in order only).
    #[serde(default)]
    pub skip: usize,
}

/// Which line is next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// One after the other, and from the beginning again.
    #[default]
    InOrder,
    /// Drawn with the scenario's seed.
    Random,
}

impl Scenario {
    /// A closed loop over 64 connections for ten seconds, without requests yet.
    #[must_use]
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            host: None,
            connections: 64,
            mode: Mode::Closed,
            seed: 1,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(10),
            requests_max: REQUESTS_MAX,
            timeout: Duration::from_secs(10),
            backlog_max: 10_000,
            overload: false,
            answer_bytes_max: 16 * 1024 * 1024,
            requests: Vec::new(),
            values: BTreeMap::new(),
        }
    }

    /// Everything that is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.check_numbers(&mut faults);
        if let Mode::Open { rate_per_second } = self.mode
            && !(rate_per_second > 0.0 && rate_per_second <= RATE_MAX)
        {
            faults.push(Fault::new("rate", format!("more than 0 and at most {RATE_MAX} a second")));
        }
        if self.host.as_deref().is_some_and(|host| !is_header_value(host)) {
            faults.push(Fault::new("host", "visible ASCII characters only"));
        }
        if self.requests.is_empty() || self.requests.len() > TEMPLATES_MAX {
            let advice = format!("give 1 to {TEMPLATES_MAX} [[requests]]");
            faults.push(Fault::new("requests", advice));
        }
        for (index, template) in self.requests.iter().enumerate() {
            self.check_template(&format!("requests[{index}]"), template, &mut faults);
        }
        for (name, values) in &self.values {
            if values.file.is_some() != values.lines.is_empty() {
                let advice = "give either a `file` or `lines`, and not an empty list";
                faults.push(Fault::new(format!("values.{name}"), advice));
            }
            if values.first == Some(0) {
                faults.push(Fault::new(format!("values.{name}.first"), "at least 1"));
            }
        }
        faults
    }

    fn check_numbers(&self, faults: &mut Vec<Fault>) {
        let mut check = |key: &str, right: bool, advice: String| {
            if !right {
                faults.push(Fault::new(key, advice));
            }
        };
        let within = |value: usize, most: usize| (1..=most).contains(&value);
        check("target", self.target.contains(':'), "write it as HOST:PORT".into());
        let range = |most: usize| format!("1 to {most}");
        check("connections", within(self.connections, CONNECTIONS_MAX), range(CONNECTIONS_MAX));
        check("backlog_max", within(self.backlog_max, BACKLOG_MAX), range(BACKLOG_MAX));
        let most = ANSWER_BYTES_MAX;
        check("answer_bytes_max", within(self.answer_bytes_max, most), range(most));
        let requests = (1..=REQUESTS_MAX).contains(&self.requests_max);
        check("requests_max", requests, format!("1 to {REQUESTS_MAX}"));
        check("values", self.values.len() <= VALUES_MAX, format!("at most {VALUES_MAX}"));
        let time = |most: Duration| format!("more than nothing and at most {most:?}");
        let some = |value: Duration, most| value > Duration::ZERO && value <= most;
        check("duration", some(self.duration, DURATION_MAX), time(DURATION_MAX));
        check("timeout", some(self.timeout, TIMEOUT_MAX), time(TIMEOUT_MAX));
        check("warm_up", self.warm_up <= WARM_UP_MAX, format!("at most {WARM_UP_MAX:?}"));
    }

    fn check_template(&self, key: &str, template: &Template, faults: &mut Vec<Fault>) {
        let mut check = |part: &str, right: bool, advice: &str| {
            if !right {
                faults.push(Fault::new(format!("{key}.{part}"), advice));
            }
        };
        let method = &template.method;
        let token = |text: &str| !text.is_empty() && text.bytes().all(is_token);
        check("weight", (1..=WEIGHT_MAX).contains(&template.weight), "1 to 1000000");
        check("method", token(method), "a method such as GET");
        let path =
            template.path.starts_with('/') && template.path.bytes().all(|b| b.is_ascii_graphic());
        check("path", path, "begins with / and has no spaces: encode them as %20");
        let statuses = template.expect.iter().all(|status| (100..600).contains(status));
        check("expect", statuses, "statuses from 100 to 599");
        check("body", template.body.len() <= TEMPLATE_BYTES_MAX, "at most 16 MiB");
        for (name, value) in &template.headers {
            let part = format!("headers.{name}");
            let own = OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str());
            check(&part, !own, "is written by the generator: leave it out (or set `host`)");
            check(&part, token(name) && is_header_value(value), "a name, and a value in one line");
        }
        let texts = [&template.path, &template.body].into_iter().chain(template.headers.values());
        for name in texts.flat_map(|text| placeholders(text)) {
            if !self.values.contains_key(name) {
                let advice = format!("{{{name}}} stands for nothing: add [values.{name}]");
                faults.push(Fault::new(key, advice));
            }
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t')
}

/// Reads `250ms`, `10s` or `2m`.
///
/// # Errors
/// What the text should look like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(format!("`{text}` is no duration: write 250ms, 10s or 2m")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("`{text}` is no duration: write 250ms, 10s or 2m"))?;
    Ok(Duration::from_millis(number.saturating_mul(scale)))
}
