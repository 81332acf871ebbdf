//! Templates made ready: pieces of bytes between the places where values go, so that sending a
//! request costs a copy and a write.

use std::io::Write;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::error::{Fault, LoadError};
use crate::scenario::{Order, Scenario, Template, VALUES_MAX};

/// The largest file of values.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// All requests of a scenario.
pub(crate) struct Plan {
    requests: Vec<Request>,
    weights: u32,
    sources: Vec<Source>,
    draws: StdRng,
}

/// One template in pieces.
pub(crate) struct Request {
    weight: u32,
    head: Vec<Piece>,
    body: Vec<Piece>,
    /// Whether the length of the body is part of the head already.
    sized: bool,
    /// Sources that it uses.
    uses: Vec<usize>,
    /// `HEAD` has no body in its answer.
    pub(crate) is_head: bool,
    expect: Vec<u16>,
}

impl Request {
    /// Whether this status is what the scenario wants.
    pub(crate) fn expects(&self, status: u16) -> bool {
        self.expect.is_empty() || self.expect.contains(&status)
    }
}

enum Piece {
    Bytes(Vec<u8>),
    /// The value of a source.
    Value(usize),
}

struct Source {
    lines: Vec<String>,
    order: Order,
    next: usize,
}

impl Plan {
    /// Reads the values and cuts the templates.
    pub(crate) fn new(scenario: &Scenario) -> Result<Self, LoadError> {
        let mut faults = scenario.faults();
        let mut sources = Vec::new();
        for (name, values) in &scenario.values {
            let lines = match &values.file {
                Some(file) => read_lines(file),
                None => Ok(values.lines.clone()),
            };
            match lines.and_then(|lines| check_lines(&lines).map(|()| lines)) {
                Ok(mut lines) => {
                    lines.truncate(values.first.unwrap_or(usize::MAX));
                    let next = values.skip % lines.len();
                    sources.push(Source { lines, order: values.order, next });
                }
                Err(advice) => faults.push(Fault::new(format!("values.{name}"), advice)),
            }
        }
        if !faults.is_empty() {
            return Err(LoadError::Scenario(faults));
        }
        let names: Vec<&str> = scenario.values.keys().map(String::as_str).collect();
        let host = scenario.host.as_deref().unwrap_or(&scenario.target);
        let requests: Vec<Request> =
            scenario.requests.iter().map(|template| cut(template, host, &names)).collect();
        let weights = requests.iter().map(|request| request.weight).sum();
        let draws = StdRng::seed_from_u64(scenario.seed);
        Ok(Self { requests, weights, sources, draws })
    }

    /// A template.
    pub(crate) fn request(&self, index: usize) -> &Request {
        &self.requests[index]
    }

    /// Draws a template and writes it, filled, in place of what the buffer held.
    pub(crate) fn render(&mut self, into: &mut Vec<u8>) -> usize {
        let index = self.draw();
        let request = &self.requests[index];
        let mut lines = [0; VALUES_MAX];
        for (slot, source) in request.uses.iter().enumerate() {
            lines[slot] = self.sources[*source].draw(&mut self.draws);
        }
        let value = |source: usize| {
            let slot = request.uses.iter().position(|used| *used == source).unwrap_or_default();
            self.sources[source].lines[lines[slot]].as_bytes()
        };
        into.clear();
        let write = |into: &mut Vec<u8>, pieces: &[Piece]| {
            for piece in pieces {
                into.extend_from_slice(match piece {
                    Piece::Bytes(bytes) => bytes,
                    Piece::Value(source) => value(*source),
                });
            }
        };
        write(into, &request.head);
        if !request.sized {
            let length: usize = request
                .body
                .iter()
                .map(|piece| match piece {
                    Piece::Bytes(bytes) => bytes.len(),
                    Piece::Value(source) => value(*source).len(),
                })
                .sum();
            write!(into, "content-length: {length}\r\n\r\n").expect("a vector takes all");
        }
        write(into, &request.body);
        index
    }

    fn draw(&mut self) -> usize {
        if self.requests.len() == 1 {
            return 0;
        }
        let mut ticket = self.draws.random_range(0..self.weights);
        for (index, request) in self.requests.iter().enumerate() {
            if ticket < request.weight {
                return index;
            }
            ticket -= request.weight;
        }
        0
    }
}

impl Source {
    fn draw(&mut self, draws: &mut StdRng) -> usize {
        match self.order {
            Order::Random => draws.random_range(0..self.lines.len()),
            Order::InOrder => {
                let line = self.next;
                self.next = (line + 1) % self.lines.len();
                line
            }
        }
    }
}

fn read_lines(file: &Path) -> Result<Vec<String>, String> {
    let shown = file.display();
    let size = std::fs::metadata(file).map_err(|error| format!("{shown}: {error}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{shown} has {size} bytes: at most {FILE_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn check_lines(lines: &[String]) -> Result<(), String> {
    if lines.is_empty() {
        return Err("has no line: give at least one".to_owned());
    }
    match lines.iter().position(|line| line.bytes().any(|byte| byte.is_ascii_control())) {
        Some(index) => Err(format!("line {} has a control character", index + 1)),
        None => Ok(()),
    }
}

fn cut(template: &Template, host: &str, names: &[&str]) -> Request {
    let Template { method, path, headers, body, .. } = template;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let sized = !placeholders(body).any(|name| names.contains(&name));
    if sized {
        let is_empty = body.is_empty() && matches!(method.as_str(), "GET" | "HEAD" | "DELETE");
        if !is_empty {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
    }
    let head = pieces(&text, names);
    let body = pieces(body, names);
    let mut uses: Vec<usize> = head
        .iter()
        .chain(&body)
        .filter_map(|piece| match piece {
            Piece::Value(source) => Some(*source),
            Piece::Bytes(_) => None,
        })
        .collect();
    uses.sort_unstable();
    uses.dedup();
    Request {
        weight: template.weight,
        head,
        body,
        sized,
        uses,
        is_head: method == "HEAD",
        expect: template.expect.clone(),
    }
}

fn pieces(text: &str, names: &[&str]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    for name in placeholders(text) {
        let Some(source) = names.iter().position(|known| *known == name) else { continue };
        let Some((before, after)) = rest.split_once(&format!("{{{name}}}")) else { continue };
        if !before.is_empty() {
            pieces.push(Piece::Bytes(before.as_bytes().to_vec()));
        }
        pieces.push(Piece::Value(source));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Bytes(rest.as_bytes().to_vec()));
    }
    pieces
}

/// The names in `{NAME}`; what stands between other braces, as in JSON, is text.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|part| {
        let (name, _) = part.split_once('}')?;
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        is_name.then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Values;

    fn plan(template: Template, values: &[(&str, &[&str])]) -> Plan {
        let mut scenario = Scenario::new("127.0.0.1:80");
        scenario.requests.push(template);
        for (name, lines) in values {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            let values = Values { lines, ..Values::default() };
            scenario.values.insert((*name).to_owned(), values);
        }
        Plan::new(&scenario).expect("a right scenario")
    }

    fn rendered(plan: &mut Plan) -> String {
        let mut buffer = Vec::new();
        plan.render(&mut buffer);
        String::from_utf8(buffer).expect("text")
    }

    #[test]
    fn values_go_in_order_and_stay_the_same_within_a_request() {
        let mut plan = plan(Template::get("/{id}/{id}"), &[("id", &["a", "b"])]);
        let lines: Vec<String> =
            (0..3).map(|_| rendered(&mut plan).lines().next().unwrap().to_owned()).collect();
        assert_eq!(lines, ["GET /a/a HTTP/1.1", "GET /b/b HTTP/1.1", "GET /a/a HTTP/1.1"]);
    }

    #[test]
    fn a_body_with_values_has_its_length_and_json_stays_as_it_is() {
        let mut template = Template::get("/");
        template.method = "POST".to_owned();
        template.body = r#"{"title":"{title}","tags":{}}"#.to_owned();
        let mut plan = plan(template, &[("title", &["long one"])]);
        let text = rendered(&mut plan);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert_eq!(body, r#"{"title":"long one","tags":{}}"#);
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    }
}
