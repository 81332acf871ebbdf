//! What other services ask: users, organisations and memberships. A pool over the database; slugs
//! are handed on to the cache.

use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Service};
use troupe_database::DbConn;
use troupe_identity_messages::{
    FindUserByEmail, GetOrganisation, GetUser, IdentityMessage, ListMembershipsOf, ListUserNames,
    MEMBERSHIPS_MAX, Membership, MembershipOf, Organisation, USER_NAMES_MAX, User, UserName,
};
use troupe_kernel::Failure;

use super::{Shared, answer, organisations, users, verification};
use crate::address::EmailAddress;
use crate::error;
use crate::messages::FindSlug;
use crate::repository;
use crate::repository::organisations::OrganisationRow;
use crate::repository::users::UserRow;

/// One worker of the directory.
pub(crate) struct Directory {
    shared: Arc<Shared>,
}

impl Directory {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Service for Directory {
    type Message = IdentityMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<IdentityMessage>,
        ctx: &mut Context<IdentityMessage>,
    ) -> Handled {
        let shared = self.shared.clone();
        let scope = ctx.scope().clone();
        match &**message {
            IdentityMessage::CreateUser(command) => {
                answer(ctx, command, users::create(&shared, &scope, command).await?)
            }
            IdentityMessage::GetUser(query) => ctx.reply(query, get_user(&shared, query).await?),
            IdentityMessage::FindUserByEmail(query) => {
                ctx.reply(query, find_user_by_email(&shared, query).await?)
            }
            IdentityMessage::ListUserNames(query) => {
                ctx.reply(query, list_user_names(&shared, query).await?)
            }
            IdentityMessage::MarkEmailVerified(command) => {
                ctx.reply(command, verification::mark_verified(&shared, &scope, command).await?)
            }
            IdentityMessage::CreateOrganisation(command) => {
                answer(ctx, command, organisations::create(&shared, &scope, command).await?)
            }
            IdentityMessage::GetOrganisation(query) => {
                ctx.reply(query, get_organisation(&shared, query).await?)
            }
            IdentityMessage::FindOrganisationBySlug(query) => {
                let slug = query.slug.clone();
                ctx.forward(&shared.slugs, FindSlug { slug })
            }
            IdentityMessage::MembershipOf(query) => {
                ctx.reply(query, membership_of(&shared, query).await?)
            }
            IdentityMessage::ListMembershipsOf(query) => {
                ctx.reply(query, list_memberships_of(&shared, query).await?)
            }
        }
    }
}

async fn get_user(shared: &Shared, query: &GetUser) -> Result<User, Failure> {
    let id = query.id;
    let row = shared
        .db
        .read(async move |conn: &mut DbConn| Ok(repository::users::find(conn, id).await?))
        .await?;
    row.ok_or_else(error::user_not_found)?.into_user()
}

async fn find_user_by_email(
    shared: &Shared,
    query: &FindUserByEmail,
) -> Result<Option<User>, Failure> {
    let Ok(address) = EmailAddress::parse(&query.email) else { return Ok(None) };
    let key = address.key();
    let row = shared
        .db
        .read(
            async move |conn: &mut DbConn| Ok(repository::users::find_by_email(conn, &key).await?),
        )
        .await?;
    row.map(UserRow::into_user).transpose()
}

async fn list_user_names(shared: &Shared, query: &ListUserNames) -> Result<Vec<UserName>, Failure> {
    if query.ids.len() > USER_NAMES_MAX {
        return Err(Failure::invalid(
            "identity.user.too_many",
            format!("ask for the names of at most {USER_NAMES_MAX} users at once"),
        ));
    }
    let ids = query.ids.clone();
    let rows = shared
        .db
        .read(async move |conn: &mut DbConn| Ok(repository::users::names(conn, &ids).await?))
        .await?;
    Ok(rows.into_iter().map(|(id, display_name)| UserName { id: id.to(), display_name }).collect())
}

async fn get_organisation(
    shared: &Shared,
    query: &GetOrganisation,
) -> Result<Organisation, Failure> {
    let id = query.id;
    let row = shared
        .db
        .read(async move |conn: &mut DbConn| Ok(repository::organisations::find(conn, id).await?))
        .await?;
    row.map(OrganisationRow::into_organisation)
        .transpose()?
        .ok_or_else(error::organisation_not_found)
}

async fn membership_of(
    shared: &Shared,
    query: &MembershipOf,
) -> Result<Option<Membership>, Failure> {
    let (organisation, user) = (query.organisation, query.user);
    let found = shared
        .db
        .read(async move |conn: &mut DbConn| {
            Ok(repository::memberships::find_belonging(conn, organisation, user).await?)
        })
        .await?;
    found.map(repository::memberships::into_membership).transpose()
}

pub(super) async fn list_memberships_of(
    shared: &Shared,
    query: &ListMembershipsOf,
) -> Result<Vec<Membership>, Failure> {
    let user = query.user;
    let rows = i64::try_from(MEMBERSHIPS_MAX).unwrap_or(i64::MAX);
    let found = shared
        .db
        .read(async move |conn: &mut DbConn| {
            Ok(repository::memberships::of_user(conn, user, rows).await?)
        })
        .await?;
    found.into_iter().map(repository::memberships::into_membership).collect()
}
