//! Whether a user may have a session now, and the end of one that must not be.
//!
//! The event of a suspension ends the sessions that are stored by then. A login that began before
//! and stores its session after would keep it; so whoever opens a session asks again afterwards,
//! and a refresh asks before it exchanges.

use troupe_actors::{FailureKind, Scope};
use troupe_database::UnitOfWork;
use troupe_identity_messages::{GetUser, UserStatus};
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::{SessionId, UserId};
use troupe_kernel::invalidation::RevokeSession;

use super::{Desk, unrepeated};
use crate::events::{self, SessionEvent};
use crate::repository::sessions::{self, Ending};

/// Why such a session ended.
const REASON: &str = "user_barred";

/// Whether identity says now that the user may sign in; a user who is gone may not.
pub(super) async fn may_sign_in(desk: &Desk, scope: &Scope, user: UserId) -> Result<bool, Failure> {
    match desk.identity.ask(&unrepeated(scope), GetUser { id: user }).await {
        Ok(user) => Ok(user.status == UserStatus::Active),
        Err(failure) if failure.kind() == FailureKind::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Ends a session; answers after every cache has forgotten it, also when it had ended before.
pub(super) async fn end(desk: &Desk, scope: &Scope, session: SessionId) -> Result<(), Failure> {
    desk.db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let ending = Ending { at: uow.now(), reason: REASON };
            if let Some(user) = sessions::end(uow.conn(), session, ending).await? {
                let event = SessionEvent { user, session, reason: Some(REASON.to_owned()) };
                uow.event(Event::new(events::SESSION_ENDED, user, &event));
            }
            Ok(())
        })
        .await?;
    desk.invalidations.publish(scope, RevokeSession { session: session.uuid() }).await
}
