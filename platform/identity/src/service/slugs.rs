//! The slug cache: which organisation an address names, from memory.
//!
//! One actor. A slug that is not known is loaded once, however many ask for it meanwhile; that there
//! is no such organisation is remembered as well, because guessed addresses come in numbers. What is
//! forgotten while it is loaded is given to those who asked before and not kept.

use std::collections::HashMap;
use std::time::Duration;

use troupe_actors::{Context, Handled, Lent, Reply, Service};
use troupe_database::{Db, DbConn};
use troupe_identity_messages::Organisation;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::{Failure, FailureKind, SharedClock};

use crate::messages::{FindSlug, SlugLoaded, SlugMessage};
use crate::naming;
use crate::repository::organisations;

/// Askers that may wait for the database at once.
const WAITING_MAX: usize = 4096;

type Answer = Reply<Option<Organisation>>;

/// Bounds of the cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlugLimits {
    /// How long an answer is kept.
    pub(crate) time: Duration,
    /// How many are kept.
    pub(crate) entries_max: usize,
}

/// The cache. It remembers nothing after a crash.
pub(crate) struct Slugs {
    db: Db,
    clock: SharedClock,
    limits: SlugLimits,
    known: HashMap<String, Known>,
    loading: HashMap<String, Loading>,
    waiting: usize,
    numbers: u64,
}

struct Known {
    organisation: Option<Organisation>,
    until: Timestamp,
}

struct Loading {
    /// Which look-up; the answer of an earlier one is ignored.
    number: u64,
    askers: Vec<Answer>,
    /// Forgotten while it was loaded: what comes may be the state before the change.
    outdated: bool,
}

impl Slugs {
    pub(crate) fn new(db: Db, limits: SlugLimits) -> Self {
        let clock = db.clock().clone();
        Self {
            db,
            clock,
            limits,
            known: HashMap::new(),
            loading: HashMap::new(),
            waiting: 0,
            numbers: 0,
        }
    }

    fn find(&mut self, query: &FindSlug, ctx: &mut Context<SlugMessage>) -> Handled {
        if naming::slug(&query.slug).is_err() {
            return ctx.reply(query, None);
        }
        if let Some(known) = self.known.get(&query.slug)
            && known.until > self.clock.now()
        {
            return ctx.reply(query, known.organisation.clone());
        }
        if self.waiting >= WAITING_MAX {
            return Err(Failure::new(
                FailureKind::Overloaded,
                "identity.slugs.full",
                "too many look-ups of organisations wait; try again shortly",
            )
            .retry_after(Duration::from_secs(1)));
        }
        let asker = ctx.defer(query);
        self.waiting += 1;
        if let Some(loading) = self.loading.get_mut(&query.slug)
            && !loading.outdated
        {
            loading.askers.push(asker);
            return Ok(());
        }
        // One who asks after the change must not get the answer of a look-up from before it.
        let earlier = self.loading.remove(&query.slug);
        let mut askers = earlier.map(|loading| loading.askers).unwrap_or_default();
        askers.push(asker);
        self.numbers += 1;
        let loading = Loading { number: self.numbers, askers, outdated: false };
        self.loading.insert(query.slug.clone(), loading);
        self.load(query.slug.clone(), ctx)
    }

    fn load(&mut self, slug: String, ctx: &mut Context<SlugMessage>) -> Handled {
        let number = self.numbers;
        let db = self.db.clone();
        ctx.run(async move {
            let wanted = slug.clone();
            let found = db
                .read(async move |conn: &mut DbConn| {
                    let row = organisations::find_by_slug(conn, &wanted).await?;
                    row.map(organisations::OrganisationRow::into_organisation).transpose()
                })
                .await;
            Some(SlugLoaded { slug, number, found }.into())
        })
    }

    fn loaded(&mut self, loaded: &SlugLoaded) -> Handled {
        let Some(loading) = self.loading.remove(&loaded.slug) else { return Ok(()) };
        if loading.number != loaded.number {
            self.loading.insert(loaded.slug.clone(), loading);
            return Ok(());
        }
        self.waiting = self.waiting.saturating_sub(loading.askers.len());
        if let Ok(organisation) = &loaded.found
            && !loading.outdated
        {
            self.keep(loaded.slug.clone(), organisation.clone());
        }
        for asker in loading.askers {
            asker.send(loaded.found.clone());
        }
        Ok(())
    }

    fn keep(&mut self, slug: String, organisation: Option<Organisation>) {
        let now = self.clock.now();
        if self.known.len() >= self.limits.entries_max {
            self.known.retain(|_, known| known.until > now);
        }
        if self.known.len() >= self.limits.entries_max {
            self.known.clear();
        }
        let until = now.plus(self.limits.time);
        self.known.insert(slug, Known { organisation, until });
    }

    fn forget(&mut self, slugs: &[String]) {
        for slug in slugs {
            self.known.remove(slug);
            if let Some(loading) = self.loading.get_mut(slug) {
                loading.outdated = true;
            }
        }
    }
}

impl Service for Slugs {
    type Message = SlugMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<SlugMessage>,
        ctx: &mut Context<SlugMessage>,
    ) -> Handled {
        match &**message {
            SlugMessage::FindSlug(query) => self.find(query, ctx),
            SlugMessage::ForgetSlugs(command) => {
                self.forget(&command.slugs);
                ctx.reply(command, ())
            }
            SlugMessage::SlugLoaded(loaded) => self.loaded(loaded),
        }
    }
}
