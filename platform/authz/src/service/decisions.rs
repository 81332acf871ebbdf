//! Resolves, decides and explains from memory; what is missing is read in one query per batch.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{Batch, Context, Handled, Lent, Mail, Service};
use troupe_authz_messages::{Decide, DecisionMessage, Explain, Explanation, Forget, Resolve};
use troupe_database::Db;
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::{Failure, PermissionSet, PermissionsChanged, Principal, PrincipalKind, Scope};

use crate::decision::Case;
use crate::engine::{Engine, SharedEngine};
use crate::grants::Grants;
use crate::loading::{self, Key};
use crate::memory::Memory;

/// Messages taken at once; their missing keys become one query.
const BATCH_MAX: usize = 256;

/// What a shard works with.
#[derive(Clone)]
pub struct DecisionsSetup {
    /// The database.
    pub db: Db,
    /// The clock of ends and conditions.
    pub clock: SharedClock,
    /// What the modules registered.
    pub engine: SharedEngine,
    /// Keys it remembers.
    pub remembered_max: usize,
    /// After this age it reads again.
    pub age_max: Duration,
}

/// One shard: it remembers the compiled grants of its subjects.
pub struct Decisions {
    setup: DecisionsSetup,
    memory: Memory<Key, Remembered>,
}

#[derive(Debug, Clone)]
struct Remembered {
    grants: Arc<Grants>,
    read_at: Timestamp,
}

impl Decisions {
    /// A shard that remembers nothing yet.
    #[must_use]
    pub fn new(setup: DecisionsSetup) -> Self {
        let memory = Memory::new(setup.remembered_max / 2);
        Self { setup, memory }
    }

    fn remembered(&mut self, key: &Key, now: Timestamp) -> Option<Arc<Grants>> {
        let known = self.memory.get(key)?;
        // `since` is zero for a clock that was set back, so the end of each grant is asked as well.
        let fresh = now.since(known.read_at) < self.setup.age_max && known.grants.is_current(now);
        if fresh {
            return Some(known.grants);
        }
        self.memory.remove(key);
        None
    }

    async fn read(
        &mut self,
        engine: &Engine,
        keys: Vec<Key>,
        now: Timestamp,
    ) -> Result<HashMap<Key, Arc<Grants>>, Failure> {
        let loaded = self
            .setup
            .db
            .read(async |conn| Ok(loading::load(conn, engine, &keys, now).await?))
            .await?;
        let loaded: HashMap<Key, Arc<Grants>> =
            loaded.into_iter().map(|(key, grants)| (key, Arc::new(grants))).collect();
        for (key, grants) in &loaded {
            self.memory.put(*key, Remembered { grants: grants.clone(), read_at: now });
        }
        Ok(loaded)
    }

    fn forget(&mut self, change: PermissionsChanged) {
        self.memory.retain(|(subject, tenant)| !change.concerns(*subject, *tenant));
    }
}

impl Service for Decisions {
    type Message = DecisionMessage;

    const BATCHES: bool = true;

    /// Fails when a policy is not valid, so that the node does not start with it.
    async fn start(&mut self, _ctx: &mut Context<DecisionMessage>) -> Handled {
        self.setup.engine.get().map(drop)
    }

    async fn handle(
        &mut self,
        _message: &mut Lent<DecisionMessage>,
        ctx: &mut Context<DecisionMessage>,
    ) -> Handled {
        ctx.fail(Failure::internal("authz.decisions.batch", "decisions are handled in batches"))
    }

    /// What is to be forgotten is forgotten before anything is read, so that a question that came
    /// after a change never sees the state before it.
    async fn handle_batch(
        &mut self,
        batch: &mut Batch<'_, DecisionMessage>,
        _ctx: &mut Context<DecisionMessage>,
    ) -> Handled {
        let engine = self.setup.engine.get()?;
        let now = self.setup.clock.now();
        let mut questions = Vec::new();
        let mut forgotten = Vec::new();
        while questions.len() + forgotten.len() < BATCH_MAX {
            let Some(mail) = batch.next() else { break };
            if let DecisionMessage::Forget(forget) = &mail.message {
                self.forget(forget.change);
                forgotten.push(mail);
            } else {
                questions.push(mail);
            }
        }
        let mut waiting = Vec::new();
        for mail in questions {
            match key_of(&mail.message) {
                None => answer(&engine, now, mail, Ok(&Grants::default())),
                Some(key) => match self.remembered(&key, now) {
                    Some(grants) => answer(&engine, now, mail, Ok(&grants)),
                    None => waiting.push((key, mail)),
                },
            }
        }
        if !waiting.is_empty() {
            let keys: HashSet<Key> = waiting.iter().map(|(key, _)| *key).collect();
            let loaded = self.read(&engine, keys.into_iter().collect(), now).await;
            for (key, mail) in waiting {
                match &loaded {
                    Ok(loaded) => {
                        let grants = loaded.get(&key).map_or_else(Arc::default, Arc::clone);
                        answer(&engine, now, mail, Ok(&grants));
                    }
                    Err(failure) => answer(&engine, now, mail, Err(failure.clone())),
                }
            }
        }
        for mail in forgotten {
            mail.into_parts::<Forget>().2.send(Ok(()));
        }
        Ok(())
    }
}

/// Whose grants answer a question; none for the platform itself, which needs none.
fn key_of(message: &DecisionMessage) -> Option<Key> {
    match message {
        DecisionMessage::Resolve(resolve) => Some((resolve.subject, resolve.tenant)),
        DecisionMessage::Explain(explain) => Some((explain.subject, explain.tenant)),
        DecisionMessage::Decide(decide) => {
            let principal = &decide.question.principal;
            (principal.kind != PrincipalKind::System)
                .then_some((principal.subject, principal.tenant))
        }
        DecisionMessage::Forget(_) => None,
    }
}

fn answer(
    engine: &Engine,
    now: Timestamp,
    mail: Mail<DecisionMessage>,
    grants: Result<&Grants, Failure>,
) {
    match &mail.message {
        DecisionMessage::Resolve(_) => {
            let reply = grants.map(|grants| grants.held().clone());
            mail.into_parts::<Resolve>().2.send(reply);
        }
        DecisionMessage::Decide(decide) => {
            let reply = grants.map(|grants| {
                let question = &decide.question;
                let case = Case {
                    engine,
                    grants,
                    principal: &question.principal,
                    action: &question.action,
                    now,
                    address: address(&mail.scope),
                };
                case.rule(&question.resource).decision(&question.action)
            });
            mail.into_parts::<Decide>().2.send(reply);
        }
        DecisionMessage::Explain(query) => {
            let reply = grants.map(|grants| explain(engine, grants, now, query, &mail.scope));
            mail.into_parts::<Explain>().2.send(reply);
        }
        DecisionMessage::Forget(_) => {}
    }
}

fn explain(
    engine: &Engine,
    grants: &Grants,
    now: Timestamp,
    query: &Explain,
    scope: &Scope,
) -> Explanation {
    let principal = Principal {
        subject: query.subject,
        kind: PrincipalKind::User,
        tenant: query.tenant,
        session: None,
        permissions: PermissionSet::new(),
        bound: None,
        label: String::new(),
    };
    let case = Case {
        engine,
        grants,
        principal: &principal,
        action: &query.action,
        now,
        address: address(scope),
    };
    case.explain(query.resource.as_ref())
}

fn address(scope: &Scope) -> Option<IpAddr> {
    scope.origin().and_then(|origin| origin.address)
}
