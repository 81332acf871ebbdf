//! Verification: walks the trails from their beginning and believes only what is signed.
//!
//! What is found: an entry that was changed, removed, inserted, moved or replaced; a tail that was cut
//! off; a chain that was rewritten; a forged or removed head or checkpoint; a trail that vanished; a
//! database that was set back (with an anchor); on SQLite, records removed before they were sealed.
//!
//! What cannot be found from the database alone: a record that was changed, or on PostgreSQL removed,
//! between its commit and its sealing; a database set back to an earlier state of itself together with
//! the anchor. The private key makes everything else out of reach of who can only write to the
//! database.
//!
//! It reads page by page, needs no lock, and may run while entries are being added.

use std::collections::{BTreeMap, BTreeSet};

use troupe_database::{Db, DbConn, Dialect};
use troupe_kernel::Failure;
use uuid::Uuid;

use crate::anchor::Anchor;
use crate::canonical::{Hash, Head, NO_HASH, hex};
use crate::report::{Finding, Report};
use crate::repository::checkpoints::{self, CheckpointRow};
use crate::repository::entries::{self, EntryRow};
use crate::repository::heads::{self, HeadRow};
use crate::repository::{hash_of, queue, unsigned};
use crate::signing::PublicKey;

const PAGE: i64 = 1000;
const CHAINS_PAGE: i64 = 500;
/// How often the end of a trail that grows meanwhile is followed.
const CATCH_UP_MAX: u32 = 10;

/// How much is verified.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Only the trail of this tenant (nil for the platform's own); none verifies all.
    pub chain: Option<Uuid>,
    /// Go on after this entry of that trail.
    pub after: u64,
    /// Stop after about so many entries; none verifies all.
    pub entries_max: Option<u64>,
    /// What is known outside of the database.
    pub anchor: Option<Anchor>,
}

/// Verifies the trail in `db` with the keys that signed it.
///
/// # Errors
/// When the database cannot be read. What is wrong with the trail is in the report.
pub async fn verify(
    db: &Db,
    keys: &[PublicKey],
    options: &VerifyOptions,
) -> Result<Report, Failure> {
    let mut verification = Verification {
        keys: keys.iter().map(|key| (key.id().to_owned(), key.clone())).collect(),
        report: Report { complete: true, after: options.after, ..Report::default() },
        unknown_keys: BTreeSet::new(),
        left: options.entries_max.unwrap_or(u64::MAX),
    };
    verification.run(db, options).await?;
    let mut report = verification.report;
    report.intact = report.findings_total == 0;
    Ok(report)
}

struct Verification {
    keys: BTreeMap<String, PublicKey>,
    report: Report,
    unknown_keys: BTreeSet<String>,
    left: u64,
}

impl Verification {
    async fn run(&mut self, db: &Db, options: &VerifyOptions) -> Result<(), Failure> {
        let newest = db.read(async |conn: &mut DbConn| Ok(checkpoints::last(conn).await?)).await?;
        let newest = newest.map_or(0, |row| unsigned(row.number));
        match options.chain {
            Some(chain) => {
                self.last_checkpoint(db, chain).await?;
                self.trail(db, chain, options.after, newest).await?;
            }
            None => {
                self.checkpoints(db, newest).await?;
                self.anchor(db, options.anchor.as_ref()).await?;
                self.trails(db, newest).await?;
                self.queue(db).await?;
            }
        }
        Ok(())
    }

    /// Walks the checkpoints: numbers without a gap, links, signatures.
    async fn checkpoints(&mut self, db: &Db, newest: u64) -> Result<(), Failure> {
        let (mut after, mut previous) = (0_u64, NO_HASH);
        loop {
            let page = db
                .read(async |conn: &mut DbConn| {
                    let rows = checkpoints::walk(conn, after, 200).await?;
                    let mut page = Vec::with_capacity(rows.len());
                    for row in rows {
                        let heads = checkpoints::heads_of(conn, row.number).await?;
                        page.push((row, heads.iter().map(|head| head.head()).collect::<Vec<_>>()));
                    }
                    Ok(page)
                })
                .await?;
            let Some((last, _)) = page.last() else { break };
            let reached = unsigned(last.number);
            for (row, heads) in page {
                let number = unsigned(row.number);
                if number > newest {
                    return Ok(());
                }
                if number > after + 1 {
                    self.report
                        .add(Finding::CheckpointsMissing { first: after + 1, last: number - 1 });
                } else if hash_of(&row.previous_hash) != previous {
                    self.report.add(Finding::CheckpointLinkBroken { number });
                }
                previous = self.checkpoint(&row, heads);
                after = number;
            }
            after = reached;
        }
        Ok(())
    }

    /// Checks the signature of a checkpoint over what it says; answers its true hash.
    fn checkpoint(&mut self, row: &CheckpointRow, heads: Vec<Head>) -> Hash {
        self.report.checkpoints += 1;
        let number = unsigned(row.number);
        let counted = usize::try_from(row.head_count).ok() == Some(heads.len());
        let checkpoint = row.checkpoint(heads);
        let hash = checkpoint.hash();
        let good = self.is_signed(&row.key_id, &checkpoint.bytes(), &row.signature);
        if good == Some(false) || !counted || hash_of(&row.hash) != hash {
            self.report.add(Finding::CheckpointForged { number });
        }
        hash
    }

    /// Checks the checkpoint that protects one trail.
    async fn last_checkpoint(&mut self, db: &Db, chain: Uuid) -> Result<(), Failure> {
        let found = db
            .read(async |conn: &mut DbConn| {
                let Some(stated) = checkpoints::last_of(conn, chain).await? else {
                    return Ok(None);
                };
                let before = unsigned(stated.number).saturating_sub(1);
                let row = checkpoints::walk(conn, before, 1).await?.into_iter().next();
                let heads = checkpoints::heads_of(conn, stated.number).await?;
                Ok(Some((stated.number, row, heads)))
            })
            .await?;
        let Some((number, row, heads)) = found else { return Ok(()) };
        match row.filter(|row| row.number == number) {
            Some(row) => {
                self.checkpoint(&row, heads.iter().map(|head| head.head()).collect());
            }
            None => {
                let number = unsigned(number);
                self.report.add(Finding::CheckpointsMissing { first: number, last: number });
            }
        }
        Ok(())
    }

    async fn anchor(&mut self, db: &Db, anchor: Option<&Anchor>) -> Result<(), Failure> {
        let Some(anchor) = anchor else { return Ok(()) };
        let found = db
            .read(async |conn: &mut DbConn| {
                Ok(checkpoints::walk(conn, anchor.number.saturating_sub(1), 1).await?)
            })
            .await?;
        let same = found.first().is_some_and(|row| {
            unsigned(row.number) == anchor.number && hex(&row.hash) == anchor.hash
        });
        if !same {
            self.report.add(Finding::SetBack { number: anchor.number });
        }
        Ok(())
    }

    /// Walks every trail that entries, heads or checkpoints know of.
    async fn trails(&mut self, db: &Db, newest: u64) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let (mut chains, full) = db
                .read(async |conn: &mut DbConn| {
                    let mut known = Vec::new();
                    known.push(entries::chains(conn, after, CHAINS_PAGE).await?);
                    known.push(checkpoints::chains(conn, after, CHAINS_PAGE).await?);
                    let heads = heads::list(conn, after, CHAINS_PAGE).await?;
                    known.push(heads.into_iter().map(|head| head.chain.into()).collect());
                    Ok(merge(known))
                })
                .await?;
            chains.sort_unstable();
            for chain in &chains {
                self.trail(db, *chain, 0, newest).await?;
            }
            after = chains.last().copied();
            if !full || after.is_none() {
                return Ok(());
            }
        }
    }

    /// Walks one trail after an entry to its signed end.
    async fn trail(
        &mut self,
        db: &Db,
        chain: Uuid,
        after: u64,
        newest: u64,
    ) -> Result<(), Failure> {
        if self.left == 0 {
            self.report.complete = false;
            return Ok(());
        }
        self.report.trails += 1;
        let (head, first, stated) = db
            .read(async |conn: &mut DbConn| {
                let head = heads::of(conn, &[chain]).await?.into_iter().next();
                let first = entries::find(conn, chain, after).await?;
                Ok((head, first, checkpoints::last_of(conn, chain).await?))
            })
            .await?;
        let stated = stated.filter(|row| unsigned(row.number) <= newest);
        let stated = stated.map_or(0, |row| unsigned(row.sequence));
        let head = head.map(|row| self.head(&row));
        let previous = first.map_or(NO_HASH, |row| hash_of(&row.hash));
        let mut walk = Walk { chain, sequence: after, previous, head };
        if after == 0 {
            self.impossible(db, chain).await?;
        }
        for _ in 0..CATCH_UP_MAX {
            if !self.walk(db, &mut walk, newest).await? {
                self.report.complete = false;
                return Ok(());
            }
            if self.is_at_end(db, &mut walk, stated).await? {
                break;
            }
        }
        self.report.entries_since_checkpoint += walk.sequence.saturating_sub(stated);
        Ok(())
    }

    /// Walks to the last entry there is; false when the limit of entries was reached before.
    async fn walk(&mut self, db: &Db, walk: &mut Walk, newest: u64) -> Result<bool, Failure> {
        let (chain, full) = (walk.chain, usize::try_from(PAGE).unwrap_or(usize::MAX));
        loop {
            let after = walk.sequence;
            let (rows, said) = db
                .read(async |conn: &mut DbConn| {
                    let rows = entries::walk(conn, chain, after, PAGE).await?;
                    let until = rows.last().map_or(after, |row| unsigned(row.sequence));
                    let said = checkpoints::statements(conn, chain, after, until).await?;
                    Ok((rows, said))
                })
                .await?;
            let mut hashes = BTreeMap::new();
            for row in &rows {
                self.entry(walk, row);
                hashes.insert(unsigned(row.sequence), hash_of(&row.hash));
            }
            for statement in said.iter().filter(|row| unsigned(row.number) <= newest) {
                let (number, sequence) = (unsigned(statement.number), unsigned(statement.sequence));
                // An entry that is missing is found as such.
                if hashes.get(&sequence).is_some_and(|hash| *hash != hash_of(&statement.hash)) {
                    self.report.add(Finding::CheckpointContradicts {
                        trail: chain,
                        number,
                        sequence,
                    });
                }
            }
            self.left = self.left.saturating_sub(u64::try_from(rows.len()).unwrap_or(u64::MAX));
            if rows.len() < full {
                return Ok(true);
            }
            if self.left == 0 {
                return Ok(false);
            }
        }
    }

    /// Compares where the walk ended with what is signed. The head that was read before the walk must
    /// be reached. The head that is read now covers every entry that was seen, because both are
    /// committed together; when it is further on, entries were added meanwhile and the walk goes on.
    async fn is_at_end(&mut self, db: &Db, walk: &mut Walk, stated: u64) -> Result<bool, Failure> {
        let trail = walk.chain;
        let reached = walk.head.as_ref().map_or(0, |head| head.sequence).max(stated);
        if walk.sequence < reached {
            let first = walk.sequence + 1;
            self.report.add(Finding::EntriesMissing { trail, first, last: reached });
            return Ok(true);
        }
        let row = db
            .read(async |conn: &mut DbConn| Ok(heads::of(conn, &[trail]).await?.into_iter().next()))
            .await?;
        let Some(row) = row else {
            if walk.sequence > 0 {
                self.report.add(Finding::HeadMissing { trail });
            }
            return Ok(true);
        };
        let now = row.head();
        if now.sequence > walk.sequence {
            walk.head = Some(self.head(&row));
            return Ok(false);
        }
        if now.sequence < walk.sequence {
            self.report.add(Finding::BeyondHead { trail, signed: now.sequence });
        } else if now.hash != walk.previous {
            self.report.add(Finding::HeadContradicts { trail, sequence: now.sequence });
        }
        Ok(true)
    }

    /// Entries below 1 are not walked, so they are looked for.
    async fn impossible(&mut self, db: &Db, chain: Uuid) -> Result<(), Failure> {
        let below =
            db.read(async |conn: &mut DbConn| Ok(entries::below_one(conn, chain).await?)).await?;
        for sequence in below {
            self.report.add(Finding::PlaceImpossible { trail: chain, sequence });
        }
        Ok(())
    }

    fn entry(&mut self, walk: &mut Walk, row: &EntryRow) {
        self.report.entries += 1;
        let (trail, entry) = (walk.chain, row.entry());
        let sequence = entry.sequence;
        let (named, stored) = (hash_of(&row.previous_hash), hash_of(&row.hash));
        if sequence > walk.sequence + 1 {
            let (first, last) = (walk.sequence + 1, sequence - 1);
            self.report.add(Finding::EntriesMissing { trail, first, last });
        } else if named != walk.previous {
            self.report.add(Finding::LinkBroken { trail, sequence });
        }
        if entry.hash(&named) != stored {
            self.report.add(Finding::EntryChanged { trail, sequence });
        }
        walk.sequence = sequence;
        walk.previous = stored;
        self.report.after = sequence;
    }

    fn head(&mut self, row: &HeadRow) -> Head {
        let head = row.head();
        if self.is_signed(&row.key_id, &head.bytes(), &row.signature) == Some(false) {
            self.report.add(Finding::HeadForged { trail: head.chain });
        }
        head
    }

    async fn queue(&mut self, db: &Db) -> Result<(), Failure> {
        let (waiting, unaccounted) = db
            .read(async |conn: &mut DbConn| {
                let (waiting, _) = queue::waiting(conn).await?;
                Ok((waiting, entries::unaccounted(conn).await?))
            })
            .await?;
        self.report.waiting = unsigned(waiting);
        self.report.unaccounted = unsigned(unaccounted.max(0));
        if db.dialect() == Dialect::Sqlite && unaccounted > 0 {
            self.report.add(Finding::RecordsUnaccounted { count: unsigned(unaccounted) });
        }
        Ok(())
    }

    /// Whether the signature is good; none when the key is not known, which is found once per key.
    fn is_signed(&mut self, key_id: &str, bytes: &[u8], signature: &[u8]) -> Option<bool> {
        if let Some(key) = self.keys.get(key_id) {
            return Some(key.verifies(bytes, signature));
        }
        if self.unknown_keys.insert(key_id.to_owned()) {
            self.report.add(Finding::KeyUnknown { key_id: key_id.to_owned() });
        }
        None
    }
}

/// Where the walk along a trail is.
struct Walk {
    chain: Uuid,
    sequence: u64,
    previous: Hash,
    head: Option<Head>,
}

/// Merges sorted lists that may be cut at [`CHAINS_PAGE`]: only ids up to the shortest cut are
/// complete. Answers whether there may be more.
fn merge(lists: Vec<Vec<Uuid>>) -> (Vec<Uuid>, bool) {
    let full = usize::try_from(CHAINS_PAGE).unwrap_or(usize::MAX);
    let cut = lists
        .iter()
        .filter(|list| list.len() >= full)
        .filter_map(|list| list.last())
        .min()
        .copied();
    let mut merged: BTreeSet<Uuid> = lists.into_iter().flatten().collect();
    if let Some(cut) = cut {
        merged.retain(|chain| *chain <= cut);
    }
    (merged.into_iter().collect(), cut.is_some())
}
