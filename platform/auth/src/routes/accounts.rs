//! Routes of set-up, registration and passwords.

use troupe_actors::ServiceRef;
use troupe_kernel::http::HttpResponse;
use troupe_kernel::routes::Route;

use super::bodies::{ConfirmResetBody, PasswordBody, RegisterBody, ResetBody, SetupBody};
use super::{BODY_BYTES_MAX, NO_STORE, Services, TAG, person};
use crate::messages::{
    AccountMessage, ChangePassword, CompleteSetup, ConfirmPasswordReset, CreatedAccount,
    GetSetupState, Register, RequestPasswordReset, SetupState,
};

pub(super) fn routes(services: &Services) -> Vec<Route> {
    let accounts = &services.accounts;
    vec![
        setup_state(accounts),
        setup(accounts),
        register(accounts),
        change_password(accounts),
        request_reset(accounts),
        confirm_reset(accounts),
    ]
}

fn setup_state(accounts: &ServiceRef<AccountMessage>) -> Route {
    Route::get("/v1/auth/setup")
        .public()
        .tag(TAG)
        .summary("Whether the platform waits for its set-up")
        .returns::<SetupState>(200)
        .ask(accounts, |_| Ok(GetSetupState), |state| Ok(HttpResponse::ok(&state).cache(NO_STORE)))
}

fn setup(accounts: &ServiceRef<AccountMessage>) -> Route {
    Route::post("/v1/auth/setup")
        .public()
        .tag(TAG)
        .summary("Make the first administrator and organisation")
        .description("Takes the token of the link that the node prints at its first start.")
        .body_limit(BODY_BYTES_MAX)
        .body::<SetupBody>()
        .returns::<CreatedAccount>(201)
        .ask(
            accounts,
            |request| {
                let body: SetupBody = request.json()?;
                Ok(CompleteSetup {
                    token: body.token,
                    email: body.email,
                    password: body.password,
                    display_name: body.display_name,
                    organisation: body.organisation,
                })
            },
            |made| Ok(HttpResponse::created("/v1/users/me", &made).cache(NO_STORE)),
        )
}

fn register(accounts: &ServiceRef<AccountMessage>) -> Route {
    Route::post("/v1/auth/register")
        .public()
        .tag(TAG)
        .summary("Make an account")
        .description(
            "Also makes an organisation when a name for one is given. Can be switched off.",
        )
        .body_limit(BODY_BYTES_MAX)
        .body::<RegisterBody>()
        .returns::<CreatedAccount>(201)
        .ask(
            accounts,
            |request| {
                let body: RegisterBody = request.json()?;
                Ok(Register {
                    email: body.email,
                    password: body.password,
                    display_name: body.display_name,
                    locale: body.locale,
                    organisation: body.organisation,
                })
            },
            |made| Ok(HttpResponse::created("/v1/users/me", &made).cache(NO_STORE)),
        )
}

fn change_password(accounts: &ServiceRef<AccountMessage>) -> Route {
    Route::post("/v1/auth/password")
        .authenticated()
        .tag(TAG)
        .summary("Change your password")
        .description("Ends your other sessions.")
        .body_limit(BODY_BYTES_MAX)
        .body::<PasswordBody>()
        .returns_nothing(204)
        .ask(
            accounts,
            |request| {
                let (user, session) = person(request)?;
                let body: PasswordBody = request.json()?;
                Ok(ChangePassword {
                    user,
                    session: Some(session),
                    current_password: body.current_password,
                    new_password: body.new_password,
                })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}

fn request_reset(accounts: &ServiceRef<AccountMessage>) -> Route {
    Route::post("/v1/auth/password-reset")
        .public()
        .tag(TAG)
        .summary("Ask for a link that sets a new password")
        .description("The answer is the same whether there is such an account or not.")
        .body_limit(BODY_BYTES_MAX)
        .body::<ResetBody>()
        .returns_nothing(202)
        .ask(
            accounts,
            |request| {
                let body: ResetBody = request.json()?;
                Ok(RequestPasswordReset { email: body.email })
            },
            |()| Ok(HttpResponse::accepted()),
        )
}

fn confirm_reset(accounts: &ServiceRef<AccountMessage>) -> Route {
    Route::post("/v1/auth/password-reset/confirm")
        .public()
        .tag(TAG)
        .summary("Set a new password with a mailed token")
        .description("Ends all your sessions.")
        .body_limit(BODY_BYTES_MAX)
        .body::<ConfirmResetBody>()
        .returns_nothing(204)
        .ask(
            accounts,
            |request| {
                let body: ConfirmResetBody = request.json()?;
                Ok(ConfirmPasswordReset { token: body.token, new_password: body.new_password })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}
