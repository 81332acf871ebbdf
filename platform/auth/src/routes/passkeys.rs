//! Routes of passkeys, and of logins with one.

use troupe_actors::ServiceRef;
use troupe_kernel::http::HttpResponse;
use troupe_kernel::routes::Route;

use super::bodies::{
    AddPasskeyBody, AnswerWithPasskeyBody, PasskeyLoginBody, ProofBody, RenamePasskeyBody,
};
use super::{BODY_BYTES_MAX, NO_STORE, Services, TAG, device, person};
use crate::messages::{
    AddPasskey, AddedPasskey, AnswerWithPasskey, BeginPasskey, BeginPasskeyLogin, BeginProof,
    FinishPasskeyLogin, ListPasskeys, LoginMessage, Passkey, PasskeyMessage, PasskeyQuestion,
    RemovePasskey, RenamePasskey, Tokens,
};

pub(super) fn routes(services: &Services) -> Vec<Route> {
    let passkeys = &services.passkeys;
    vec![
        begin_login(passkeys),
        finish_login(passkeys),
        answer(&services.login),
        list(passkeys),
        begin(passkeys),
        add(passkeys),
        rename(passkeys),
        remove(passkeys),
        proof(passkeys),
    ]
}

fn begin_login(passkeys: &ServiceRef<PasskeyMessage>) -> Route {
    Route::post("/v1/auth/passkeys/login/begin")
        .public()
        .tag(TAG)
        .summary("Begin a login with a passkey alone")
        .description("Hand `public_key` to `navigator.credentials.get` and its answer with `ceremony` to `POST /v1/auth/passkeys/login`.")
        .returns::<PasskeyQuestion>(200)
        .ask(
            passkeys,
            |_| Ok(BeginPasskeyLogin),
            |question| Ok(HttpResponse::ok(&question).cache(NO_STORE)),
        )
}

fn finish_login(passkeys: &ServiceRef<PasskeyMessage>) -> Route {
    Route::post("/v1/auth/passkeys/login")
        .public()
        .tag(TAG)
        .summary("Log in with a passkey alone")
        .description(
            "No second step follows: the device has the passkey and has recognised its owner.",
        )
        .body_limit(BODY_BYTES_MAX)
        .body::<PasskeyLoginBody>()
        .returns::<Tokens>(200)
        .ask(
            passkeys,
            |request| {
                let PasskeyLoginBody { answer, organisation } = request.json()?;
                let answer = answer.into();
                Ok(FinishPasskeyLogin { answer, organisation, device: device(request) })
            },
            |tokens| Ok(HttpResponse::ok(&tokens).cache(NO_STORE)),
        )
}

fn answer(login: &ServiceRef<LoginMessage>) -> Route {
    Route::post("/v1/auth/login/passkey")
        .public()
        .tag(TAG)
        .summary("Finish a login with a passkey")
        .description("Takes the challenge that the login answered with 202, and the answer to its `passkey`.")
        .body_limit(BODY_BYTES_MAX)
        .body::<AnswerWithPasskeyBody>()
        .returns::<Tokens>(200)
        .ask(
            login,
            |request| {
                let AnswerWithPasskeyBody { challenge, credential } = request.json()?;
                Ok(AnswerWithPasskey { challenge, credential: credential.into() })
            },
            |tokens| Ok(HttpResponse::ok(&tokens).cache(NO_STORE)),
        )
}

fn list(passkeys: &ServiceRef<PasskeyMessage>) -> Route {
    Route::get("/v1/auth/passkeys")
        .authenticated()
        .tag(TAG)
        .summary("Your passkeys")
        .returns::<Vec<Passkey>>(200)
        .ask(
            passkeys,
            |request| Ok(ListPasskeys { user: person(request)?.0 }),
            |passkeys| Ok(HttpResponse::ok(&passkeys).cache(NO_STORE)),
        )
}

fn begin(passkeys: &ServiceRef<PasskeyMessage>) -> Route {
    Route::post("/v1/auth/passkeys/begin")
        .authenticated()
        .tag(TAG)
        .summary("Begin to set up a passkey")
        .description("Takes your password, and your second factor if you have one. Hand `public_key` to `navigator.credentials.create` and its answer with `ceremony` to `POST /v1/auth/passkeys`.")
        .body_limit(BODY_BYTES_MAX)
        .body::<ProofBody>()
        .returns::<PasskeyQuestion>(200)
        .ask(
            passkeys,
            |request| {
                let (user, _) = person(request)?;
                let (current_password, factor) = request.json::<ProofBody>()?.proofs()?;
                Ok(BeginPasskey { user, current_password, factor })
            },
            |question| Ok(HttpResponse::ok(&question).cache(NO_STORE)),
        )
}

fn add(passkeys: &ServiceRef<PasskeyMessage>) -> Route {
    Route::post("/v1/auth/passkeys")
        .authenticated()
        .tag(TAG)
        .summary("Set up a passkey")
        .description("From then on each login with a password asks for a second step. With your first second factor the answer has recovery codes and is the only one that shows them.")
        .body_limit(BODY_BYTES_MAX)
        .body::<AddPasskeyBody>()
        .returns::<AddedPasskey>(201)
        .ask(
            passkeys,
            |request| {
                let (user, _) = person(request)?;
                let AddPasskeyBody { ceremony, credential, name } = request.json()?;
                Ok(AddPasskey { user, ceremony, credential: credential.into(), name })
            },
            |added| Ok(HttpResponse::created("/v1/auth/passkeys", &added).cache(NO_STORE)),
        )
}

fn rename(passkeys: &ServiceRef<PasskeyMessage>) -> Route {
    Route::patch("/v1/auth/passkeys/{id}")
        .authenticated()
        .tag(TAG)
        .summary("Give a passkey another name")
        .body_limit(BODY_BYTES_MAX)
        .body::<RenamePasskeyBody>()
        .returns::<Passkey>(200)
        .ask(
            passkeys,
            |request| {
                let (user, _) = person(request)?;
                let RenamePasskeyBody { name } = request.json()?;
                Ok(RenamePasskey { user, passkey: request.parameter("id")?, name })
            },
            |passkey| Ok(HttpResponse::ok(&passkey).cache(NO_STORE)),
        )
}

fn remove(passkeys: &ServiceRef<PasskeyMessage>) -> Route {
    Route::post("/v1/auth/passkeys/{id}/remove")
        .authenticated()
        .tag(TAG)
        .summary("Log in with this passkey no more")
        .description("Takes your password and your second factor. With the last second factor the recovery codes go as well.")
        .body_limit(BODY_BYTES_MAX)
        .body::<ProofBody>()
        .returns_nothing(204)
        .ask(
            passkeys,
            |request| {
                let (user, _) = person(request)?;
                let (current_password, factor) = request.json::<ProofBody>()?.proofs()?;
                let passkey = request.parameter("id")?;
                Ok(RemovePasskey { user, passkey, current_password, factor })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}

fn proof(passkeys: &ServiceRef<PasskeyMessage>) -> Route {
    Route::post("/v1/auth/passkeys/proof")
        .authenticated()
        .tag(TAG)
        .summary("Begin to prove that it is you, with a passkey")
        .description("The answer to `public_key` goes with `ceremony` into the field `passkey` of a request that asks for your second factor.")
        .returns::<PasskeyQuestion>(200)
        .ask(
            passkeys,
            |request| Ok(BeginProof { user: person(request)?.0 }),
            |question| Ok(HttpResponse::ok(&question).cache(NO_STORE)),
        )
}
