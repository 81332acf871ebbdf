//! What ties a sign-in to one browser: a state that travels through the provider, and a secret that
//! stays in a cookie.
//!
//! The code verifier (RFC 7636) and the nonce are computed from the two, so that neither is stored:
//! whoever reads the database, or the address with the state, can finish nobody's sign-in. No I/O.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::secret::{NoRandomness, SecretText, digest, new_token};

/// Longest state and longest cookie value that are looked at.
const LENGTH_MAX: usize = 64;

/// A sign-in in its browser.
#[derive(Debug, Clone)]
pub struct Binding {
    state: SecretText,
    browser: SecretText,
}

impl Binding {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self { state: new_token()?, browser: new_token()? })
    }

    /// The one with this state, if a browser that sends these cookies has begun it; `secure` as when
    /// it was begun.
    #[must_use]
    pub fn found(state: &SecretText, cookies: &str, secure: bool) -> Option<Self> {
        if state.expose().len() > LENGTH_MAX {
            return None;
        }
        let expected = cookie_name(state, secure);
        let value = cookies.split(';').find_map(|cookie| {
            let (name, value) = cookie.trim().split_once('=')?;
            (name == expected).then_some(value)
        })?;
        let fits = value.len() <= LENGTH_MAX;
        fits.then(|| Self { state: state.clone(), browser: SecretText::new(value) })
    }

    /// What travels through the provider.
    #[must_use]
    pub fn state(&self) -> &SecretText {
        &self.state
    }

    /// The digest of the state, by which the sign-in is found.
    #[must_use]
    pub fn state_hash(&self) -> [u8; 32] {
        digest(self.state.expose())
    }

    /// The digest of what the browser keeps.
    #[must_use]
    pub fn browser_hash(&self) -> [u8; 32] {
        digest(self.browser.expose())
    }

    /// The code verifier: 43 characters (RFC 7636 §4.1).
    #[must_use]
    pub fn verifier(&self) -> SecretText {
        self.derived("verifier")
    }

    /// The nonce that the identity token must repeat.
    #[must_use]
    pub fn nonce(&self) -> SecretText {
        self.derived("nonce")
    }

    /// The cookie as `Set-Cookie` has it. With `secure` it is for this host alone and only encrypted
    /// (RFC 6265bis §4.1.3.2), so that no neighbouring host can plant one.
    #[must_use]
    pub fn cookie(&self, secure: bool, lifetime: Duration) -> SecretText {
        let name = cookie_name(&self.state, secure);
        let flag = if secure { "; Secure" } else { "" };
        SecretText::new(format!(
            "{name}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{flag}",
            self.browser.expose(),
            lifetime.as_secs()
        ))
    }

    fn derived(&self, purpose: &str) -> SecretText {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.browser.expose().as_bytes());
        let text = format!("{purpose} {}", self.state.expose());
        SecretText::new(URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())))
    }
}

/// Each sign-in has a cookie of its own, so that those of two tabs do not meet.
fn cookie_name(state: &SecretText, secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    let start = URL_SAFE_NO_PAD.encode(&digest(state.expose())[..9]);
    format!("{prefix}troupe-sign-in-{start}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cookie: &SecretText) -> String {
        let (pair, _) = cookie.expose().split_once(';').expect("attributes");
        format!("theme=dark; {pair}; other=1")
    }

    #[test]
    fn a_browser_that_began_it_finds_it_again() {
        for secure in [true, false] {
            let begun = Binding::new().expect("the system has randomness");
            let cookie = begun.cookie(secure, Duration::from_secs(600));
            let found =
                Binding::found(begun.state(), &kept(&cookie), secure).expect("the same browser");
            assert!(Binding::found(begun.state(), &kept(&cookie), !secure).is_none());
            assert_eq!(found.verifier(), begun.verifier());
            assert_eq!(found.nonce(), begun.nonce());
            assert_eq!(found.browser_hash(), begun.browser_hash());
            assert_eq!(cookie.expose().contains("; Secure"), secure);
            assert_eq!(cookie.expose().starts_with("__Host-"), secure);
            assert!(cookie.expose().contains("HttpOnly; SameSite=Lax"));
        }
    }

    #[test]
    fn another_browser_and_another_tab_do_not() {
        let (one, two) = (Binding::new().expect("random"), Binding::new().expect("random"));
        let cookie = kept(&one.cookie(true, Duration::from_secs(600)));
        assert!(Binding::found(two.state(), &cookie, true).is_none());
        assert!(Binding::found(one.state(), "", true).is_none());
        assert!(Binding::found(&SecretText::new("x".repeat(65)), &cookie, true).is_none());
        assert_ne!(one.verifier(), two.verifier());
    }

    #[test]
    fn verifier_and_nonce_are_different_and_long_enough() {
        let one = Binding::new().expect("random");
        assert_eq!((one.verifier().expose().len(), one.nonce().expose().len()), (43, 43));
        assert_ne!(one.verifier(), one.nonce());
        assert_ne!(one.verifier(), *one.state());
    }
}
