//! An endpoint that speaks Sentry's protocol and reads every envelope strictly.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use troupe_kernel::Timestamp;

use super::eventually;

const PROJECT: &str = "42";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const WITHIN: Duration = Duration::from_secs(60);
const LEVELS: [&str; 5] = ["fatal", "error", "warning", "info", "debug"];

/// An endpoint that answers every envelope in the same way.
pub struct Endpoint {
    address: String,
    received: Arc<Mutex<Vec<Result<Envelope, String>>>>,
}

/// An envelope that is as it should be.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// All of it, to look for what must not be in it.
    pub text: String,
    pub event: Value,
}

impl Endpoint {
    /// Answers `status` with these fields. It ends with the process of the test.
    pub fn answering(status: &'static str, fields: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let received: Arc<Mutex<Vec<_>>> = Arc::default();
        let into = received.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let into = into.clone();
                std::thread::spawn(move || serve(&stream, &into, status, fields));
            }
        });
        Self { address, received }
    }

    pub fn dsn(&self) -> String {
        format!("http://{KEY}@{}/{PROJECT}", self.address)
    }

    /// The envelopes that came so far.
    pub fn envelopes(&self) -> Vec<Envelope> {
        let received = self.received.lock().expect("no reader panicked");
        received.iter().map(|each| each.clone().expect("an envelope that is right")).collect()
    }

    /// Waits for an event with this in the value of one of its exceptions.
    pub fn event(&self, says: &str) -> Envelope {
        let of = |envelope: &Envelope| {
            let values = envelope.event["exception"]["values"].as_array().expect("exceptions");
            values.iter().any(|each| each["value"].as_str().is_some_and(|text| text.contains(says)))
        };
        let find = || self.envelopes().into_iter().find(of);
        eventually(&format!("an event says {says}"), WITHIN, find)
    }
}

fn serve(
    stream: &TcpStream,
    received: &Mutex<Vec<Result<Envelope, String>>>,
    status: &str,
    fields: &str,
) {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = request(&mut reader) {
        let read = check_head(&head).and_then(|()| envelope(&body));
        received.lock().expect("no reader panicked").push(read);
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n{fields}\r\n{{}}");
        let mut writer = stream;
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The head and the body of the next request; none at the end of the connection.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let length = field(&head, "content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn field(head: &str, name: &str) -> Option<String> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

fn check_head(head: &str) -> Result<(), String> {
    let wanted = format!("POST /api/{PROJECT}/envelope/ HTTP/1.1");
    ensure(head.starts_with(&wanted), || format!("not {wanted}: {head}"))?;
    let media_type = field(head, "content-type");
    let right = media_type.as_deref() == Some("application/x-sentry-envelope");
    ensure(right, || format!("the media type is {media_type:?}"))?;
    let auth = field(head, "x-sentry-auth").ok_or("no X-Sentry-Auth")?;
    let parts = auth.strip_prefix("Sentry ").ok_or("X-Sentry-Auth does not begin with Sentry")?;
    let parts: Vec<(&str, &str)> =
        parts.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    for (name, value) in [("sentry_version", "7"), ("sentry_key", KEY)] {
        ensure(parts.contains(&(name, value)), || format!("no {name}={value} in {auth}"))?;
    }
    ensure(parts.iter().any(|(name, _)| *name == "sentry_client"), || auth.clone())
}

/// A header, then items: a header with the length of what follows it, that, and a line end.
fn envelope(body: &[u8]) -> Result<Envelope, String> {
    let (header, mut rest) = line(body)?;
    let event_id = text(&header, "event_id")?;
    check_id(&event_id)?;
    time(&text(&header, "sent_at")?)?;
    let mut event = None;
    while !rest.is_empty() {
        let (header, after) = line(rest)?;
        ensure(text(&header, "type")? == "event", || {
            format!("an item that is no event: {header}")
        })?;
        let length = header["length"].as_u64().ok_or("an item without its length")?;
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        ensure(after.len() > length, || format!("an item is shorter than {length} bytes"))?;
        ensure(after[length] == b'\n', || "no line end after an item".to_owned())?;
        let item = serde_json::from_slice(&after[..length]).map_err(|error| error.to_string())?;
        ensure(event.replace(item).is_none(), || "two events in an envelope".to_owned())?;
        rest = &after[length + 1..];
    }
    let event = event.ok_or("an envelope without an event")?;
    check_event(&event, &event_id)?;
    Ok(Envelope { text: String::from_utf8_lossy(body).into_owned(), event })
}

fn check_event(event: &Value, event_id: &str) -> Result<(), String> {
    ensure(text(event, "event_id")? == event_id, || "two ids of one event".to_owned())?;
    time(&text(event, "timestamp")?)?;
    let level = text(event, "level")?;
    ensure(LEVELS.contains(&level.as_str()), || format!("no level: {level}"))?;
    for name in ["platform", "release", "environment", "server_name", "logger"] {
        ensure(!text(event, name)?.is_empty(), || format!("{name} is empty"))?;
    }
    let exceptions = event["exception"]["values"].as_array().ok_or("no exceptions")?;
    ensure(!exceptions.is_empty(), || "no exception".to_owned())?;
    for exception in exceptions {
        text(exception, "type")?;
        text(exception, "value")?;
        for frame in exception["stacktrace"]["frames"].as_array().into_iter().flatten() {
            text(frame, "filename")?;
            ensure(frame["lineno"].is_u64(), || format!("a frame without a line: {frame}"))?;
        }
    }
    if let Some(trace) = event["contexts"].get("trace") {
        for (name, digits) in [("trace_id", 32), ("span_id", 16)] {
            let id = text(trace, name)?;
            let hex = id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            ensure(hex && id.bytes().any(|byte| byte != b'0'), || format!("{name} is {id}"))?;
        }
    }
    let tags = event["tags"].as_object().ok_or("no tags")?;
    ensure(tags.values().all(Value::is_string), || format!("tags are texts: {tags:?}"))
}

fn line(bytes: &[u8]) -> Result<(Value, &[u8]), String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("a header without a line end")?;
    let header: Value = serde_json::from_slice(&bytes[..end]).map_err(|error| error.to_string())?;
    ensure(header.is_object(), || format!("a header that is no object: {header}"))?;
    Ok((header, &bytes[end + 1..]))
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    let found = value[name].as_str().map(str::to_owned);
    found.ok_or_else(|| format!("no text {name} in {value}"))
}

fn check_id(id: &str) -> Result<(), String> {
    let sound = id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    ensure(sound, || format!("no event id: {id}"))
}

fn time(text: &str) -> Result<(), String> {
    text.parse::<Timestamp>().map(drop).map_err(|error| format!("{text}: {error}"))
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
