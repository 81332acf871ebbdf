//! Proving addresses: of a new account, and of an account that changes its address.

use troupe_actors::Scope;
use troupe_database::{Commanded, DbConn, UnitOfWork};
use troupe_identity_messages::{MarkEmailVerified, USER_EMAIL_CHANGED, USER_EMAIL_VERIFIED, User};
use troupe_kernel::Failure;
use troupe_kernel::clock::Timestamp;

use super::users::{self, Faults};
use super::{DAY, Shared, user_record};
use crate::address::{self, EmailAddress};
use crate::config::IdentityConfig;
use crate::messages::{
    ConfirmEmail, EmailConfirmation, EmailPurpose, PreviewEmailToken, RequestEmailChange,
    RequestVerification,
};
use crate::repository::email_tokens::{self, CHANGE, EmailTokenRow, VERIFY};
use crate::repository::users::{self as user_rows, UserRow};
use crate::token::{self, NewToken};
use crate::{error, events, mails};

/// Ended tokens are kept so long, for the limits and for questions.
const ENDED_KEPT: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

/// Sends the mail that proves the address of an account.
pub(super) async fn send(
    uow: &mut UnitOfWork,
    user: &UserRow,
    token: NewToken,
    config: &IdentityConfig,
) -> Result<(), Failure> {
    let expires = uow.now().plus(config.verification_valid);
    keep_token(uow, user, &token, Proof { purpose: VERIFY, email: &user.email, expires }).await?;
    let link = config.verification_link(&token.text);
    uow.job(mails::verify_email(user, &link, expires).into_job());
    Ok(())
}

/// What a new token is to prove.
struct Proof<'a> {
    purpose: &'static str,
    email: &'a str,
    expires: Timestamp,
}

/// Writes a token; older ones of the user stop working.
async fn keep_token(
    uow: &mut UnitOfWork,
    user: &UserRow,
    token: &NewToken,
    proof: Proof<'_>,
) -> Result<(), Failure> {
    let now = uow.now();
    let row = EmailTokenRow {
        id: uow.new_id(),
        user_id: user.id,
        purpose: proof.purpose.to_owned(),
        email: proof.email.to_owned(),
        token_hash: token.digest.clone(),
        used_at: None,
        expires_at: proof.expires.into(),
        created_at: now.into(),
    };
    email_tokens::end_open(uow.conn(), user.user_id(), now).await?;
    email_tokens::insert(uow.conn(), &row).await?;
    Ok(())
}

/// Refuses when the user asked too often. Holds the user's row, so that two requests at once count.
async fn check_rate(
    uow: &mut UnitOfWork,
    user: &UserRow,
    config: &IdentityConfig,
) -> Result<(), Failure> {
    let (id, now) = (user.user_id(), uow.now());
    user_rows::lock(uow.conn(), id).await?;
    let rows = i64::try_from(config.verifications_per_day_max).unwrap_or(i64::MAX);
    let made = email_tokens::made_since(uow.conn(), id, now.minus(DAY), rows).await?;
    if let Some(newest) = made.first() {
        let next = newest.0.plus(config.verification_interval);
        if next > now {
            return Err(error::too_many_mails(next.since(now)));
        }
    }
    match made.last() {
        Some(oldest) if made.len() >= config.verifications_per_day_max => {
            Err(error::too_many_mails(oldest.0.plus(DAY).since(now)))
        }
        _ => Ok(()),
    }
}

pub(super) async fn request(
    shared: &Shared,
    scope: &Scope,
    command: &RequestVerification,
) -> Result<Commanded<()>, Failure> {
    let token = NewToken::random()?;
    let (id, config) = (command.user, shared.config.clone());
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let user = users::active(uow.conn(), id).await?;
            if user.email_verified_at.is_some() {
                return Err(error::already_verified());
            }
            check_rate(uow, &user, &config).await?;
            send(uow, &user, token, &config).await?;
            uow.audit(user_record(uow.scope(), "identity.email.verification", id));
            Ok(())
        })
        .await
}

pub(super) async fn request_change(
    shared: &Shared,
    scope: &Scope,
    command: &RequestEmailChange,
) -> Result<Commanded<()>, Failure> {
    let mut faults = Faults::default();
    let Some(email) = faults.take("/email", EmailAddress::parse(&command.email)) else {
        return Err(faults.into_failure("identity.user.invalid"));
    };
    let scope = shared.prove_caller(scope, &command.current_password).await?;
    let token = NewToken::random()?;
    let (id, config) = (command.user, shared.config.clone());
    shared
        .db
        .command_marked(&scope, async move |uow: &mut UnitOfWork| {
            let user = users::active(uow.conn(), id).await?;
            if user.email == email.as_str() {
                return Err(error::same_email());
            }
            check_rate(uow, &user, &config).await?;
            let holder = user_rows::find_by_email(uow.conn(), &email.key()).await?;
            let is_free = holder.is_none_or(|holder| holder.id == user.id);
            let expires = uow.now().plus(config.verification_valid);
            // The token is kept either way: it counts for the limit and ends older links.
            let proof = Proof { purpose: CHANGE, email: email.as_str(), expires };
            keep_token(uow, &user, &token, proof).await?;
            if is_free {
                let link = config.verification_link(&token.text);
                uow.job(mails::email_change(&user, email.as_str(), &link, expires).into_job());
            }
            if user.email_verified_at.is_some() {
                uow.job(mails::email_change_notice(&user, email.as_str()).into_job());
            }
            uow.audit(user_record(uow.scope(), "identity.email.change_request", id));
            Ok(())
        })
        .await
}

pub(super) async fn preview(
    shared: &Shared,
    query: &PreviewEmailToken,
) -> Result<EmailConfirmation, Failure> {
    let digest = token::digest(&query.token);
    let now = shared.db.clock().now();
    let row =
        shared.db.read(async move |conn: &mut DbConn| open_token(conn, &digest, now).await).await?;
    let email = address::masked(&row.email);
    Ok(EmailConfirmation { purpose: purpose_of(&row), email, confirmed: false })
}

pub(super) async fn confirm(
    shared: &Shared,
    scope: &Scope,
    command: &ConfirmEmail,
) -> Result<Commanded<EmailConfirmation>, Failure> {
    let digest = token::digest(&command.token);
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let now = uow.now();
            let proof = open_token(uow.conn(), &digest, now).await?;
            let id = proof.user_id.to();
            let mut user =
                users::active(uow.conn(), id).await.map_err(error::token_invalid_unless_ours)?;
            if !email_tokens::mark_used(uow.conn(), proof.id, now).await? {
                return Err(error::token_invalid());
            }
            let purpose = purpose_of(&proof);
            if purpose == EmailPurpose::Verify && !address::same(&user.email, &proof.email) {
                return Err(error::token_invalid());
            }
            user.email.clone_from(&proof.email);
            user.email_verified_at = Some(now.into());
            users::save(uow, &mut user).await?;
            let (kind, action) = match purpose {
                EmailPurpose::Verify => (USER_EMAIL_VERIFIED, "identity.email.verify"),
                EmailPurpose::Change => (USER_EMAIL_CHANGED, "identity.email.change"),
            };
            uow.event(events::user(kind, &user));
            uow.audit(user_record(uow.scope(), action, id));
            Ok(EmailConfirmation { purpose, email: user.email, confirmed: true })
        })
        .await
}

/// Another service proved the address.
pub(super) async fn mark_verified(
    shared: &Shared,
    scope: &Scope,
    command: &MarkEmailVerified,
) -> Result<User, Failure> {
    let (id, email) = (command.id, command.email.clone());
    shared
        .db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let mut user = users::existing(uow.conn(), id).await?;
            if user.email_verified_at.is_none() && address::same(&user.email, email.trim()) {
                verify_now(uow, &mut user).await?;
            }
            user.into_user()
        })
        .await
}

/// Records that the address of the account is proven.
pub(super) async fn verify_now(uow: &mut UnitOfWork, user: &mut UserRow) -> Result<(), Failure> {
    user.email_verified_at = Some(uow.now().into());
    users::save(uow, user).await?;
    uow.event(events::user(USER_EMAIL_VERIFIED, user));
    uow.audit(user_record(uow.scope(), "identity.email.verify", user.user_id()));
    Ok(())
}

pub(super) async fn purge(shared: &Shared, scope: &Scope) -> Result<(), Failure> {
    let removed = shared
        .db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let before = uow.now().minus(ENDED_KEPT);
            Ok(email_tokens::delete_ended(uow.conn(), before).await?)
        })
        .await?;
    tracing::debug!(removed, "ended e-mail tokens were removed");
    Ok(())
}

async fn open_token(
    conn: &mut DbConn,
    digest: &str,
    now: Timestamp,
) -> Result<EmailTokenRow, Failure> {
    email_tokens::find(conn, digest)
        .await?
        .filter(|row| row.used_at.is_none() && row.expires_at.0 > now)
        .ok_or_else(error::token_invalid)
}

fn purpose_of(row: &EmailTokenRow) -> EmailPurpose {
    if row.purpose == CHANGE { EmailPurpose::Change } else { EmailPurpose::Verify }
}
