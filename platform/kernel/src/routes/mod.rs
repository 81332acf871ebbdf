//! Routes: declared, not handled.
//!
//! A route gives method, path, who may use it, a translation of the request into a message of a
//! service, a translation of the reply into a response, and its OpenAPI description. The edge runs
//! the translations; the gates have passed the request before its body is read.

mod builder;
mod operation;
mod path;
mod target;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use troupe_actors::{Failure, Priority};

pub use builder::RouteBuilder;
pub use operation::{Media, Operation, QueryParameter, ResponseDoc};
pub use path::{PathFault, PathTemplate};
pub use target::{Delivered, Target};

use crate::http::HttpRequest;
use crate::ports::BoxFuture;

/// What is asked of a request before its body is read.
pub type HeadCheck =
    Arc<dyn Fn(&HttpRequest) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// Who may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Who holds this permission in the tenant of the token.
    Permission(&'static str),
    /// Whoever is authenticated.
    Authenticated,
    /// Everybody. A credential that comes along is still checked, so that the service knows who asks.
    Public,
}

/// One route, complete.
#[derive(Clone)]
pub struct Route {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) access: Option<Access>,
    pub(crate) body_bytes_max: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) priority: Priority,
    pub(crate) before_body: Option<HeadCheck>,
    pub(crate) operation: Arc<Operation>,
    pub(crate) target: Arc<dyn Target>,
}

impl Route {
    /// Begins a `GET` route. It answers `HEAD` as well.
    pub fn get(path: impl Into<String>) -> RouteBuilder {
        RouteBuilder::new(Method::GET, path.into())
    }

    /// Begins a `POST` route.
    pub fn post(path: impl Into<String>) -> RouteBuilder {
        RouteBuilder::new(Method::POST, path.into())
    }

    /// Begins a `PUT` route.
    pub fn put(path: impl Into<String>) -> RouteBuilder {
        RouteBuilder::new(Method::PUT, path.into())
    }

    /// Begins a `PATCH` route.
    pub fn patch(path: impl Into<String>) -> RouteBuilder {
        RouteBuilder::new(Method::PATCH, path.into())
    }

    /// Begins a `DELETE` route.
    pub fn delete(path: impl Into<String>) -> RouteBuilder {
        RouteBuilder::new(Method::DELETE, path.into())
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path with its parameters in braces: `/v1/blog/posts/{id}`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Who may use it; none does not pass validation.
    #[must_use]
    pub fn access(&self) -> Option<&Access> {
        self.access.as_ref()
    }

    /// The longest body it takes, if it has a limit of its own.
    #[must_use]
    pub fn body_bytes_max(&self) -> Option<usize> {
        self.body_bytes_max
    }

    /// How long it may take, if it has a limit of its own.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How early its requests are shed when mailboxes fill.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// What is asked before the body is read, if anything is.
    #[must_use]
    pub fn before_body(&self) -> Option<&HeadCheck> {
        self.before_body.as_ref()
    }

    /// Its OpenAPI description.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The way to its service.
    #[must_use]
    pub fn target(&self) -> &Arc<dyn Target> {
        &self.target
    }
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Route")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
