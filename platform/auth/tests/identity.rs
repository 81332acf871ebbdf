//! A stand-in for identity: users, organisations and memberships in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use troupe_actors::testing::{Probe, Universe};
use troupe_actors::{Context, Handled, ServiceRef};
use troupe_identity_messages::{
    CreateOrganisation, CreateUser, IdentityMessage, MarkEmailVerified, Membership, Organisation,
    OrganisationStatus, User, UserStatus,
};
use troupe_kernel::clock::{ManualClock, Timestamp};
use troupe_kernel::error::Failure;
use troupe_kernel::ids::{TenantId, UserId};

/// What the stand-in knows.
#[derive(Default)]
pub(crate) struct People {
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) organisations: BTreeMap<TenantId, Organisation>,
    pub(crate) memberships: Vec<Membership>,
    /// Answers every request with this failure.
    pub(crate) failing: Option<Failure>,
    /// Bars the user whose memberships are listed next, as if it happened at that moment.
    pub(crate) barring: bool,
}

/// The stand-in.
pub(crate) struct Identity {
    people: Arc<Mutex<People>>,
    probe: Probe<IdentityMessage>,
}

impl Identity {
    pub(crate) async fn start(universe: &Universe) -> Self {
        let people = Arc::new(Mutex::new(People::default()));
        let known = people.clone();
        let probe = Probe::answering(universe, "identity", move |message, ctx| {
            let mut people = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(failure) = people.failing.clone() {
                return Err(failure);
            }
            answer(&mut people, message, ctx)
        })
        .await;
        Self { people, probe }
    }

    pub(crate) fn service(&self) -> &ServiceRef<IdentityMessage> {
        self.probe.service()
    }

    pub(crate) fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn by_email(&self, email: &str) -> Option<User> {
        find(&self.people(), email)
    }

    pub(crate) fn set_status(&self, id: UserId, status: UserStatus) {
        if let Some(user) = self.people().users.get_mut(&id) {
            user.status = status;
        }
    }

    /// Makes an organisation of which the user is a member.
    pub(crate) fn join(&self, user: UserId, slug: &str, status: OrganisationStatus) -> TenantId {
        let id = TenantId::new(&ManualClock::default());
        let organisation = Organisation { status, ..organisation(id, slug) };
        let mut people = self.people();
        people.memberships.push(membership(user, &organisation));
        people.organisations.insert(id, organisation);
        id
    }
}

fn answer(
    people: &mut People,
    message: &IdentityMessage,
    ctx: &mut Context<IdentityMessage>,
) -> Handled {
    match message {
        IdentityMessage::CreateUser(request) => {
            let user = create_user(people, request)?;
            ctx.reply(request, user)
        }
        IdentityMessage::GetUser(query) => {
            let user = people.users.get(&query.id).cloned();
            ctx.reply(query, user.ok_or_else(|| Failure::not_found("identity.user.not_found", ""))?)
        }
        IdentityMessage::FindUserByEmail(query) => {
            let user = find(people, &query.email);
            ctx.reply(query, user)
        }
        IdentityMessage::MarkEmailVerified(request) => {
            let user = verify(people, request)?;
            ctx.reply(request, user)
        }
        IdentityMessage::CreateOrganisation(request) => {
            let made = create_organisation(people, request)?;
            ctx.reply(request, made)
        }
        IdentityMessage::MembershipOf(query) => {
            let found = people.memberships.iter().find(|membership| {
                membership.user == query.user && membership.organisation == query.organisation
            });
            ctx.reply(query, found.cloned())
        }
        IdentityMessage::ListMembershipsOf(query) => {
            if std::mem::take(&mut people.barring)
                && let Some(user) = people.users.get_mut(&query.user)
            {
                user.status = UserStatus::Suspended;
            }
            let of_user = people.memberships.iter().filter(|each| each.user == query.user);
            ctx.reply(query, of_user.cloned().collect())
        }
        other => Err(Failure::internal("test.unexpected", format!("{other:?}"))),
    }
}

fn find(people: &People, email: &str) -> Option<User> {
    let wanted = email.trim().to_lowercase();
    people.users.values().find(|user| user.email.to_lowercase() == wanted).cloned()
}

fn create_user(people: &mut People, request: &CreateUser) -> Result<User, Failure> {
    if !request.email.contains('@') {
        return Err(Failure::invalid("identity.user.invalid", "").field("/email", "no address"));
    }
    if let Some(known) = find(people, &request.email) {
        if known.id == request.id {
            return Ok(known);
        }
        return Err(Failure::conflict("identity.user.email_taken", "the address is taken"));
    }
    if people.users.contains_key(&request.id) {
        return Err(Failure::conflict("identity.user.email_taken", "the id has another address"));
    }
    let user = User {
        id: request.id,
        email: request.email.clone(),
        email_verified_at: request.email_verified.then_some(Timestamp::EPOCH),
        display_name: request.display_name.clone(),
        locale: request.locale.clone().unwrap_or_else(|| "en".to_owned()),
        time_zone: "UTC".to_owned(),
        status: UserStatus::Active,
        deletion_due_at: None,
        version: 1,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    };
    people.users.insert(user.id, user.clone());
    Ok(user)
}

fn verify(people: &mut People, request: &MarkEmailVerified) -> Result<User, Failure> {
    let user = people
        .users
        .get_mut(&request.id)
        .ok_or_else(|| Failure::not_found("identity.user.not_found", ""))?;
    user.email_verified_at = Some(Timestamp::EPOCH);
    Ok(user.clone())
}

fn create_organisation(
    people: &mut People,
    request: &CreateOrganisation,
) -> Result<Organisation, Failure> {
    if request.name.trim().is_empty() {
        return Err(Failure::invalid("identity.organisation.invalid", "the name is empty"));
    }
    if let Some(known) = people.organisations.get(&request.id) {
        return Ok(known.clone());
    }
    let slug = request.name.to_lowercase().replace(' ', "-");
    let made = Organisation { name: request.name.clone(), ..organisation(request.id, &slug) };
    people.memberships.push(membership(request.owner, &made));
    people.organisations.insert(made.id, made.clone());
    Ok(made)
}

fn organisation(id: TenantId, slug: &str) -> Organisation {
    Organisation {
        id,
        slug: slug.to_owned(),
        name: slug.to_owned(),
        status: OrganisationStatus::Active,
        version: 1,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

fn membership(user: UserId, organisation: &Organisation) -> Membership {
    Membership {
        user,
        organisation: organisation.id,
        slug: organisation.slug.clone(),
        name: organisation.name.clone(),
        status: organisation.status,
        role: "owner".to_owned(),
        joined_at: Timestamp::EPOCH,
    }
}
