//! What the answer of a passkey proves, and what becomes of one that there are two of.
//!
//! An authenticator that counts its signatures counts each once. A signed answer that counts no more
//! than the last one comes from a second copy of the key; nobody can tell which of the two is the
//! owner's, so that neither opens anything from then on.

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{DbUuid, UnitOfWork};
use troupe_identity_messages::User;
use troupe_kernel::audit::{AuditRecord, Outcome};
use troupe_kernel::error::Failure;
use troupe_kernel::ids::UserId;

use super::changes::{self, Change};
use crate::error;
use crate::messages::PasskeyAnswer;
use crate::passkey::{Assertion, PasskeyFault, Proven, Question};
use crate::repository::ceremonies::{self, Purpose};
use crate::repository::passkeys::{self, PasskeyRow};
use crate::secret::{SecretText, digest};
use crate::service::Desk;

/// What a proof by passkey is called in the audit.
pub(in crate::service) const NAME: &str = "passkey";

/// A passkey that was proven, not noted yet.
pub(in crate::service) struct PasskeyProof {
    row: PasskeyRow,
    proven: Proven,
}

impl PasskeyProof {
    /// Notes its use; answers whether it still opens something and nobody used this signature.
    pub(in crate::service) async fn spend(&self, uow: &mut UnitOfWork) -> Result<bool, Failure> {
        let now = uow.now();
        Ok(passkeys::advance(uow.conn(), self.row.id(), &self.proven, now).await?)
    }
}

/// Whose passkey is said to have answered what.
#[derive(Clone, Copy)]
pub(in crate::service) struct Claim<'a> {
    pub(in crate::service) user: &'a User,
    /// The state of the question.
    pub(in crate::service) state: &'a str,
    pub(in crate::service) answer: &'a SecretText,
}

/// Reads the answer of a browser.
pub(in crate::service) fn read(answer: &SecretText) -> Result<Assertion, Failure> {
    Assertion::read(answer.expose()).map_err(|_| error::passkey_malformed())
}

/// What the passkeys of a user are asked; none when there is none that opens something.
pub(in crate::service) async fn question(
    desk: &Desk,
    user: UserId,
) -> Result<Option<Question>, Failure> {
    let Some(party) = &desk.passkeys else { return Ok(None) };
    let own = desk.db.read(async move |conn| Ok(passkeys::of_user(conn, user).await?)).await?;
    let usable = own.into_iter().filter(|row| row.copied_at.is_none());
    let known: Vec<_> = usable.map(|row| row.credential_id).collect();
    if known.is_empty() {
        return Ok(None);
    }
    Ok(Some(party.ask_for_proof(Some(&known))?))
}

/// The proof, if it is one. A passkey that shows to be there twice is barred.
pub(in crate::service) async fn check(
    desk: &Desk,
    scope: &Scope,
    claim: Claim<'_>,
) -> Result<Option<PasskeyProof>, Failure> {
    let party = desk.relying_party()?;
    let answer = read(claim.answer)?;
    let id = answer.credential_id().to_vec();
    let row = desk.db.read(async move |conn| Ok(passkeys::find(conn, &id).await?)).await?;
    let row = row
        .filter(|row| row.user() == claim.user.id && row.copied_at.is_none())
        .filter(|row| answer.account().is_none_or(|told| told == row.user_id.0.as_bytes()));
    let Some(row) = row else { return Ok(None) };
    match party.read_proof(claim.state, &answer, &row.credential) {
        Ok(proven) => Ok(Some(PasskeyProof { row, proven })),
        Err(PasskeyFault::Copied) => {
            bar(desk, scope, claim.user, row).await?;
            Ok(None)
        }
        Err(PasskeyFault::Refused(why)) => {
            tracing::info!(user = %claim.user.id, passkey = %row.id(), %why, "a passkey was refused");
            Ok(None)
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Proves that whoever has a session also has a passkey of theirs; the answer is spent.
pub(in crate::service) async fn prove(
    desk: &Desk,
    scope: &Scope,
    user: &User,
    proof: &PasskeyAnswer,
) -> Result<(), Failure> {
    let (hash, now) = (digest(proof.ceremony.expose()), desk.now());
    let ceremony = desk
        .db
        .read(
            async move |conn| Ok(ceremonies::find_usable(conn, Purpose::Proof, &hash, now).await?),
        )
        .await?
        .filter(|row| row.user_id == Some(DbUuid::of(user.id)))
        .ok_or_else(error::ceremony_ended)?;
    let claim = Claim { user, state: &ceremony.state, answer: &proof.credential };
    let Some(proven) = check(desk, scope, claim).await? else {
        deny(desk, scope, user.id, "auth.passkey.proof").await?;
        return Err(error::passkey_wrong());
    };
    desk.db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let now = uow.now();
            if !ceremonies::consume(uow.conn(), &ceremony.token_hash, now).await? {
                return Err(error::ceremony_ended());
            }
            if proven.spend(uow).await? { Ok(()) } else { Err(error::passkey_wrong()) }
        })
        .await
}

/// Writes down that an answer was refused. It is not counted as a failed login: a signature cannot
/// be guessed, and guesses at the password must not lock passkeys out.
pub(in crate::service) async fn deny(
    desk: &Desk,
    scope: &Scope,
    user: UserId,
    action: &'static str,
) -> Result<(), Failure> {
    desk.db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let record = AuditRecord::new(uow.scope(), action, format!("user/{user}"))
                .outcome(Outcome::Denied)
                .actor(user.uuid())
                .detail(json!({ "factors": [NAME] }));
            uow.audit(record);
            Ok(())
        })
        .await
}

async fn bar(desk: &Desk, scope: &Scope, user: &User, row: PasskeyRow) -> Result<(), Failure> {
    tracing::warn!(user = %user.id, passkey = %row.id(), "there are two of a passkey; it is barred");
    let user = user.clone();
    desk.db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let now = uow.now();
            if passkeys::bar(uow.conn(), row.id(), now).await? {
                changes::note(uow, &user, &row, Change::Copied);
            }
            Ok(())
        })
        .await
}
