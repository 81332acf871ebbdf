//! The address of an endpoint: what is accepted of a URL, and its parts.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

use super::guard::Guard;

/// Longest URL of an endpoint, in bytes.
const URL_BYTES_MAX: usize = 2_000;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The host, without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) encrypted: bool,
    /// The value of `Host`.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

/// Why a URL is no address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetFault {
    #[error(
        "must be a URL of at most {URL_BYTES_MAX} ASCII characters, like https://example.org/hooks"
    )]
    Malformed,
    #[error("must begin with https://")]
    NotEncrypted,
    #[error("must not hold a user or a password; the signature says who sends")]
    Credentials,
    #[error("must not hold a fragment")]
    Fragment,
    #[error("leads to {0}, which is not an address of the public internet")]
    Private(IpAddr),
}

/// What URLs are accepted.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) https_only: bool,
    pub(crate) guard: Guard,
}

impl Rule {
    /// The parts of a URL that is accepted. A name is resolved when a message is sent, not here: who
    /// owns it may lead it elsewhere any time.
    pub(crate) fn read(&self, url: &str) -> Result<Target, TargetFault> {
        if url.len() > URL_BYTES_MAX || url.chars().any(|char| char.is_control() || char == ' ') {
            return Err(TargetFault::Malformed);
        }
        if url.contains('#') {
            return Err(TargetFault::Fragment);
        }
        let uri: Uri = url.parse().map_err(|_| TargetFault::Malformed)?;
        let encrypted = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP && !self.https_only => false,
            Some(scheme) if *scheme == Scheme::HTTP => return Err(TargetFault::NotEncrypted),
            _ => return Err(TargetFault::Malformed),
        };
        let authority = uri.authority().ok_or(TargetFault::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(TargetFault::Credentials);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || authority.port().is_some() && authority.port_u16().is_none() {
            return Err(TargetFault::Malformed);
        }
        if let Ok(address) = host.parse::<IpAddr>()
            && !self.guard.admits(address)
        {
            return Err(TargetFault::Private(address));
        }
        Ok(Target {
            host,
            port: authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            encrypted,
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule { https_only: true, guard: Guard::default() }
    }

    #[test]
    fn the_parts_of_a_url_are_found() {
        let target = rule().read("https://example.org:8443/hooks?of=blog").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("example.org", 8443));
        assert_eq!(target.authority, "example.org:8443");
        assert_eq!(target.path, "/hooks?of=blog");
        let target = rule().read("https://[2606:2800:220:1::1]").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("2606:2800:220:1::1", 443));
        assert_eq!(
            (target.authority.as_str(), target.path.as_str()),
            ("[2606:2800:220:1::1]", "/")
        );
    }

    #[test]
    fn what_is_no_address_of_an_endpoint_is_refused() {
        let private = |text: &str| TargetFault::Private(text.parse().unwrap());
        for (url, fault) in [
            ("", TargetFault::Malformed),
            ("example.org", TargetFault::Malformed),
            ("/hooks", TargetFault::Malformed),
            ("ftp://example.org/", TargetFault::Malformed),
            ("https://exa mple.org/", TargetFault::Malformed),
            ("https://example.org/\r\nx: y", TargetFault::Malformed),
            ("http://example.org/", TargetFault::NotEncrypted),
            ("https://me:secret@example.org/", TargetFault::Credentials),
            ("https://example.org/#top", TargetFault::Fragment),
            ("https://127.0.0.1/", private("127.0.0.1")),
            ("https://169.254.169.254/latest", private("169.254.169.254")),
            ("https://[::1]/", private("::1")),
            ("https://[::ffff:10.0.0.1]/", private("::ffff:10.0.0.1")),
        ] {
            assert_eq!(rule().read(url), Err(fault), "{url}");
        }
        let long = format!("https://example.org/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(rule().read(&long), Err(TargetFault::Malformed));
        let open = Rule { https_only: false, guard: Guard::default() };
        assert!(!open.read("http://example.org/").unwrap().encrypted);
    }
}
