//! A small client of a running node's API, for the commands that work through it.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::cli::Access;
use crate::failure::{Exit, Stop};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Tries of one request while the node is away or busy.
const TRIES: u32 = 8;
/// The longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The most that is read of one answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A client with a token.
pub struct Client {
    agent: Agent,
    server: String,
    bearer: String,
}

impl Client {
    pub fn new(access: &Access) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .user_agent(concat!("troupe/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.into(),
            server: access.server.trim_end_matches('/').to_owned(),
            bearer: format!("Bearer {}", access.token),
        }
    }

    /// Gets JSON.
    pub fn get(&self, path: &str) -> Result<Value, Stop> {
        self.with_tries(|| {
            self.agent
                .get(format!("{}{path}", self.server))
                .header("authorization", &self.bearer)
                .call()
        })
    }

    /// Posts JSON to a route that does the same thing once, however often it is asked.
    pub fn post_again_and_again(&self, path: &str, body: &Value) -> Result<Value, Stop> {
        self.with_tries(|| {
            self.agent
                .post(format!("{}{path}", self.server))
                .header("authorization", &self.bearer)
                .send_json(body)
        })
    }

    /// Tries again while the node is away (it may be restarting), overloaded or limiting.
    fn with_tries(
        &self,
        call: impl Fn() -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Value, Stop> {
        let mut tries = 1;
        loop {
            let (problem, wait) = match call() {
                Ok(response) => match read(response) {
                    Ok(value) => return Ok(value),
                    Err(Refusal::Final(stop)) => return Err(stop),
                    Err(Refusal::Later(problem, wait)) => (problem, wait),
                },
                Err(error) => (format!("{} is not reached: {error}", self.server), None),
            };
            if tries == TRIES {
                return Err(Stop::new(Exit::Remote, problem));
            }
            let backoff = Duration::from_millis(200) * (1 << tries.min(6));
            std::thread::sleep(wait.unwrap_or(backoff).min(WAIT_MAX));
            tries += 1;
        }
    }
}

enum Refusal {
    Final(Stop),
    /// The problem, and the wait that the node asks for.
    Later(String, Option<Duration>),
}

fn read(mut response: Response<Body>) -> Result<Value, Refusal> {
    let status = response.status().as_u16();
    let wait = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    let text = match text {
        Ok(text) => text,
        Err(error) => return Err(Refusal::Later(format!("the answer broke off: {error}"), None)),
    };
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if (200..300).contains(&status) {
        return Ok(value);
    }
    let problem = problem(status, &value);
    if matches!(status, 429 | 502 | 503 | 504) {
        return Err(Refusal::Later(problem, wait));
    }
    let exit = if status == 401 || status == 403 { Exit::Remote } else { Exit::Refused };
    Err(Refusal::Final(Stop::new(exit, problem)))
}

/// The node's problem report (RFC 9457) as text.
fn problem(status: u16, value: &Value) -> String {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut message = format!("the node answered {status}: {}", text("detail"));
    if status == 401 {
        message.push_str("; log in again and set TROUPE_TOKEN");
    }
    for error in value.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        message.push_str(&format!("\n  - {}: {}", part("pointer"), part("detail")));
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_report_is_told_with_its_fields() {
        let value = json!({
            "detail": "the post cannot be read",
            "errors": [{"pointer": "/title", "detail": "is too long"}],
        });
        let text = problem(422, &value);
        assert!(text.contains("422") && text.contains("/title: is too long"), "{text}");
    }
}
