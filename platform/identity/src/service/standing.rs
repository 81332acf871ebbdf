//! Whether an organisation may be used: closing, barring and reinstating it. The roles of its members
//! follow in a job, because there may be many.

use serde_json::json;
use troupe_actors::Scope;
use troupe_authz_messages::SetMemberRole;
use troupe_database::{Commanded, DbConn, UnitOfWork};
use troupe_identity_messages::{
    ORGANISATION_CLOSED, ORGANISATION_REINSTATED, ORGANISATION_SUSPENDED, Organisation,
    OrganisationStatus,
};
use troupe_kernel::{Failure, Job, Uuid};

use super::organisations::{INVALID, active, existing, save};
use super::{Shared, organisation_record};
use crate::messages::{
    CloseOrganisation, ReinstateOrganisation, SuspendOrganisation, SyncMemberRoles,
};
use crate::module::SYNC_JOB;
use crate::repository::memberships;
use crate::repository::organisations::OrganisationRow;
use crate::{error, events};

const REASON_CHARS_MAX: usize = 500;
/// Members whose roles are told before the next are read.
const SYNC_ROWS: i64 = 100;

/// A change of status with what goes with it.
struct StatusChange {
    status: OrganisationStatus,
    event: &'static str,
    action: &'static str,
    reason: Option<String>,
}

/// Changes the status; the roles of the members follow in a job.
async fn set_status(
    uow: &mut UnitOfWork,
    row: &mut OrganisationRow,
    change: StatusChange,
) -> Result<Organisation, Failure> {
    let id = row.tenant();
    row.status = change.status.as_str().to_owned();
    save(uow, row).await?;
    uow.event(events::organisation(change.event, row, None));
    let record = organisation_record(uow.scope(), change.action, id);
    uow.audit(record.detail(json!({ "reason": change.reason })));
    uow.job(Job::new(SYNC_JOB, &json!({ "organisation": id })).key(format!("{SYNC_JOB}:{id}")));
    row.clone().into_organisation()
}

pub(super) async fn close(
    shared: &Shared,
    scope: &Scope,
    command: &CloseOrganisation,
) -> Result<Commanded<Organisation>, Failure> {
    let (id, version) = (command.organisation, command.version);
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut row = active(uow.conn(), id).await?;
            if row.version != version {
                return Err(error::organisation_stale());
            }
            let change = StatusChange {
                status: OrganisationStatus::Closed,
                event: ORGANISATION_CLOSED,
                action: "identity.organisation.close",
                reason: None,
            };
            set_status(uow, &mut row, change).await
        })
        .await?;
    shared.forget_slugs(scope, vec![done.value.slug.clone()]).await;
    Ok(done)
}

pub(super) async fn suspend(
    shared: &Shared,
    scope: &Scope,
    command: &SuspendOrganisation,
) -> Result<Commanded<Organisation>, Failure> {
    let (id, reason) = (command.organisation, command.reason.trim().to_owned());
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(Failure::invalid(INVALID, "say why the organisation is suspended")
            .field("/reason", format!("must have 1 to {REASON_CHARS_MAX} characters")));
    }
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut row = existing(uow.conn(), id).await?;
            if !row.is_active() {
                return row.into_organisation();
            }
            let change = StatusChange {
                status: OrganisationStatus::Suspended,
                event: ORGANISATION_SUSPENDED,
                action: "identity.organisation.suspend",
                reason: Some(reason),
            };
            set_status(uow, &mut row, change).await
        })
        .await?;
    shared.forget_slugs(scope, vec![done.value.slug.clone()]).await;
    Ok(done)
}

pub(super) async fn reinstate(
    shared: &Shared,
    scope: &Scope,
    command: &ReinstateOrganisation,
) -> Result<Commanded<Organisation>, Failure> {
    let id = command.organisation;
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut row = existing(uow.conn(), id).await?;
            if row.is_active() {
                return row.into_organisation();
            }
            let change = StatusChange {
                status: OrganisationStatus::Active,
                event: ORGANISATION_REINSTATED,
                action: "identity.organisation.reinstate",
                reason: None,
            };
            set_status(uow, &mut row, change).await
        })
        .await?;
    shared.forget_slugs(scope, vec![done.value.slug.clone()]).await;
    Ok(done)
}

/// The time told is that of the organisation's last change: a member who changed later keeps the
/// later role, and a job that comes late tells what is true now.
pub(super) async fn sync_member_roles(
    shared: &Shared,
    scope: &Scope,
    command: &SyncMemberRoles,
) -> Result<(), Failure> {
    let id = command.organisation;
    let mut after = Uuid::nil();
    loop {
        let (row, members) = shared
            .db
            .read(async move |conn: &mut DbConn| {
                let row = existing(conn, id).await?;
                Ok((row, memberships::of_organisation(conn, id, after, SYNC_ROWS).await?))
            })
            .await?;
        let Some((last, _)) = members.last() else { return Ok(()) };
        after = last.id.0;
        for (member, _) in members {
            let told = SetMemberRole {
                subject: member.user_id.0,
                tenant: id,
                role: row.is_active().then_some(member.role),
                at: row.updated_at.into(),
            };
            shared.authz.ask(scope, told).await?;
        }
    }
}
