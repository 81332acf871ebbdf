//! The proof that somebody who has a session also has the password.

use troupe_actors::Scope;
use troupe_kernel::SecretText;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::UserId;

use super::Desk;
use super::guard::{self, Attempt, Parties};
use crate::error;
use crate::messages::VerifyPassword;
use crate::repository::credentials;

/// Whose password it is said to be, and what for.
pub(super) struct Claim<'a> {
    pub(super) user: UserId,
    pub(super) password: &'a SecretText,
    /// The action for the audit of a failure.
    pub(super) action: &'static str,
}

/// Refuses a wrong password, and counts it; the caller forgets the failures after a right one.
pub(super) async fn check(
    desk: &Desk,
    scope: &Scope,
    parties: &Parties,
    claim: Claim<'_>,
) -> Result<(), Failure> {
    guard::admit(desk, parties).await?;
    let user = claim.user;
    let hash = desk.db.read(async move |conn| Ok(credentials::find(conn, user).await?)).await?;
    let check = VerifyPassword { password: claim.password.clone(), hash };
    if desk.passwords.ask(scope, check).await?.matches {
        return Ok(());
    }
    let attempt = Attempt { action: claim.action, user: Some(user) };
    guard::failed(desk, scope, parties, attempt).await?;
    Err(error::password_wrong())
}
