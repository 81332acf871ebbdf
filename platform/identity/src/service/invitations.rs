//! Invitations: sent by a member, answered by whoever holds the mail. Accepting one proves the
//! address it was sent to.

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{Commanded, DbConn, DbUuid, UnitOfWork};
use troupe_identity_messages::{
    INVITATION_ACCEPTED, INVITATION_CREATED, INVITATION_DECLINED, INVITATION_RESENT,
    INVITATION_REVOKED, Membership,
};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::pagination::Page;
use troupe_kernel::{AuditRecord, Failure};

use super::organisations::{self as orgs, Joining};
use super::users::{self, Faults};
use super::{MemberRole, Shared, verification};
use crate::address::{self, EmailAddress};
use crate::config::IdentityConfig;
use crate::messages::{
    AcceptInvitation, DeclineInvitation, Invitation, InvitationPreview, InvitationStatus, Invite,
    ListInvitations, PreviewInvitation, ResendInvitation, RevokeInvitation,
};
use crate::repository::invitations::{self, ACCEPTED, DECLINED, InvitationRow, PENDING, REVOKED};
use crate::repository::organisations::{self, OrganisationRow};
use crate::repository::{BEFORE_ALL, memberships, users as user_rows};
use crate::token::{self, NewToken};
use crate::{error, events, mails, naming};

pub(super) async fn invite(
    shared: &Shared,
    scope: &Scope,
    command: &Invite,
) -> Result<Commanded<Invitation>, Failure> {
    let mut faults = Faults::default();
    let email = faults.take("/email", EmailAddress::parse(&command.email));
    let locale =
        command.locale.as_deref().and_then(|tag| faults.take("/locale", naming::locale(tag)));
    let Some(email) = email.filter(|_| faults.is_empty()) else {
        return Err(faults.into_failure("identity.invitation.invalid"));
    };
    shared.check_assignable(scope, command.organisation, &command.role).await?;
    let token = NewToken::random()?;
    let (config, command) = (shared.config.clone(), command.clone());
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let id = command.organisation;
            organisations::lock(uow.conn(), id).await?;
            let organisation = orgs::active(uow.conn(), id).await?;
            check_can_be_invited(uow, id, &email).await?;
            let now = uow.now();
            if invitations::count_open(uow.conn(), id, now).await? >= config.invitations_open_max {
                return Err(error::invitation_limit());
            }
            let row = InvitationRow {
                id: uow.new_id(),
                organisation_id: DbUuid::of(id),
                email: email.as_str().to_owned(),
                role: command.role,
                status: PENDING.to_owned(),
                token_hash: token.digest,
                invited_by: uow.scope().subject().map(DbUuid),
                accepted_by: None,
                sent_count: 1,
                last_sent_at: now.into(),
                expires_at: now.plus(config.invitation_valid).into(),
                version: 1,
                created_at: now.into(),
                updated_at: now.into(),
            };
            invitations::insert(uow.conn(), &row)
                .await
                .map_err(|error| error.unique_or(invitations::OPEN_KEY, error::invitation_open))?;
            let letter = Letter { organisation: &organisation, token: &token.text, locale };
            send(uow, &row, letter, &config).await?;
            uow.event(events::invitation(INVITATION_CREATED, &row));
            uow.audit(record(uow.scope(), "identity.invitation.create", &row));
            Ok(shown(row, now))
        })
        .await
}

/// Refuses members and addresses with an open invitation; one that has expired is put away.
async fn check_can_be_invited(
    uow: &mut UnitOfWork,
    organisation: TenantId,
    email: &EmailAddress,
) -> Result<(), Failure> {
    let (key, now) = (email.key(), uow.now());
    if let Some(user) = user_rows::find_by_email(uow.conn(), &key).await?
        && memberships::find(uow.conn(), organisation, user.user_id()).await?.is_some()
    {
        return Err(error::already_member());
    }
    let Some(mut earlier) = invitations::find_pending(uow.conn(), organisation, &key).await? else {
        return Ok(());
    };
    if earlier.is_open(now) {
        return Err(error::invitation_open());
    }
    REVOKED.clone_into(&mut earlier.status);
    save(uow, &mut earlier).await
}

/// What a mail of an invitation needs besides the invitation.
struct Letter<'a> {
    organisation: &'a OrganisationRow,
    token: &'a str,
    locale: Option<String>,
}

async fn send(
    uow: &mut UnitOfWork,
    row: &InvitationRow,
    letter: Letter<'_>,
    config: &IdentityConfig,
) -> Result<(), Failure> {
    let inviter = match uow.scope().subject() {
        Some(subject) => user_rows::find(uow.conn(), UserId(subject)).await?,
        None => None,
    };
    let locale = letter.locale.as_deref().or(inviter.as_ref().map(|user| user.locale.as_str()));
    let link = config.invitation_link(letter.token);
    let mail = mails::invitation(&mails::InvitationText {
        email: &row.email,
        organisation: &letter.organisation.name,
        // An API key has no name that means anything to the invited.
        inviter: inviter.as_ref().map_or(&letter.organisation.name, |user| &user.display_name),
        role: &row.role,
        link: &link,
        expires: row.expires_at.into(),
        locale: locale.unwrap_or(&config.default_locale),
    });
    uow.job(mail.into_job());
    Ok(())
}

pub(super) async fn list(
    shared: &Shared,
    scope: &Scope,
    query: &ListInvitations,
) -> Result<Page<Invitation>, Failure> {
    let before = query.page.position()?.unwrap_or(BEFORE_ALL);
    let (organisation, rows) = (query.organisation, query.page.rows());
    let now = shared.db.clock().now();
    let found = shared
        .db
        .read_for(scope, async move |conn: &mut DbConn| {
            orgs::existing(conn, organisation).await?;
            Ok(invitations::page(conn, organisation, before, rows).await?)
        })
        .await?;
    let page = Page::from_rows(found, &query.page, |row| row.id.0);
    Ok(page.map(|row| shown(row, now)))
}

pub(super) async fn resend(
    shared: &Shared,
    scope: &Scope,
    command: &ResendInvitation,
) -> Result<Commanded<Invitation>, Failure> {
    let token = NewToken::random()?;
    let (config, command) = (shared.config.clone(), command.clone());
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let organisation = orgs::active(uow.conn(), command.organisation).await?;
            let mut row = existing(uow.conn(), &command).await?;
            let now = uow.now();
            if row.status != PENDING {
                return Err(error::invitation_settled());
            }
            if row.sent_count >= config.invitation_sends_max {
                return Err(error::invitation_sends());
            }
            let next = row.last_sent_at.0.plus(config.verification_interval);
            if next > now {
                return Err(error::too_many_mails(next.since(now)));
            }
            row.token_hash.clone_from(&token.digest);
            row.sent_count += 1;
            row.last_sent_at = now.into();
            row.expires_at = now.plus(config.invitation_valid).into();
            save(uow, &mut row).await?;
            let letter = Letter { organisation: &organisation, token: &token.text, locale: None };
            send(uow, &row, letter, &config).await?;
            uow.event(events::invitation(INVITATION_RESENT, &row));
            uow.audit(record(uow.scope(), "identity.invitation.resend", &row));
            Ok(shown(row, now))
        })
        .await
}

async fn existing(conn: &mut DbConn, command: &ResendInvitation) -> Result<InvitationRow, Failure> {
    invitations::find(conn, command.organisation, command.id)
        .await?
        .ok_or_else(error::invitation_not_found)
}

pub(super) async fn revoke(
    shared: &Shared,
    scope: &Scope,
    command: &RevokeInvitation,
) -> Result<Commanded<()>, Failure> {
    let RevokeInvitation { organisation, id } = command.clone();
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let wanted = ResendInvitation { organisation, id };
            let mut row = existing(uow.conn(), &wanted).await?;
            match row.status.as_str() {
                REVOKED => return Ok(()),
                PENDING => {}
                _ => return Err(error::invitation_settled()),
            }
            REVOKED.clone_into(&mut row.status);
            save(uow, &mut row).await?;
            uow.event(events::invitation(INVITATION_REVOKED, &row));
            uow.audit(record(uow.scope(), "identity.invitation.revoke", &row));
            Ok(())
        })
        .await
}

pub(super) async fn preview(
    shared: &Shared,
    query: &PreviewInvitation,
) -> Result<InvitationPreview, Failure> {
    let digest = token::digest(&query.token);
    let now = shared.db.clock().now();
    shared
        .db
        .read(async move |conn: &mut DbConn| {
            let row = open(conn, &digest, now).await?;
            let organisation =
                orgs::active(conn, row.tenant()).await.map_err(error::token_invalid_unless_ours)?;
            Ok(InvitationPreview {
                organisation: organisation.name,
                email: row.email,
                role: row.role,
                expires_at: row.expires_at.into(),
            })
        })
        .await
}

pub(super) async fn accept(
    shared: &Shared,
    scope: &Scope,
    command: &AcceptInvitation,
) -> Result<Commanded<Membership>, Failure> {
    let (digest, id) = (token::digest(&command.token), command.user);
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let now = uow.now();
            let mut row = open(uow.conn(), &digest, now).await?;
            let mut user = users::active(uow.conn(), id).await?;
            if !address::same(&user.email, &row.email) {
                return Err(error::other_address());
            }
            let organisation = row.tenant();
            orgs::check_membership_limit(uow, id).await?;
            organisations::lock(uow.conn(), organisation).await?;
            let tenant = orgs::active(uow.conn(), organisation).await?;
            let joining = Joining { organisation, user: id, role: &row.role };
            let membership = orgs::join(uow, joining).await?;
            ACCEPTED.clone_into(&mut row.status);
            row.accepted_by = Some(DbUuid::of(id));
            save(uow, &mut row).await?;
            if user.email_verified_at.is_none() {
                verification::verify_now(uow, &mut user).await?;
            }
            uow.event(events::invitation(INVITATION_ACCEPTED, &row));
            uow.audit(record(uow.scope(), "identity.invitation.accept", &row));
            memberships::into_membership((membership, tenant))
        })
        .await?;
    let told = MemberRole {
        organisation: done.value.organisation,
        user: id,
        role: Some(done.value.role.clone()),
        at: done.value.joined_at,
    };
    shared.tell_role(scope, told).await;
    Ok(done)
}

pub(super) async fn decline(
    shared: &Shared,
    scope: &Scope,
    command: &DeclineInvitation,
) -> Result<Commanded<()>, Failure> {
    let digest = token::digest(&command.token);
    shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let now = uow.now();
            let mut row = open(uow.conn(), &digest, now).await?;
            DECLINED.clone_into(&mut row.status);
            save(uow, &mut row).await?;
            uow.event(events::invitation(INVITATION_DECLINED, &row));
            uow.audit(record(uow.scope(), "identity.invitation.decline", &row));
            Ok(())
        })
        .await
}

/// The open invitation of a token.
async fn open(conn: &mut DbConn, digest: &str, now: Timestamp) -> Result<InvitationRow, Failure> {
    invitations::find_by_token(conn, digest)
        .await?
        .filter(|row| row.is_open(now))
        .ok_or_else(error::token_invalid)
}

async fn save(uow: &mut UnitOfWork, row: &mut InvitationRow) -> Result<(), Failure> {
    let (read_version, now) = (row.version, uow.now());
    row.touch(now);
    if invitations::save(uow.conn(), row, read_version).await? {
        Ok(())
    } else {
        Err(error::invitation_settled())
    }
}

/// A record about an invitation. The address is not in it: the audit is kept for ever.
fn record(scope: &Scope, action: &str, row: &InvitationRow) -> AuditRecord {
    AuditRecord::new(scope, action, format!("invitation:{}", row.id.0))
        .tenant(row.tenant())
        .detail(json!({ "role": row.role }))
}

fn shown(row: InvitationRow, now: Timestamp) -> Invitation {
    let status = match row.status.as_str() {
        ACCEPTED => InvitationStatus::Accepted,
        DECLINED => InvitationStatus::Declined,
        REVOKED => InvitationStatus::Revoked,
        _ if row.is_open(now) => InvitationStatus::Pending,
        _ => InvitationStatus::Expired,
    };
    Invitation {
        id: row.invitation_id(),
        organisation: row.tenant(),
        email: row.email,
        role: row.role,
        status,
        invited_by: row.invited_by.map(DbUuid::to),
        sent_count: row.sent_count,
        last_sent_at: row.last_sent_at.into(),
        expires_at: row.expires_at.into(),
        version: row.version,
        created_at: row.created_at.into(),
    }
}
