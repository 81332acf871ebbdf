//! What owners and admins of an organisation are told by mail when another module says that something
//! needs them.

use troupe_actors::Scope;
use troupe_authz_messages::ROLE_ADMIN;
use troupe_database::UnitOfWork;
use troupe_identity_messages::ROLE_OWNER;
use troupe_kernel::Failure;

use super::Shared;
use crate::mails;
use crate::messages::TellWebhookDisabled;
use crate::repository::{memberships, organisations};

/// The consumer of the events.
pub(crate) const CONSUMER: &str = "identity.notices";
/// The most people that are told.
const TOLD_MAX: i64 = 50;

pub(super) async fn webhook_disabled(
    shared: &Shared,
    scope: &Scope,
    command: &TellWebhookDisabled,
) -> Result<(), Failure> {
    let command = command.clone();
    let scope = scope.clone().for_tenant(command.organisation.0);
    let told = shared
        .db
        .consume(&scope, CONSUMER, command.event, async move |uow: &mut UnitOfWork| {
            let organisation = organisations::find(uow.conn(), command.organisation).await?;
            let Some(organisation) = organisation else { return Ok(()) };
            let roles = vec![ROLE_OWNER.to_owned(), ROLE_ADMIN.to_owned()];
            let people =
                memberships::active_with(uow.conn(), command.organisation, roles, TOLD_MAX).await?;
            for user in people {
                uow.job(mails::webhook_disabled(&user, &organisation, &command).into_job());
            }
            Ok(())
        })
        .await?;
    if told.is_none() {
        tracing::debug!("an event about a webhook came twice");
    }
    Ok(())
}
