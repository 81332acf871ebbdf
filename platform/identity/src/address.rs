//! E-mail addresses: what is accepted and when two are the same.
//!
//! An address is ASCII (RFC 5321 `Mailbox` without quoted local parts, address literals and
//! comments; international domains in their ASCII form), so that `lower()` of both databases and
//! the one here agree. Two addresses that differ in case only are the same address.

use std::fmt;

/// Longest address that can be delivered to (RFC 5321, 4.5.3.1.3, without the angle brackets).
const ADDRESS_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;

/// An acceptable e-mail address, in the case its owner wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

/// Why a text is no acceptable address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// Longer than can be delivered.
    #[error("is longer than {ADDRESS_BYTES_MAX} characters")]
    TooLong,
    /// Letters outside ASCII.
    #[error("has characters outside ASCII; write an international domain in its xn-- form")]
    NotAscii,
    /// Not one `@` with something on both sides.
    #[error("is not of the form name@domain")]
    NoDomain,
    /// The part before the `@`.
    #[error("has a name before the @ that cannot be delivered to")]
    Local,
    /// The part after the `@`.
    #[error("has a domain after the @ that is none")]
    Domain,
}

impl EmailAddress {
    /// Reads an address; spaces around it are dropped.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AddressFault> {
        let text = text.trim();
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressFault::TooLong);
        }
        if !text.is_ascii() {
            return Err(AddressFault::NotAscii);
        }
        let (local, domain) = text.split_once('@').ok_or(AddressFault::NoDomain)?;
        if !is_local(local) {
            return Err(AddressFault::Local);
        }
        if !is_domain(domain) {
            return Err(AddressFault::Domain);
        }
        Ok(Self(text.to_owned()))
    }

    /// The address as its owner wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which addresses are compared.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or(self.0.as_str(), |(local, _)| local)
    }
}

/// Hides most of the name of an address that was accepted before, for people who only guess it:
/// `a…@example.org`.
#[must_use]
pub fn masked(address: &str) -> String {
    let (local, domain) = address.split_once('@').unwrap_or((address, ""));
    let first = local.chars().next().map(String::from).unwrap_or_default();
    format!("{first}…@{domain}")
}

/// Whether two accepted addresses are the same.
#[must_use]
pub fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// `Dot-string` of RFC 5321.
fn is_local(local: &str) -> bool {
    let atom = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
    };
    local.len() <= LOCAL_BYTES_MAX && local.split('.').all(atom)
}

/// A host name with at least one dot, or `localhost`.
fn is_domain(domain: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= LABEL_BYTES_MAX
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let top = domain.rsplit('.').next().unwrap_or_default();
    let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
    let is_qualified = domain.contains('.') || domain.eq_ignore_ascii_case("localhost");
    is_qualified && !is_number && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_that_can_be_delivered_to_are_accepted() {
        for text in [
            "ada@example.org",
            " Ada.Lovelace+notes@Example.ORG ",
            "o'brien@sub.example.co.uk",
            "root@localhost",
            "a@xn--bcher-kva.example",
        ] {
            assert_eq!(EmailAddress::parse(text).expect(text).as_str(), text.trim());
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, fault) in [
            ("", AddressFault::NoDomain),
            ("ada", AddressFault::NoDomain),
            ("ada@", AddressFault::Domain),
            ("@example.org", AddressFault::Local),
            ("a b@example.org", AddressFault::Local),
            ("a..b@example.org", AddressFault::Local),
            (".a@example.org", AddressFault::Local),
            ("\"a\"@example.org", AddressFault::Local),
            ("ada@b@example.org", AddressFault::Domain),
            ("ada@example", AddressFault::Domain),
            ("ada@-example.org", AddressFault::Domain),
            ("ada@example..org", AddressFault::Domain),
            ("ada@127.0.0.1", AddressFault::Domain),
            ("ada@[127.0.0.1]", AddressFault::Domain),
            ("ada@example.org\r\nBcc: x@example.org", AddressFault::Domain),
            ("ädä@example.org", AddressFault::NotAscii),
        ] {
            assert_eq!(EmailAddress::parse(text), Err(fault), "{text}");
        }
        let long = format!("{}@example.org", "a".repeat(300));
        assert_eq!(EmailAddress::parse(&long), Err(AddressFault::TooLong));
        let long_name = format!("{}@example.org", "a".repeat(65));
        assert_eq!(EmailAddress::parse(&long_name), Err(AddressFault::Local));
    }

    #[test]
    fn case_makes_no_difference_and_a_mask_hides_the_name() {
        let address = EmailAddress::parse("Ada@Example.org").unwrap();
        assert_eq!(address.key(), "ada@example.org");
        assert!(same(address.as_str(), "aDA@eXAMPLE.ORG"));
        assert_eq!(masked(address.as_str()), "A…@Example.org");
    }

    proptest! {
        #[test]
        fn an_accepted_address_has_no_character_that_a_header_or_a_page_could_misread(text in ".{0,80}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                let shown = address.as_str();
                prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(!shown.contains(['<', '>', '"', ',', ';', '\\']));
                prop_assert_eq!(EmailAddress::parse(shown), Ok(address.clone()));
            }
        }
    }
}
