//! A request as data, with typed access to its parts.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use troupe_actors::{Principal, Scope};

use super::{body, from_query};
use crate::error::{Failure, FailureKind};
use crate::ids::TenantId;
use crate::pagination::{Cursor, LIMIT_DEFAULT, PageRequest};

/// An HTTP request whose body has been read. It is data and may travel between actors; its scope
/// travels on the envelope and is put back by the receiver.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HttpRequest {
    /// The method.
    #[serde(with = "method")]
    pub method: Method,
    /// The path as it was sent, percent-encoded.
    pub path: String,
    /// The parameters of the route's path, decoded.
    pub parameters: Vec<(String, String)>,
    /// The query string without `?`; empty when there is none.
    pub query: String,
    /// The header fields.
    #[serde(with = "headers")]
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The caller's address.
    pub peer: IpAddr,
    /// The circumstances: deadline, trace, principal.
    #[serde(skip, default = "no_scope")]
    pub scope: Scope,
}

fn no_scope() -> Scope {
    Scope::bare(Duration::ZERO)
}

impl HttpRequest {
    /// A request without header fields and body.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>, peer: IpAddr, scope: Scope) -> Self {
        Self {
            method,
            path: path.into(),
            parameters: Vec::new(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            peer,
            scope,
        }
    }

    /// A parameter of the path.
    ///
    /// # Errors
    /// `kernel.path.malformed` when the text is not a `T`.
    ///
    /// # Panics
    /// When the route's path has no parameter of this name: a defect of the route.
    pub fn parameter<T: FromStr>(&self, name: &str) -> Result<T, Failure>
    where
        T::Err: std::fmt::Display,
    {
        let text = self
            .parameters
            .iter()
            .find_map(|(known, value)| (known == name).then_some(value))
            .unwrap_or_else(|| panic!("the path of the route has no parameter `{name}`"));
        text.parse().map_err(|error: T::Err| {
            Failure::new(
                FailureKind::Malformed,
                "kernel.path.malformed",
                format!("`{name}` in the path is {error}"),
            )
            .field(name, error.to_string())
        })
    }

    /// The query as a type; see [`from_query`].
    ///
    /// # Errors
    /// `kernel.query.malformed`.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        from_query(&self.query)
    }

    /// The JSON body as a type; see [`body::from_json`].
    ///
    /// # Errors
    /// `kernel.body.media_type` when the body is not declared as JSON, and those of `from_json`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let media = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = media == "application/json"
            || (media.starts_with("application/") && media.ends_with("+json"));
        let is_absent = media.is_empty() && self.body.is_empty();
        if !is_json && !is_absent {
            return Err(Failure::new(
                FailureKind::UnsupportedMedia,
                "kernel.body.media_type",
                "send the body with Content-Type: application/json",
            ));
        }
        body::from_json(&self.body)
    }

    /// The first value of a header field, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Which page is asked for: `cursor` and `limit` of the query.
    ///
    /// # Errors
    /// `kernel.query.malformed` or `kernel.page.limit`.
    pub fn page(&self) -> Result<PageRequest, Failure> {
        let (mut cursor, mut limit) = (None, LIMIT_DEFAULT);
        for (name, value) in form_urlencoded::parse(self.query.as_bytes()) {
            match name.as_ref() {
                "cursor" => cursor = Some(Cursor::from_text(value)),
                "limit" => limit = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        PageRequest::new(cursor, limit)
    }

    /// The version that the caller bases a change on, from `If-Match`.
    ///
    /// # Errors
    /// `kernel.precondition.required` when it is missing; `kernel.precondition.stale` when it
    /// cannot be the current version.
    pub fn if_match<T: FromStr>(&self) -> Result<T, Failure> {
        self.if_match_optional()?.ok_or_else(|| {
            Failure::new(
                FailureKind::PreconditionRequired,
                "kernel.precondition.required",
                "send If-Match with the ETag of the version this change is based on",
            )
        })
    }

    /// Like [`if_match`](Self::if_match), for an operation that does not insist on it.
    ///
    /// # Errors
    /// `kernel.precondition.stale` when it cannot be the current version.
    pub fn if_match_optional<T: FromStr>(&self) -> Result<Option<T>, Failure> {
        let Some(field) = self.headers.get(header::IF_MATCH) else { return Ok(None) };
        // A weak tag never matches strongly (RFC 9110, 13.1.1); lists and `*` name no version.
        let version = field
            .to_str()
            .ok()
            .and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"'))
            .and_then(|tag| tag.parse().ok());
        version.map(Some).ok_or_else(|| {
            Failure::stale(
                "kernel.precondition.stale",
                "If-Match does not name a version of this thing; read it again and use its ETag",
            )
        })
    }

    /// Who asks.
    ///
    /// # Errors
    /// `kernel.principal.missing` when nobody was authenticated (on public routes).
    pub fn principal(&self) -> Result<&Principal, Failure> {
        self.scope.principal().map(AsRef::as_ref).ok_or_else(|| {
            Failure::unauthenticated(
                "kernel.principal.missing",
                "sign in and send the access token",
            )
        })
    }

    /// The tenant that the caller works in.
    ///
    /// # Errors
    /// `kernel.principal.missing`; `kernel.tenant.missing` for a token without a tenant.
    pub fn tenant(&self) -> Result<TenantId, Failure> {
        self.principal()?.tenant.map(TenantId).ok_or_else(|| {
            Failure::forbidden(
                "kernel.tenant.missing",
                "this token belongs to no organisation; choose one and sign in to it",
            )
        })
    }
}

mod method {
    use http::Method;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        method: &Method,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Method, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

mod headers {
    use bytes::Bytes;
    use http::header::{HeaderMap, HeaderName, HeaderValue};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        headers: &HeaderMap,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        serializer.collect_seq(pairs)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HeaderMap, D::Error> {
        let pairs = Vec::<(String, Bytes)>::deserialize(deserializer)?;
        let mut headers = HeaderMap::with_capacity(pairs.len());
        for (name, value) in pairs {
            let name = HeaderName::try_from(name).map_err(D::Error::custom)?;
            let value = HeaderValue::from_maybe_shared(value).map_err(D::Error::custom)?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}
