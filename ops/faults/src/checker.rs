//! The checker: what was promised, against the journal and the evidence.
//!
//! Each claim is a function of its own over both, and `checker_tests` shows for each
//! that it fails when the evidence is changed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::deadlines;
use crate::evidence::{Evidence, Logged};
use crate::journal::{Entry, Operation};
use crate::recorder;

/// What a node may take at most: a debug build with Kafka's clients.
const MEMORY_KIB_MAX: u64 = 900 * 1024;

/// One thing that was promised.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claim {
    pub(crate) name: &'static str,
    /// How many things it was checked on.
    pub(crate) checked: usize,
    pub(crate) violations: Vec<String>,
}

impl Claim {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    pub(crate) fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    /// Counts one thing, and why it is not as promised.
    pub(crate) fn check(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.violations.push(violation());
        }
    }
}

/// All claims.
pub(crate) fn check(entries: &[Entry], evidence: &Evidence) -> Vec<Claim> {
    vec![
        writes_are_there(entries, evidence),
        writes_are_done_once(entries, evidence),
        the_api_shows_them(entries, evidence),
        own_writes_are_seen(entries),
        contents_are_whole(entries, evidence),
        writes_have_events(entries, evidence),
        events_are_in_kafka(evidence),
        keys_keep_their_order(evidence),
        events_are_applied_once(evidence),
        applied_in_order(evidence),
        the_trail_is_whole(entries, evidence),
        jobs_are_done(entries, evidence),
        letters_are_sent(entries, evidence),
        deadlines::check(entries, evidence),
        nothing_is_refused(entries),
        nodes_are_well(evidence),
    ]
}

fn acknowledged<'a>(
    entries: &'a [Entry],
    operations: &'a [Operation],
) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(|entry| entry.acknowledged && operations.contains(&entry.operation))
}

fn writes_are_there(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("every acknowledged write is in the database");
    let saved: HashMap<(&str, i64), &str> = evidence
        .revisions
        .iter()
        .map(|each| ((each.post.as_str(), each.version), each.title.as_str()))
        .collect();
    for entry in acknowledged(entries, &[Operation::CreatePost, Operation::EditPost]) {
        let found = saved.get(&(entry.subject.as_str(), entry.version));
        claim.check(found == Some(&entry.mark.as_str()), || {
            format!("post {} version {} `{}`: {found:?}", entry.subject, entry.version, entry.mark)
        });
    }
    let set = |list: &[String]| list.iter().cloned().collect::<HashSet<_>>();
    let (emails, sessions) = (set(&evidence.emails), set(&evidence.sessions));
    for entry in acknowledged(entries, &[Operation::Register]) {
        claim.check(emails.contains(&entry.mark), || format!("no account {}", entry.mark));
    }
    for entry in acknowledged(entries, &[Operation::LogIn]) {
        claim.check(sessions.contains(&entry.subject), || format!("no session {}", entry.subject));
    }
    let (media, files) = (set(&evidence.media), set(&evidence.files));
    let (gone, unsure) = deleted(entries);
    for entry in acknowledged(entries, &[Operation::UploadMedia]) {
        let (is_there, id) = (media.contains(&entry.subject), &entry.subject);
        if !unsure.contains(id) {
            claim.check(is_there != gone.contains(id), || format!("upload {id} there: {is_there}"));
        }
    }
    for entry in acknowledged(entries, &[Operation::CompleteFile]) {
        claim.check(files.contains(&entry.subject), || format!("no file {}", entry.subject));
    }
    claim
}

/// Uploads whose deletion was acknowledged, and those where that is not known.
fn deleted(entries: &[Entry]) -> (HashSet<String>, HashSet<String>) {
    let deletions = entries.iter().filter(|entry| entry.operation == Operation::DeleteMedia);
    let (gone, unsure): (Vec<&Entry>, Vec<&Entry>) =
        deletions.partition(|entry| entry.acknowledged);
    let subjects =
        |list: Vec<&Entry>| list.into_iter().map(|entry| entry.subject.clone()).collect();
    (subjects(gone), subjects(unsure))
}

fn writes_are_done_once(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("no write is done twice under its key");
    let mut titles: HashMap<&str, u32> = HashMap::new();
    // A title is in the revision that wrote it, and in later ones of the same post only if those do not
    // change it; the clients always do.
    for revision in &evidence.revisions {
        *titles.entry(revision.title.as_str()).or_default() += 1;
    }
    let mut accounts: HashMap<&str, u32> = HashMap::new();
    for email in &evidence.emails {
        *accounts.entry(email.as_str()).or_default() += 1;
    }
    for entry in entries {
        let found = match entry.operation {
            Operation::CreatePost | Operation::EditPost => titles.get(entry.mark.as_str()),
            Operation::Register => accounts.get(entry.mark.as_str()),
            _ => continue,
        };
        let found = found.copied().unwrap_or(0);
        claim.check(found <= 1, || {
            format!("{:?} `{}` is there {found} times", entry.operation, entry.mark)
        });
    }
    claim
}

fn the_api_shows_them(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("the API shows every acknowledged post as the database has it");
    let mut newest: HashMap<&str, (i64, &str)> = HashMap::new();
    for revision in &evidence.revisions {
        let place = newest.entry(revision.post.as_str()).or_default();
        *place = (*place).max((revision.version, revision.title.as_str()));
    }
    let versions: HashMap<&str, i64> =
        evidence.posts.iter().map(|post| (post.id.as_str(), post.version)).collect();
    for shown in &evidence.shown {
        let id = shown.id.as_str();
        let title = newest.get(id).map(|(_, title)| *title);
        let fits = shown.found.as_ref().is_ok_and(|(version, found)| {
            versions.get(id) == Some(version) && title == Some(found.as_str())
        });
        claim.check(fits, || {
            format!("post {id}: the API {:?}, the database {title:?}", shown.found)
        });
    }
    let shown: HashSet<&str> = evidence.shown.iter().map(|shown| shown.id.as_str()).collect();
    let missing: BTreeSet<&str> = acknowledged(entries, &[Operation::CreatePost])
        .map(|entry| entry.subject.as_str())
        .filter(|post| !shown.contains(post))
        .collect();
    claim.check(missing.is_empty(), || format!("{} posts were not asked for", missing.len()));
    claim
}

fn own_writes_are_seen(entries: &[Entry]) -> Claim {
    let mut claim = Claim::new("a client that sends its token sees its own writes");
    for entry in acknowledged(entries, &[Operation::ReadPost]) {
        claim.check(entry.seen >= entry.version, || {
            format!("post {}: version {} after {}", entry.subject, entry.seen, entry.version)
        });
    }
    claim
}

fn contents_are_whole(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim =
        Claim::new("no acknowledged content is missing or changed, deleted ones are gone");
    let found: HashMap<&str, &Result<Option<String>, String>> =
        evidence.contents.iter().map(|each| (each.id.as_str(), &each.found)).collect();
    let (gone, unsure) = deleted(entries);
    for entry in acknowledged(entries, &[Operation::UploadMedia, Operation::CompleteFile]) {
        if unsure.contains(&entry.subject) {
            continue;
        }
        let wanted = (!gone.contains(&entry.subject)).then(|| entry.mark.clone());
        let found = found.get(entry.subject.as_str());
        let fits = found.is_some_and(|found| **found == Ok(wanted.clone()));
        claim.check(fits, || format!("{} should be {wanted:?}: {found:?}", entry.subject));
    }
    claim
}

fn writes_have_events(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("every acknowledged write has its event, once");
    let mut events: HashMap<(&str, &str, i64), u32> = HashMap::new();
    for logged in &evidence.outbox {
        let key = (logged.kind.as_str(), logged.subject.as_str(), logged.version);
        *events.entry(key).or_default() += 1;
    }
    for entry in entries.iter().filter(|entry| entry.acknowledged) {
        let (kind, version) = match entry.operation {
            Operation::CreatePost => ("blog.post.created", entry.version),
            Operation::EditPost => ("blog.post.updated", entry.version),
            Operation::SchedulePost => ("blog.post.scheduled", entry.version),
            Operation::UploadMedia => ("blog.media.uploaded", 0),
            Operation::DeleteMedia => ("blog.media.deleted", 0),
            Operation::CompleteFile => ("files.file.stored", 0),
            Operation::Register => ("auth.account.registered", 0),
            _ => continue,
        };
        let found = events.get(&(kind, entry.subject.as_str(), version)).copied().unwrap_or(0);
        claim.check(found == 1, || format!("{kind} {} {version}: {found} events", entry.subject));
    }
    claim
}

fn topic_of(logged: &Logged) -> &str {
    logged.kind.split('.').next().unwrap_or_default()
}

fn events_are_in_kafka(evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("every event is in Kafka at least once, under its key");
    let mut places: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    for message in &evidence.messages {
        let owner = message.topic.rsplit('.').next().unwrap_or_default();
        places.entry(&message.event).or_default().push((owner, message.key.as_str()));
    }
    for logged in &evidence.outbox {
        let wanted = (topic_of(logged), logged.subject.as_str());
        let found = places.remove(logged.event.as_str()).unwrap_or_default();
        let fits = !found.is_empty() && found.iter().all(|place| *place == wanted);
        claim.check(fits, || format!("{} {} {:?}: {found:?}", logged.kind, logged.event, wanted));
    }
    let some: Vec<&str> = places.keys().copied().take(3).collect();
    claim.check(places.is_empty(), || {
        format!("{} events in Kafka were never committed: {some:?}", places.len())
    });
    claim
}

/// The order in which the events of each subject were committed; a subject has one for each topic.
fn committed(evidence: &Evidence) -> BTreeMap<(&str, &str), Vec<&str>> {
    let mut orders: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for logged in &evidence.outbox {
        orders.entry((topic_of(logged), logged.subject.as_str())).or_default().push(&logged.event);
    }
    orders
}

fn keys_keep_their_order(evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("order per key in Kafka is that of the commits");
    let mut partitions: HashMap<(&str, &str), BTreeSet<i32>> = HashMap::new();
    let mut found: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    let mut known = HashSet::new();
    for message in &evidence.messages {
        let owner = message.topic.rsplit('.').next().unwrap_or_default();
        let key = (owner, message.key.as_str());
        partitions.entry(key).or_default().insert(message.partition);
        // An event that comes again, comes after it was there: only its first place counts.
        if known.insert(message.event.as_str()) {
            found.entry(key).or_default().push(&message.event);
        }
    }
    for (key, order) in committed(evidence) {
        let found = found.remove(&key).unwrap_or_default();
        let partitions = partitions.get(&key).map_or(0, BTreeSet::len);
        claim.check(found == order && partitions <= 1, || {
            format!("{key:?}: {} on {partitions} partitions", first_difference(&order, &found))
        });
    }
    claim
}

fn first_difference(wanted: &[&str], found: &[&str]) -> String {
    let place = wanted.iter().zip(found).position(|(wanted, found)| wanted != found);
    match place {
        Some(place) => format!("{} at place {place} of {}", found[place], wanted.len()),
        None => format!("{} of {}", found.len(), wanted.len()),
    }
}

fn events_are_applied_once(evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("every event is applied exactly once");
    let mut applied: HashMap<&str, u32> = HashMap::new();
    for each in &evidence.applied {
        *applied.entry(each.event.as_str()).or_default() += 1;
    }
    for logged in evidence.outbox.iter().filter(|logged| recorder::takes(&logged.kind)) {
        let found = applied.remove(logged.event.as_str()).unwrap_or(0);
        claim.check(found == 1, || format!("{} {}: {found} times", logged.kind, logged.event));
    }
    claim.check(applied.is_empty(), || {
        format!("{} were applied that were never committed", applied.len())
    });
    for letter in &evidence.dead_letters {
        claim.check(false, || format!("a dead letter: {letter}"));
    }
    claim
}

fn applied_in_order(evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("order per key at the consumer is that of the commits");
    let kinds: HashMap<&str, &str> =
        evidence.outbox.iter().map(|logged| (logged.event.as_str(), topic_of(logged))).collect();
    let mut found: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    let mut known = HashSet::new();
    for each in &evidence.applied {
        let owner = kinds.get(each.event.as_str()).copied().unwrap_or_default();
        if known.insert(each.event.as_str()) {
            found.entry((owner, each.subject.as_str())).or_default().push(&each.event);
        }
    }
    for (key, order) in committed(evidence) {
        if !recorder::takes(&format!("{}.", key.0)) {
            continue;
        }
        let found = found.remove(&key).unwrap_or_default();
        claim.check(found == order, || format!("{key:?}: {}", first_difference(&order, &found)));
    }
    claim
}

fn the_trail_is_whole(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("the audit trail is unbroken and has each write once");
    for finding in &evidence.audit_findings {
        claim.check(false, || finding.clone());
    }
    let waiting = evidence.audit_waiting;
    claim.check(waiting == 0, || format!("{waiting} records were never chained"));
    let mut audited: HashMap<&str, u32> = HashMap::new();
    for record in evidence.audited.iter().filter(|record| !record.action.is_empty()) {
        *audited.entry(record.resource.as_str()).or_default() += 1;
    }
    // A record and an event are written by the same unit of work.
    let mut events: BTreeMap<String, u32> = BTreeMap::new();
    for logged in &evidence.outbox {
        let sort = if logged.kind.starts_with("blog.post.") {
            "blog.post"
        } else if logged.kind.starts_with("blog.media.") {
            "blog.media"
        } else {
            continue;
        };
        *events.entry(format!("{sort}:{}", logged.subject)).or_default() += 1;
    }
    for (resource, events) in &events {
        let found = audited.get(resource.as_str()).copied().unwrap_or(0);
        claim.check(found == *events, || format!("{resource}: {found} records, {events} events"));
    }
    let registered: HashSet<&str> = evidence
        .audited
        .iter()
        .filter(|record| record.action == "auth.register")
        .filter_map(|record| record.resource.strip_prefix("user/"))
        .collect();
    for entry in acknowledged(entries, &[Operation::Register]) {
        claim.check(registered.contains(entry.subject.as_str()), || {
            format!("no record of the registration of {}", entry.mark)
        });
    }
    claim
}

fn jobs_are_done(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("no job is lost, dead or left, and its effect is there once");
    for job in &evidence.jobs {
        claim.check(false, || format!("{} is {}: {:?}", job.kind, job.state, job.error));
    }
    let mut published: HashMap<&str, u32> = HashMap::new();
    for logged in evidence.outbox.iter().filter(|logged| logged.kind == "blog.post.published") {
        *published.entry(logged.subject.as_str()).or_default() += 1;
    }
    let states: HashMap<&str, &str> =
        evidence.posts.iter().map(|post| (post.id.as_str(), post.status.as_str())).collect();
    for entry in acknowledged(entries, &[Operation::SchedulePost]) {
        let times = published.get(entry.subject.as_str()).copied().unwrap_or(0);
        let state = states.get(entry.subject.as_str()).copied().unwrap_or("gone");
        claim.check(times == 1 && state == "published", || {
            format!("post {} is {state} and was published {times} times", entry.subject)
        });
    }
    claim
}

fn letters_are_sent(entries: &[Entry], evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("every letter is sent, and no oftener than it was tried");
    let mut sent: HashMap<&str, u32> = HashMap::new();
    for recipient in &evidence.mailbox {
        *sent.entry(recipient.as_str()).or_default() += 1;
    }
    for entry in acknowledged(entries, &[Operation::Register]) {
        let letters: Vec<_> =
            evidence.letters.iter().filter(|letter| letter.recipient == entry.mark).collect();
        let copies = sent.get(entry.mark.as_str()).copied().unwrap_or(0);
        let fits = match letters.as_slice() {
            // A node that dies between the sending and the note of it sends again; that attempt is one
            // more than is noted.
            [letter] => {
                letter.state == "sent" && copies >= 1 && i64::from(copies) <= letter.attempts + 1
            }
            _ => false,
        };
        claim.check(fits, || format!("{}: {letters:?}, {copies} copies", entry.mark));
    }
    claim
}

fn nothing_is_refused(entries: &[Entry]) -> Claim {
    let mut claim = Claim::new("no right request is refused for good");
    for entry in entries {
        let begins = |text: &str| entry.refused.as_ref().is_some_and(|told| told.starts_with(text));
        // A request that is sent again may come after the time that it names, or find its own account.
        let may = match entry.operation {
            Operation::SchedulePost => begins("422"),
            Operation::Register => begins("409"),
            _ => false,
        };
        let may = may && entry.tries.len() > 1;
        claim.check(entry.refused.is_none() || may, || {
            let refused = entry.refused.as_deref().unwrap_or_default();
            let (operation, tries) = (entry.operation, entry.tries.len());
            format!(
                "{operation:?} {} {} after {tries} requests: {refused}",
                entry.key, entry.subject
            )
        });
    }
    claim
}

fn nodes_are_well(evidence: &Evidence) -> Claim {
    let mut claim = Claim::new("the nodes are well again by themselves, within bounded memory");
    for node in &evidence.nodes {
        claim.check(!node.ended_by_itself, || format!("{} ended by itself", node.name));
        claim.check(node.unwell.is_none(), || {
            format!("{}: {}", node.name, node.unwell.as_deref().unwrap_or_default())
        });
        claim.check(node.memory_max_kib <= MEMORY_KIB_MAX, || {
            format!("{} took {} MiB", node.name, node.memory_max_kib / 1024)
        });
    }
    claim
}
