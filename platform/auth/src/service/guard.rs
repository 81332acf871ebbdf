//! Counts failed attempts of an account and of a network address, and lets both wait.
//!
//! The account is known by a hash of the address that was typed, so that accounts that do not
//! exist wait like those that do and nothing mistyped into that field is stored. IPv6 addresses
//! count by their /64, which is what one customer has.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{DbError, UnitOfWork};
use troupe_kernel::audit::{AuditRecord, Outcome};
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::UserId;

use super::{Desk, address_of};
use crate::error;
use crate::events::{self, AccountEvent};
use crate::lockout::LockoutRule;
use crate::repository::failures;
use crate::secret::{SecretText, digest};

/// Before the hash of an address, in the name of a party.
const ACCOUNT: &str = "account:";

/// Who tries: an account, from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parties {
    account: String,
    address: Option<String>,
}

impl Parties {
    pub(super) fn new(email: &str, scope: &Scope) -> Self {
        let account = URL_SAFE_NO_PAD.encode(digest(&email.trim().to_lowercase()));
        Self {
            account: format!("{ACCOUNT}{account}"),
            address: address_of(scope).map(|address| format!("address:{}", network(&address))),
        }
    }

    /// The parties of somebody who answers a challenge: its text begins with the account.
    pub(super) fn of_challenge(challenge: &SecretText, scope: &Scope) -> Self {
        let account = challenge.expose().split('.').next().unwrap_or_default();
        Self {
            account: format!("{ACCOUNT}{account}"),
            address: address_of(scope).map(|address| format!("address:{}", network(&address))),
        }
    }

    /// The text of a challenge of this account.
    pub(super) fn challenge(&self, token: &SecretText) -> SecretText {
        let account = self.account.trim_start_matches(ACCOUNT);
        SecretText::new(format!("{account}.{}", token.expose()))
    }

    fn all(&self) -> Vec<String> {
        std::iter::once(self.account.clone()).chain(self.address.clone()).collect()
    }

    /// What the shards of logins divide by.
    pub(super) fn account(&self) -> &str {
        &self.account
    }
}

/// What was tried, for the audit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// The action, for example `auth.login`.
    pub(super) action: &'a str,
    /// The account, if there is one.
    pub(super) user: Option<UserId>,
}

/// Refuses an attempt while one of the parties waits.
pub(super) async fn admit(desk: &Desk, parties: &Parties) -> Result<(), Failure> {
    let all = parties.all();
    let locks = desk.db.read(async move |conn| Ok(failures::locks(conn, &all).await?)).await?;
    let now = desk.now();
    let wait = locks.iter().map(|(_, until)| until.since(now)).max().unwrap_or(Duration::ZERO);
    if wait.is_zero() { Ok(()) } else { Err(error::locked(wait)) }
}

/// Counts a failed attempt, with its audit record, and answers the wait it leads to.
pub(super) async fn failed(
    desk: &Desk,
    scope: &Scope,
    parties: &Parties,
    attempt: Attempt<'_>,
) -> Result<Duration, Failure> {
    let counted = vec![(parties.account.clone(), desk.config.lockout.account())]
        .into_iter()
        .chain(parties.address.clone().map(|party| (party, desk.config.lockout.address())))
        .collect::<Vec<_>>();
    let (action, user) = (attempt.action.to_owned(), attempt.user);
    desk.db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let mut longest = Duration::ZERO;
            for (party, rule) in &counted {
                longest = longest.max(count(uow, party, rule).await?);
            }
            let resource =
                user.map_or_else(|| "user/unknown".to_owned(), |id| format!("user/{id}"));
            let record = AuditRecord::new(uow.scope(), action, resource)
                .outcome(Outcome::Denied)
                .detail(json!({ "locked_for_secs": longest.as_secs() }));
            uow.audit(match user {
                Some(user) => record.actor(user.uuid()),
                None => record,
            });
            if let Some(user) = user.filter(|_| !longest.is_zero()) {
                uow.event(Event::new(events::ACCOUNT_LOCKED, user, &AccountEvent { user }));
            }
            Ok(longest)
        })
        .await
}

async fn count(uow: &mut UnitOfWork, party: &str, rule: &LockoutRule) -> Result<Duration, DbError> {
    let now = uow.now();
    let count = failures::count(uow.conn(), party, rule.remembered_since(now), now).await?;
    let wait = rule.wait_after(count);
    if !wait.is_zero() {
        failures::lock(uow.conn(), party, now.plus(wait)).await?;
    }
    Ok(wait)
}

/// Forgets the failures of the account after a success; the address keeps its own, so that one
/// good account does not pay for guesses at others.
pub(super) async fn succeeded(uow: &mut UnitOfWork, parties: &Parties) -> Result<(), DbError> {
    failures::clear(uow.conn(), &parties.account).await
}

fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(IpAddr::V6(address)) => {
            address.to_ipv4_mapped().map_or_else(|| address.to_string(), |v4| v4.to_string())
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use troupe_actors::Origin;
    use uuid::Uuid;

    use super::*;

    fn scope(address: &str) -> Scope {
        let origin = Origin { address: address.parse().ok(), ..Origin::new(Uuid::from_u128(1)) };
        Scope::root(Duration::from_secs(1), origin)
    }

    #[test]
    fn an_account_is_the_same_in_any_spelling_and_does_not_show_its_address() {
        let one = Parties::new(" Ada@Example.org ", &scope("192.0.2.1"));
        assert_eq!(one, Parties::new("ada@example.org", &scope("192.0.2.1")));
        assert_ne!(one.account, Parties::new("adb@example.org", &scope("192.0.2.1")).account);
        assert!(!one.account.to_lowercase().contains("ada"), "{}", one.account);
    }

    #[test]
    fn a_challenge_leads_back_to_its_account() {
        let one = Parties::new("ada@example.org", &scope("192.0.2.1"));
        let challenge = one.challenge(&SecretText::new("token"));
        assert_eq!(Parties::of_challenge(&challenge, &scope("192.0.2.1")), one);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }
}
