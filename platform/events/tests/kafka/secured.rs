//! Brokers that ask for TLS and a login.

use std::time::{Duration, Instant};

use rdkafka::message::Message;
use troupe_database::{Dialect, UnitOfWork};
use troupe_events::{EventsConfig, KafkaConfig, Sasl};
use troupe_kernel::config::{ConfigSection as _, Secret};
use troupe_kernel::{Event, Layers, Uuid};

use super::broker::{Broker, Secured};
use super::messages;
use crate::place::{Place, place};
use crate::recorder::{Node, Shared, config, scope};

/// What the client says comes within this time on a busy machine.
const SOON: Duration = Duration::from_secs(60);

fn kafka(secured: &Secured) -> KafkaConfig {
    KafkaConfig {
        brokers: secured.address(),
        tls: true,
        tls_ca: secured.text("root.pem"),
        sasl: Sasl::ScramSha512,
        username: "app".to_owned(),
        password: Secret::new("hunter2"),
        topic_prefix: format!("test-{}", Uuid::now_v7()),
        partitions: 1,
        replication: 1,
        ..KafkaConfig::default()
    }
}

async fn start(place: &Place, kafka: KafkaConfig) -> Node {
    let config = EventsConfig { kafka, ..config() };
    assert_eq!(config.validate(), []);
    Node::start(place.open().await, &Shared::default(), config).await
}

/// What the health check says of brokers that let nobody in, as soon as it says this.
async fn told(place: &Place, kafka: KafkaConfig, says: &str) -> String {
    let node = start(place, kafka).await;
    let told = refused(&node, says).await;
    node.stop().await;
    told
}

async fn refused(node: &Node, says: &str) -> String {
    let checks = node.events.health_checks();
    let began = Instant::now();
    loop {
        let [check] = checks.as_slice() else { panic!("one check") };
        let found = check.probe().await;
        match found {
            Err(told) if told.contains(says) => return told,
            _ => assert!(began.elapsed() < SOON, "{found:?}, and not {says}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn events_reach_brokers_that_ask_for_tls_and_a_login_and_what_is_wrong_is_told() {
    let Some((broker, secured)) = Broker::secured().await else { return };
    for sasl in [Sasl::Plain, Sasl::ScramSha256, Sasl::ScramSha512] {
        let kafka = KafkaConfig { sasl, ..kafka(&secured) };
        let place = place(Dialect::Sqlite, kafka.clone()).await.unwrap();
        let node = start(&place, kafka.clone()).await;
        node.db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                uow.event(Event::new("other.thing.done", "thing-1", &[1, 2]));
                Ok(())
            })
            .await
            .unwrap();
        let brokers = broker.address();
        let clear = KafkaConfig { brokers, ..kafka };
        let found = messages(&clear, "other", 1).await;
        let [message] = found.as_slice() else { panic!("{sasl:?}: {found:?}") };
        assert_eq!(message.payload(), Some(&b"[1,2]"[..]), "{sasl:?}");
        node.stop().await;
        place.remove().await;
    }
    let right = kafka(&secured);
    let password = Secret::new("wrong-hunter2");
    let strange = secured.text("strange.pem");
    let late = KafkaConfig {
        brokers: secured.late_address(),
        sasl: Sasl::None,
        username: String::new(),
        password: Secret::default(),
        ..right.clone()
    };
    for (wrong, says) in [
        (
            KafkaConfig { password: password.clone(), ..right.clone() },
            "username and password in events.kafka",
        ),
        (
            KafkaConfig { password, sasl: Sasl::Plain, ..right.clone() },
            "username and password in events.kafka",
        ),
        (KafkaConfig { tls_ca: strange, ..right.clone() }, "events.kafka.tls_ca"),
        (late, "events.kafka.tls_ca"),
    ] {
        let place = place(Dialect::Sqlite, wrong.clone()).await.unwrap();
        let told = told(&place, wrong, says).await;
        assert!(!told.contains("hunter2"), "{told}");
        place.remove().await;
    }
}

async fn write(node: &Node, number: i64) {
    node.db
        .transaction(&scope(), async move |uow: &mut UnitOfWork| {
            uow.event(Event::new("test.counted", "a", &number));
            Ok(())
        })
        .await
        .unwrap();
}

async fn arrives(notes: &Shared, number: i64) {
    let began = Instant::now();
    while !notes.lock().delivered.contains(&number) {
        assert!(began.elapsed() < SOON, "event {number} came through");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn another_password_is_taken_by_all_clients_when_the_brokers_take_it() {
    let Some((mut broker, secured)) = Broker::secured().await else { return };
    let session_timeout = Duration::from_secs(6);
    let kafka = KafkaConfig { session_timeout, ..kafka(&secured) };
    let place = place(Dialect::Sqlite, kafka.clone()).await.unwrap();
    let notes = Shared::default();
    let own = EventsConfig { kafka: kafka.clone(), ..config() };
    let node = Node::start(place.open().await, &notes, own).await;
    write(&node, 1).await;
    arrives(&notes, 1).await;

    let reload = node.events.reload().expect("there is Kafka");
    let look = async |password: &str| {
        let text = format!(
            "[events.kafka]\nbrokers = {:?}\ntls = true\ntls_ca = {:?}\nsasl = \"scram_sha512\"\n\
             username = \"app\"\npassword = {password:?}",
            kafka.brokers, kafka.tls_ca
        );
        reload.look(&Layers::new().file("troupe.toml", &text).build().unwrap()).await
    };
    assert!(look("hunter2").await.unwrap().keys().is_empty(), "nothing is new");
    let faults = look("hunter3").await.map(drop).unwrap_err();
    assert_eq!(faults[0].path, "events.kafka.password");
    assert!(faults[0].to_string().contains("refuse it"), "{faults:?}");
    assert!(!faults[0].to_string().contains("hunter"), "{faults:?}");

    broker.change_password("hunter3");
    // Whoever has the old password does not come back.
    broker.kill();
    broker.run().await;
    write(&node, 2).await;
    refused(&node, "username and password in events.kafka").await;
    let change = look("hunter3").await.unwrap();
    assert_eq!(change.keys(), ["events.kafka.password"]);
    change.make();
    arrives(&notes, 2).await;
    node.stop().await;
    place.remove().await;
}
