//! An authenticator app in the hand of a user.

use std::time::Duration;

use totp_rs::Totp;
use troupe_auth::SecretText;
use troupe_auth::messages::{
    AnswerChallenge, ConfirmTotp, EnrolTotp, RecoveryCodes, SignIn, Tokens, TotpEnrolment,
};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::error::Failure;

use crate::harness::{House, PASSWORD, acting, from};

/// How long a code is shown.
pub(crate) const STEP: Duration = Duration::from_secs(30);

/// The app, which knows its secret only as it was shown.
pub(crate) struct App {
    totp: Totp,
    email: String,
    pub(crate) uri: SecretText,
    pub(crate) secret: SecretText,
    pub(crate) recovery_codes: Vec<SecretText>,
}

impl App {
    /// The app after it scanned an address.
    pub(crate) fn scanned(uri: &str, email: &str) -> Self {
        let totp = Totp::from_url(uri).expect("an address that apps know");
        assert_eq!(totp.account_name(), email);
        Self {
            secret: SecretText::new(totp.secret().to_base32()),
            totp,
            email: email.to_owned(),
            uri: SecretText::new(uri),
            recovery_codes: Vec::new(),
        }
    }

    /// The app of somebody without one, scanned and not confirmed.
    pub(crate) async fn begun(house: &House, email: &str) -> (Self, Tokens) {
        let tokens = house.log_in(email, PASSWORD).await.expect("logs in");
        let current_password = Some(SecretText::new(PASSWORD));
        let request = EnrolTotp { user: tokens.user, current_password, factor: None };
        let by = acting(&tokens, troupe_actors::PermissionSet::new());
        let shown: TotpEnrolment =
            house.auth.second_factors.ask(&by, request).await.expect("begins");
        let app = Self::scanned(shown.uri.expose(), email);
        assert_eq!(app.secret, shown.secret);
        (app, tokens)
    }

    /// The app of somebody without one, set up.
    pub(crate) async fn enrolled(house: &House, email: &str) -> Self {
        let (mut app, tokens) = Self::begun(house, email).await;
        app.recovery_codes = app.confirm(house, &tokens).await.expect("confirms").codes;
        app
    }

    pub(crate) async fn confirm(
        &self,
        house: &House,
        tokens: &Tokens,
    ) -> Result<RecoveryCodes, Failure> {
        let code = SecretText::new(self.code(house.now()));
        let by = acting(tokens, troupe_actors::PermissionSet::new());
        house.auth.second_factors.ask(&by, ConfirmTotp { user: tokens.user, code }).await
    }

    /// The code it shows at a time.
    pub(crate) fn code(&self, at: Timestamp) -> String {
        self.totp.generate(at.as_secs().try_into().expect("after 1970")).to_string()
    }

    /// A code that is not the one of this moment.
    pub(crate) fn wrong_code(&self, at: Timestamp) -> String {
        let near = [at.minus(STEP), at, at.plus(STEP)].map(|at| self.code(at));
        let wrong = (0..).map(|number| format!("{number:06}")).find(|code| !near.contains(code));
        wrong.expect("not every code is right")
    }

    /// The first step of its owner's login.
    pub(crate) async fn challenge(&self, house: &House) -> SecretText {
        match house.sign_in(&self.email, PASSWORD).await.expect("the password is right") {
            SignIn::Challenged(challenge) => challenge.challenge,
            SignIn::Complete(_) => panic!("nobody asked for a code"),
        }
    }

    pub(crate) async fn answer(
        &self,
        house: &House,
        challenge: &SecretText,
        code: &str,
    ) -> Result<Tokens, Failure> {
        let code = SecretText::new(code);
        let answer = AnswerChallenge { challenge: challenge.clone(), code };
        house.auth.login.ask(&from("192.0.2.1"), answer).await
    }
}
