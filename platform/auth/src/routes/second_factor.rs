//! Routes of the second step of a login, and of the factors that pass it.

use troupe_actors::ServiceRef;
use troupe_kernel::http::HttpResponse;
use troupe_kernel::routes::Route;

use super::bodies::{AnswerBody, CodeBody, PasswordProofBody, ProofBody};
use super::{BODY_BYTES_MAX, NO_STORE, Services, TAG, person};
use crate::messages::{
    AnswerChallenge, ConfirmTotp, DisableTotp, EnrolTotp, GetSecondFactor, LoginMessage,
    RecoveryCodes, RenewRecoveryCodes, ResetSecondFactor, SecondFactor, SecondFactorMessage,
    Tokens, TotpEnrolment,
};
use crate::permissions::SECOND_FACTOR_RESET;

pub(super) fn routes(services: &Services) -> Vec<Route> {
    let factors = &services.second_factors;
    vec![
        answer(&services.login),
        state(factors),
        enrol(factors),
        confirm(factors),
        disable(factors),
        renew(factors),
        reset(factors),
    ]
}

fn answer(login: &ServiceRef<LoginMessage>) -> Route {
    Route::post("/v1/auth/login/code")
        .public()
        .tag(TAG)
        .summary("Finish a login with a code")
        .description("Takes the challenge that the login answered with 202, and a code of the authenticator app or a recovery code.")
        .body_limit(BODY_BYTES_MAX)
        .body::<AnswerBody>()
        .returns::<Tokens>(200)
        .ask(
            login,
            |request| {
                let AnswerBody { challenge, code } = request.json()?;
                Ok(AnswerChallenge { challenge, code })
            },
            |tokens| Ok(HttpResponse::ok(&tokens).cache(NO_STORE)),
        )
}

fn state(factors: &ServiceRef<SecondFactorMessage>) -> Route {
    Route::get("/v1/auth/second-factor")
        .authenticated()
        .tag(TAG)
        .summary("Whether your logins ask for a second step")
        .returns::<SecondFactor>(200)
        .ask(
            factors,
            |request| Ok(GetSecondFactor { user: person(request)?.0 }),
            |state| Ok(HttpResponse::ok(&state).cache(NO_STORE)),
        )
}

fn enrol(factors: &ServiceRef<SecondFactorMessage>) -> Route {
    Route::post("/v1/auth/second-factor/totp")
        .authenticated()
        .tag(TAG)
        .summary("Set up an authenticator app")
        .description("Takes your password, and your passkey or a recovery code if you have them. The answer is the only one that shows the secret. The app counts from when a code confirms it.")
        .body_limit(BODY_BYTES_MAX)
        .body::<ProofBody>()
        .returns::<TotpEnrolment>(200)
        .ask(
            factors,
            |request| {
                let (user, _) = person(request)?;
                let (current_password, factor) = request.json::<ProofBody>()?.proofs()?;
                Ok(EnrolTotp { user, current_password, factor })
            },
            |enrolment| Ok(HttpResponse::ok(&enrolment).cache(NO_STORE)),
        )
}

fn confirm(factors: &ServiceRef<SecondFactorMessage>) -> Route {
    Route::post("/v1/auth/second-factor/totp/confirm")
        .authenticated()
        .tag(TAG)
        .summary("Confirm your authenticator app with a code")
        .description("From then on each login asks for a code. The answer is the only one that shows the recovery codes.")
        .body_limit(BODY_BYTES_MAX)
        .body::<CodeBody>()
        .returns::<RecoveryCodes>(200)
        .ask(
            factors,
            |request| {
                let (user, _) = person(request)?;
                let CodeBody { code } = request.json()?;
                Ok(ConfirmTotp { user, code })
            },
            |codes| Ok(HttpResponse::ok(&codes).cache(NO_STORE)),
        )
}

fn disable(factors: &ServiceRef<SecondFactorMessage>) -> Route {
    Route::post("/v1/auth/second-factor/disable")
        .authenticated()
        .tag(TAG)
        .summary("Log in without your authenticator app from now on")
        .description("Takes your password and your second factor. The recovery codes go as well unless you have a passkey.")
        .body_limit(BODY_BYTES_MAX)
        .body::<ProofBody>()
        .returns_nothing(204)
        .ask(
            factors,
            |request| {
                let (user, _) = person(request)?;
                let (current_password, factor) = request.json::<ProofBody>()?.proofs()?;
                Ok(DisableTotp { user, current_password, factor })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}

fn renew(factors: &ServiceRef<SecondFactorMessage>) -> Route {
    Route::post("/v1/auth/second-factor/recovery-codes")
        .authenticated()
        .tag(TAG)
        .summary("Make new recovery codes")
        .description(
            "The old ones are good no more. The answer is the only one that shows the new.",
        )
        .body_limit(BODY_BYTES_MAX)
        .body::<ProofBody>()
        .returns::<RecoveryCodes>(200)
        .ask(
            factors,
            |request| {
                let (user, _) = person(request)?;
                let (current_password, factor) = request.json::<ProofBody>()?.proofs()?;
                Ok(RenewRecoveryCodes { user, current_password, factor })
            },
            |codes| Ok(HttpResponse::ok(&codes).cache(NO_STORE)),
        )
}

fn reset(factors: &ServiceRef<SecondFactorMessage>) -> Route {
    Route::post("/v1/auth/users/{id}/second-factor/reset")
        .permission(SECOND_FACTOR_RESET)
        .tag(TAG)
        .summary("Remove app, passkeys and recovery codes of a user who lost them")
        .description("Asks for your own password. The user learns of it by mail.")
        .body_limit(BODY_BYTES_MAX)
        .body::<PasswordProofBody>()
        .returns_nothing(204)
        .ask(
            factors,
            |request| {
                person(request)?;
                let PasswordProofBody { current_password } = request.json()?;
                Ok(ResetSecondFactor { user: request.parameter("id")?, current_password })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}
