//! Authenticator apps and recovery codes: set up, confirm, renew, switch off, reset.
//!
//! A pool of four over a mailbox of 256. What a stolen token must not do is asked for with the
//! password, and with the factor where there is one; passwords and codes are proven at the desk of
//! logins, where failures are counted. Permanent; a crash loses the request being handled.

use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_database::{DbTimestamp, DbUuid, UnitOfWork};
use troupe_identity_messages::{GetUser, User};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::UserId;

use super::codes::{self, Change};
use super::proofs::Proofs;
use super::{Desk, unrepeated};
use crate::messages::{
    ConfirmTotp, DisableTotp, EnrolTotp, RecoveryCodes, RenewRecoveryCodes, ResetSecondFactor,
    SecondFactor, SecondFactorMessage, TotpEnrolment,
};
use crate::repository::totp::TotpRow;
use crate::repository::{ceremonies, challenges, passkeys, recovery_codes, totp as rows};
use crate::{error, recovery_code, totp};

const WORKERS: usize = 4;
const CAPACITY: usize = 256;

/// One worker of the pool.
pub struct SecondFactors {
    desk: Desk,
    proofs: Proofs,
}

impl SecondFactors {
    /// The pool's reference and specification.
    #[must_use]
    pub fn pool(
        system: &System,
        desk: &Desk,
        proofs: &Proofs,
    ) -> (ServiceRef<SecondFactorMessage>, ChildSpec) {
        let (desk, proofs) = (desk.clone(), proofs.clone());
        Spec::new(system, "second-factors", move || Self {
            desk: desk.clone(),
            proofs: proofs.clone(),
        })
        .workers(WORKERS)
        .capacity(CAPACITY)
        .build()
    }

    async fn state(&self, user: UserId) -> Result<SecondFactor, Failure> {
        let (app, passkeys, left) = self
            .desk
            .db
            .read(async move |conn| {
                let app = rows::find_confirmed(conn, user).await?;
                let passkeys = passkeys::count(conn, user).await?;
                Ok((app, passkeys, recovery_codes::left(conn, user).await?))
            })
            .await?;
        Ok(SecondFactor {
            totp_since: app.and_then(|app| app.confirmed_at).map(|at| at.0),
            passkeys: u32::try_from(passkeys).unwrap_or(u32::MAX),
            recovery_codes_left: u32::try_from(left).unwrap_or(u32::MAX),
        })
    }

    async fn enrol(&self, request: &EnrolTotp, scope: &Scope) -> Result<TotpEnrolment, Failure> {
        self.proofs.caller(&self.desk, scope, request.current_password.as_ref()).await?;
        if self.has_app(request.user).await? {
            return Err(error::totp_enrolled());
        }
        let user = self.user(request.user, scope).await?;
        self.proofs.factor(&self.desk, scope, &user, request.factor.as_ref()).await?;
        let secret = totp::new_secret()?;
        let sealed_secret = self.desk.sealer.get().seal(&codes::seal_name(user.id), &secret)?;
        let created_at = self.desk.now();
        let id = user.id;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let row = TotpRow {
                    user_id: DbUuid::of(id),
                    sealed_secret,
                    last_step: 0,
                    created_at: DbTimestamp(created_at),
                    confirmed_at: None,
                };
                if !rows::begin(uow.conn(), &row).await? {
                    return Err(error::totp_enrolled());
                }
                uow.audit(AuditRecord::new(uow.scope(), "auth.totp.begin", format!("user/{id}")));
                Ok(())
            })
            .await?;
        let config = &self.desk.config.second_factor;
        Ok(TotpEnrolment {
            uri: totp::scanned(&secret, &config.issuer, &user.email),
            secret: totp::typed(&secret),
            expires_at: created_at.plus(config.enrolment),
        })
    }

    /// A wrong code is not counted here: it gives nothing, and guessing it confirms an app that only
    /// the owner has.
    async fn confirm(
        &self,
        request: &ConfirmTotp,
        scope: &Scope,
    ) -> Result<RecoveryCodes, Failure> {
        let (id, now) = (request.user, self.desk.now());
        let enrolment = self.desk.config.second_factor.enrolment;
        let row = self
            .desk
            .db
            .read(async move |conn| Ok(rows::find(conn, id).await?))
            .await?
            .filter(|row| row.confirmed_at.is_none() && row.created_at.0.plus(enrolment) > now)
            .ok_or_else(error::totp_not_begun)?;
        let code = request.code.expose().replace(char::is_whitespace, "");
        let step = totp::step_of(&codes::opened(&self.desk, &row)?, &code, now)
            .ok_or_else(error::code_wrong)?;
        let user = self.user(id, scope).await?;
        let codes = recovery_code::generate()?;
        let hashes = codes::hashes(id, &codes);
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                if !rows::confirm(uow.conn(), &row, step, now).await? {
                    return Err(error::totp_not_begun());
                }
                recovery_codes::replace(uow.conn(), id, &hashes, now).await?;
                codes::note(uow, &user, Change::Enabled).await
            })
            .await?;
        Ok(RecoveryCodes { codes })
    }

    async fn renew(
        &self,
        request: &RenewRecoveryCodes,
        scope: &Scope,
    ) -> Result<RecoveryCodes, Failure> {
        let RenewRecoveryCodes { user, current_password, factor } = request;
        self.proofs.caller(&self.desk, scope, current_password.as_ref()).await?;
        if !codes::is_enrolled(&self.desk, *user).await? {
            return Err(error::totp_not_enrolled());
        }
        let user = self.user(*user, scope).await?;
        self.proofs.factor(&self.desk, scope, &user, factor.as_ref()).await?;
        let codes = recovery_code::generate()?;
        let hashes = codes::hashes(user.id, &codes);
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                if !codes::has_factor(uow.conn(), user.id).await? {
                    return Err(error::totp_not_enrolled());
                }
                recovery_codes::replace(uow.conn(), user.id, &hashes, now).await?;
                codes::note(uow, &user, Change::RecoveryCodesRenewed).await
            })
            .await?;
        Ok(RecoveryCodes { codes })
    }

    async fn disable(&self, request: &DisableTotp, scope: &Scope) -> Result<(), Failure> {
        let DisableTotp { user, current_password, factor } = request;
        self.proofs.caller(&self.desk, scope, current_password.as_ref()).await?;
        if !self.has_app(*user).await? {
            return Err(error::totp_not_enrolled());
        }
        let user = self.user(*user, scope).await?;
        self.proofs.factor(&self.desk, scope, &user, factor.as_ref()).await?;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                if !rows::remove(uow.conn(), user.id).await? {
                    return Err(error::totp_not_enrolled());
                }
                if passkeys::count(uow.conn(), user.id).await? == 0 {
                    recovery_codes::remove(uow.conn(), user.id).await?;
                }
                challenges::discard(uow.conn(), user.id, 0).await?;
                codes::note(uow, &user, Change::Disabled).await
            })
            .await
    }

    async fn reset(&self, request: &ResetSecondFactor, scope: &Scope) -> Result<(), Failure> {
        self.proofs.caller(&self.desk, scope, request.current_password.as_ref()).await?;
        let user = self.user(request.user, scope).await?;
        self.remove_all(user, scope).await
    }

    async fn has_app(&self, user: UserId) -> Result<bool, Failure> {
        let db = &self.desk.db;
        db.read(async move |conn| Ok(rows::find_confirmed(conn, user).await?.is_some())).await
    }

    async fn remove_all(&self, user: User, scope: &Scope) -> Result<(), Failure> {
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let had_app = rows::remove(uow.conn(), user.id).await?;
                let had_passkeys = passkeys::erase(uow.conn(), user.id).await? > 0;
                if !had_app && !had_passkeys {
                    return Err(error::totp_not_enrolled());
                }
                recovery_codes::remove(uow.conn(), user.id).await?;
                challenges::discard(uow.conn(), user.id, 0).await?;
                ceremonies::discard(uow.conn(), user.id, 0).await?;
                codes::note(uow, &user, Change::Disabled).await
            })
            .await
    }

    async fn user(&self, id: UserId, scope: &Scope) -> Result<User, Failure> {
        self.desk.identity.ask(scope, GetUser { id }).await
    }
}

impl Service for SecondFactors {
    type Message = SecondFactorMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<SecondFactorMessage>,
        ctx: &mut Context<SecondFactorMessage>,
    ) -> Handled {
        let scope = unrepeated(ctx.scope());
        match &**message {
            SecondFactorMessage::GetSecondFactor(query) => {
                let state = self.state(query.user).await?;
                ctx.reply(query, state)
            }
            SecondFactorMessage::EnrolTotp(request) => {
                let enrolment = self.enrol(request, &scope).await?;
                ctx.reply(request, enrolment)
            }
            SecondFactorMessage::ConfirmTotp(request) => {
                let codes = self.confirm(request, &scope).await?;
                ctx.reply(request, codes)
            }
            SecondFactorMessage::RenewRecoveryCodes(request) => {
                let codes = self.renew(request, &scope).await?;
                ctx.reply(request, codes)
            }
            SecondFactorMessage::DisableTotp(request) => {
                self.disable(request, &scope).await?;
                ctx.reply(request, ())
            }
            SecondFactorMessage::ResetSecondFactor(request) => {
                self.reset(request, &scope).await?;
                ctx.reply(request, ())
            }
            SecondFactorMessage::AdminResetSecondFactor(request) => {
                let user = self.user(request.user, &scope).await?;
                self.remove_all(user, &scope).await?;
                ctx.reply(request, ())
            }
        }
    }
}
