//! No secret shows in what the actor system keeps and shows about messages.

use troupe_auth::SecretText;
use troupe_auth::messages::{Refresh, Register};

use crate::app::{self, App};
use crate::harness::{House, MEMBER, OTHER_PASSWORD, PASSWORD, registration, scope, with_house};

#[tokio::test]
async fn records_audit_and_events_hold_no_password_and_no_token() {
    with_house(async |house: &House| {
        let setup_token = house.setup_token();
        house.member().await;
        let tokens = house.session().await;
        let wrong = house.log_in(MEMBER, OTHER_PASSWORD).await;
        assert!(wrong.is_err());
        let weak = Register { password: SecretText::new("hunter2"), ..registration("x@y.example") };
        assert!(house.auth.accounts.ask(&scope(), weak).await.is_err());
        let request = Refresh { refresh_token: tokens.refresh_token.clone(), device: None };
        let next = house.auth.sessions.ask(&scope(), request).await.expect("exchanged");
        house.check(&next.access_token).await.expect("good");
        let app = App::enrolled(house, MEMBER).await;
        let challenge = app.challenge(house).await;
        house.clock.advance(app::STEP);
        let code = app.code(house.now());
        app.answer(house, &challenge, &code).await.expect("logs in");
        let system = house.universe.system();
        let mut shown = format!("{:?}", system.records(10_000));
        shown.push_str(&format!("{:?}", system.dead_letters(1_000)));
        shown.push_str(&format!("{:?}", house.audit().await));
        shown.push_str(&format!("{:?}", house.events().await));
        assert!(shown.contains("Login"), "the records are there to be looked at");
        for secret in [
            PASSWORD,
            OTHER_PASSWORD,
            "hunter2",
            "$argon2id",
            setup_token.expose(),
            tokens.access_token.expose(),
            tokens.refresh_token.expose(),
            next.access_token.expose(),
            next.refresh_token.expose(),
            app.secret.expose(),
            app.uri.expose(),
            app.recovery_codes[0].expose(),
            challenge.expose(),
        ] {
            assert!(!shown.contains(secret), "{secret} is shown");
        }
    })
    .await;
}
