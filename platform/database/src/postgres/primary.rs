//! The primary: whichever of the named servers takes writes.
//!
//! With several servers the watch asks each how it stands, and whoever finds the primary gone asks
//! them, too. The one that takes writes on the latest timeline is the primary; its pool replaces the
//! one before, whose connections end with the work on them. A server of an earlier timeline was
//! replaced while it was away: it is never written to again, whatever it says of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use diesel::ConnectionError;
use diesel_async::AsyncPgConnection;
use futures_util::future::join_all;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::address::Address;
use super::pool::{Bounds, Seat};
use super::standing::{Standing, ask};
use super::transaction::PgConn;
use crate::error::{DbError, DbResult};

/// Between two questions who the primary is, of those who wait for one.
const PAUSE: Duration = Duration::from_millis(100);

/// The servers that may be the primary, and the one that is.
pub(super) struct Primary {
    hosts: Vec<Address>,
    bounds: Bounds,
    seat: RwLock<Option<Arc<Seat>>>,
    /// The latest timeline that was seen.
    timeline: Arc<AtomicI64>,
    /// Whether none took writes at the last survey.
    is_away: AtomicBool,
    survey: Mutex<Survey>,
}

/// What the surveys share.
struct Survey {
    /// One connection to each server, for these questions alone.
    connections: Vec<Option<AsyncPgConnection>>,
    /// When the last one ended, and what it says when no server takes writes.
    last: Option<(Instant, String)>,
    /// The primary and its timeline.
    chosen: Option<(usize, i64)>,
}

impl Primary {
    /// Nothing connects yet. The only server is the primary until it says otherwise.
    pub(super) fn new(hosts: Vec<Address>, bounds: Bounds) -> DbResult<Self> {
        let connections = hosts.iter().map(|_| None).collect();
        let primary = Self {
            hosts,
            bounds,
            seat: RwLock::default(),
            timeline: Arc::default(),
            is_away: AtomicBool::new(false),
            survey: Mutex::new(Survey { connections, last: None, chosen: None }),
        };
        if let [only] = primary.hosts.as_slice() {
            *primary.seat.write() = Some(primary.seat_at(only)?);
        }
        Ok(primary)
    }

    /// The servers that may be the primary.
    pub(super) fn hosts(&self) -> &[Address] {
        &self.hosts
    }

    /// A connection to the primary. While none of several servers takes writes it waits for one.
    pub(super) async fn get(&self, wait: Duration) -> DbResult<PgConn> {
        let seat = self.seat.read().clone();
        if let Some(seat) = &seat {
            match seat.get(wait).await {
                Err(DbError::Unreachable { .. }) if self.hosts.len() > 1 => {}
                got => return Ok(PgConn::new(got?, seat)),
            }
        }
        tokio::time::timeout(wait, self.search(seat, wait)).await.unwrap_or_else(|_| {
            let detail = "none of the servers of database.url takes writes".to_owned();
            Err(DbError::Unreachable { detail })
        })
    }

    /// Tries the servers again and again; `failed` is the one that has just refused.
    async fn search(&self, mut failed: Option<Arc<Seat>>, wait: Duration) -> DbResult<PgConn> {
        loop {
            match self.choose(failed.as_ref()).await {
                Ok(seat) => match seat.get(wait).await {
                    Err(DbError::Unreachable { .. }) => failed = Some(seat),
                    got => return Ok(PgConn::new(got?, &seat)),
                },
                Err(DbError::Unreachable { detail }) => {
                    tracing::debug!(detail, "waiting for a primary");
                }
                Err(other) => return Err(other),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The primary by a survey, unless another caller has just made one.
    async fn choose(&self, failed: Option<&Arc<Seat>>) -> DbResult<Arc<Seat>> {
        let mut survey = self.survey.lock().await;
        let current = self.seat.read().clone();
        let is_new = |seat: &Arc<Seat>| failed.is_none_or(|failed| !Arc::ptr_eq(failed, seat));
        if let Some(seat) = current.filter(is_new) {
            return Ok(seat);
        }
        if let Some((_, detail)) = survey.last.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            return Err(DbError::Unreachable { detail: detail.clone() });
        }
        self.hold(&mut survey).await?;
        self.seat.read().clone().ok_or_else(|| DbError::Unreachable { detail: "no primary".into() })
    }

    /// Asks every server, and makes the one the primary that is; answers when it was asked and what
    /// it said.
    pub(super) async fn look(&self) -> Option<(Instant, Standing)> {
        self.hold(&mut *self.survey.lock().await).await.ok()
    }

    async fn hold(&self, survey: &mut Survey) -> DbResult<(Instant, Standing)> {
        let asked = Instant::now();
        let asking = self.hosts.iter().zip(&mut survey.connections);
        let answers = join_all(asking.map(|(address, kept)| ask(address, kept))).await;
        let known = self.timeline.load(Ordering::Acquire);
        let mut best: Option<(usize, &Standing)> = None;
        for (host, standing) in answers.iter().enumerate() {
            let Ok(standing) = standing else { continue };
            let is_later = best.is_none_or(|(_, best)| {
                standing.timeline > best.timeline
                    || standing.timeline == best.timeline
                        && survey.chosen.is_some_and(|(chosen, _)| chosen == host)
            });
            if !standing.is_standby && standing.timeline >= known && is_later {
                best = Some((host, standing));
            }
        }
        self.is_away.store(best.is_none(), Ordering::Relaxed);
        metrics::gauge!("database_primary_known").set(if best.is_some() { 1.0 } else { 0.0 });
        let Some((host, standing)) = best else {
            let detail = self.refusals(&answers);
            survey.last = Some((Instant::now(), detail.clone()));
            return Err(DbError::Unreachable { detail });
        };
        let standing = standing.clone();
        self.install(survey, host, &standing)?;
        Ok((asked, standing))
    }

    /// Lets writes go to this host, when they do not already.
    fn install(&self, survey: &mut Survey, host: usize, standing: &Standing) -> DbResult<()> {
        self.timeline.fetch_max(standing.timeline, Ordering::AcqRel);
        let before = survey.chosen.replace((host, standing.timeline));
        let is_same = before.is_none_or(|before| before == (host, standing.timeline));
        if is_same && self.seat.read().is_some() {
            return Ok(());
        }
        *self.seat.write() = Some(self.seat_at(&self.hosts[host])?);
        if before.is_some() {
            metrics::counter!("database_failovers_total").increment(1);
            let (server, timeline) = (self.hosts[host].name(), standing.timeline);
            tracing::warn!(server, timeline, "another server is the primary now");
        }
        Ok(())
    }

    fn seat_at(&self, address: &Address) -> DbResult<Arc<Seat>> {
        let timeline = Arc::clone(&self.timeline);
        let seat = Seat::new("primary", address.clone(), self.bounds, move |standing| {
            if standing.is_standby {
                return Err("it takes no writes, for it follows another server".to_owned());
            }
            if timeline.fetch_max(standing.timeline, Ordering::AcqRel) > standing.timeline {
                return Err("it was replaced: a server of a later timeline was seen".to_owned());
            }
            Ok(())
        });
        seat.map(Arc::new)
    }

    /// Why none is the primary, for people.
    fn refusals(&self, answers: &[Result<Standing, ConnectionError>]) -> String {
        let mut text = "no server takes writes".to_owned();
        for (address, answer) in self.hosts.iter().zip(answers) {
            let why = match answer {
                Ok(standing) if standing.is_standby => "it follows another server".to_owned(),
                Ok(_) => "it was replaced: a server of a later timeline was seen".to_owned(),
                Err(error) => error.to_string(),
            };
            text.push_str(&format!("; {}: {why}", address.name()));
        }
        text
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Whether there is more than one server to choose from.
    pub(super) fn is_chosen(&self) -> bool {
        self.hosts.len() > 1
    }

    pub(super) fn measure(&self) {
        if let Some(seat) = &*self.seat.read() {
            seat.measure();
        }
    }
}
