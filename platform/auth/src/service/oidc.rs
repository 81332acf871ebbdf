//! Logins with external providers: a desk that forwards by provider, and a pool for each.
//!
//! The pools are bulkheads: a provider that hangs holds up its own four workers for its time limit
//! and nobody else; behind a mailbox of 64 further requests are answered 503. The desk has one worker
//! over a mailbox of 1024, which only forwards. Permanent; a crash loses the request being handled.

mod arrival;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_database::{DbTimestamp, DbUuid, UnitOfWork};
use troupe_kernel::error::Failure;
use troupe_kernel::ids::{TenantId, UserId};

use super::proofs::Proofs;
use super::{Desk, unrepeated};
use crate::error;
use crate::messages::{BeginLink, Departure, OidcMessage, ProviderInfo};
use crate::oidc::binding::Binding;
use crate::oidc::provider::Provider;
use crate::repository::flows::{self, FlowRow};

const DESK_CAPACITY: usize = 1024;
const WORKERS: usize = 4;
const CAPACITY: usize = 64;
/// How long a browser may stay with a provider.
const LIFETIME: Duration = Duration::from_secs(600);

/// Forwards each request to the pool of its provider.
pub struct OidcDesk {
    pools: Arc<BTreeMap<String, (ProviderInfo, ServiceRef<OidcMessage>)>>,
}

impl OidcDesk {
    /// The desk's reference, and the specifications of the pools and of the desk.
    #[must_use]
    pub fn with_pools(
        system: &System,
        desk: &Desk,
        proofs: &Proofs,
        providers: &[Arc<Provider>],
    ) -> (ServiceRef<OidcMessage>, Vec<ChildSpec>) {
        let (mut pools, mut children) = (BTreeMap::new(), Vec::new());
        for provider in providers {
            let name = provider.name().to_owned();
            let title = Some(&provider.config().title).filter(|title| !title.is_empty());
            let info = ProviderInfo { title: title.unwrap_or(&name).clone(), name: name.clone() };
            let (desk, proofs, provider) = (desk.clone(), proofs.clone(), provider.clone());
            let spec = Spec::new(system, format!("oidc-{name}"), move || OidcWorker {
                desk: desk.clone(),
                proofs: proofs.clone(),
                provider: provider.clone(),
            });
            let (service, child) = spec.workers(WORKERS).capacity(CAPACITY).build();
            pools.insert(name, (info, service));
            children.push(child);
        }
        let pools = Arc::new(pools);
        let spec = Spec::new(system, "oidc", move || Self { pools: pools.clone() });
        let (service, child) = spec.capacity(DESK_CAPACITY).build();
        children.push(child);
        (service, children)
    }
}

impl Service for OidcDesk {
    type Message = OidcMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<OidcMessage>,
        ctx: &mut Context<OidcMessage>,
    ) -> Handled {
        let name = match &**message {
            OidcMessage::ListProviders(query) => {
                let providers = self.pools.values().map(|(info, _)| info.clone()).collect();
                return ctx.reply(query, providers);
            }
            OidcMessage::BeginSignIn(request) => &request.provider,
            OidcMessage::BeginLink(request) => &request.provider,
            OidcMessage::FinishSignIn(request) => &request.provider,
        };
        let (_, pool) = self.pools.get(name).ok_or_else(error::provider_unknown)?;
        let pool = pool.clone();
        ctx.forward(&pool, message.take())
    }
}

/// One worker of a provider's pool.
pub struct OidcWorker {
    desk: Desk,
    proofs: Proofs,
    provider: Arc<Provider>,
}

/// What a browser is sent to a provider for.
struct Purpose {
    link_user: Option<UserId>,
    organisation: Option<TenantId>,
}

impl OidcWorker {
    async fn begin_link(&self, request: &BeginLink, scope: &Scope) -> Result<Departure, Failure> {
        self.proofs.caller(&self.desk, scope, request.current_password.as_ref()).await?;
        let purpose = Purpose { link_user: Some(request.user), organisation: None };
        self.depart(purpose, scope).await
    }

    async fn depart(&self, purpose: Purpose, scope: &Scope) -> Result<Departure, Failure> {
        let binding = Binding::new()?;
        let location = self.provider.departure(&binding).await?;
        let now = self.desk.now();
        let row = FlowRow {
            state_hash: binding.state_hash().to_vec(),
            browser_hash: binding.browser_hash().to_vec(),
            provider: self.provider.name().to_owned(),
            link_user: purpose.link_user.map(DbUuid::of),
            tenant_id: purpose.organisation.map(DbUuid::of),
            created_at: DbTimestamp(now),
            expires_at: DbTimestamp(now.plus(LIFETIME)),
            used_at: None,
        };
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                Ok(flows::insert(uow.conn(), &row).await?)
            })
            .await?;
        Ok(Departure { location, cookie: binding.cookie(self.is_secure(), LIFETIME) })
    }

    /// Whether browsers reach this platform by encrypted connections alone.
    fn is_secure(&self) -> bool {
        self.desk.config.public_url.starts_with("https://")
    }
}

impl Service for OidcWorker {
    type Message = OidcMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<OidcMessage>,
        ctx: &mut Context<OidcMessage>,
    ) -> Handled {
        let scope = unrepeated(ctx.scope());
        match &**message {
            OidcMessage::BeginSignIn(request) => {
                let organisation = request.organisation;
                let departure =
                    self.depart(Purpose { link_user: None, organisation }, &scope).await?;
                ctx.reply(request, departure)
            }
            OidcMessage::BeginLink(request) => {
                let departure = self.begin_link(request, &scope).await?;
                ctx.reply(request, departure)
            }
            OidcMessage::FinishSignIn(request) => {
                let arrival = self.finish(request, &scope).await?;
                ctx.reply(request, arrival)
            }
            OidcMessage::ListProviders(query) => ctx.reply(query, Vec::new()),
        }
    }
}
