//! A client that behaves as the documents tell it to: each write has an idempotency key, and is sent again
//! under it, to another node, while its outcome is not known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;

use crate::journal::{Entry, Journal, Operation, Outcome, Try};
use crate::nodes::{Member, REQUEST_TIMEOUT};
use crate::watch::{Watch, millis};
use crate::web::{self, Answer, Call};

/// How much longer than the deadline a client waits, to see an answer that comes late.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How long a client tries one write.
const GIVES_UP_AFTER: Duration = Duration::from_secs(90);
const BETWEEN_TRIES: Duration = Duration::from_millis(700);

/// What all clients share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) watch: Watch,
    pub(crate) journal: Arc<Journal>,
    /// The addresses of the nodes.
    pub(crate) bases: Vec<String>,
    pub(crate) seed: u64,
}

/// One operation to be done.
pub(crate) struct Request {
    operation: Operation,
    call: Call,
    subject: String,
    mark: String,
    within: Duration,
    is_public: bool,
    /// For a read: the least version that the client may see.
    pub(crate) version: i64,
}

/// What an answer tells: whom it is about and at which version.
type Told = Option<(String, i64)>;

/// A client of the nodes.
pub(crate) struct Client {
    common: Common,
    agent: Agent,
    key: String,
    number: usize,
    count: u64,
    node: usize,
    /// The last consistency token.
    seen: Option<String>,
}

impl Request {
    pub(crate) fn new(operation: Operation, call: Call) -> Self {
        Self {
            operation,
            call,
            subject: String::new(),
            mark: String::new(),
            within: REQUEST_TIMEOUT,
            is_public: false,
            version: 0,
        }
    }

    /// What it writes and nobody else does.
    pub(crate) fn mark(self, mark: &str) -> Self {
        Self { mark: mark.to_owned(), ..self }
    }

    pub(crate) fn subject(self, subject: &str) -> Self {
        Self { subject: subject.to_owned(), ..self }
    }

    /// The deadline of a route that has its own.
    pub(crate) fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Sent without the client's key.
    pub(crate) fn public(self) -> Self {
        Self { is_public: true, ..self }
    }
}

impl Client {
    pub(crate) fn new(common: &Common, member: &Member, number: usize) -> Self {
        Self {
            agent: web::agent(),
            key: member.key.clone(),
            node: number % common.bases.len(),
            common: common.clone(),
            number,
            count: 0,
            seen: None,
        }
    }

    /// Does a write, however often it must be sent, and writes it down; the answer when it was
    /// acknowledged.
    pub(crate) fn write(
        &mut self,
        request: Request,
        told: impl Fn(&Answer) -> Told,
    ) -> Option<Answer> {
        self.count += 1;
        let key = format!("faults-{}-{}-{}", self.common.seed, self.number, self.count);
        let mut entry = self.entry(&request, &key);
        let call = self.signed(&request).field("idempotency-key", key);
        let began = Instant::now();
        let acknowledged = loop {
            let result = self.send(&call, &request, &mut entry);
            match result {
                Some(answer) if answer.is_good() => break Some(answer),
                Some(answer) if is_final(answer.status) || is_taken(&request, &answer) => {
                    entry.refused = Some(format!("{} {}", answer.status, answer.text()));
                    break None;
                }
                _ if began.elapsed() >= GIVES_UP_AFTER => break None,
                _ => {}
            }
            self.node = (self.node + 1) % self.common.bases.len();
            std::thread::sleep(BETWEEN_TRIES);
        };
        if let Some(answer) = &acknowledged {
            entry.acknowledged = true;
            if let Some((subject, version)) = told(answer) {
                entry.subject = subject;
                entry.version = version;
            }
            // Of several places in the log the greatest is what the client has seen.
            self.seen = self.seen.take().max(answer.seen.clone());
        }
        self.common.journal.note(entry);
        acknowledged
    }

    /// Reads once, as one who must see its own writes.
    pub(crate) fn read(&mut self, request: Request, told: impl Fn(&Answer) -> Told) {
        let mut entry = self.entry(&request, "");
        let mut call = self.signed(&request);
        if let Some(seen) = &self.seen {
            call = call.field("consistency-token", seen.clone());
        }
        match self.send(&call, &request, &mut entry) {
            Some(answer) if answer.is_good() => {
                entry.acknowledged = true;
                entry.seen = told(&answer).map_or(0, |(_, version)| version);
            }
            Some(answer) if is_final(answer.status) => {
                entry.refused = Some(format!("{} {}", answer.status, answer.text()));
            }
            _ => self.node = (self.node + 1) % self.common.bases.len(),
        }
        self.common.journal.note(entry);
    }

    fn entry(&self, request: &Request, key: &str) -> Entry {
        Entry {
            operation: request.operation,
            key: key.to_owned(),
            subject: request.subject.clone(),
            mark: request.mark.clone(),
            version: request.version,
            seen: 0,
            acknowledged: false,
            refused: None,
            tries: Vec::new(),
        }
    }

    fn signed(&self, request: &Request) -> Call {
        let call = request.call.clone();
        if request.is_public { call } else { call.bearer(&self.key) }
    }

    fn send(&self, call: &Call, request: &Request, entry: &mut Entry) -> Option<Answer> {
        let (sent_ms, began) = (self.common.watch.now_ms(), Instant::now());
        let base = &self.common.bases[self.node];
        let result = web::send(&self.agent, base, call, request.within + PATIENCE);
        let outcome = match &result {
            Ok(answer) => Outcome::Answered(answer.status),
            Err(outcome) => outcome.clone(),
        };
        entry.tries.push(Try {
            node: self.node,
            sent_ms,
            took_ms: millis(began.elapsed()),
            within_ms: millis(request.within),
            outcome,
        });
        result.ok()
    }
}

/// Whether somebody has what is asked for: the requests of strangers are not told apart by their key, so that
/// an account that an unanswered request made is taken.
fn is_taken(request: &Request, answer: &Answer) -> bool {
    request.is_public && answer.status == 409
}

/// Whether asking again would be answered the same. A conflict may be one with the same request, which
/// another node still does.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 409 | 425 | 429)
}
