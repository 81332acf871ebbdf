//! Letters through a real mail server that demands STARTTLS and a login: `TROUPE_TEST_SMTP_URL`,
//! `TROUPE_TEST_SMTP_CA`, `TROUPE_TEST_MAIL_API` (`cargo xtask services up mail`).

use std::io::Write as _;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use troupe_kernel::{Method, Uuid};
use troupe_notify::messages::MailState;

use crate::house::{in_house_with, json_of, reset};

/// The server, by the variables.
struct Mailpit {
    user: String,
    password: String,
    host: String,
    port: u16,
    authority: String,
    api: String,
}

impl Mailpit {
    #[expect(clippy::disallowed_methods, reason = "tests find servers by their variables")]
    fn find(test: &str) -> Option<Self> {
        let read = |name: &str| std::env::var(name).ok();
        let found = (
            read("TROUPE_TEST_SMTP_URL"),
            read("TROUPE_TEST_SMTP_CA"),
            read("TROUPE_TEST_MAIL_API"),
        );
        let (Some(url), Some(authority), Some(api)) = found else {
            skipped(test, "TROUPE_TEST_SMTP_URL, _CA and TROUPE_TEST_MAIL_API are not all set");
            return None;
        };
        let rest = url.strip_prefix("smtp://").expect("smtp://USER:PASSWORD@HOST:PORT");
        let (login, place) = rest.split_once('@').expect("a login");
        let (user, password) = login.split_once(':').expect("a password");
        let (host, port) = place.trim_end_matches('/').split_once(':').expect("a port");
        Some(Self {
            user: user.to_owned(),
            password: password.to_owned(),
            host: host.to_owned(),
            port: port.parse().expect("a port"),
            authority,
            api: api.strip_prefix("http://").expect("http://").to_owned(),
        })
    }

    fn settings(&self) -> String {
        let Self { user, password, host, port, authority, .. } = self;
        format!(
            "delivery = \"smtp\"\nsmtp.host = {host:?}\nsmtp.port = {port}\n\
             smtp.encryption = \"starttls\"\nsmtp.ca_file = {authority:?}\n\
             smtp.username = {user:?}\nsmtp.password = {password:?}\n"
        )
    }

    async fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.api).await.expect("the interface answers");
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.api);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).expect("JSON")
    }

    /// Letters to an address.
    async fn letters(&self, to: &str) -> Vec<Value> {
        let found = self.get(&format!("/api/v1/search?query=to:{to}")).await;
        found["messages"].as_array().cloned().unwrap_or_default()
    }
}

fn skipped(test: &str, why: &str) {
    let mut stderr = std::io::stderr();
    drop(writeln!(stderr, "TROUPE-SKIPPED mail: {test} ({why})"));
}

fn somebody() -> String {
    format!("ada-{}@example.org", Uuid::now_v7().simple())
}

#[tokio::test]
async fn a_letter_goes_encrypted_and_with_a_login_to_a_real_server() {
    let Some(mailpit) = Mailpit::find("a letter to a real server") else { return };
    in_house_with(&mailpit.settings(), async |house| {
        let to = somebody();
        house.run(Uuid::now_v7(), &reset(&to), 1).await.unwrap();
        let [letter] = mailpit.letters(&to).await.try_into().unwrap();
        let id = letter["ID"].as_str().unwrap();
        let letter = mailpit.get(&format!("/api/v1/message/{id}")).await;
        assert_eq!(letter["Subject"], "Reset your password for Troupe");
        assert!(letter["Text"].as_str().unwrap().contains("/reset/Zm9v"), "{letter}");
        assert!(letter["HTML"].as_str().unwrap().contains("<p>Hello Ada,</p>"), "{letter}");
    })
    .await;
}

#[tokio::test]
async fn a_real_server_with_an_unknown_certificate_or_another_password_gets_no_letter() {
    let Some(mailpit) = Mailpit::find("a real server that is not trusted") else { return };
    let trusted = format!("smtp.ca_file = {:?}\n", mailpit.authority);
    let stranger = mailpit.settings().replace(&trusted, "");
    assert_ne!(stranger, mailpit.settings());
    let wrong = mailpit.settings().replace(&mailpit.password, "another");
    for settings in [stranger, wrong] {
        in_house_with(&settings, async |house| {
            let to = somebody();
            let failure = house.run(Uuid::now_v7(), &reset(&to), 1).await.unwrap_err();
            assert_eq!(failure.code(), "notify.mail.deferred", "{failure:?}");
            assert_eq!(mailpit.letters(&to).await, [json!(null); 0]);
        })
        .await;
    }
}

/// The server of the tests takes no mail for names below `.invalid`.
#[tokio::test]
async fn a_recipient_that_a_real_server_refuses_is_not_written_to_again() {
    let test = "a recipient that a real server refuses";
    let Some(mailpit) = Mailpit::find(test) else { return };
    in_house_with(&mailpit.settings(), async |house| {
        let to = format!("gone-{}@refused.invalid", Uuid::now_v7().simple());
        let id = Uuid::now_v7();
        if house.run(id, &reset(&to), 1).await.is_ok() {
            skipped(
                test,
                "this server takes every recipient; `cargo xtask services up` starts one",
            );
            return;
        }
        assert_eq!(house.record(id).await.state, MailState::Failed);
        let list = json_of(&house.call(Method::GET, "/v1/notify/bounces", "").await);
        assert_eq!(list["items"][0]["recipient"], to, "{list}");
        let failure = house.run(Uuid::now_v7(), &reset(&to), 1).await.unwrap_err();
        assert!(failure.detail().contains("came back before"), "{failure:?}");
    })
    .await;
}
