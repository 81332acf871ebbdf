//! A request on its way through the gates, and the next station on that way.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use troupe_actors::{Message, ReplyPort, Scope, ServiceRef, Shards};
use troupe_kernel::{HttpRequest, Uuid};

use super::auth::API_KEY;
use crate::http::forwarded;

/// A request on its way. Data only: the reply port and the scope travel on the envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Passage {
    /// Which route of the table it takes.
    pub(crate) route: u32,
    /// The request, boxed: the envelope is moved at every station.
    pub(crate) request: Box<HttpRequest>,
}

/// By which hash the actors of a station divide the requests.
type Choose<M> = for<'a> fn(&'a Shards<M>, &Passage, &Scope) -> &'a ServiceRef<M>;

/// A station: its actors and how requests are divided among them.
pub(crate) struct Stage<M: Message> {
    shards: Shards<M>,
    choose: Choose<M>,
}

impl<M: Message> Clone for Stage<M> {
    fn clone(&self) -> Self {
        Self { shards: self.shards.clone(), choose: self.choose }
    }
}

impl<M: Message> Stage<M> {
    pub(crate) fn new(shards: Shards<M>, choose: Choose<M>) -> Self {
        Self { shards, choose }
    }

    /// The actor that is responsible for this request.
    pub(crate) fn of(&self, passage: &Passage, scope: &Scope) -> &ServiceRef<M> {
        (self.choose)(&self.shards, passage, scope)
    }
}

impl<M: Message + From<Passage>> Stage<M> {
    /// Sends a request to the actor that is responsible for it.
    pub(crate) fn send(&self, scope: &Scope, passage: Passage, port: ReplyPort) {
        let gate = self.of(&passage, scope).clone();
        gate.send(scope, passage.into(), port);
    }
}

/// What a limit per address counts.
pub(crate) fn address(passage: &Passage) -> IpAddr {
    forwarded::limit_key(passage.request.peer)
}

pub(crate) fn by_address<'a, M: Message>(
    shards: &'a Shards<M>,
    passage: &Passage,
    _scope: &Scope,
) -> &'a ServiceRef<M> {
    shards.by(&address(passage))
}

/// A token has its home shard; requests without one are spread by address.
pub(crate) fn by_credential<'a, M: Message>(
    shards: &'a Shards<M>,
    passage: &Passage,
    _scope: &Scope,
) -> &'a ServiceRef<M> {
    let headers = &passage.request.headers;
    match headers.get(http::header::AUTHORIZATION).or_else(|| headers.get(API_KEY)) {
        // The end of a token is its signature, the end of a key its random part.
        Some(value) => shards.by(value.as_bytes().last_chunk::<16>().unwrap_or(&[0; 16])),
        None => shards.by(&address(passage)),
    }
}

/// A subject has its home shard; nobody's requests are spread by address.
pub(crate) fn by_subject<'a, M: Message>(
    shards: &'a Shards<M>,
    passage: &Passage,
    scope: &Scope,
) -> &'a ServiceRef<M> {
    match scope.subject() {
        Some(subject) => shards.by(&subject),
        None => shards.by(&address(passage)),
    }
}

pub(crate) fn by_request<'a, M: Message>(
    shards: &'a Shards<M>,
    _passage: &Passage,
    scope: &Scope,
) -> &'a ServiceRef<M> {
    shards.by(&scope.request_id().unwrap_or(Uuid::nil()))
}
