//! What auth registers: its tree, tables, routes, permissions, jobs and subscriptions.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use troupe_actors::{ChildSpec, Scope, ServiceRef, Strategy, Supervisor, System};
use troupe_authz_messages::AuthzMessage;
use troupe_database::{BatchLimits, Db, Keyed};
use troupe_identity_messages::{
    IdentityMessage, MEMBER_REMOVED, MemberEvent, ORGANISATION_CLOSED, ORGANISATION_SUSPENDED,
    OrganisationEvent, USER_ANONYMISED, USER_EMAIL_CHANGED, USER_SUSPENDED, UserEvent,
};
use troupe_kernel::error::Failure;
use troupe_kernel::health::HealthCheck;
use troupe_kernel::migration::Migration;
use troupe_kernel::module::{InitFault, Manifest, Module, ModuleContext};
use troupe_kernel::parts::{JobHandler, Parts, Subscription};
use troupe_kernel::ports::{Authenticator, BoxFuture, Reauthentication, SecretSealer};
use troupe_kernel::reload::Reload;

use crate::authenticator::TokenAuthenticator;
use crate::config::AuthConfig;
use crate::keys::{SharedKeys, SharedSealer};
use crate::messages::{
    AccountMessage, ApiKeyMessage, DiscardResets, EndMembership, EndTenant, EndUser, KeyMessage,
    LoginMessage, OidcMessage, PasskeyMessage, PrepareSetup, RotateKeys, SecondFactorMessage,
    SessionMessage, SetupLink, Sweep,
};
use crate::oidc::{self, provider::Provider};
use crate::passkey::RelyingParty;
use crate::password::hash::Hasher;
use crate::permissions;
use crate::reauthenticator::PasswordReauthenticator;
use crate::routes::{self, Services};
use crate::service::accounts::Accounts;
use crate::service::api_keys::ApiKeys;
use crate::service::checks::{ApiKeyLoad, SessionLoad};
use crate::service::keys::{KeyDesk, Keys};
use crate::service::login::LoginDesk;
use crate::service::oidc::OidcDesk;
use crate::service::pages::Pages;
use crate::service::passkeys::Passkeys;
use crate::service::passwords::Passwords;
use crate::service::proofs::Proofs;
use crate::service::second_factors::SecondFactors;
use crate::service::sessions::Sessions;
use crate::service::{Desk, Shared};

/// The tables of auth.
pub const MIGRATIONS: &[Migration] = troupe_database::migrations!(
    "auth",
    [
        "0001_auth",
        "0002_second_factor",
        "0003_external_identities",
        "0004_passkeys",
        "0005_lookups",
    ]
);

/// What the node and the command line use of auth; provided in the container.
#[derive(Clone)]
pub struct AuthHandle {
    /// Set-up, registration, passwords, and the commands of the command line.
    pub accounts: ServiceRef<AccountMessage>,
    /// Logins.
    pub login: ServiceRef<LoginMessage>,
    /// Logins with external providers.
    pub oidc: ServiceRef<OidcMessage>,
    /// Passkeys.
    pub passkeys: ServiceRef<PasskeyMessage>,
    /// Authenticator apps and recovery codes.
    pub second_factors: ServiceRef<SecondFactorMessage>,
    /// Sessions and tokens.
    pub sessions: ServiceRef<SessionMessage>,
    /// API keys.
    pub api_keys: ServiceRef<ApiKeyMessage>,
    /// Signing keys.
    pub keys: ServiceRef<KeyMessage>,
    public_url: String,
    setup: Arc<Mutex<Option<SetupLink>>>,
}

impl AuthHandle {
    /// The one-time set-up link, if this start made one; print it and do not log it.
    #[must_use]
    pub fn setup_link(&self) -> Option<String> {
        self.setup_link_at(&self.public_url)
    }

    /// The same link below another address, for example the one that is listened on.
    #[must_use]
    pub fn setup_link_at(&self, base: &str) -> Option<String> {
        self.setup.lock().as_ref().map(|link| link_text(base, link))
    }

    /// The text of a link that `AdminResetSetup` answered.
    #[must_use]
    pub fn link_text(&self, link: &SetupLink) -> String {
        link_text(&self.public_url, link)
    }
}

fn link_text(base: &str, link: &SetupLink) -> String {
    format!("{}/setup#token={}", base.trim_end_matches('/'), link.token.expose())
}

/// The module.
#[derive(Default)]
pub struct AuthModule {
    handle: Option<AuthHandle>,
}

impl AuthModule {
    /// A module that is not initialised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Module for AuthModule {
    fn manifest(&self) -> Manifest {
        Manifest {
            name: "auth",
            version: env!("CARGO_PKG_VERSION"),
            dependencies: &["identity", "authz"],
        }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: AuthConfig = ctx.config()?;
        let hasher = Hasher::new(config.password_hash)
            .ok_or_else(|| InitFault::new("auth.password_hash is not accepted by argon2"))?;
        let system = ctx.system().clone();
        let (passwords, password_pool) = Passwords::pool(&system, &hasher, &config.password_pool);
        let desk: Desk = Arc::new(Shared {
            db: (*ctx.require::<Db>()?).clone(),
            clock: ctx.clock(),
            identity: (*ctx.require::<ServiceRef<IdentityMessage>>()?).clone(),
            authz: (*ctx.require::<ServiceRef<AuthzMessage>>()?).clone(),
            passwords,
            invalidations: ctx.invalidations(),
            keys: SharedKeys::default(),
            sealer: SharedSealer::default(),
            passkeys: relying_party(&config)?,
            declarations: ctx.declarations(),
            config,
        });
        let providers = providers(&desk)?;
        let built = Built::new(&system, &desk, password_pool, providers);
        ctx.provide::<dyn Authenticator>(built.authenticator.clone());
        ctx.provide::<dyn SecretSealer>(Arc::new(desk.sealer.clone()));
        if !ctx.require::<Reauthentication>()?.fill(built.again.clone()) {
            return Err(InitFault::new("another module proves callers again already").into());
        }
        let handle = built.handle(&desk);
        ctx.provide(Arc::new(handle.clone()));
        self.handle = Some(handle);
        Ok(built.into_parts())
    }

    fn start<'a>(&'a mut self, scope: &'a Scope) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let Some(handle) = &self.handle else { return Ok(()) };
            let link = handle.accounts.ask(scope, PrepareSetup).await?;
            *handle.setup.lock() = link;
            Ok(())
        })
    }
}

/// The actors of auth, built and not started.
struct Built {
    services: Services,
    authenticator: Arc<TokenAuthenticator>,
    again: Arc<PasswordReauthenticator>,
    health: HealthCheck,
    reloads: [Reload; 2],
    tree: ChildSpec,
}

impl Built {
    fn new(
        system: &System,
        desk: &Desk,
        password_pool: ChildSpec,
        providers: Vec<Arc<Provider>>,
    ) -> Self {
        let key_desk = KeyDesk {
            config: desk.config.clone(),
            db: desk.db.clone(),
            clock: desk.clock.clone(),
            keys: desk.keys.clone(),
            sealer: desk.sealer.clone(),
            invalidations: desk.invalidations.clone(),
        };
        let (keys, keys_child) = Keys::service(system, key_desk.clone());
        let (sessions, sessions_child) = Sessions::pool(system, desk);
        let (login, login_children) = LoginDesk::with_shards(system, desk);
        let again = Arc::new(PasswordReauthenticator {
            identity: desk.identity.clone(),
            login: login.clone(),
        });
        let proofs = Proofs { login: login.clone(), password: again.clone() };
        let (passkeys, passkeys_child) = Passkeys::pool(system, desk, &proofs);
        let (second_factors, factors_child) = SecondFactors::pool(system, desk, &proofs);
        let (oidc, oidc_children) = OidcDesk::with_pools(system, desk, &proofs, &providers);
        let reloads = [key_desk.reload(keys.clone()), oidc::reload::of(providers)];
        let (accounts, accounts_child) = Accounts::pool(system, desk);
        let (api_keys, api_keys_child) = ApiKeys::pool(system, desk);
        let (pages, pages_child) = Pages::service(system);
        let load = SessionLoad { db: desk.db.clone(), clock: desk.clock.clone() };
        let (live_sessions, live_child) = Keyed::new(system, load, BatchLimits::default());
        let load = ApiKeyLoad { db: desk.db.clone(), clock: desk.clock.clone() };
        let (good_keys, good_child) = Keyed::new(system, load, BatchLimits::default());
        let authenticator = TokenAuthenticator {
            issuer: desk.config.token_issuer().to_owned(),
            skew: desk.config.tokens.clock_skew,
            clock: desk.clock.clone(),
            keys: desk.keys.clone(),
            keeper: keys.clone(),
            sessions: live_sessions,
            api_keys: good_keys,
            uses: sessions.clone(),
            declarations: desk.declarations.clone(),
        };
        let tree = Supervisor::new(system, "auth")
            .strategy(Strategy::OneForOne)
            .children([password_pool, keys_child, live_child, good_child, sessions_child])
            .children(login_children)
            .children(oidc_children)
            .children([factors_child, passkeys_child, accounts_child, api_keys_child, pages_child])
            .into_spec();
        let services = Services {
            accounts,
            login,
            oidc,
            passkeys,
            second_factors,
            sessions,
            api_keys,
            keys,
            pages,
        };
        let health = signing_key(desk.clone());
        Self { services, authenticator: Arc::new(authenticator), again, health, reloads, tree }
    }

    fn handle(&self, desk: &Desk) -> AuthHandle {
        AuthHandle {
            accounts: self.services.accounts.clone(),
            login: self.services.login.clone(),
            oidc: self.services.oidc.clone(),
            passkeys: self.services.passkeys.clone(),
            second_factors: self.services.second_factors.clone(),
            sessions: self.services.sessions.clone(),
            api_keys: self.services.api_keys.clone(),
            keys: self.services.keys.clone(),
            public_url: desk.config.public_url.clone(),
            setup: Arc::default(),
        }
    }

    fn into_parts(self) -> Parts {
        let services = &self.services;
        let [keys, oidc] = self.reloads;
        Parts::new()
            .permissions(permissions::PERMISSIONS)
            .roles(permissions::roles())
            .migrations(MIGRATIONS)
            .routes(routes::routes(services))
            .job(rotation(&services.keys))
            .job(sweep(&services.sessions))
            .subscription(barred(&services.sessions))
            .subscription(moved(&services.accounts))
            .subscription(leavers(&services.sessions))
            .subscription(closed(&services.sessions))
            .health(self.health)
            .reload(keys)
            .reload(oidc)
            .child(self.tree)
    }
}

/// The external providers of the configuration.
fn providers(desk: &Desk) -> Result<Vec<Arc<Provider>>, Vec<InitFault>> {
    let (mut providers, mut faults) = (Vec::new(), Vec::new());
    for (name, config) in &desk.config.oidc {
        let redirect = Some(config.redirect_url.clone())
            .filter(|address| !address.is_empty())
            .unwrap_or_else(|| desk.config.link(&format!("/v1/auth/oidc/{name}/callback")));
        match Provider::new(name, config, &redirect, desk.clock.clone()) {
            Ok(provider) => providers.push(Arc::new(provider)),
            Err(fault) => faults.push(InitFault::new(format!("auth.oidc.{name}: {fault}"))),
        }
    }
    if faults.is_empty() { Ok(providers) } else { Err(faults) }
}

/// This platform as browsers and authenticators know it, if it has a domain.
fn relying_party(config: &AuthConfig) -> Result<Option<RelyingParty>, Vec<InitFault>> {
    let fault = |detail: &dyn std::fmt::Display| InitFault::new(format!("auth.{detail}"));
    let settings = config
        .passkeys
        .read(&config.public_url)
        .map_err(|faults| faults.iter().map(|found| fault(found)).collect::<Vec<_>>())?;
    let party = settings.map(|settings| RelyingParty::new(&settings)).transpose();
    party.map_err(|error| vec![fault(&format_args!("passkeys: {error}"))])
}

/// A node that can issue no token is not ready.
fn signing_key(desk: Desk) -> HealthCheck {
    let probe = move || -> BoxFuture<'static, Result<(), String>> {
        let found = desk.keys.load().signing(desk.now()).is_some();
        let told = if found { Ok(()) } else { Err("no signing key is active".to_owned()) };
        Box::pin(std::future::ready(told))
    };
    HealthCheck::new("auth.signing_key", Arc::new(probe)).critical()
}

fn rotation(keys: &ServiceRef<KeyMessage>) -> JobHandler {
    JobHandler::new("auth.rotate_keys")
        .cron("17 * * * *")
        .ask(keys, |_| Ok(RotateKeys { now: false }))
}

fn sweep(sessions: &ServiceRef<SessionMessage>) -> JobHandler {
    JobHandler::new("auth.sweep")
        .cron("41 * * * *")
        .timeout(Duration::from_secs(300))
        .ask(sessions, |_| Ok(Sweep))
}

/// Ends what users have who are barred or gone.
fn barred(sessions: &ServiceRef<SessionMessage>) -> Subscription {
    Subscription::new("auth.barred", &[USER_SUSPENDED, USER_ANONYMISED]).ask(sessions, |event| {
        let UserEvent { user, .. } = event.data()?;
        Ok(EndUser { user, erase: event.kind == USER_ANONYMISED })
    })
}

/// Ends the reset links that lie in the mailbox of an address that was replaced.
fn moved(accounts: &ServiceRef<AccountMessage>) -> Subscription {
    Subscription::new("auth.moved", &[USER_EMAIL_CHANGED]).ask(accounts, |event| {
        let UserEvent { user, .. } = event.data()?;
        Ok(DiscardResets { user })
    })
}

/// Ends what users have in an organisation they left.
fn leavers(sessions: &ServiceRef<SessionMessage>) -> Subscription {
    Subscription::new("auth.leavers", &[MEMBER_REMOVED]).ask(sessions, |event| {
        let MemberEvent { user, organisation, .. } = event.data()?;
        Ok(EndMembership { user, organisation })
    })
}

/// Ends what anybody has in an organisation that is barred or closed.
fn closed(sessions: &ServiceRef<SessionMessage>) -> Subscription {
    let kinds = [ORGANISATION_SUSPENDED, ORGANISATION_CLOSED];
    Subscription::new("auth.closed", &kinds).ask(sessions, |event| {
        let OrganisationEvent { organisation, .. } = event.data()?;
        Ok(EndTenant { organisation })
    })
}
