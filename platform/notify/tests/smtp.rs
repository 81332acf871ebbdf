//! Delivery to an SMTP server: taken, deferred, refused, away, slow, and with a login.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use troupe_actors::FailureKind;
use troupe_kernel::{Layers, Uuid};
use troupe_notify::messages::MailState;

use crate::house::{LINK, in_house_with, reset};
use crate::sink::Sink;

/// Each test has a sink per dialect, so that what it saw is one run's.
macro_rules! with_sink {
    ($settings:expr, $prepare:expr, |$sink:ident, $house:ident| $body:block) => {{
        let $sink = Sink::start().await;
        let settings = format!("{}\n{}", $sink.settings(), $settings);
        in_house_with(&settings, async |$house| {
            *$sink.seen.lock().unwrap() = Default::default();
            ($prepare)(&mut *$sink.seen.lock().unwrap());
            $body
        })
        .await;
    }};
}

#[tokio::test]
async fn a_mail_is_handed_over_once_with_its_links() {
    with_sink!("", |_: &mut _| (), |sink, house| {
        let (id, job) = (Uuid::from_u128(7), reset("ada@example.org"));
        house.run(id, &job, 1).await.unwrap();
        let mails = sink.mails();
        assert_eq!(mails.len(), 1);
        for expected in [
            "To: ada@example.org",
            "From: Troupe <no-reply@localhost>",
            "Subject: Reset your password for Troupe",
            "Message-ID: <00000000-0000-0000-0000-000000000007@localhost>",
            "multipart/alternative",
            "/reset/Zm9v",
        ] {
            assert!(mails[0].contains(expected), "{expected} is missing in {}", mails[0]);
        }
        let commands = sink.seen.lock().unwrap().commands.clone();
        assert!(commands.contains(&"EHLO troupe.test".to_owned()), "{commands:?}");
        assert!(commands.contains(&"RCPT TO:<ada@example.org>".to_owned()), "{commands:?}");
        let record = house.record(id).await;
        assert_eq!((record.state, record.attempts, record.last_error), (MailState::Sent, 1, None));

        house.run(id, &job, 2).await.unwrap();
        assert_eq!(sink.mails().len(), 1, "the job came twice, the mail once");
        assert_eq!(house.events().await, ["notify.mail.sent"]);
    });
}

#[tokio::test]
async fn a_deferred_mail_is_tried_again_and_taken() {
    let busy = |seen: &mut crate::sink::Seen| {
        seen.recipient_answers.extend(["450 4.2.0 greylisted", "451 try later"]);
    };
    with_sink!("", busy, |sink, house| {
        let (id, job) = (Uuid::from_u128(7), reset("ada@example.org"));
        for attempt in [1, 2] {
            let failure = house.run(id, &job, attempt).await.unwrap_err();
            assert_eq!(failure.code(), "notify.mail.deferred");
            assert!(failure.kind().is_transient());
            let record = house.record(id).await;
            assert_eq!((record.state, record.attempts), (MailState::Queued, i32::from(attempt)));
        }
        assert!(house.record(id).await.last_error.unwrap().contains("451"));
        house.run(id, &job, 3).await.unwrap();
        let record = house.record(id).await;
        assert_eq!((record.state, record.attempts, record.last_error), (MailState::Sent, 3, None));
        assert_eq!(sink.mails().len(), 1);
    });
}

#[tokio::test]
async fn a_mail_that_is_deferred_too_often_has_failed() {
    let busy = |seen: &mut crate::sink::Seen| {
        seen.recipient_answers.extend(["450 later"; 5]);
    };
    with_sink!("", busy, |sink, house| {
        let (id, job) = (Uuid::from_u128(7), reset("ada@example.org").attempts_max(2));
        for attempt in [1, 2] {
            house.run(id, &job, attempt).await.unwrap_err();
        }
        assert_eq!(house.record(id).await.state, MailState::Failed);
        let further = house.run(id, &job, 3).await.unwrap_err();
        assert_eq!(further.code(), "notify.mail.refused", "the job ends with the mail");
        assert_eq!(sink.mails().len(), 0);
        assert_eq!(house.events().await, ["notify.mail.failed"]);
    });
}

#[tokio::test]
async fn a_refused_mail_fails_at_once_and_keeps_no_link_in_its_error() {
    let strict = |seen: &mut crate::sink::Seen| {
        seen.data_answers.push_back("554 5.7.1 spam: https://troupe.example/reset/Zm9vYmFy");
    };
    with_sink!("", strict, |sink, house| {
        let (id, job) = (Uuid::from_u128(7), reset("ada@example.org"));
        let failure = house.run(id, &job, 1).await.unwrap_err();
        assert_eq!((failure.code(), failure.kind()), ("notify.mail.refused", FailureKind::Invalid));
        let record = house.record(id).await;
        assert_eq!((record.state, record.attempts), (MailState::Failed, 1));
        let error = record.last_error.unwrap();
        assert!(error.contains("554") && !error.contains("Zm9v"), "{error}");
        assert!(!failure.detail().contains("Zm9v"), "{failure:?}");
        assert_eq!(sink.mails().len(), 0);
    });
}

#[tokio::test]
async fn an_unknown_recipient_is_refused_for_good() {
    let strict = |seen: &mut crate::sink::Seen| {
        seen.recipient_answers.push_back("550 5.1.1 no such mailbox");
    };
    with_sink!("", strict, |_sink, house| {
        let failure =
            house.run(Uuid::from_u128(7), &reset("gone@example.org"), 1).await.unwrap_err();
        assert!(!failure.kind().is_transient(), "{failure:?}");
    });
}

#[tokio::test]
async fn a_login_is_made_and_a_refused_one_is_tried_again() {
    let settings = "smtp.username = \"troupe\"\nsmtp.password = \"hunter2\"";
    let locked = |seen: &mut crate::sink::Seen| {
        seen.offers_login = true;
        seen.login_answer = Some("535 5.7.8 wrong credentials");
    };
    with_sink!(settings, locked, |sink, house| {
        let (id, job) = (Uuid::from_u128(7), reset("ada@example.org"));
        let failure = house.run(id, &job, 1).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.deferred");
        assert!(failure.detail().contains("notify.smtp.username"), "{failure:?}");
        assert!(!failure.detail().contains("hunter2"));
        sink.seen.lock().unwrap().login_answer = None;
        house.run(id, &job, 2).await.unwrap();
        assert_eq!(sink.mails().len(), 1);
        let commands = sink.seen.lock().unwrap().commands.clone();
        assert!(commands.iter().any(|command| command.starts_with("AUTH PLAIN")), "{commands:?}");
    });
}

#[tokio::test]
async fn connections_are_used_again() {
    with_sink!("", |_: &mut _| (), |sink, house| {
        for number in 1..=5 {
            house.run(Uuid::from_u128(number), &reset("ada@example.org"), 1).await.unwrap();
        }
        assert_eq!(sink.mails().len(), 5);
        assert_eq!(sink.seen.lock().unwrap().connections, 1);
    });
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_defers() {
    let silent = |seen: &mut crate::sink::Seen| seen.silent = true;
    with_sink!("", silent, |_sink, house| {
        let failure =
            house.run(Uuid::from_u128(7), &reset("ada@example.org"), 1).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.deferred");
    });
    let closed = { Sink::start().await.settings() };
    in_house_with(&closed, async |house| {
        let failure =
            house.run(Uuid::from_u128(7), &reset("ada@example.org"), 1).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.deferred");
        assert!(!failure.detail().contains(LINK));
    })
    .await;
}

/// The late answer of a delivery that was given up must not become the answer to the next mail.
#[tokio::test]
async fn a_late_answer_belongs_to_nobody() {
    let slow = |seen: &mut crate::sink::Seen| seen.late_answer = Some(Duration::from_millis(1500));
    with_sink!("smtp.connections_max = 1", slow, |sink, house| {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let failure = house.run(one, &reset("ada@example.org"), 1).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.deferred");
        sink.seen.lock().unwrap().late_answer = None;
        tokio::time::sleep(Duration::from_millis(700)).await;
        sink.seen.lock().unwrap().data_answers.push_back("554 not this one");
        let failure = house.run(two, &reset("bob@example.org"), 1).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.refused", "its own answer, not the late one");
        assert_eq!(sink.seen.lock().unwrap().connections, 2);
    });
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail_and_no_password() {
    let settings = "smtp.username = \"troupe\"\nsmtp.password = \"hunter2\"";
    let sink = Sink::start().await;
    let settings = format!("{}\n{settings}", sink.settings()).replace("\"none\"", "\"starttls\"");
    in_house_with(&settings, async |house| {
        let failure =
            house.run(Uuid::from_u128(7), &reset("ada@example.org"), 1).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.deferred");
        let seen = sink.seen.lock().unwrap();
        assert!(seen.mails.is_empty());
        assert!(
            !seen.commands.iter().any(|command| command.starts_with("AUTH")),
            "{:?}",
            seen.commands
        );
    })
    .await;
}

#[tokio::test]
async fn another_password_is_taken_when_the_server_takes_it() {
    let login =
        |password: &str| format!("smtp.username = \"troupe\"\nsmtp.password = \"{password}\"");
    let open = |seen: &mut crate::sink::Seen| seen.offers_login = true;
    with_sink!(login("hunter2"), open, |sink, house| {
        let job = reset("ada@example.org");
        house.run(Uuid::from_u128(1), &job, 1).await.unwrap();
        let reload = house.parts.reloads.first().expect("notify takes keys anew");
        let look = async |password: &str| {
            let text = format!("[notify]\n{}\n{}", sink.settings(), login(password));
            let tree = Layers::new().file("troupe.toml", &text).build().unwrap();
            reload.look(&tree).await
        };
        assert!(look("hunter2").await.unwrap().keys().is_empty());

        sink.seen.lock().unwrap().login_answer = Some("535 5.7.8 wrong credentials");
        let faults = look("hunter3").await.map(drop).unwrap_err();
        assert_eq!(faults[0].path, "notify.smtp.password");
        assert!(!faults[0].to_string().contains("hunter"), "{faults:?}");

        sink.seen.lock().unwrap().login_answer = None;
        let change = look("hunter3").await.unwrap();
        assert_eq!(change.keys(), ["notify.smtp.password"]);
        sink.seen.lock().unwrap().commands.clear();
        change.make();
        house.run(Uuid::from_u128(2), &job, 1).await.unwrap();
        let commands = sink.seen.lock().unwrap().commands.clone();
        let plain = format!("AUTH PLAIN {}", STANDARD.encode("\0troupe\0hunter3"));
        assert!(commands.contains(&plain), "{commands:?}");
        assert_eq!(sink.mails().len(), 2);
    });
}
