//! Organisations from their making to their closing, and the pool that serves them, their members
//! and invitations.

use std::sync::Arc;

use serde_json::json;
use troupe_actors::{Context, Handled, Lent, Scope, Service};
use troupe_database::{Commanded, DbConn, DbUuid, UnitOfWork};
use troupe_identity_messages::{
    CreateOrganisation, ListMembershipsOf, MEMBER_JOINED, MEMBERSHIPS_MAX, ORGANISATION_CREATED,
    ORGANISATION_UPDATED, Organisation, OrganisationStatus, ROLE_OWNER,
};
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::pagination::Page;
use troupe_kernel::{AuditRecord, Failure, Uuid};

use super::users::Faults;
use super::{
    MemberRole, Shared, answer, directory, invitations, member_record, members, notices,
    organisation_record, standing, users,
};
use crate::messages::{
    FoundOrganisation, GetOwnOrganisation, OrganisationMessage, SearchOrganisations,
    UpdateOrganisation,
};
use crate::repository::memberships::{self, MembershipRow};
use crate::repository::organisations::{self, OrganisationRow, OrganisationSearch};
use crate::repository::{BEFORE_ALL, users as user_rows};
use crate::{error, events, naming};

pub(super) const INVALID: &str = "identity.organisation.invalid";

/// One worker of the organisations.
pub(crate) struct Organisations {
    shared: Arc<Shared>,
}

impl Organisations {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Service for Organisations {
    type Message = OrganisationMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<OrganisationMessage>,
        ctx: &mut Context<OrganisationMessage>,
    ) -> Handled {
        use OrganisationMessage as Ask;
        let shared = &*self.shared;
        let scope = ctx.scope().clone();
        match &**message {
            Ask::ListOwnOrganisations(query) => {
                let of = ListMembershipsOf { user: query.user };
                ctx.reply(query, directory::list_memberships_of(shared, &of).await?)
            }
            Ask::GetOwnOrganisation(query) => ctx.reply(query, get(shared, query).await?),
            Ask::SearchOrganisations(query) => {
                ctx.reply(query, search(shared, &scope, query).await?)
            }
            Ask::FoundOrganisation(command) => {
                answer(ctx, command, found(shared, &scope, command).await?)
            }
            Ask::UpdateOrganisation(command) => {
                answer(ctx, command, update(shared, &scope, command).await?)
            }
            Ask::CloseOrganisation(command) => {
                answer(ctx, command, standing::close(shared, &scope, command).await?)
            }
            Ask::SuspendOrganisation(command) => {
                answer(ctx, command, standing::suspend(shared, &scope, command).await?)
            }
            Ask::ReinstateOrganisation(command) => {
                answer(ctx, command, standing::reinstate(shared, &scope, command).await?)
            }
            Ask::SyncMemberRoles(command) => {
                ctx.reply(command, standing::sync_member_roles(shared, &scope, command).await?)
            }
            Ask::TellWebhookDisabled(command) => {
                ctx.reply(command, notices::webhook_disabled(shared, &scope, command).await?)
            }
            Ask::ListMembers(query) => {
                ctx.reply(query, members::list(shared, &scope, query).await?)
            }
            Ask::ChangeMemberRole(command) => {
                answer(ctx, command, members::change_role(shared, &scope, command).await?)
            }
            Ask::RemoveMember(command) => {
                answer(ctx, command, members::remove(shared, &scope, command).await?)
            }
            Ask::LeaveOrganisation(command) => {
                answer(ctx, command, members::leave(shared, &scope, command).await?)
            }
            Ask::Invite(command) => {
                answer(ctx, command, invitations::invite(shared, &scope, command).await?)
            }
            Ask::ListInvitations(query) => {
                ctx.reply(query, invitations::list(shared, &scope, query).await?)
            }
            Ask::ResendInvitation(command) => {
                answer(ctx, command, invitations::resend(shared, &scope, command).await?)
            }
            Ask::RevokeInvitation(command) => {
                answer(ctx, command, invitations::revoke(shared, &scope, command).await?)
            }
            Ask::PreviewInvitation(query) => {
                ctx.reply(query, invitations::preview(shared, query).await?)
            }
            Ask::AcceptInvitation(command) => {
                answer(ctx, command, invitations::accept(shared, &scope, command).await?)
            }
            Ask::DeclineInvitation(command) => {
                answer(ctx, command, invitations::decline(shared, &scope, command).await?)
            }
        }
    }
}

/// An organisation to be made, with acceptable fields.
#[derive(Clone)]
struct Draft {
    id: TenantId,
    name: String,
    slug: Option<String>,
    owner: UserId,
}

impl Draft {
    fn check(command: &CreateOrganisation) -> Result<Self, Failure> {
        let mut faults = Faults::default();
        let name = faults.take("/name", naming::name(&command.name));
        let slug =
            command.slug.as_deref().and_then(|slug| faults.take("/slug", naming::slug(slug)));
        match name {
            Some(name) if faults.is_empty() => {
                Ok(Self { id: command.id, name, slug, owner: command.owner })
            }
            _ => Err(faults.into_failure(INVALID)),
        }
    }
}

/// For other services: the caller's id makes it idempotent.
pub(super) async fn create(
    shared: &Shared,
    scope: &Scope,
    command: &CreateOrganisation,
) -> Result<Commanded<Organisation>, Failure> {
    let draft = Draft::check(command)?;
    let owner = draft.owner;
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| establish(uow, draft).await)
        .await?;
    announce(shared, scope, owner, &done.value).await;
    Ok(done)
}

/// For people: the id is new with every request, so the idempotency key makes it idempotent.
async fn found(
    shared: &Shared,
    scope: &Scope,
    command: &FoundOrganisation,
) -> Result<Commanded<Organisation>, Failure> {
    let FoundOrganisation { id, slug, name, owner } = command.clone();
    let draft = Draft::check(&CreateOrganisation { id, slug, name, owner })?;
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| establish(uow, draft).await)
        .await?;
    announce(shared, scope, owner, &done.value).await;
    Ok(done)
}

/// Tells the caches what is there now.
async fn announce(shared: &Shared, scope: &Scope, owner: UserId, made: &Organisation) {
    let member = MemberRole {
        organisation: made.id,
        user: owner,
        role: Some(ROLE_OWNER.to_owned()),
        at: made.created_at,
    };
    shared.tell_role(scope, member).await;
    shared.forget_slugs(scope, vec![made.slug.clone()]).await;
}

async fn establish(uow: &mut UnitOfWork, draft: Draft) -> Result<Organisation, Failure> {
    let Draft { id, name, slug, owner } = draft;
    if let Some(known) = organisations::find(uow.conn(), id).await? {
        let is_same = slug.as_ref().is_none_or(|slug| *slug == known.slug)
            && memberships::find(uow.conn(), id, owner).await?.is_some();
        return if is_same {
            known.into_organisation()
        } else {
            Err(error::organisation_id_taken())
        };
    }
    check_membership_limit(uow, owner).await?;
    let slug = match slug {
        Some(slug) => slug,
        None => free_slug(uow.conn(), &name, id.uuid()).await?,
    };
    let now = uow.now();
    let row = OrganisationRow {
        id: DbUuid::of(id),
        slug,
        name,
        status: OrganisationStatus::Active.as_str().to_owned(),
        version: 1,
        created_at: now.into(),
        updated_at: now.into(),
    };
    organisations::insert(uow.conn(), &row)
        .await
        .map_err(|error| error.unique_or(organisations::SLUG_KEY, error::slug_taken))?;
    uow.event(events::organisation(ORGANISATION_CREATED, &row, None));
    let record = organisation_record(uow.scope(), "identity.organisation.create", id);
    uow.audit(by(record, owner).detail(json!({ "slug": row.slug })));
    join(uow, Joining { organisation: id, user: owner, role: ROLE_OWNER }).await?;
    row.into_organisation()
}

/// Names who acted where the scope does not (a registration).
fn by(record: AuditRecord, user: UserId) -> AuditRecord {
    if record.actor.is_none() { record.actor(user.uuid()) } else { record }
}

/// Refuses when the user cannot join another organisation; holds the user's row.
pub(super) async fn check_membership_limit(
    uow: &mut UnitOfWork,
    user: UserId,
) -> Result<(), Failure> {
    user_rows::lock(uow.conn(), user).await?;
    users::active(uow.conn(), user).await?;
    let limit = i64::try_from(MEMBERSHIPS_MAX).unwrap_or(i64::MAX);
    if memberships::count_of_user(uow.conn(), user).await? >= limit {
        return Err(error::membership_limit());
    }
    Ok(())
}

/// A user who becomes a member.
pub(super) struct Joining<'a> {
    pub(super) organisation: TenantId,
    pub(super) user: UserId,
    pub(super) role: &'a str,
}

pub(super) async fn join(
    uow: &mut UnitOfWork,
    joining: Joining<'_>,
) -> Result<MembershipRow, Failure> {
    let Joining { organisation, user, role } = joining;
    let now = uow.now();
    let row = MembershipRow {
        id: uow.new_id(),
        organisation_id: DbUuid::of(organisation),
        user_id: DbUuid::of(user),
        role: role.to_owned(),
        version: 1,
        created_at: now.into(),
        updated_at: now.into(),
    };
    memberships::insert(uow.conn(), &row)
        .await
        .map_err(|error| error.unique_or(memberships::MEMBER_KEY, error::already_member))?;
    uow.event(events::member(
        MEMBER_JOINED,
        events::MemberChange { organisation, user, role: Some(role.to_owned()), role_before: None },
    ));
    let record = member_record(uow.scope(), "identity.member.join", organisation, user);
    uow.audit(by(record, user).detail(json!({ "role": role })));
    Ok(row)
}

/// The first slug made of the name that nobody uses.
async fn free_slug(conn: &mut DbConn, name: &str, id: Uuid) -> Result<String, Failure> {
    let candidates = naming::slugs_of(name, id);
    let used = organisations::used_slugs(conn, &candidates).await?;
    candidates.into_iter().find(|slug| !used.contains(slug)).ok_or_else(error::slug_taken)
}

async fn get(shared: &Shared, query: &GetOwnOrganisation) -> Result<Organisation, Failure> {
    let id = query.organisation;
    shared
        .db
        .read(async move |conn: &mut DbConn| existing(conn, id).await?.into_organisation())
        .await
}

async fn search(
    shared: &Shared,
    scope: &Scope,
    query: &SearchOrganisations,
) -> Result<Page<Organisation>, Failure> {
    let before = query.page.position()?.unwrap_or(BEFORE_ALL);
    let wanted = OrganisationSearch { text: query.text.clone(), status: query.status };
    let rows = query.page.rows();
    let found = shared
        .db
        .read_for(scope, async move |conn: &mut DbConn| {
            Ok(organisations::search(conn, &wanted, before, rows).await?)
        })
        .await?;
    let found =
        found.into_iter().map(OrganisationRow::into_organisation).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::from_rows(found, &query.page, |organisation| organisation.id.uuid()))
}

async fn update(
    shared: &Shared,
    scope: &Scope,
    command: &UpdateOrganisation,
) -> Result<Commanded<Organisation>, Failure> {
    let mut faults = Faults::default();
    let name = command.name.as_deref().and_then(|name| faults.take("/name", naming::name(name)));
    let slug = command.slug.as_deref().and_then(|slug| faults.take("/slug", naming::slug(slug)));
    if !faults.is_empty() {
        return Err(faults.into_failure(INVALID));
    }
    let (id, version) = (command.organisation, command.version);
    let done = shared
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let mut row = active(uow.conn(), id).await?;
            if row.version != version {
                return Err(error::organisation_stale());
            }
            let slug_before =
                slug.as_ref().filter(|slug| **slug != row.slug).map(|_| row.slug.clone());
            row.name = name.unwrap_or(row.name);
            row.slug = slug.unwrap_or(row.slug);
            save(uow, &mut row).await?;
            uow.event(events::organisation(ORGANISATION_UPDATED, &row, slug_before.clone()));
            let record = organisation_record(uow.scope(), "identity.organisation.update", id);
            uow.audit(record.detail(json!({ "name": row.name, "slug": row.slug })));
            Ok((row.into_organisation()?, slug_before))
        })
        .await?;
    let (organisation, slug_before) = done.value;
    let slugs = slug_before.into_iter().chain([organisation.slug.clone()]).collect();
    shared.forget_slugs(scope, slugs).await;
    Ok(Commanded { value: organisation, replayed: done.replayed })
}

/// An organisation that is there.
pub(super) async fn existing(conn: &mut DbConn, id: TenantId) -> Result<OrganisationRow, Failure> {
    organisations::find(conn, id).await?.ok_or_else(error::organisation_not_found)
}

/// An organisation that is in use.
pub(super) async fn active(conn: &mut DbConn, id: TenantId) -> Result<OrganisationRow, Failure> {
    let row = existing(conn, id).await?;
    if row.is_active() { Ok(row) } else { Err(error::organisation_not_active()) }
}

pub(super) async fn save(uow: &mut UnitOfWork, row: &mut OrganisationRow) -> Result<(), Failure> {
    let (read_version, now) = (row.version, uow.now());
    row.touch(now);
    let saved = organisations::save(uow.conn(), row, read_version)
        .await
        .map_err(|error| error.unique_or(organisations::SLUG_KEY, error::slug_taken))?;
    if saved { Ok(()) } else { Err(error::organisation_stale()) }
}
