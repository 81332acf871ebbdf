//! Mails in files, their records, sending again, erasing.

use std::time::Duration;

use serde_json::json;
use troupe_kernel::{Job, Mail, Uuid};
use troupe_notify::messages::MailState;

use crate::house::{LINK, in_house, in_house_with, reset};

#[tokio::test]
async fn a_mail_becomes_a_file_that_only_its_owner_reads() {
    in_house(async |house| {
        let (id, job) = (Uuid::from_u128(7), reset("ada@example.org"));
        house.run(id, &job, 1).await.unwrap();
        let files = house.written();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].0, format!("20260101T000000000Z-{id}.eml"));
        assert!(files[0].1.contains("To: ada@example.org"), "{}", files[0].1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = std::fs::metadata(house.directory.join(&files[0].0)).unwrap();
            assert_eq!(file.permissions().mode() & 0o777, 0o600);
        }
        let record = house.record(id).await;
        assert_eq!(record.state, MailState::Sent);
        assert_eq!(record.subject.as_deref(), Some("Reset your password for Troupe"));
        assert_eq!(record.sent_at, Some(record.updated_at));
        assert!(!serde_json::to_string(&record).unwrap().contains(LINK));
    })
    .await;
}

#[tokio::test]
async fn a_mail_without_template_or_with_missing_data_fails_for_good() {
    in_house(async |house| {
        let mails = [
            Mail::new("auth.gone", "ada@example.org", &json!({})),
            Mail::new("auth.password_reset", "ada@example.org", &json!({ "display_name": "Ada" })),
            Mail::new("auth.password_reset", "ada@example.org", &json!([])),
            Mail::new(
                "auth.password_changed",
                "nobody",
                &json!({ "display_name": "Ada", "changed_at": "x" }),
            ),
        ];
        for (number, mail) in (1..).zip(mails) {
            let id = Uuid::from_u128(number);
            let failure = house.run(id, &mail.into_job(), 1).await.unwrap_err();
            assert_eq!(failure.code(), "notify.mail.refused");
            assert_eq!(house.record(id).await.state, MailState::Failed);
        }
        assert!(house.written().is_empty());
        let no_mail = Job::new("notify.mail", &json!({ "to": "x" }));
        let failure = house.run(Uuid::from_u128(9), &no_mail, 1).await.unwrap_err();
        assert_eq!(failure.code(), "kernel.job.payload");
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_defers() {
    in_house(async |house| {
        std::fs::write(&house.directory, "a file, not a directory").unwrap();
        let (id, job) = (Uuid::from_u128(7), reset("ada@example.org"));
        let failure = house.run(id, &job, 1).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.deferred");
        assert!(failure.detail().contains("notify.directory"), "{failure:?}");
        std::fs::remove_file(&house.directory).unwrap();
        house.run(id, &job, 2).await.unwrap();
        assert_eq!(house.record(id).await.state, MailState::Sent);
    })
    .await;
}

#[tokio::test]
async fn the_port_sends_now_and_says_when_it_does_not_work() {
    in_house(async |house| {
        let mail = Mail::new(
            "auth.password_changed",
            "ada@example.org",
            &json!({ "display_name": "Ada", "changed_at": "2026-01-01T00:00:00Z" }),
        );
        house.notifier.send(mail.clone(), &house.scope()).await.unwrap();
        assert_eq!(house.written().len(), 1);
        let nowhere = Mail { to: "nobody".to_owned(), ..mail };
        let failure = house.notifier.send(nowhere, &house.scope()).await.unwrap_err();
        assert_eq!(failure.code(), "notify.mail.refused");
    })
    .await;
}

#[tokio::test]
async fn own_templates_replace_the_built_in_ones() {
    let directory =
        std::env::temp_dir().join(format!("troupe-own-templates-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("fr")).unwrap();
    let write =
        |file: &str, text: &str| std::fs::write(directory.join("fr").join(file), text).unwrap();
    write("auth.password_reset.txt", "Subject: Bonjour {{ display_name }}\n\n{{ link }}\n");
    write("auth.password_reset.html", "<p>{{ link }}</p>\n");
    let settings = format!("templates = {:?}", directory.display().to_string());
    in_house_with(&settings, async |house| {
        let mut job = reset("ada@example.org");
        job.payload["locale"] = json!("fr-CA");
        house.run(Uuid::from_u128(7), &job, 1).await.unwrap();
        let record = house.record(Uuid::from_u128(7)).await;
        assert_eq!(record.subject.as_deref(), Some("Bonjour Ada"));
    })
    .await;
    drop(std::fs::remove_dir_all(&directory));
}

#[tokio::test]
async fn the_content_of_old_mails_is_erased_and_lost_ones_are_given_up() {
    in_house(async |house| {
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(3));
        house.run(old, &reset("ada@example.org"), 1).await.unwrap();
        std::fs::remove_dir_all(&house.directory).unwrap();
        std::fs::write(&house.directory, "in the way").unwrap();
        let lost = Uuid::from_u128(2);
        house.run(lost, &reset("ada@example.org"), 1).await.unwrap_err();
        std::fs::remove_file(&house.directory).unwrap();
        house.clock.advance(Duration::from_secs(8 * 86_400));
        house.run(new, &reset("ada@example.org"), 1).await.unwrap();

        let erase = Job::new("notify.erase", &());
        house.run(Uuid::from_u128(9), &erase, 1).await.unwrap();
        assert!(!house.record(old).await.resendable);
        let lost = house.record(lost).await;
        assert_eq!((lost.state, lost.resendable), (MailState::Failed, false));
        assert!(house.record(new).await.resendable);
    })
    .await;
}
