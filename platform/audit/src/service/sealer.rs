//! Moves records from the queue into their chains and signs what it has done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{Batch, Context, Handled, Lent, Service};
use troupe_database::{Db, DbConn, DbTimestamp, DbUuid, UnitOfWork};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::{Failure, Scope};
use uuid::Uuid;

use super::Keys;
use crate::anchor::Anchor;
use crate::canonical::Head;
use crate::error::AuditError;
use crate::events;
use crate::messages::{SealNow, SealedNow, SealerMessage, Tick};
use crate::repository::checkpoints::{self, Signed};
use crate::repository::entries::{self, EntryRow};
use crate::repository::heads::{self, HeadRow, SealRow};
use crate::repository::{hash_of, queue, signed, unsigned};
use crate::sealing::{self, Waiting};
use crate::signing::SigningKey;

/// The clock of checkpoints, and the net under a wake that was lost.
const TICK: Duration = Duration::from_secs(1);
/// Time of one step; the lock of another node is waited for within it.
const STEP_WITHIN: Duration = Duration::from_secs(30);
/// Steps in a row before other messages get a turn.
const STEPS_MAX: u32 = 50;
/// Chains that one checkpoint speaks of at most.
const HEADS_MAX: i64 = 1000;

/// What it works with.
#[derive(Clone)]
pub struct SealerSetup {
    /// The database.
    pub db: Db,
    /// The keys, and the configuration with them.
    pub keys: Keys,
}

/// The one that seals. Several nodes may have one: a row in the database makes them take turns.
pub struct Sealer {
    setup: SealerSetup,
    key: Option<Arc<SigningKey>>,
    /// Whether a sealing for a wake is on its way.
    woken: bool,
}

/// What one step did.
#[derive(Debug, Default)]
struct Step {
    entries: usize,
    checkpoint: Option<Signed>,
}

impl Sealer {
    /// One that has no key yet.
    #[must_use]
    pub fn new(setup: SealerSetup) -> Self {
        Self { setup, key: None, woken: false }
    }

    /// Seals until nothing waits, or until it is time for other messages.
    async fn seal(&mut self, checkpoint: bool) -> Result<SealedNow, Failure> {
        let mut done = SealedNow { entries: 0, checkpoint: None };
        let batch = usize::try_from(self.setup.keys.config().batch).unwrap_or(usize::MAX);
        for _ in 0..STEPS_MAX {
            let step = self.step(checkpoint).await?;
            done.entries += u64::try_from(step.entries).unwrap_or(u64::MAX);
            let full_checkpoint = step.checkpoint.as_ref().is_some_and(|signed| {
                i64::try_from(signed.checkpoint.heads.len()).unwrap_or(i64::MAX) >= HEADS_MAX
            });
            if let Some(signed) = step.checkpoint {
                done.checkpoint = Some(signed.checkpoint.number);
                self.anchor(&signed);
            }
            if step.entries < batch && !full_checkpoint {
                break;
            }
        }
        Ok(done)
    }

    /// A trail that another key signed is not gone on with: entries cannot be taken back, and its
    /// own node could not verify it any more.
    async fn refuse_foreign_trail(&self) -> Result<(), Failure> {
        let last = self
            .setup
            .db
            .read(async |conn: &mut DbConn| Ok(checkpoints::last(conn).await?))
            .await?;
        let Some(signed_by) = last.map(|row| row.key_id) else { return Ok(()) };
        if self.setup.keys.public()?.iter().any(|key| key.id() == signed_by) {
            return Ok(());
        }
        Err(AuditError::ForeignTrail { signed_by }.into())
    }

    async fn step(&self, checkpoint: bool) -> Result<Step, Failure> {
        let Some(key) = self.key.clone() else { return Ok(Step::default()) };
        let scope = Scope::system("audit.sealer", STEP_WITHIN);
        let config = self.setup.keys.config();
        let limits = Limits {
            batch: i64::from(config.batch),
            entries: i64::from(config.checkpoint_entries),
            interval: config.checkpoint_interval,
            now_due: checkpoint,
        };
        // A look before the lock: an idle node must not write once a second.
        if !self.has_work(&limits).await? {
            return Ok(Step::default());
        }
        self.setup
            .db
            .transaction(&scope, async move |uow: &mut UnitOfWork| step(uow, &key, limits).await)
            .await
    }

    async fn has_work(&self, limits: &Limits) -> Result<bool, Failure> {
        let now = self.setup.db.clock().now();
        self.setup
            .db
            .read(async |conn: &mut DbConn| {
                let (waiting, oldest) = queue::waiting(conn).await?;
                metrics::gauge!("audit_records_waiting").set(gauge(waiting));
                let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest.into()));
                metrics::gauge!("audit_oldest_waiting_seconds").set(age.as_secs_f64());
                Ok(waiting > 0 || limits.are_reached(&heads::state(conn).await?, now))
            })
            .await
    }

    /// The anchor is written after the commit. If it fails the trail is as good as before, and the
    /// next checkpoint writes it again.
    fn anchor(&self, signed: &Signed) {
        let number = signed.checkpoint.number;
        tracing::info!(
            number,
            hash = crate::canonical::hex(&signed.hash),
            "an audit checkpoint was signed"
        );
        let path = &self.setup.keys.config().anchor_file;
        if path.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = Anchor::new(number, &signed.hash).write(path) {
            tracing::warn!(%error, number, "the audit anchor was not written");
        }
    }
}

impl Service for Sealer {
    type Message = SealerMessage;

    const BATCHES: bool = true;

    /// Fails without a usable key, so that the node does not start: it would keep a trail that
    /// nobody can verify.
    async fn start(&mut self, ctx: &mut Context<SealerMessage>) -> Handled {
        let key = self.setup.keys.own()?;
        self.refuse_foreign_trail().await?;
        self.key = Some(key);
        ctx.every(TICK, || Tick.into())
    }

    async fn handle(
        &mut self,
        _message: &mut Lent<SealerMessage>,
        ctx: &mut Context<SealerMessage>,
    ) -> Handled {
        ctx.fail(Failure::internal("audit.sealer.batch", "sealing is handled in batches"))
    }

    /// One sealing for all that wait, and for all commits of a short while: sealing after each commit
    /// would double the transactions of a busy node.
    async fn handle_batch(
        &mut self,
        batch: &mut Batch<'_, SealerMessage>,
        ctx: &mut Context<SealerMessage>,
    ) -> Handled {
        let (mut askers, mut ticked) = (Vec::new(), false);
        while let Some(mail) = batch.next() {
            match mail.message {
                SealerMessage::SealNow(_) => askers.push(mail.into_parts::<SealNow>().2),
                SealerMessage::Tick(_) => ticked = true,
                SealerMessage::Wake(_) => {}
            }
        }
        if askers.is_empty() && !ticked {
            if !self.woken {
                self.woken = true;
                ctx.after(self.setup.keys.config().delay, Tick)?;
            }
            return Ok(());
        }
        self.woken = false;
        let sealed = self.seal(!askers.is_empty()).await;
        if let (Err(failure), true) = (&sealed, askers.is_empty()) {
            tracing::warn!(%failure, "audit records were not sealed; they wait and are tried again");
        }
        for asker in askers {
            asker.send(sealed.clone());
        }
        Ok(())
    }

    /// Leaves as little as possible in the window before sealing.
    async fn stop(&mut self, _ctx: &mut Context<SealerMessage>) {
        if let Err(failure) = self.seal(true).await {
            tracing::warn!(%failure, "audit records wait for the next start to be sealed");
        }
    }
}

/// When a step ends and a checkpoint is due.
#[derive(Debug, Clone, Copy)]
struct Limits {
    batch: i64,
    entries: i64,
    interval: Duration,
    now_due: bool,
}

impl Limits {
    fn are_reached(&self, state: &SealRow, now: Timestamp) -> bool {
        let new = state.entries_since_checkpoint;
        let late = now.since(state.uncovered_since.into()) >= self.interval;
        new >= self.entries || (new > 0 && (late || self.now_due))
    }
}

/// One transaction: entries, heads, the emptied queue, and a checkpoint when one is due.
async fn step(uow: &mut UnitOfWork, key: &SigningKey, limits: Limits) -> Result<Step, Failure> {
    let now = uow.now();
    let before = heads::lock(uow.conn()).await?;
    let waiting: Vec<Waiting> = queue::first(uow.conn(), limits.batch)
        .await?
        .into_iter()
        .map(|row| Waiting {
            position: unsigned(row.position),
            recorded_at: row.recorded_at.into(),
            record: row.record.0,
        })
        .collect();
    let positions: Vec<i64> = waiting.iter().map(|each| signed(each.position)).collect();
    let entries = i64::try_from(positions.len()).unwrap_or(i64::MAX);
    if entries > 0 {
        append(uow.conn(), key, waiting, now).await?;
        queue::remove(uow.conn(), &positions).await?;
    }
    let mut state = before.plus(entries, now);
    // One that was asked for is signed with the last step.
    let limits = Limits { now_due: limits.now_due && entries < limits.batch, ..limits };
    let mut checkpoint = None;
    if limits.are_reached(&state, now) {
        let (signed, more) = sign(uow, key, now).await?;
        checkpoint = signed;
        if !more {
            state.entries_since_checkpoint = 0;
        }
    }
    heads::keep(uow.conn(), state).await?;
    Ok(Step { entries: positions.len(), checkpoint })
}

async fn append(
    conn: &mut DbConn,
    key: &SigningKey,
    waiting: Vec<Waiting>,
    now: Timestamp,
) -> Result<(), Failure> {
    let chains: BTreeSet<Uuid> =
        waiting.iter().map(|each| sealing::chain_of(&each.record)).collect();
    let chains: Vec<Uuid> = chains.into_iter().collect();
    let known = heads::of(conn, &chains).await?;
    let covered: BTreeMap<Uuid, i64> =
        known.iter().map(|row| (row.chain.into(), row.checkpointed_sequence)).collect();
    let mut ends: BTreeMap<Uuid, Head> =
        known.iter().map(|row| (row.chain.into(), row.head())).collect();
    let sealed = sealing::seal(&mut ends, waiting);
    let rows =
        sealed.iter().map(|each| EntryRow::new(&each.entry, &each.previous, &each.hash)).collect();
    entries::append(conn, rows).await?;
    for chain in chains {
        let Some(head) = ends.get(&chain) else { continue };
        let row = HeadRow {
            chain: DbUuid(chain),
            sequence: signed(head.sequence),
            hash: head.hash.to_vec(),
            sealed_at: DbTimestamp(now),
            checkpointed_sequence: covered.get(&chain).copied().unwrap_or(0),
            key_id: key.public().id().to_owned(),
            signature: key.sign(&head.bytes()),
        };
        heads::advance(conn, row).await?;
    }
    Ok(())
}

/// Signs a checkpoint about heads that none covers yet, and says whether some are left.
async fn sign(
    uow: &mut UnitOfWork,
    key: &SigningKey,
    now: Timestamp,
) -> Result<(Option<Signed>, bool), Failure> {
    let rows = heads::uncovered(uow.conn(), HEADS_MAX).await?;
    if rows.is_empty() {
        return Ok((None, false));
    }
    let last = checkpoints::last(uow.conn()).await?;
    let last = last.map(|row| (unsigned(row.number), hash_of(&row.hash)));
    let checkpoint = sealing::checkpoint(last, rows.iter().map(HeadRow::head).collect(), now);
    let signed = Signed {
        hash: checkpoint.hash(),
        key_id: key.public().id().to_owned(),
        signature: key.sign(&checkpoint.bytes()),
        checkpoint,
    };
    checkpoints::append(uow.conn(), &signed).await?;
    for head in &signed.checkpoint.heads {
        heads::cover(uow.conn(), head).await?;
    }
    uow.event(events::checkpoint_signed(&signed));
    let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= HEADS_MAX;
    Ok((Some(signed), more))
}

fn gauge(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
