//! The address of a project: `SCHEME://PUBLIC-KEY@HOST/PATH/PROJECT`.

use http::Uri;

/// Where a project's envelopes go and the key that they bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dsn {
    /// The key that says which project; it lets nobody read anything.
    pub(super) public_key: String,
    /// Where envelopes are sent.
    pub(super) endpoint: Uri,
}

impl Dsn {
    /// None when it is not one. A secret key, which old ones have, is left out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let (keys, rest) = rest.split_once('@')?;
        let public_key = keys.split(':').next()?;
        let (place, project) = rest.rsplit_once('/')?;
        let (host, path) = place.split_once('/').map_or((place, ""), |(host, path)| (host, path));
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !matches!(scheme, "http" | "https") || host.is_empty() || !plain(public_key) {
            return None;
        }
        if project.is_empty() || !project.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let slash = if path.is_empty() { "" } else { "/" };
        let endpoint = format!("{scheme}://{host}{slash}{path}/api/{project}/envelope/");
        Some(Self { public_key: public_key.to_owned(), endpoint: endpoint.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_go_to_the_project() {
        let at = |text| Dsn::parse(text).map(|dsn| (dsn.public_key, dsn.endpoint.to_string()));
        for (text, endpoint) in [
            ("https://abc@o1.example.org/42", "https://o1.example.org/api/42/envelope/"),
            ("http://abc:secret@127.0.0.1:9000/1", "http://127.0.0.1:9000/api/1/envelope/"),
            ("https://abc@example.org/a/b/7", "https://example.org/a/b/api/7/envelope/"),
        ] {
            assert_eq!(at(text), Some(("abc".to_owned(), endpoint.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_dsn_is_refused() {
        for text in [
            "",
            "https://example.org/1",
            "https://@example.org/1",
            "https://abc@example.org",
            "https://abc@example.org/x",
            "ftp://abc@example.org/1",
            "https://abc@/1",
        ] {
            assert_eq!(Dsn::parse(text), None, "{text}");
        }
    }
}
