//! Members of an organisation: who they are, which role they have, how they leave.
//!
//! Whether the caller may give or take a role is authorization's answer, asked before the
//! transaction; the transaction checks that the role did not change in between.

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{Commanded, DbConn, UnitOfWork};
use troupe_identity_messages::{MEMBER_REMOVED, MEMBER_ROLE_CHANGED, ROLE_OWNER};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::pagination::Page;
use troupe_kernel::{Failure, FailureKind, Uuid};

use super::{MemberRole, Shared, member_record, organisations as orgs};
use crate::messages::{ChangeMemberRole, LeaveOrganisation, ListMembers, Member, RemoveMember};
use crate::repository::memberships::{self, MembershipRow};
use crate::repository::organisations;
use crate::repository::users::{self, UserRow};
use crate::{error, events};

pub(super) async fn list(
    shared: &Shared,
    scope: &Scope,
    query: &ListMembers,
) -> Result<Page<Member>, Failure> {
    let after: Uuid = query.page.position()?.unwrap_or(Uuid::nil());
    let (organisation, rows) = (query.organisation, query.page.rows());
    let found = shared
        .db
        .read_for(scope, async move |conn: &mut DbConn| {
            orgs::existing(conn, organisation).await?;
            Ok(memberships::of_organisation(conn, organisation, after, rows).await?)
        })
        .await?;
    let page = Page::from_rows(found, &query.page, |(membership, _)| membership.id.0);
    Ok(page.map(|(membership, user)| member_of(membership, user)))
}

fn member_of(membership: MembershipRow, user: UserRow) -> Member {
    Member {
        user: user.user_id(),
        display_name: user.display_name,
        email: user.email,
        role: membership.role,
        version: membership.version,
        joined_at: membership.created_at.into(),
    }
}

pub(super) async fn change_role(
    shared: &Shared,
    scope: &Scope,
    command: &ChangeMemberRole,
) -> Result<Commanded<Member>, Failure> {
    let (organisation, user) = (command.organisation, command.user);
    let role_before = role_of(shared, organisation, user).await?;
    check_held_role(shared, scope, organisation, role_before.as_deref()).await?;
    shared.check_assignable(scope, organisation, &command.role).await?;
    let command = command.clone();
    let role = command.role.clone();
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut row = locked(uow, organisation, user).await?;
            let is_stale = command.version.is_some_and(|version| version != row.version);
            if is_stale || Some(&row.role) != role_before.as_ref() {
                return Err(error::member_stale());
            }
            if row.role != command.role {
                if row.is_owner() && command.role != ROLE_OWNER {
                    check_not_last(uow, organisation, user).await?;
                }
                row.role = command.role;
                save(uow, &mut row).await?;
                changed(uow, &row, role_before);
            }
            let person =
                users::find(uow.conn(), user).await?.ok_or_else(error::member_not_found)?;
            Ok((member_of(row.clone(), person), row.updated_at))
        })
        .await?;
    let (member, at) = done.value;
    let told = MemberRole { organisation, user, role: Some(role), at: at.into() };
    shared.tell_role(scope, told).await;
    Ok(Commanded { value: member, replayed: done.replayed })
}

/// The event and the audit record of a new role.
fn changed(uow: &mut UnitOfWork, row: &MembershipRow, role_before: Option<String>) {
    let (organisation, user) = (row.organisation_id.to(), row.user_id.to());
    let record = member_record(uow.scope(), "identity.member.role_change", organisation, user);
    uow.audit(record.detail(json!({ "from": role_before, "to": row.role })));
    let change =
        events::MemberChange { organisation, user, role: Some(row.role.clone()), role_before };
    uow.event(events::member(MEMBER_ROLE_CHANGED, change));
}

pub(super) async fn remove(
    shared: &Shared,
    scope: &Scope,
    command: &RemoveMember,
) -> Result<Commanded<()>, Failure> {
    let (organisation, user) = (command.organisation, command.user);
    let role = role_of(shared, organisation, user).await?;
    check_held_role(shared, scope, organisation, role.as_deref()).await?;
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let row = locked(uow, organisation, user).await?;
            if Some(&row.role) != role.as_ref() {
                return Err(error::member_stale());
            }
            end(uow, row, "identity.member.remove").await
        })
        .await?;
    let left = MemberRole { organisation, user, role: None, at: done.value };
    shared.tell_role(scope, left).await;
    Ok(Commanded { value: (), replayed: done.replayed })
}

pub(super) async fn leave(
    shared: &Shared,
    scope: &Scope,
    command: &LeaveOrganisation,
) -> Result<Commanded<()>, Failure> {
    let (organisation, user) = (command.organisation, command.user);
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let row = locked(uow, organisation, user).await?;
            end(uow, row, "identity.member.leave").await
        })
        .await?;
    let left = MemberRole { organisation, user, role: None, at: done.value };
    shared.tell_role(scope, left).await;
    Ok(Commanded { value: (), replayed: done.replayed })
}

/// Ends a membership; answers when.
async fn end(
    uow: &mut UnitOfWork,
    row: MembershipRow,
    action: &'static str,
) -> Result<Timestamp, Failure> {
    let (organisation, user) = (row.organisation_id.to(), row.user_id.to());
    if row.is_owner() {
        check_not_last(uow, organisation, user).await?;
    }
    memberships::delete(uow.conn(), row.id).await?;
    let change =
        events::MemberChange { organisation, user, role: None, role_before: Some(row.role) };
    uow.event(events::member(MEMBER_REMOVED, change));
    uow.audit(member_record(uow.scope(), action, organisation, user));
    Ok(uow.now())
}

/// The role a member has now. None is refused in the transaction only, because a repeated request
/// gets its first answer there.
async fn role_of(
    shared: &Shared,
    organisation: TenantId,
    user: UserId,
) -> Result<Option<String>, Failure> {
    let found = shared
        .db
        .read(async move |conn: &mut DbConn| Ok(memberships::find(conn, organisation, user).await?))
        .await?;
    Ok(found.map(|row| row.role))
}

/// Refuses to touch a member whose role is above the caller's. A role that is gone is above nobody.
async fn check_held_role(
    shared: &Shared,
    scope: &Scope,
    organisation: TenantId,
    role: Option<&str>,
) -> Result<(), Failure> {
    let Some(role) = role else { return Ok(()) };
    match shared.check_assignable(scope, organisation, role).await {
        Err(failure) if failure.kind() == FailureKind::NotFound => Ok(()),
        answer => answer,
    }
}

/// The membership, with the organisation's row held until the transaction ends.
async fn locked(
    uow: &mut UnitOfWork,
    organisation: TenantId,
    user: UserId,
) -> Result<MembershipRow, Failure> {
    organisations::lock(uow.conn(), organisation).await?;
    let row = memberships::find(uow.conn(), organisation, user)
        .await?
        .ok_or_else(error::member_not_found)?;
    orgs::active(uow.conn(), organisation).await?;
    Ok(row)
}

async fn check_not_last(
    uow: &mut UnitOfWork,
    organisation: TenantId,
    user: UserId,
) -> Result<(), Failure> {
    match memberships::count_other_owners(uow.conn(), organisation, user).await? {
        0 => Err(error::last_owner()),
        _ => Ok(()),
    }
}

async fn save(uow: &mut UnitOfWork, row: &mut MembershipRow) -> Result<(), Failure> {
    let (read_version, now) = (row.version, uow.now());
    row.touch(now);
    if memberships::save(uow.conn(), row, read_version).await? {
        Ok(())
    } else {
        Err(error::member_stale())
    }
}
