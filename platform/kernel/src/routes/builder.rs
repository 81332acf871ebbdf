//! Builds a route; it becomes one when it says which service it asks.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use troupe_actors::{Failure, Priority, Request, Shards};
use utoipa::ToSchema;

use super::operation::{Media, Operation};
use super::target::Asking;
use super::{Access, HeadCheck, Route};
use crate::http::{HttpRequest, HttpResponse};
use crate::ports::BoxFuture;

/// A route that does not yet say which service it asks.
#[must_use = "a route is complete when it asks a service"]
pub struct RouteBuilder {
    method: Method,
    path: String,
    access: Option<Access>,
    body_bytes_max: Option<usize>,
    timeout: Option<Duration>,
    priority: Priority,
    before_body: Option<HeadCheck>,
    operation: Operation,
}

impl RouteBuilder {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            access: None,
            body_bytes_max: None,
            timeout: None,
            priority: Priority::Normal,
            before_body: None,
            operation: Operation::default(),
        }
    }

    /// Only for principals that hold this permission.
    pub fn permission(mut self, key: &'static str) -> Self {
        self.access = Some(Access::Permission(key));
        self
    }

    /// For every authenticated principal.
    pub fn authenticated(mut self) -> Self {
        self.access = Some(Access::Authenticated);
        self
    }

    /// For everybody.
    pub fn public(mut self) -> Self {
        self.access = Some(Access::Public);
        self
    }

    /// What it does, in a few words.
    pub fn summary(mut self, text: &str) -> Self {
        text.clone_into(&mut self.operation.summary);
        self
    }

    /// What it does, in full; Markdown.
    pub fn description(mut self, text: &str) -> Self {
        text.clone_into(&mut self.operation.description);
        self
    }

    /// Groups it with others in the description of the API.
    pub fn tag(mut self, tag: &str) -> Self {
        self.operation.tags.push(tag.to_owned());
        self
    }

    /// It reads these parameters from the query; `T` is what `HttpRequest::query` reads.
    pub fn query<T: ToSchema>(mut self) -> Self {
        self.operation.add_query::<T>();
        self
    }

    /// It answers pages: `cursor` and `limit` in the query.
    pub fn paginated(mut self) -> Self {
        self.operation.paginated = true;
        self
    }

    /// It changes a version: `If-Match` is needed, 412 and 428 are possible.
    pub fn versioned(mut self) -> Self {
        self.operation.versioned = true;
        self
    }

    /// It takes this JSON body.
    pub fn body<T: ToSchema>(mut self) -> Self {
        self.operation.set_body::<T>();
        self
    }

    /// It takes a body of this media type, unread.
    pub fn body_media(mut self, media_type: &str) -> Self {
        self.operation.body = Some(Media { media_type: media_type.to_owned(), schema: None });
        self
    }

    /// It answers this as JSON with this status.
    pub fn returns<T: ToSchema>(mut self, status: u16) -> Self {
        self.operation.add_response::<T>(status);
        self
    }

    /// It answers this status without a body.
    pub fn returns_nothing(mut self, status: u16) -> Self {
        self.operation.add_plain_response(status, None);
        self
    }

    /// It answers a body of this media type with this status.
    pub fn returns_media(mut self, status: u16, media_type: &str) -> Self {
        self.operation.add_plain_response(status, Some(media_type));
        self
    }

    /// The longest body it takes, in bytes; overrides the edge's limit in either direction.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// How long it may take; overrides the edge's limit in either direction.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How early its requests are shed when mailboxes fill; `Normal` unless set.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Asked of the request before its body is read, so that nobody sends or holds a body for nothing.
    /// The request has no body then, and no principal; the service checks again.
    pub fn before_body(
        mut self,
        check: impl Fn(&HttpRequest) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync + 'static,
    ) -> Self {
        self.before_body = Some(Arc::new(check));
        self
    }

    /// Completes the route: which request of which service it becomes, and what response the
    /// reply becomes. Of a replicated service it asks the nearest one.
    ///
    /// Both translations are pure and quick; a failure of the first answers the caller and the
    /// service never sees the request.
    pub fn ask<Q, F, G>(
        self,
        service: impl Into<Shards<Q::Protocol>>,
        translate: F,
        respond: G,
    ) -> Route
    where
        Q: Request,
        Q::Reply: serde::Serialize + DeserializeOwned + Send + 'static,
        F: Fn(&HttpRequest) -> Result<Q, Failure> + Send + Sync + 'static,
        G: Fn(Q::Reply) -> Result<HttpResponse, Failure> + Send + Sync + 'static,
    {
        Route {
            method: self.method,
            path: self.path,
            access: self.access,
            body_bytes_max: self.body_bytes_max,
            timeout: self.timeout,
            priority: self.priority,
            before_body: self.before_body,
            operation: Arc::new(self.operation),
            target: Arc::new(Asking { service: service.into(), translate, respond }),
        }
    }
}
