//! A browser that goes to the provider, is whoever it is told to be, and comes back.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use openidconnect::{AsyncHttpClient as _, HttpRequest, url};
use troupe_auth::oidc::http::HttpClient;

/// The variable with the issuer of the test provider.
const ISSUER_VARIABLE: &str = "TROUPE_TEST_OIDC_ISSUER";
/// The variable with the client there, as `id:secret`.
const CLIENT_VARIABLE: &str = "TROUPE_TEST_OIDC_CLIENT";
/// Where the provider sends browsers back; nobody listens there.
pub(crate) const CALLBACK: &str = "http://127.0.0.1/callback";
/// Redirects that are followed.
const HOPS_MAX: usize = 10;

/// Issuer and client of the test provider; without one says loudly that the test is skipped.
#[expect(clippy::disallowed_methods, reason = "the place of the test provider")]
pub(crate) fn provider() -> Option<(String, String)> {
    let read = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    if let Some(issuer) = read(ISSUER_VARIABLE) {
        let client = read(CLIENT_VARIABLE).unwrap_or_else(|| "troupe:troupe-secret".to_owned());
        return Some((issuer, client));
    }
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let mut stderr = std::io::stderr();
    drop(writeln!(stderr, "TROUPE-SKIPPED oidc: {test} ({ISSUER_VARIABLE} is not set)"));
    None
}

/// An address with its query.
pub(crate) struct Back(url::Url);

impl Back {
    pub(crate) fn of(address: &str) -> Self {
        Self(url::Url::parse(address).expect("an address"))
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let mut pairs = self.0.query_pairs();
        pairs.find_map(|(known, value)| (known == name).then(|| value.into_owned()))
    }

    pub(crate) fn query(&self) -> &str {
        self.0.query().unwrap_or_default()
    }
}

/// The browser, with its cookies.
pub(crate) struct Browser {
    http: HttpClient,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let http = HttpClient::new(false, Duration::from_secs(5)).expect("certificates");
        Self { http, cookies: BTreeMap::new() }
    }

    /// Goes to an address of the provider as somebody, and follows it until it sends the browser back.
    pub(crate) async fn go(mut self, location: &str, who: &str) -> Back {
        let mut here = url::Url::parse(location).expect("an address");
        here.query_pairs_mut().append_pair("login_hint", who);
        for _ in 0..HOPS_MAX {
            if here.as_str().starts_with(CALLBACK) {
                return Back(here);
            }
            here = self.hop(&here).await;
        }
        panic!("more than {HOPS_MAX} redirects, the last to {here}");
    }

    async fn hop(&mut self, here: &url::Url) -> url::Url {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = HttpRequest::new(Vec::new());
        let (mut head, body) = request.into_parts();
        head.uri = here.as_str().parse().expect("an address");
        head.headers.insert("cookie", cookies.join("; ").parse().expect("text"));
        let answer = self.http.call(HttpRequest::from_parts(head, body)).await.expect("answers");
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().expect("text").split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a pair");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers().get("location").unwrap_or_else(|| {
            panic!(
                "{here} answers {}: {:?}",
                answer.status(),
                String::from_utf8_lossy(answer.body())
            )
        });
        here.join(location.to_str().expect("text")).expect("an address")
    }
}
