//! The deletion of an account: asked for, waited for, then the person's data is gone. The id stays
//! for references of other services, which erase their own data on the event.

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{Commanded, UnitOfWork};
use troupe_identity_messages::{
    MEMBER_REMOVED, MEMBERSHIPS_MAX, USER_ANONYMISED, USER_DELETION_CANCELLED,
    USER_DELETION_REQUESTED, User, UserStatus,
};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::{Failure, Job, RevokeSubject};

use super::{MemberRole, Shared, member_record, user_record, users};
use crate::messages::{AnonymiseUser, CancelDeletion, RequestDeletion};
use crate::module::ANONYMISE_JOB;
use crate::repository::users::UserRow;
use crate::repository::{
    email_tokens, invitations, memberships, organisations, users as user_rows,
};
use crate::{error, events, mails};

/// The name of everybody who is gone.
const DELETED_NAME: &str = "Deleted user";

pub(super) async fn request(
    shared: &Shared,
    scope: &Scope,
    command: &RequestDeletion,
) -> Result<Commanded<User>, Failure> {
    let scope = shared.prove_caller(scope, &command.current_password).await?;
    let (id, grace) = (command.user, shared.config.deletion_grace);
    shared
        .db
        .command_marked(&scope, async move |uow: &mut UnitOfWork| {
            user_rows::lock(uow.conn(), id).await?;
            let mut user = users::existing(uow.conn(), id).await?;
            if user.deletion_due_at.is_some() {
                return user.into_user();
            }
            check_owned(uow, id).await?;
            let due = uow.now().plus(grace);
            user.deletion_due_at = Some(due.into());
            users::save(uow, &mut user).await?;
            uow.job(Job::new(ANONYMISE_JOB, &json!({ "user": id })).delay_until(due));
            uow.job(mails::deletion_requested(&user, due).into_job());
            uow.event(events::user(USER_DELETION_REQUESTED, &user));
            let record = user_record(uow.scope(), "identity.user.deletion_request", id);
            uow.audit(record.detail(json!({ "due_at": due })));
            user.into_user()
        })
        .await
}

/// Refuses while an organisation that is in use would be left without an owner who can act.
async fn check_owned(uow: &mut UnitOfWork, id: UserId) -> Result<(), Failure> {
    let rows = i64::try_from(MEMBERSHIPS_MAX).unwrap_or(i64::MAX);
    for (membership, organisation) in memberships::of_user(uow.conn(), id, rows).await? {
        let is_closed = organisation.status == "closed";
        if is_closed || !membership.is_owner() {
            continue;
        }
        organisations::lock(uow.conn(), organisation.tenant()).await?;
        if memberships::count_other_owners(uow.conn(), organisation.tenant(), id).await? == 0 {
            return Err(error::owns_organisation(&organisation.slug));
        }
    }
    Ok(())
}

pub(super) async fn cancel(
    shared: &Shared,
    scope: &Scope,
    command: &CancelDeletion,
) -> Result<Commanded<User>, Failure> {
    let id = command.user;
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut user = users::existing(uow.conn(), id).await?;
            if user.deletion_due_at.is_none() {
                return user.into_user();
            }
            user.deletion_due_at = None;
            users::save(uow, &mut user).await?;
            uow.event(events::user(USER_DELETION_CANCELLED, &user));
            uow.audit(user_record(uow.scope(), "identity.user.deletion_cancel", id));
            user.into_user()
        })
        .await
}

/// Who left what when an account was anonymised.
struct Gone {
    left: Vec<TenantId>,
    at: Timestamp,
}

pub(super) async fn anonymise(
    shared: &Shared,
    scope: &Scope,
    command: &AnonymiseUser,
) -> Result<(), Failure> {
    let id = command.user;
    let gone = shared
        .db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let Some(mut user) = user_rows::find(uow.conn(), id).await? else { return Ok(None) };
            let now = uow.now();
            if user.is_deleted() {
                // Done before; what follows the commit is done again.
                return Ok(Some(Gone { left: Vec::new(), at: now }));
            }
            // A job of a request that was taken back, or made again later, finds nothing due.
            if user.deletion_due_at.is_none_or(|due| due.0 > now) {
                return Ok(None);
            }
            let left = leave_all(uow, id).await?;
            erase(uow, &mut user).await?;
            uow.event(events::user(USER_ANONYMISED, &user));
            uow.audit(user_record(uow.scope(), "identity.user.anonymise", id));
            Ok(Some(Gone { left, at: now }))
        })
        .await?;
    let Some(gone) = gone else { return Ok(()) };
    for organisation in gone.left {
        let member = MemberRole { organisation, user: id, role: None, at: gone.at };
        shared.tell_role(scope, member).await;
    }
    shared.invalidations.publish(scope, RevokeSubject { subject: id.uuid() }).await
}

async fn leave_all(uow: &mut UnitOfWork, id: UserId) -> Result<Vec<TenantId>, Failure> {
    let rows = i64::try_from(MEMBERSHIPS_MAX).unwrap_or(i64::MAX);
    let mut left = Vec::new();
    for (membership, organisation) in memberships::of_user(uow.conn(), id, rows).await? {
        let organisation = organisation.tenant();
        memberships::delete(uow.conn(), membership.id).await?;
        uow.event(events::member(
            MEMBER_REMOVED,
            events::MemberChange {
                organisation,
                user: id,
                role: None,
                role_before: Some(membership.role),
            },
        ));
        uow.audit(member_record(uow.scope(), "identity.member.leave", organisation, id));
        left.push(organisation);
    }
    Ok(left)
}

/// Overwrites what says who the person was.
async fn erase(uow: &mut UnitOfWork, user: &mut UserRow) -> Result<(), Failure> {
    let (id, now) = (user.user_id(), uow.now());
    // `.invalid` never resolves (RFC 2606), so no mail can reach it.
    let replacement = format!("{id}@deleted.invalid");
    let key = user.email.to_ascii_lowercase();
    invitations::forget_address(uow.conn(), &key, &replacement, now).await?;
    email_tokens::delete_of(uow.conn(), id).await?;
    user.email = replacement;
    user.email_verified_at = None;
    DELETED_NAME.clone_into(&mut user.display_name);
    "en".clone_into(&mut user.locale);
    "UTC".clone_into(&mut user.time_zone);
    user.status = UserStatus::Deleted.as_str().to_owned();
    user.suspended_reason = None;
    user.deletion_due_at = None;
    users::save(uow, user).await
}
