//! Sessions: refresh, list, end, switch, and what other services' events end.
//!
//! A pool of eight over a mailbox of 1024. Whatever ends a session answers only after every cache
//! has forgotten it. Permanent; a crash loses the request being handled.

pub(super) mod ending;
mod refresh;

use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_database::UnitOfWork;
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::invalidation::RevokeSession;

use super::{Desk, tokens, unrepeated};
use crate::error;
use crate::messages::{
    ListSessions, NoteUse, Session, SessionMessage, Sweep, Swept, Switch, Switched,
};
use crate::repository::{
    api_keys, ceremonies, challenges, failures, flows, one_time, refresh_tokens, sessions,
    sessions::SessionRow, totp,
};

const WORKERS: usize = 8;
const CAPACITY: usize = 1024;
/// How long ended sessions and keys are kept for questions about the past.
const KEPT: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

/// One worker of the pool.
pub struct Sessions {
    desk: Desk,
}

impl Sessions {
    /// The pool's reference and specification.
    #[must_use]
    pub fn pool(system: &System, desk: &Desk) -> (ServiceRef<SessionMessage>, ChildSpec) {
        let desk = desk.clone();
        Spec::new(system, "sessions", move || Self { desk: desk.clone() })
            .workers(WORKERS)
            .capacity(CAPACITY)
            .build()
    }

    async fn list(&self, query: &ListSessions) -> Result<Vec<Session>, Failure> {
        let (user, now) = (query.user, self.desk.now());
        let rows = self
            .desk
            .db
            .read(async move |conn| Ok(sessions::live_of(conn, user, now).await?))
            .await?;
        Ok(rows.into_iter().map(|row| shown(row, query)).collect())
    }

    async fn switch(&self, request: &Switch, scope: &Scope) -> Result<Switched, Failure> {
        tokens::ensure_key(&self.desk)?;
        if let Some(organisation) = request.organisation {
            tokens::choose_organisation(&self.desk, scope, request.user, Some(organisation))
                .await?;
        }
        let Switch { user, session, organisation } = request.clone();
        let row = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                let moved = sessions::move_to(uow.conn(), session, organisation, now).await?;
                let row = moved
                    .filter(|row| row.user_id.0 == user.uuid())
                    .ok_or_else(error::session_ended)?;
                let mut record =
                    AuditRecord::new(uow.scope(), "auth.switch", format!("session/{session}"));
                if let Some(organisation) = organisation {
                    record = record.tenant(organisation);
                }
                uow.audit(record);
                Ok(row)
            })
            .await?;
        // The token for the organisation it left is good no more.
        let left = RevokeSession { session: session.uuid() };
        self.desk.invalidations.publish(scope, left).await?;
        let (access_token, expires_in) = tokens::access_token(&self.desk, &row)?;
        Ok(Switched {
            access_token,
            token_type: tokens::TOKEN_KIND.to_owned(),
            expires_in,
            organisation,
        })
    }

    async fn note_use(&self, used: &NoteUse, scope: &Scope) -> Result<(), Failure> {
        let used = used.clone();
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                if !used.sessions.is_empty() {
                    sessions::seen(uow.conn(), &used.sessions, now).await?;
                }
                if !used.api_keys.is_empty() {
                    api_keys::used(uow.conn(), &used.api_keys, now).await?;
                }
                Ok(())
            })
            .await
    }

    async fn sweep(&self, scope: &Scope) -> Result<Swept, Failure> {
        let forgotten = self.desk.config.lockout.window;
        let enrolment = self.desk.config.second_factor.enrolment;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                let rows = refresh_tokens::sweep(uow.conn(), now).await?
                    + one_time::sweep(uow.conn(), now.minus(KEPT)).await?
                    + ceremonies::sweep(uow.conn(), now).await?
                    + challenges::sweep(uow.conn(), now.minus(KEPT)).await?
                    + flows::sweep(uow.conn(), now.minus(KEPT)).await?
                    + totp::sweep(uow.conn(), now.minus(enrolment)).await?
                    + failures::sweep(uow.conn(), now.minus(forgotten)).await?
                    + sessions::sweep(uow.conn(), now.minus(KEPT)).await?
                    + api_keys::sweep(uow.conn(), now.minus(KEPT)).await?;
                Ok(Swept { rows: u64::try_from(rows).unwrap_or(u64::MAX) })
            })
            .await
    }
}

fn shown(row: SessionRow, query: &ListSessions) -> Session {
    let id = row.id.to();
    Session {
        id,
        organisation: row.tenant_id.map(troupe_database::DbUuid::to),
        expires_at: row.ends_at(),
        device: row.device,
        address: row.address,
        created_at: row.created_at.0,
        last_seen_at: row.last_seen_at.0,
        current: query.current == Some(id),
    }
}

impl Service for Sessions {
    type Message = SessionMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<SessionMessage>,
        ctx: &mut Context<SessionMessage>,
    ) -> Handled {
        let scope = unrepeated(ctx.scope());
        match &**message {
            SessionMessage::Refresh(request) => {
                let tokens = self.refresh(request, &scope).await?;
                ctx.reply(request, tokens)
            }
            SessionMessage::ListSessions(query) => {
                let sessions = self.list(query).await?;
                ctx.reply(query, sessions)
            }
            SessionMessage::RevokeSession(request) => {
                self.revoke(request, &scope).await?;
                ctx.reply(request, ())
            }
            SessionMessage::Logout(request) => {
                self.logout(request, &scope).await?;
                ctx.reply(request, ())
            }
            SessionMessage::LogoutEverywhere(request) => {
                self.logout_everywhere(request, &scope).await?;
                ctx.reply(request, ())
            }
            SessionMessage::Switch(request) => {
                let switched = self.switch(request, &scope).await?;
                ctx.reply(request, switched)
            }
            SessionMessage::EndUser(request) => {
                self.end_user(request, &scope).await?;
                ctx.reply(request, ())
            }
            SessionMessage::EndMembership(request) => {
                self.end_membership(request, &scope).await?;
                ctx.reply(request, ())
            }
            SessionMessage::EndTenant(request) => {
                self.end_tenant(request, &scope).await?;
                ctx.reply(request, ())
            }
            SessionMessage::Sweep(request @ Sweep) => {
                let swept = self.sweep(&scope).await?;
                ctx.reply(request, swept)
            }
            SessionMessage::NoteUse(used) => self.note_use(used, &scope).await,
        }
    }
}
