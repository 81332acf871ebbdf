//! What identity registers: tables, permissions, actors, routes, jobs, subscriptions.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use troupe_actors::{ServiceRef, Spec, Supervisor, System};
use troupe_authz_messages::AuthzMessage;
use troupe_database::Db;
use troupe_identity_messages::OrganisationEvent;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::{
    Failure, InitFault, JobHandler, Manifest, Module, ModuleContext, Parts, Reauthentication,
    Subscription,
};

use crate::config::IdentityConfig;
use crate::messages::{
    AccountMessage, AnonymiseUser, ForgetSlugs, OrganisationMessage, PurgeEmailTokens, SlugMessage,
    SyncMemberRoles, TellWebhookDisabled,
};
use crate::repository::MIGRATIONS;
use crate::routes::{self, Services};
use crate::service::{Accounts, Directory, Organisations, Shared, SlugLimits, Slugs};
use crate::{mails, permissions, service};

/// The job that removes a person's data when the deletion is due.
pub(crate) const ANONYMISE_JOB: &str = "identity.anonymise";
/// The job that tells authorization the roles of all members again.
pub(crate) const SYNC_JOB: &str = "identity.sync_member_roles";
/// The job that removes tokens that ended long ago.
const PURGE_JOB: &str = "identity.purge_tokens";

/// Users, organisations, memberships and invitations.
///
/// Requires `Db` and `ServiceRef<AuthzMessage>`. Provides `ServiceRef<IdentityMessage>` and the place
/// of the [`Reauthenticator`](troupe_kernel::ports::Reauthenticator).
#[derive(Debug, Default)]
pub struct IdentityModule;

#[derive(Deserialize)]
struct OfUser {
    user: UserId,
}

#[derive(Deserialize)]
struct OfOrganisation {
    organisation: TenantId,
}

impl Module for IdentityModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "identity", version: env!("CARGO_PKG_VERSION"), dependencies: &["authz"] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: Arc<IdentityConfig> = Arc::new(ctx.config()?);
        let db = (*ctx.require::<Db>()?).clone();
        let authz = (*ctx.require::<ServiceRef<AuthzMessage>>()?).clone();
        let system = ctx.system().clone();

        let limits =
            SlugLimits { time: config.slug_cache_time, entries_max: config.slug_cache_entries_max };
        let of_slugs = db.clone();
        let (slugs, slugs_child) =
            Spec::new(&system, "slugs", move || Slugs::new(of_slugs.clone(), limits))
                .capacity(service::SLUGS_CAPACITY)
                .build();
        let reauthentication = Reauthentication::default();
        ctx.provide(Arc::new(reauthentication.clone()));
        let shared = Arc::new(Shared {
            db,
            authz,
            slugs: slugs.clone(),
            invalidations: ctx.invalidations(),
            reauthentication,
            config: config.clone(),
        });
        let actors = Pools::build(&system, &shared);
        ctx.provide(Arc::new(actors.directory.0));

        let tree = Supervisor::new(&system, "identity")
            .child(slugs_child)
            .child(actors.accounts.1)
            .child(actors.organisations.1)
            .child(actors.directory.1);
        let services = Services {
            accounts: actors.accounts.0.clone(),
            organisations: actors.organisations.0.clone(),
            clock: ctx.clock(),
        };
        Ok(Parts::new()
            .permissions(permissions::PERMISSIONS)
            .roles(permissions::roles())
            .notices([mails::WEBHOOK_DISABLED])
            .migrations(MIGRATIONS)
            .child(tree.into_spec())
            .routes(routes::routes(&services))
            .job(anonymise(&services.accounts))
            .job(purge(&services.accounts))
            .job(sync(&services.organisations))
            .subscription(forget(&slugs))
            .subscription(tell(&services.organisations)))
    }
}

/// What the notifier says of an endpoint that it disabled.
#[derive(Deserialize)]
struct OfEndpoint {
    host: String,
    because: String,
}

type Pool<M> = (ServiceRef<M>, troupe_actors::ChildSpec);

/// The three pools over the database.
struct Pools {
    directory: Pool<troupe_identity_messages::IdentityMessage>,
    accounts: Pool<AccountMessage>,
    organisations: Pool<OrganisationMessage>,
}

impl Pools {
    fn build(system: &System, shared: &Arc<Shared>) -> Self {
        let workers = shared.config.workers;
        let stop_within = Duration::from_secs(10);
        let of = shared.clone();
        let directory = Spec::new(system, "directory", move || Directory::new(of.clone()))
            .capacity(service::DIRECTORY_CAPACITY)
            .workers(workers)
            .stop_within(stop_within)
            .build();
        let of = shared.clone();
        let accounts = Spec::new(system, "accounts", move || Accounts::new(of.clone()))
            .capacity(service::POOL_CAPACITY)
            .workers(workers)
            .stop_within(stop_within)
            .build();
        let of = shared.clone();
        let organisations =
            Spec::new(system, "organisations", move || Organisations::new(of.clone()))
                .capacity(service::POOL_CAPACITY)
                .workers(workers)
                .stop_within(stop_within)
                .build();
        Self { directory, accounts, organisations }
    }
}

fn anonymise(accounts: &ServiceRef<AccountMessage>) -> JobHandler {
    JobHandler::new(ANONYMISE_JOB).ask(accounts, |job| {
        let OfUser { user } = job.payload()?;
        Ok(AnonymiseUser { user })
    })
}

fn purge(accounts: &ServiceRef<AccountMessage>) -> JobHandler {
    JobHandler::new(PURGE_JOB).cron("17 3 * * *").ask(accounts, |_| Ok(PurgeEmailTokens))
}

fn sync(organisations: &ServiceRef<OrganisationMessage>) -> JobHandler {
    JobHandler::new(SYNC_JOB).timeout(Duration::from_secs(600)).ask(organisations, |job| {
        let OfOrganisation { organisation } = job.payload()?;
        Ok(SyncMemberRoles { organisation })
    })
}

/// Brings changes of slugs that other nodes made.
fn forget(slugs: &ServiceRef<SlugMessage>) -> Subscription {
    Subscription::new("identity.slugs", &["identity.organisation.*"]).ask(slugs, |event| {
        let data: OrganisationEvent = event.data()?;
        let slugs = data.slug_before.into_iter().chain([data.slug]).collect();
        Ok::<_, Failure>(ForgetSlugs { slugs })
    })
}

/// Brings what the owners and admins of an organisation must know.
fn tell(organisations: &ServiceRef<OrganisationMessage>) -> Subscription {
    let kinds = ["notify.webhook_endpoint.disabled"];
    Subscription::new(service::notices::CONSUMER, &kinds).ask(organisations, |event| {
        let OfEndpoint { host, because } = event.data()?;
        let organisation = event.tenant.ok_or_else(|| {
            Failure::invalid("identity.notice.tenant", "an endpoint belongs to an organisation")
        })?;
        Ok(TellWebhookDisabled { event: event.id, organisation, host, because })
    })
}
