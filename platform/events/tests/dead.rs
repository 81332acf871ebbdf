//! The contract of every bus: what happens to events that cannot be applied.

use troupe_events::{DeadLetter, Events, EventsConfig, Replay};
use troupe_kernel::{Event, PageRequest, Uuid};

use crate::place::on_each;
use crate::recorder::{Node, Shared, applied, count, scope, until};

async fn letters(node: &Node) -> Vec<DeadLetter> {
    node.events.dead_letters(Some("recorder"), &PageRequest::default()).await.unwrap().items
}

#[tokio::test]
async fn a_poisoned_event_becomes_a_dead_letter_and_the_others_continue() {
    on_each(async |place| {
        let notes = Shared::default();
        notes.lock().poisoned.extend([1, 5]);
        let node = Node::start(place.open().await, &notes, place.events()).await;
        for number in 0..6 {
            count(&node.db, "a", number).await;
            count(&node.db, "b", 10 + number).await;
        }
        until("the others are applied", async || {
            applied(&node.db, "a").await.len() == 4 && applied(&node.db, "b").await.len() == 6
        })
        .await;
        until("two letters are kept", async || letters(&node).await.len() == 2).await;
        assert_eq!(applied(&node.db, "a").await, [0, 2, 3, 4]);
        let found = letters(&node).await;
        let letter = found.iter().find(|letter| letter.event.data == 1).unwrap();
        assert_eq!(
            (letter.event.subject.as_str(), letter.event.kind.as_str()),
            ("a", "test.counted")
        );
        assert_eq!((letter.cause_code.as_str(), letter.attempts), ("recorder.poisoned", 3));
        assert!(letter.event.trace.is_some());
        // The offset is stored after the last delivery.
        until("all is read", async || {
            let lags = node.events.lag().await.unwrap();
            let own = lags.iter().find(|lag| lag.consumer == "recorder");
            own.is_some_and(|lag| (lag.events, lag.dead_letters) == (0, 2))
        })
        .await;
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_replayed_once_it_can_be_applied() {
    on_each(async |place| {
        let notes = Shared::default();
        notes.lock().poisoned.insert(1);
        let node = Node::start(place.open().await, &notes, place.events()).await;
        count(&node.db, "a", 1).await;
        until("a letter is kept", async || letters(&node).await.len() == 1).await;
        let id = letters(&node).await[0].id;
        assert_eq!(node.events.replay(&scope(), id).await.unwrap_err().code(), "recorder.poisoned");
        assert_eq!(letters(&node).await[0].attempts, 4);
        notes.lock().poisoned.clear();
        node.events.replay(&scope(), id).await.unwrap();
        assert_eq!(applied(&node.db, "a").await, [1]);
        assert!(letters(&node).await.is_empty());
        assert_eq!(
            node.events.replay(&scope(), id).await.unwrap_err().code(),
            "events.dead_letter.missing"
        );
        assert!(!node.events.discard(&scope(), Uuid::nil()).await.unwrap());
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_that_crashes_its_service_becomes_a_dead_letter_too() {
    on_each(async |place| {
        let notes = Shared::default();
        notes.lock().explosive.insert(1);
        let node = Node::start(place.open().await, &notes, place.events()).await;
        for number in 0..3 {
            count(&node.db, "a", number).await;
        }
        until("the others are applied", async || applied(&node.db, "a").await == [0, 2]).await;
        until("a letter is kept", async || letters(&node).await.len() == 1).await;
        assert_eq!(letters(&node).await[0].cause_code, "actors.handler.crashed");
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_whose_data_has_another_shape_is_not_tried_again() {
    on_each(async |place| {
        let notes = Shared::default();
        let node = Node::start(place.open().await, &notes, place.events()).await;
        node.db
            .transaction(&scope(), async |uow: &mut troupe_database::UnitOfWork| {
                uow.event(Event::new("test.counted", "a", &"no number"));
                Ok(())
            })
            .await
            .unwrap();
        count(&node.db, "a", 1).await;
        until("a letter is kept", async || letters(&node).await.len() == 1).await;
        until("the next is applied", async || applied(&node.db, "a").await == [1]).await;
        let letter = letters(&node).await.remove(0);
        assert_eq!((letter.cause_code.as_str(), letter.attempts), ("kernel.event.data", 1));
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_of_a_newer_schema_waits_for_the_module_to_be_updated() {
    on_each(async |place| {
        let notes = Shared::default();
        let node = Node::start(place.open().await, &notes, place.events()).await;
        node.db
            .transaction(&scope(), async |uow: &mut troupe_database::UnitOfWork| {
                for version in [2, 3] {
                    let event = Event::new("test.counted", "a", &i64::from(version));
                    uow.event(event.schema_version(version));
                }
                Ok(())
            })
            .await
            .unwrap();
        count(&node.db, "a", 4).await;
        until("the others are applied", async || applied(&node.db, "a").await == [2, 4]).await;
        let letter = letters(&node).await.remove(0);
        assert_eq!((letter.cause_code.as_str(), letter.attempts), ("kernel.event.schema", 1));
        assert_eq!(letter.event.schema_version, 3);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_away_is_waited_for() {
    on_each(async |place| {
        let notes = Shared::default();
        notes.lock().away = 8; // More than the attempts an event has.
        let node = Node::start(place.open().await, &notes, place.events()).await;
        for number in 0..3 {
            count(&node.db, "a", number).await;
        }
        until("all is applied", async || applied(&node.db, "a").await == [0, 1, 2]).await;
        assert!(letters(&node).await.is_empty());
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_replay_that_a_command_asks_for_is_done_by_the_node() {
    on_each(async |place| {
        let notes = Shared::default();
        notes.lock().poisoned.insert(1);
        let node = Node::start(place.open().await, &notes, place.events()).await;
        count(&node.db, "a", 1).await;
        until("a letter is kept", async || letters(&node).await.len() == 1).await;
        let id = letters(&node).await[0].id;
        let command = Events::new(&place.open().await, EventsConfig::default());
        assert_eq!(command.replay(&scope(), id).await.unwrap(), Replay::AskedFor);
        until("it fails again", async || letters(&node).await[0].attempts == 4).await;
        assert_eq!(letters(&node).await[0].replay_at, None);
        notes.lock().poisoned.clear();
        assert_eq!(command.replay(&scope(), id).await.unwrap(), Replay::AskedFor);
        until("it is applied", async || applied(&node.db, "a").await == [1]).await;
        until("the letter is gone", async || letters(&node).await.is_empty()).await;
        node.stop().await;
    })
    .await;
}
