//! One HTTP request with a deadline, to one of the nodes.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::journal::Outcome;

/// The most that is read of one answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What is sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) bearer: Option<String>,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The place in the log up to which the client has seen (`Consistency-Token`).
    pub(crate) seen: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), ..Self::default() }
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self }
    }

    pub(crate) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self { content_type: Some("application/json"), body: body.to_string().into_bytes(), ..self }
    }

    pub(crate) fn bytes(self, body: Vec<u8>) -> Self {
        Self { content_type: Some("application/octet-stream"), body, ..self }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The beginning of its text, for a message.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }
}

/// Sends it and waits no longer than that.
pub(crate) fn send(
    agent: &Agent,
    base: &str,
    call: &Call,
    within: Duration,
) -> Result<Answer, Outcome> {
    let broken = |error: &dyn std::fmt::Display| Outcome::Broken(error.to_string());
    let mut request = Request::builder().method(call.method).uri(format!("{base}{}", call.path));
    if let Some(token) = &call.bearer {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(content_type) = call.content_type {
        request = request.header("content-type", content_type);
    }
    for (name, value) in &call.fields {
        request = request.header(*name, value);
    }
    let request = request.body(call.body.clone()).map_err(|error| broken(&error))?;
    let request = agent.configure_request(request).timeout_global(Some(within)).build();
    let mut response = agent.run(request).map_err(|error| outcome(&error))?;
    let status = response.status().as_u16();
    let field = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let seen = field("consistency-token").map(str::to_owned);
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    Ok(Answer { status, seen, body: body.map_err(|error| outcome(&error))? })
}

/// A client that takes every status for an answer.
pub(crate) fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
}

fn outcome(error: &ureq::Error) -> Outcome {
    match error {
        ureq::Error::Timeout(_) => Outcome::Silent,
        error => Outcome::Broken(error.to_string()),
    }
}
