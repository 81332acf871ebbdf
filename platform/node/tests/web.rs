//! Requests and answers, as a program outside sees them.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, Response};

/// Longer than any time limit of a node, so that it is the node that answers.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one node.
#[derive(Clone)]
pub struct Web {
    agent: Agent,
    base: String,
}

/// A request that is being put together.
pub struct Asking<'a> {
    web: &'a Web,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// What a node answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Web {
    pub fn new(base: &str) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self { agent: config.into(), base: base.to_owned() }
    }

    pub fn ask(&self, method: &str, path: &str) -> Asking<'_> {
        Asking {
            web: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub fn get(&self, path: &str) -> Asking<'_> {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str) -> Asking<'_> {
        self.ask("POST", path)
    }
}

impl Asking<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an access token or API key.
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With a JSON body, as text so that it may be wrong.
    pub fn json(self, body: &str) -> Self {
        self.body("application/json", body.as_bytes())
    }

    pub fn body(mut self, media_type: &str, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self.header("content-type", media_type)
    }

    /// Sends it; an error when no answer came.
    pub fn try_send(self) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(format!("{}{}", self.web.base, self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = match self.body {
            Some(body) => self.web.agent.run(request.body(body)?)?,
            None => self.web.agent.run(request.body(())?)?,
        };
        read(response)
    }

    pub fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        self.try_send().unwrap_or_else(|error| panic!("{what} was not answered: {error}"))
    }
}

fn read(mut response: Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let bytes = response.body_mut().read_to_vec()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer { status: response.status().as_u16(), headers, text })
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("this is no JSON: {self:?}"))
    }

    /// The text of a field, by JSON pointer.
    pub fn field(&self, pointer: &str) -> String {
        match self.json().pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => panic!("there is no {pointer} in {self:?}"),
        }
    }

    /// The code of a problem report: the last part of its `type`.
    pub fn problem(&self) -> String {
        let media_type = self.header("content-type").unwrap_or_default();
        assert_eq!(media_type, "application/problem+json", "{self:?}");
        assert_eq!(self.field("/status"), self.status.to_string(), "{self:?}");
        assert!(!self.field("/detail").is_empty(), "{self:?}");
        let code = self.field("/type");
        code.strip_prefix("https://troupe.dev/problems/").expect("a stable type").to_owned()
    }

    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}
