//! Routes of login, tokens and sessions.

use troupe_actors::ServiceRef;
use troupe_kernel::StatusCode;
use troupe_kernel::http::HttpResponse;
use troupe_kernel::routes::Route;

use super::bodies::{LoginBody, RefreshBody, SwitchBody};
use super::{BODY_BYTES_MAX, NO_STORE, Services, TAG, device, person};
use crate::messages::{
    Challenge, ListSessions, Login, LoginMessage, Logout, LogoutEverywhere, Refresh, RevokeSession,
    Session, SessionMessage, SignIn, Switch, Switched, Tokens,
};

pub(super) fn routes(services: &Services) -> Vec<Route> {
    let sessions = &services.sessions;
    vec![
        login(&services.login),
        refresh(sessions),
        logout(sessions),
        logout_everywhere(sessions),
        list(sessions),
        revoke(sessions),
        switch(sessions),
    ]
}

fn login(login: &ServiceRef<LoginMessage>) -> Route {
    Route::post("/v1/auth/login")
        .public()
        .tag(TAG)
        .summary("Log in with e-mail and password")
        .description("An account with a second factor is answered 202 and a challenge, which `POST /v1/auth/login/code` takes with a code.")
        .body_limit(BODY_BYTES_MAX)
        .body::<LoginBody>()
        .returns::<Tokens>(200)
        .returns::<Challenge>(202)
        .ask(
            login,
            |request| {
                let body: LoginBody = request.json()?;
                Ok(Login {
                    email: body.email,
                    password: body.password,
                    organisation: body.organisation,
                    device: device(request),
                })
            },
            |outcome| {
                let response = match outcome {
                    SignIn::Complete(tokens) => HttpResponse::ok(&tokens),
                    SignIn::Challenged(challenge) => {
                        HttpResponse::json(StatusCode::ACCEPTED, &challenge)
                    }
                };
                Ok(response.cache(NO_STORE))
            },
        )
}

fn refresh(sessions: &ServiceRef<SessionMessage>) -> Route {
    Route::post("/v1/auth/refresh")
        .public()
        .tag(TAG)
        .summary("Exchange a refresh token for the next pair")
        .description("Each refresh token works once; a second use ends the session.")
        .body_limit(BODY_BYTES_MAX)
        .body::<RefreshBody>()
        .returns::<Tokens>(200)
        .ask(
            sessions,
            |request| {
                let body: RefreshBody = request.json()?;
                Ok(Refresh { refresh_token: body.refresh_token, device: device(request) })
            },
            |tokens| Ok(HttpResponse::ok(&tokens).cache(NO_STORE)),
        )
}

fn logout(sessions: &ServiceRef<SessionMessage>) -> Route {
    Route::post("/v1/auth/logout")
        .authenticated()
        .tag(TAG)
        .summary("End this session")
        .returns_nothing(204)
        .ask(
            sessions,
            |request| {
                let (user, session) = person(request)?;
                Ok(Logout { user, session })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}

fn logout_everywhere(sessions: &ServiceRef<SessionMessage>) -> Route {
    Route::post("/v1/auth/logout-all")
        .authenticated()
        .tag(TAG)
        .summary("End all your sessions")
        .returns_nothing(204)
        .ask(
            sessions,
            |request| {
                let (user, _) = person(request)?;
                Ok(LogoutEverywhere { user })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}

fn list(sessions: &ServiceRef<SessionMessage>) -> Route {
    Route::get("/v1/auth/sessions")
        .authenticated()
        .tag(TAG)
        .summary("Your sessions, used last first")
        .returns::<Vec<Session>>(200)
        .ask(
            sessions,
            |request| {
                let (user, session) = person(request)?;
                Ok(ListSessions { user, current: Some(session) })
            },
            |sessions| Ok(HttpResponse::ok(&sessions).cache(NO_STORE)),
        )
}

fn revoke(sessions: &ServiceRef<SessionMessage>) -> Route {
    Route::delete("/v1/auth/sessions/{id}")
        .authenticated()
        .tag(TAG)
        .summary("End one of your sessions")
        .returns_nothing(204)
        .ask(
            sessions,
            |request| {
                let (user, _) = person(request)?;
                Ok(RevokeSession { user, session: request.parameter("id")? })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}

fn switch(sessions: &ServiceRef<SessionMessage>) -> Route {
    Route::post("/v1/auth/switch")
        .authenticated()
        .tag(TAG)
        .summary("Work in another of your organisations")
        .body_limit(BODY_BYTES_MAX)
        .body::<SwitchBody>()
        .returns::<Switched>(200)
        .ask(
            sessions,
            |request| {
                let (user, session) = person(request)?;
                let body: SwitchBody = request.json()?;
                Ok(Switch { user, session, organisation: body.organisation })
            },
            |switched| Ok(HttpResponse::ok(&switched).cache(NO_STORE)),
        )
}
