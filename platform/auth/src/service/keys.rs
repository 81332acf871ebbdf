//! Keeps the signing keys: reads them, makes the next one in time, lets old ones go.
//!
//! One worker over a mailbox of 256. It fills [`SharedKeys`], which login,
//! refresh and the authenticator read without asking. Every node reads the keys once a minute, so
//! that it knows a key long before it meets a token signed with it. Permanent; a crash loses
//! nothing, since start reads the keys again.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_database::{Db, DbTimestamp, UnitOfWork};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::config::ConfigFault;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::invalidation::{Invalidations, RevokeEverybody};
use troupe_kernel::reload::{Change, Reload};

use super::key_file;
use crate::config::AuthConfig;
use crate::events::{self, SigningKeyEvent};
use crate::keys::{KeySet, Lifetime, SealFault, Sealer, SharedKeys, SharedSealer, SigningKey};
use crate::messages::{KeyMessage, ReloadKeys, RotateKeys, Rotation};
use crate::repository::signing_keys::{self, SigningKeyRow};

const CAPACITY: usize = 256;
/// Unknown key ids make the keys be read anew at most this often.
const RELOAD_PAUSE: Duration = Duration::from_secs(5);
/// How long reading and making keys may take at start and by the timer.
const OWN_WORK: Duration = Duration::from_secs(10);

/// What the keeper of keys works with.
#[derive(Clone)]
pub struct KeyDesk {
    /// The settings.
    pub config: AuthConfig,
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: SharedClock,
    /// Where the keys are put.
    pub keys: SharedKeys,
    /// Where what seals them is put.
    pub sealer: SharedSealer,
    /// Told when no token is good any more.
    pub invalidations: Invalidations,
}

impl KeyDesk {
    /// The keys that verify at `now`, as they are stored.
    async fn rows(&self, now: Timestamp) -> Result<Vec<SigningKeyRow>, Failure> {
        self.db.read(async move |conn| Ok(signing_keys::live(conn, now).await?)).await
    }

    /// Reads the keys at once where the timer would take a minute, and refuses a key-encryption key
    /// that does not open them. While the database is away nothing is changed, nor refused.
    #[must_use]
    pub fn reload(self, keeper: ServiceRef<KeyMessage>) -> Reload {
        Reload::new(&["key_encryption_key", "key_file"], move |config: AuthConfig| {
            let (desk, keeper) = (self.clone(), keeper.clone());
            Box::pin(async move { desk.change_to(config, keeper).await })
        })
    }

    async fn change_to(
        self,
        config: AuthConfig,
        keeper: ServiceRef<KeyMessage>,
    ) -> Result<Change, Vec<ConfigFault>> {
        let key =
            if config.key_encryption_key.is_empty() { "key_file" } else { "key_encryption_key" };
        let fault = |detail: String| vec![ConfigFault::new(key, detail)];
        let sealer = tokio::task::spawn_blocking(move || key_file::existing(&config))
            .await
            .map_err(|error| fault(error.to_string()))?
            .map_err(|error| fault(error.to_string()))?;
        let rows = match self.rows(self.clock.now()).await {
            Ok(rows) => rows,
            Err(failure) => {
                tracing::warn!(%failure, "the signing keys are not read now but by the timer");
                return Ok(Change::none());
            }
        };
        let found = opened(rows, &sealer).map_err(|_| {
            fault("does not open the signing keys of this database; put back the one before".into())
        })?;
        if found.is_like(&self.keys.load()) {
            return Ok(Change::none());
        }
        // The keeper reads them itself, so that none that it makes meanwhile is lost.
        let make = move || {
            let scope = Scope::system("auth.keys", OWN_WORK);
            if let Err(failure) = keeper.tell(&scope, ReloadKeys) {
                tracing::warn!(%failure, "the signing keys are not read now but by the timer");
            }
        };
        Ok(Change::none().of("signing_keys", make))
    }
}

/// The keys of these rows.
fn opened(rows: Vec<SigningKeyRow>, sealer: &Sealer) -> Result<KeySet, SealFault> {
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let seed = sealer.open(&row.id, &row.sealed_key)?;
        let key = SigningKey::from_seed(&seed, row.lifetime())
            .filter(|key| key.id() == row.id)
            .ok_or(SealFault::Unopenable)?;
        keys.push(key);
    }
    Ok(KeySet::new(keys))
}

/// The keeper of keys.
pub struct Keys {
    desk: Arc<KeyDesk>,
    read_at: Timestamp,
}

impl Keys {
    /// The service's reference and specification.
    #[must_use]
    pub fn service(system: &System, desk: KeyDesk) -> (ServiceRef<KeyMessage>, ChildSpec) {
        let desk = Arc::new(desk);
        Spec::new(system, "keys", move || Self { desk: desk.clone(), read_at: Timestamp::MIN })
            .capacity(CAPACITY)
            .build()
    }

    /// Reads the keys, and makes one at once when none signs: a node that can issue no token is
    /// of no use, whatever became of the rotation.
    async fn reload(&mut self, scope: &Scope) -> Result<(), Failure> {
        self.read().await?;
        if self.desk.keys.load().signing(self.desk.clock.now()).is_none() {
            let now = self.desk.clock.now();
            self.publish(now, scope).await?;
            self.read().await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Failure> {
        let now = self.desk.clock.now();
        let rows = self.desk.rows(now).await?;
        self.desk.keys.store(opened(rows, self.desk.sealer.get())?);
        self.read_at = now;
        Ok(())
    }

    /// Makes and stores a key that signs from `activates_at` on; answers its id.
    async fn publish(&self, activates_at: Timestamp, scope: &Scope) -> Result<String, Failure> {
        let config = &self.desk.config;
        let retires_at = activates_at.plus(config.signing_keys.lifetime);
        let lifetime = Lifetime {
            activates_at,
            retires_at,
            ends_at: retires_at.plus(config.tokens.access).plus(config.tokens.clock_skew),
        };
        let (key, seed) = SigningKey::generate(lifetime)?;
        let sealed_key = self.desk.sealer.get().seal(key.id(), &seed)?;
        let id = key.id().to_owned();
        let kid = id.clone();
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let row = SigningKeyRow {
                    id: kid.clone(),
                    sealed_key,
                    created_at: DbTimestamp(uow.now()),
                    activates_at: DbTimestamp(lifetime.activates_at),
                    retires_at: DbTimestamp(lifetime.retires_at),
                    ends_at: DbTimestamp(lifetime.ends_at),
                };
                signing_keys::insert(uow.conn(), &row).await?;
                let resource = format!("signing_key/{kid}");
                uow.audit(AuditRecord::new(uow.scope(), "auth.signing_key.publish", resource));
                let event = SigningKeyEvent { kid: kid.clone() };
                uow.event(Event::new(events::SIGNING_KEY_PUBLISHED, kid, &event));
                Ok(())
            })
            .await?;
        Ok(id)
    }

    async fn rotate(&mut self, request: &RotateKeys, scope: &Scope) -> Result<Rotation, Failure> {
        let now = self.desk.clock.now();
        let deleted = self.delete(request.now, scope).await?;
        self.read().await?;
        let keys = self.desk.keys.load();
        let ahead = self.desk.config.signing_keys.publish_ahead;
        let next_from = match (keys.signing(now), keys.next(now)) {
            (None, _) => Some(now),
            (Some(current), None) => {
                let retires_at = current.lifetime().retires_at;
                (retires_at.since(now) <= ahead).then_some(retires_at)
            }
            (Some(_), Some(_)) => None,
        };
        let published = match next_from {
            Some(from) => Some(self.publish(from, scope).await?),
            None => None,
        };
        self.read().await?;
        if request.now {
            // The caches took tokens that anybody may have made with the key that became known.
            self.desk.invalidations.publish(scope, RevokeEverybody).await?;
        }
        Ok(Rotation { published, deleted })
    }

    /// Deletes the keys past their time, or all of them.
    async fn delete(&self, all: bool, scope: &Scope) -> Result<u64, Failure> {
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let until = if all { Timestamp::MAX } else { uow.now() };
                let deleted = signing_keys::sweep(uow.conn(), until).await?;
                if deleted > 0 {
                    let record =
                        AuditRecord::new(uow.scope(), "auth.signing_key.delete", "signing_key");
                    uow.audit(record.detail(serde_json::json!({ "keys": deleted, "all": all })));
                }
                Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
            })
            .await
    }

    async fn find(&mut self, kid: &str, scope: &Scope) -> Result<bool, Failure> {
        let now = self.desk.clock.now();
        let known = |keys: &SharedKeys| keys.load().verifying(kid, now).is_some();
        if known(&self.desk.keys) || now.since(self.read_at) < RELOAD_PAUSE {
            return Ok(known(&self.desk.keys));
        }
        self.reload(scope).await?;
        Ok(known(&self.desk.keys))
    }
}

impl Service for Keys {
    type Message = KeyMessage;

    async fn start(&mut self, ctx: &mut Context<KeyMessage>) -> Handled {
        let config = self.desk.config.clone();
        let sealer = tokio::task::spawn_blocking(move || key_file::sealer(&config))
            .await
            .map_err(|error| Failure::internal("auth.key_file.unusable", error.to_string()))??;
        self.desk.sealer.fill(sealer);
        self.reload(&Scope::system("auth.keys", OWN_WORK)).await?;
        ctx.every(self.desk.config.signing_keys.reload, || ReloadKeys.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<KeyMessage>,
        ctx: &mut Context<KeyMessage>,
    ) -> Handled {
        match &**message {
            KeyMessage::GetPublicKeys(query) => {
                let keys = self.desk.keys.load().public_form(self.desk.clock.now());
                ctx.reply(query, keys)
            }
            KeyMessage::RotateKeys(request) => {
                let scope = ctx.scope().clone();
                let rotation = self.rotate(request, &scope).await?;
                ctx.reply(request, rotation)
            }
            KeyMessage::FindKey(query) => {
                let scope = Scope::system("auth.keys", OWN_WORK);
                let known = self.find(&query.kid, &scope).await?;
                ctx.reply(query, known)
            }
            KeyMessage::ReloadKeys(_) => self.reload(&Scope::system("auth.keys", OWN_WORK)).await,
        }
    }
}
