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
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::invalidation::{Invalidations, RevokeEverybody};

use super::key_file;
use crate::config::AuthConfig;
use crate::events::{self, SigningKeyEvent};
use crate::keys::{KeySet, Lifetime, SharedKeys, SharedSealer, SigningKey};
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
        let rows =
            self.desk.db.read(async move |conn| Ok(signing_keys::live(conn, now).await?)).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let seed = self.desk.sealer.get().open(&row.id, &row.sealed_key)?;
            let key = SigningKey::from_seed(&seed, row.lifetime())
                .filter(|key| key.id() == row.id)
                .ok_or(crate::keys::SealFault::Unopenable)?;
            keys.push(key);
        }
        self.desk.keys.store(KeySet::new(keys));
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
