//! Proof of the checker: a world in which everything was kept passes, and each change of it fails the claim
//! that is about it.

use crate::checker::check;
use crate::evidence::{
    Applied, Audited, Content, Evidence, Interruption, Job, Letter, Logged, Message, NodeEnd, Post,
    Revision, Shown,
};
use crate::journal::{Entry, Operation, Outcome, Try};

/// A request that was answered in time.
fn request() -> Try {
    Try { node: 0, sent_ms: 1_000, took_ms: 20, within_ms: 8_000, outcome: Outcome::Answered(200) }
}

fn entry(operation: Operation, subject: &str, mark: &str, version: i64) -> Entry {
    Entry {
        operation,
        key: format!("faults-1-0-{mark}"),
        subject: subject.to_owned(),
        mark: mark.to_owned(),
        version,
        seen: version,
        acknowledged: true,
        refused: None,
        tries: vec![request()],
    }
}

/// A post that was written and edited, one that was scheduled, two uploads of which one was deleted, a file
/// and an account.
fn entries() -> Vec<Entry> {
    vec![
        entry(Operation::CreatePost, "p1", "One", 1),
        entry(Operation::EditPost, "p1", "Two", 2),
        entry(Operation::ReadPost, "p1", "", 2),
        entry(Operation::CreatePost, "p2", "Three", 1),
        entry(Operation::SchedulePost, "p2", "", 2),
        entry(Operation::UploadMedia, "m1", "d1", 0),
        entry(Operation::UploadMedia, "m2", "d2", 0),
        entry(Operation::DeleteMedia, "m2", "", 0),
        entry(Operation::CompleteFile, "f1", "d3", 0),
        entry(Operation::Register, "u1", "a@example.org", 0),
        entry(Operation::LogIn, "s1", "a@example.org", 0),
    ]
}

/// Kind, subject and version of each event, in the order of the commits.
const LOG: [(&str, &str, i64); 10] = [
    ("blog.post.created", "p1", 1),
    ("blog.post.updated", "p1", 2),
    ("blog.post.created", "p2", 1),
    ("blog.post.scheduled", "p2", 2),
    ("blog.media.uploaded", "m1", 0),
    ("blog.media.uploaded", "m2", 0),
    ("blog.media.deleted", "m2", 0),
    ("blog.post.published", "p2", 3),
    ("files.file.stored", "f1", 0),
    ("auth.account.registered", "u1", 0),
];

fn evidence() -> Evidence {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let revision = |post: &str, version, title: &str| Revision {
        post: post.to_owned(),
        version,
        title: title.to_owned(),
    };
    let post = |id: &str, status: &str, version| Post {
        id: id.to_owned(),
        status: status.to_owned(),
        version,
    };
    let audited = |resource: &str, action: &str| Audited {
        resource: resource.to_owned(),
        action: action.to_owned(),
    };
    let shown = |id: &str, version, title: &str| Shown {
        id: id.to_owned(),
        found: Ok((version, title.to_owned())),
    };
    let content = |id: &str, digest: Option<&str>| Content {
        id: id.to_owned(),
        found: Ok(digest.map(str::to_owned)),
    };
    let log = || LOG.iter().enumerate().map(|(number, each)| (format!("e{number}"), each));
    Evidence {
        outbox: log()
            .map(|(event, (kind, subject, version))| Logged {
                event,
                kind: (*kind).to_owned(),
                subject: (*subject).to_owned(),
                version: *version,
            })
            .collect(),
        applied: log()
            .map(|(event, (_, subject, _))| Applied { event, subject: (*subject).to_owned() })
            .collect(),
        messages: log()
            .map(|(event, (kind, subject, _))| Message {
                topic: format!("faults.{}", kind.split('.').next().unwrap_or_default()),
                partition: 0,
                key: (*subject).to_owned(),
                event,
            })
            .collect(),
        revisions: vec![
            revision("p1", 1, "One"),
            revision("p1", 2, "Two"),
            revision("p2", 1, "Three"),
        ],
        posts: vec![post("p1", "draft", 2), post("p2", "published", 3)],
        media: texts(&["m1"]),
        files: texts(&["f1"]),
        emails: texts(&["a@example.org"]),
        sessions: texts(&["s1"]),
        audited: LOG[..8]
            .iter()
            .map(|(kind, subject, _)| {
                let sort = if kind.starts_with("blog.post") { "blog.post" } else { "blog.media" };
                audited(&format!("{sort}:{subject}"), "blog.done")
            })
            .chain([audited("user/u1", "auth.register")])
            .collect(),
        letters: vec![Letter {
            recipient: "a@example.org".to_owned(),
            state: "sent".to_owned(),
            attempts: 1,
        }],
        mailbox: texts(&["a@example.org"]),
        shown: vec![shown("p1", 2, "Two"), shown("p2", 3, "Three")],
        contents: vec![content("m1", Some("d1")), content("m2", None), content("f1", Some("d3"))],
        nodes: vec![NodeEnd { name: "node-1".to_owned(), ..NodeEnd::default() }],
        ..Evidence::default()
    }
}

/// The names of the claims that do not hold.
fn violated(entries: &[Entry], evidence: &Evidence) -> Vec<&'static str> {
    let claims = check(entries, evidence);
    claims.iter().filter(|claim| !claim.holds()).map(|claim| claim.name).collect()
}

/// Changes the world and answers which claims fail.
fn after(change: impl FnOnce(&mut Vec<Entry>, &mut Evidence)) -> Vec<&'static str> {
    let (mut entries, mut evidence) = (entries(), evidence());
    change(&mut entries, &mut evidence);
    violated(&entries, &evidence)
}

const THERE: &str = "every acknowledged write is in the database";
const ONCE: &str = "no write is done twice under its key";
const SHOWN: &str = "the API shows every acknowledged post as the database has it";
const WHOLE: &str = "no acknowledged content is missing or changed, deleted ones are gone";
const EVENTS: &str = "every acknowledged write has its event, once";
const KAFKA: &str = "every event is in Kafka at least once, under its key";
const ORDER: &str = "order per key in Kafka is that of the commits";
const APPLIED: &str = "every event is applied exactly once";
const APPLIED_ORDER: &str = "order per key at the consumer is that of the commits";
const TRAIL: &str = "the audit trail is unbroken and has each write once";
const JOBS: &str = "no job is lost, dead or left, and its effect is there once";
const LETTERS: &str = "every letter is sent, and no oftener than it was tried";
const DEADLINES: &str = "no answer comes after its deadline, and none stays away";
const WELL: &str = "the nodes are well again by themselves, within bounded memory";

#[test]
fn a_world_in_which_everything_was_kept_passes_and_every_claim_looked_at_something() {
    assert_eq!(violated(&entries(), &evidence()), [""; 0]);
    for claim in check(&entries(), &evidence()) {
        assert!(claim.checked > 0, "{}", claim.name);
    }
}

#[test]
fn a_row_that_is_gone_is_missed() {
    assert!(after(|_, evidence| drop(evidence.revisions.remove(1))).contains(&THERE));
    assert!(after(|_, evidence| evidence.emails.clear()).contains(&THERE));
    assert!(after(|_, evidence| evidence.sessions.clear()).contains(&THERE));
    assert!(after(|_, evidence| evidence.files.clear()).contains(&THERE));
    assert!(after(|_, evidence| evidence.media.clear()).contains(&THERE));
}

#[test]
fn an_edit_that_another_value_took_the_place_of_is_missed() {
    let changed = after(|_, evidence| evidence.revisions[1].title = "Other".to_owned());
    assert!(changed.contains(&THERE) && changed.contains(&SHOWN), "{changed:?}");
}

#[test]
fn a_write_that_was_done_twice_is_found_also_when_it_was_never_acknowledged() {
    let twice = after(|entries, evidence| {
        entries[3].acknowledged = false;
        evidence.revisions.push(Revision {
            post: "p3".to_owned(),
            version: 1,
            title: "Three".to_owned(),
        });
    });
    assert!(twice.contains(&ONCE), "{twice:?}");
}

#[test]
fn what_the_api_does_not_show_is_missed() {
    let gone = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        evidence.shown[0].found = Err("404".to_owned());
    };
    assert_eq!(after(gone), [SHOWN]);
    assert_eq!(after(|_, evidence| drop(evidence.shown.pop())), [SHOWN]);
    let old = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        evidence.shown[0].found = Ok((1, "One".to_owned()));
    };
    assert_eq!(after(old), [SHOWN]);
}

#[test]
fn a_stale_read_is_found() {
    let stale = after(|entries, _| entries[2].seen = 1);
    assert_eq!(stale, ["a client that sends its token sees its own writes"]);
}

#[test]
fn a_lost_a_changed_and_a_revived_content_are_found() {
    assert_eq!(after(|_, evidence| drop(evidence.contents.remove(0))), [WHOLE]);
    let changed = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        evidence.contents[2].found = Ok(Some("other".to_owned()));
    };
    assert_eq!(after(changed), [WHOLE]);
    let revived = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        evidence.contents[1].found = Ok(Some("d2".to_owned()));
    };
    assert_eq!(after(revived), [WHOLE]);
}

#[test]
fn a_write_without_an_event_is_found_wherever_the_event_is_missing() {
    let lost = after(|_, evidence| drop(evidence.outbox.remove(1)));
    assert!(lost.contains(&EVENTS) && lost.contains(&KAFKA) && lost.contains(&TRAIL), "{lost:?}");
    assert!(after(|_, evidence| drop(evidence.messages.remove(1))).contains(&KAFKA));
    assert!(after(|_, evidence| drop(evidence.applied.remove(1))).contains(&APPLIED));
}

#[test]
fn an_event_twice_in_kafka_is_right_and_twice_applied_is_wrong() {
    let again = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        let message = evidence.messages[0].clone();
        evidence.messages.push(message);
    };
    assert_eq!(after(again), [""; 0]);
    let again = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        let applied = evidence.applied[0].clone();
        evidence.applied.push(applied);
    };
    assert_eq!(after(again), [APPLIED]);
}

#[test]
fn events_of_one_key_in_another_order_are_found_and_of_two_keys_are_not() {
    assert_eq!(after(|_, evidence| evidence.messages.swap(0, 1)), [ORDER]);
    assert_eq!(after(|_, evidence| evidence.applied.swap(0, 1)), [APPLIED_ORDER]);
    assert_eq!(after(|_, evidence| evidence.messages.swap(1, 2)), [""; 0]);
    assert_eq!(after(|_, evidence| evidence.applied.swap(1, 2)), [""; 0]);
    assert_eq!(after(|_, evidence| evidence.messages[1].partition = 1), [ORDER]);
}

#[test]
fn a_message_under_another_key_and_one_that_was_never_committed_are_found() {
    assert!(after(|_, evidence| evidence.messages[0].key = "p9".to_owned()).contains(&KAFKA));
    let ghost = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        let message = Message { event: "ghost".to_owned(), ..evidence.messages[0].clone() };
        evidence.messages.push(message);
    };
    assert!(after(ghost).contains(&KAFKA));
    let ghost = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        let applied = Applied { event: "ghost".to_owned(), ..evidence.applied[0].clone() };
        evidence.applied.push(applied);
    };
    assert!(after(ghost).contains(&APPLIED));
}

#[test]
fn a_broken_trail_a_lost_record_and_one_too_much_are_found() {
    assert_eq!(after(|_, evidence| evidence.audit_findings.push("broken".to_owned())), [TRAIL]);
    assert_eq!(after(|_, evidence| evidence.audit_waiting = 1), [TRAIL]);
    assert_eq!(after(|_, evidence| drop(evidence.audited.remove(0))), [TRAIL]);
    assert_eq!(after(|_, evidence| drop(evidence.audited.pop())), [TRAIL]);
    let double = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        let record = evidence.audited[0].clone();
        evidence.audited.push(record);
    };
    assert_eq!(after(double), [TRAIL]);
}

#[test]
fn a_dead_job_a_lost_one_and_an_effect_that_came_twice_are_found() {
    let dead = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        let (kind, state) = ("blog.publish".to_owned(), "dead".to_owned());
        evidence.jobs.push(Job { kind, state, error: None });
    };
    assert_eq!(after(dead), [JOBS]);
    assert_eq!(after(|_, evidence| evidence.posts[1].status = "scheduled".to_owned()), [JOBS]);
    let twice = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        let event = Logged { event: "e99".to_owned(), ..evidence.outbox[7].clone() };
        evidence.outbox.push(event);
    };
    assert!(after(twice).contains(&JOBS));
}

#[test]
fn a_letter_that_was_lost_and_one_that_was_sent_too_often_are_found() {
    assert_eq!(after(|_, evidence| evidence.mailbox.clear()), [LETTERS]);
    assert_eq!(after(|_, evidence| evidence.letters.clear()), [LETTERS]);
    assert_eq!(after(|_, evidence| evidence.letters[0].state = "failed".to_owned()), [LETTERS]);
    let three = |_: &mut Vec<Entry>, evidence: &mut Evidence| {
        evidence.mailbox = vec!["a@example.org".to_owned(); 3];
    };
    assert_eq!(after(three), [LETTERS]);
}

#[test]
fn a_late_answer_is_found_unless_its_node_was_hurt_meanwhile() {
    let late = |entries: &mut Vec<Entry>| entries[0].tries[0].took_ms = 14_000;
    assert_eq!(after(|entries, _| late(entries)), [DEADLINES]);
    let silent = |entries: &mut Vec<Entry>, _: &mut Evidence| {
        entries[0].tries[0].outcome = Outcome::Silent;
    };
    assert_eq!(after(silent), [DEADLINES]);
    let hurt = |node, from_ms, to_ms| {
        after(|entries, evidence| {
            late(entries);
            evidence.interruptions.push(Interruption { node, from_ms, to_ms });
        })
    };
    assert_eq!(hurt(0, 2_000, 9_000), [""; 0]);
    assert_eq!(hurt(1, 2_000, 9_000), [DEADLINES], "another node");
    assert_eq!(hurt(0, 20_000, 25_000), [DEADLINES], "another time");
}

#[test]
fn a_refusal_for_good_is_found() {
    let refused = after(|entries, _| entries[1].refused = Some("412 stale".to_owned()));
    assert_eq!(refused, ["no right request is refused for good"]);
}

#[test]
fn a_node_that_ended_is_unwell_or_grew_is_found() {
    assert_eq!(after(|_, evidence| evidence.nodes[0].ended_by_itself = true), [WELL]);
    assert_eq!(after(|_, evidence| evidence.nodes[0].unwell = Some("fail".to_owned())), [WELL]);
    assert_eq!(after(|_, evidence| evidence.nodes[0].memory_max_kib = u64::MAX), [WELL]);
}
