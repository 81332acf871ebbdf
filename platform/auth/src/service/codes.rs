//! Codes of authenticator apps and recovery codes: compared first, and spent in the transaction with
//! what they allow.

use serde_json::json;
use troupe_database::{DbConn, DbResult, UnitOfWork};
use troupe_identity_messages::User;
use troupe_kernel::Mail;
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::UserId;

use super::Desk;
use crate::events::{self, AccountEvent};
use crate::keys::SealFault;
use crate::repository::totp::TotpRow;
use crate::repository::{passkeys, recovery_codes, totp as rows};
use crate::secret::SecretText;
use crate::{recovery_code, totp};

/// A code that was right when it was compared.
pub(super) enum Code {
    /// Of the app, at this time step.
    Totp { step: i64 },
    /// A recovery code with this digest.
    Recovery { hash: [u8; 32] },
}

impl Code {
    /// What it is, for the audit.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Recovery { .. } => "recovery_code",
        }
    }

    /// Spends it; answers whether nobody had before. The use of a recovery code is told its owner.
    pub(super) async fn spend(&self, uow: &mut UnitOfWork, user: &User) -> Result<bool, Failure> {
        match self {
            Self::Totp { step } => Ok(rows::advance(uow.conn(), user.id, *step).await?),
            Self::Recovery { hash } => {
                let now = uow.now();
                if !recovery_codes::consume(uow.conn(), user.id, hash, now).await? {
                    return Ok(false);
                }
                note(uow, user, Change::RecoveryCodeUsed).await?;
                Ok(true)
            }
        }
    }
}

/// Whether each login of a user with a password asks for a second step.
pub(super) async fn is_enrolled(desk: &Desk, user: UserId) -> Result<bool, Failure> {
    desk.db.read(async move |conn| Ok(has_factor(conn, user).await?)).await
}

/// Whether a user has an app or a passkey.
pub(super) async fn has_factor(conn: &mut DbConn, user: UserId) -> DbResult<bool> {
    let has_app = rows::find_confirmed(conn, user).await?.is_some();
    Ok(has_app || passkeys::count(conn, user).await? > 0)
}

/// What is stored of new recovery codes.
pub(super) fn hashes(user: UserId, codes: &[SecretText]) -> Vec<[u8; 32]> {
    codes.iter().map(|code| recovery_code::digest_of(user, code.expose())).collect()
}

/// The code that was typed, if it can be used now.
pub(super) async fn compare(
    desk: &Desk,
    user: UserId,
    typed: &SecretText,
) -> Result<Option<Code>, Failure> {
    let text: String = typed.expose().chars().filter(|one| !one.is_whitespace()).collect();
    let hash = recovery_code::digest_of(user, &text);
    let (app, recovers) = desk
        .db
        .read(async move |conn| {
            let app = rows::find_confirmed(conn, user).await?;
            Ok((app, recovery_codes::is_usable(conn, user, &hash).await?))
        })
        .await?;
    if recovers {
        return Ok(Some(Code::Recovery { hash }));
    }
    let Some(app) = app else { return Ok(None) };
    let step = totp::step_of(&opened(desk, &app)?, &text, desk.now());
    Ok(step.filter(|step| *step > app.last_step).map(|step| Code::Totp { step }))
}

/// What a user's secret is sealed for.
pub(super) fn seal_name(user: UserId) -> String {
    format!("totp/{user}")
}

/// The secret of an app.
pub(super) fn opened(desk: &Desk, row: &TotpRow) -> Result<[u8; totp::SECRET_BYTES], SealFault> {
    let secret = desk.sealer.get().open(&seal_name(row.user_id.to()), &row.sealed_secret)?;
    secret.try_into().map_err(|_| SealFault::Unopenable)
}

/// What became of a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Enabled,
    Disabled,
    RecoveryCodeUsed,
    RecoveryCodesRenewed,
}

impl Change {
    const fn event(self) -> &'static str {
        match self {
            Self::Enabled => events::SECOND_FACTOR_ENABLED,
            Self::Disabled => events::SECOND_FACTOR_DISABLED,
            Self::RecoveryCodeUsed => events::RECOVERY_CODE_USED,
            Self::RecoveryCodesRenewed => events::RECOVERY_CODES_RENEWED,
        }
    }

    /// Its name in the mail.
    const fn mail(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::RecoveryCodesRenewed => "recovery_codes_renewed",
        }
    }
}

/// Adds the event, the audit record and the mail of a change.
pub(super) async fn note(uow: &mut UnitOfWork, user: &User, change: Change) -> Result<(), Failure> {
    let left = recovery_codes::left(uow.conn(), user.id).await?;
    let (id, event) = (user.id, change.event());
    uow.event(Event::new(event, id, &AccountEvent { user: id }));
    let record = AuditRecord::new(uow.scope(), event, format!("user/{id}"));
    let nobody = uow.scope().principal().is_none();
    // Before there is a session it is the user who acts.
    let record = if nobody { record.actor(id.uuid()) } else { record };
    uow.audit(record.detail(json!({ "recovery_codes_left": left })));
    let data = json!({
        "display_name": user.display_name,
        "change": change.mail(),
        "recovery_codes_left": left,
        "changed_at": uow.now(),
    });
    let mail = Mail::new("auth.second_factor_changed", user.email.clone(), &data);
    uow.job(mail.locale(user.locale.clone()).into_job());
    Ok(())
}
