//! Logins with a real provider: who gets in, who is linked to what, and what a provider that is away
//! costs.

mod browser;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use troupe_actors::{PermissionSet, Scope};
use troupe_auth::SecretText;
use troupe_auth::messages::{
    Arrival, BeginLink, BeginSignIn, Departure, EnrolTotp, ExternalIdentity, FinishSignIn,
    ListIdentities, ListProviders, ProviderInfo, Tokens, UnlinkIdentity,
};
use troupe_kernel::clock::{Clock as _, ManualClock, SystemClock};
use troupe_kernel::error::{Failure, FailureKind};
use troupe_kernel::http::HttpRequest;
use troupe_kernel::ids::UserId;
use troupe_kernel::{HeaderValue, Layers, Method, StatusCode, header};

use self::browser::{Back, Browser, CALLBACK};
use crate::app::{App, STEP};
use crate::harness::{
    ADMINISTRATOR, House, PASSWORD, acting, code, from, registration, with_clock, with_config,
};

/// Runs a test with the provider that the environment names, on both dialects.
async fn with_provider(settings: &str, test: impl AsyncFn(&House)) {
    let Some(section) = section("", settings) else { return };
    with_clock(started(), &section, test).await;
}

/// The settings of the provider that the environment names, with more behind the secret and at the end.
fn section(behind: &str, settings: &str) -> Option<String> {
    let (issuer, client) = browser::provider()?;
    let (id, secret) = client.split_once(':').expect("id:secret");
    Some(format!(
        "oidc.example = {{ issuer = \"{issuer}\", client_id = \"{id}\", \
         client_secret = \"{secret}{behind}\", redirect_url = \"{CALLBACK}\", title = \"Example\"{settings} }}"
    ))
}

/// The provider's tokens say when they end, so the clock stands near the real time: a while before
/// it, so that a test can let some of it pass.
fn started() -> ManualClock {
    ManualClock::new(SystemClock.now().minus(Duration::from_secs(1_800)))
}

fn scope() -> Scope {
    from("192.0.2.1")
}

async fn begin(house: &House) -> Departure {
    let request = BeginSignIn { provider: "example".to_owned(), organisation: None };
    house.auth.oidc.ask(&scope(), request).await.expect("begins")
}

fn finishing(back: &Back, cookie: Option<&SecretText>) -> FinishSignIn {
    let kept = cookie.map(|cookie| cookie.expose().split(';').next().expect("a pair").to_owned());
    FinishSignIn {
        provider: "example".to_owned(),
        state: SecretText::new(back.value("state").expect("a state")),
        code: back.value("code").map(SecretText::new),
        error: back.value("error"),
        issuer: back.value("iss"),
        cookies: kept.map(SecretText::new),
        device: Some("a browser".to_owned()),
    }
}

async fn finish(house: &House, request: FinishSignIn) -> Result<Arrival, Failure> {
    house.auth.oidc.ask(&scope(), request).await
}

/// The whole way of somebody to the provider and back.
async fn arrive(house: &House, who: &str) -> Result<Arrival, Failure> {
    let departure = begin(house).await;
    let back = Browser::new().go(&departure.location, who).await;
    finish(house, finishing(&back, Some(&departure.cookie))).await
}

async fn signed_in(house: &House, who: &str) -> Tokens {
    match arrive(house, who).await {
        Ok(Arrival::SignedIn(tokens)) => tokens,
        other => panic!("{other:?}"),
    }
}

async fn linked(house: &House, user: UserId) -> Vec<ExternalIdentity> {
    house.auth.accounts.ask(&scope(), ListIdentities { user }).await.expect("listed")
}

fn by(tokens: &Tokens) -> Scope {
    acting(tokens, PermissionSet::new())
}

/// Somebody with a password, whose address is proven or not.
async fn with_password(house: &House, email: &str, proven: bool) -> Tokens {
    house.auth.accounts.ask(&scope(), registration(email)).await.expect("registers");
    let user = house.identity.by_email(email).expect("is there").id;
    if proven {
        let mut people = house.identity.people();
        let user = people.users.get_mut(&user).expect("is there");
        user.email_verified_at = Some(house.clock.now());
    }
    house.log_in(email, PASSWORD).await.expect("logs in")
}

#[tokio::test]
async fn somebody_new_gets_an_account_and_the_same_one_again() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        let query = house.auth.oidc.ask(&scope(), ListProviders).await;
        let info = ProviderInfo { name: "example".to_owned(), title: "Example".to_owned() };
        assert_eq!(query.expect("listed"), [info]);
        let first = signed_in(house, "ada").await;
        assert!(house.check(&first.access_token).await.is_ok());
        let user = house.identity.by_email("ada@example.org").expect("an account");
        assert_eq!((user.id, user.display_name.as_str()), (first.user, "Ada"));
        assert!(user.email_verified_at.is_some());
        let identities = linked(house, user.id).await;
        assert_eq!(identities.len(), 1);
        assert_eq!(identities[0].email.as_deref(), Some("ada@example.org"));
        house.clock.advance(Duration::from_secs(1));
        assert_eq!(signed_in(house, "ada").await.user, first.user);
        assert_eq!(linked(house, user.id).await[0].last_used_at, Some(house.now()));
        let kinds = house.event_kinds().await;
        for kind in ["auth.account.registered", "auth.identity.linked"] {
            assert_eq!(kinds.iter().filter(|one| *one == kind).count(), 1, "{kind}");
        }
        let audit = house.audit().await;
        let started = audit.iter().rfind(|record| record["action"] == "auth.login");
        let factors = &started.expect("is in the audit")["detail"]["factors"];
        assert_eq!(*factors, serde_json::json!(["oidc:example"]));
        let mails = house.mails().await;
        assert!(mails.iter().any(|mail| mail["template"] == "auth.identity_changed"));
    })
    .await;
}

#[tokio::test]
async fn another_secret_is_taken_while_the_node_runs_and_nothing_else_of_a_provider() {
    let Some(wrong) = section("-of-before", "") else { return };
    with_clock(started(), &wrong, async |house: &House| {
        house.set_up().await;
        assert_eq!(code(arrive(house, "ada").await), "auth.provider.refused");
        let [_, reload] = &house.parts.reloads[..] else { panic!("keys and providers reload") };
        let look = async |settings: &str| {
            let tree = Layers::new().file("test", &format!("[auth]\n{settings}")).build();
            reload.look(&tree.expect("TOML")).await.expect("a secret is no fault")
        };
        let same = look(&wrong).await;
        assert!(same.keys().is_empty() && same.keys_later().is_empty());
        let new = section("", ", keep = \"2h\"").expect("as before");
        let change = look(&format!("{new}\n{}", absent("http://127.0.0.1:1"))).await;
        assert_eq!(change.keys(), ["auth.oidc.example.client_secret"]);
        assert_eq!(change.keys_later(), ["auth.oidc.example.keep", "auth.oidc.gone"]);
        assert_eq!(look("").await.keys_later(), ["auth.oidc.example"]);
        let other = new.replace("client_id = \"", "client_id = \"other-");
        let change_of_client = look(&other).await;
        assert!(change_of_client.keys().is_empty(), "a secret alone would lock everybody out");
        assert_eq!(code(arrive(house, "ada").await), "auth.provider.refused", "looking is all");
        change.make();
        signed_in(house, "ada").await;
    })
    .await;
}

#[tokio::test]
async fn the_way_there_has_a_code_challenge_a_nonce_and_a_state_and_no_verifier() {
    with_provider("", async |house: &House| {
        let departure = begin(house).await;
        let sent = Back::of(&departure.location);
        assert_eq!(sent.value("code_challenge_method").as_deref(), Some("S256"));
        assert_eq!(sent.value("response_type").as_deref(), Some("code"));
        assert_eq!(sent.value("scope").as_deref(), Some("openid email profile"));
        for name in ["code_challenge", "nonce", "state"] {
            assert_eq!(sent.value(name).expect(name).len(), 43, "{name}");
        }
        assert!(sent.value("code_verifier").is_none());
        let another = Back::of(&begin(house).await.location);
        assert_ne!(sent.value("nonce"), another.value("nonce"));
        assert_ne!(sent.value("state"), another.value("state"));
    })
    .await;
}

#[tokio::test]
async fn an_account_is_linked_by_an_address_that_both_have_proven() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        let tokens = with_password(house, "grace@example.org", true).await;
        assert_eq!(signed_in(house, "grace").await.user, tokens.user);
        assert_eq!(linked(house, tokens.user).await.len(), 1);
        // Somebody may have registered the address of another and wait for them to come.
        with_password(house, "eve@example.org", false).await;
        assert_eq!(code(arrive(house, "eve").await), "auth.identity.unlinked");
        // And somebody may tell a provider the address of another.
        let victim = with_password(house, "unverified-ivan@example.org", true).await;
        assert_eq!(code(arrive(house, "unverified-ivan").await), "auth.identity.unproven");
        assert!(linked(house, victim.user).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_is_not_trusted_with_addresses_links_nobody_by_itself() {
    with_provider(", link = \"explicit\"", async |house: &House| {
        house.set_up().await;
        with_password(house, "grace@example.org", true).await;
        assert_eq!(code(arrive(house, "grace").await), "auth.identity.unlinked");
        signed_in(house, "heidi").await;
    })
    .await;
}

#[tokio::test]
async fn without_a_proven_address_nobody_gets_an_account_and_a_linked_one_gets_in() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        for who in ["nobody", "unverified-ivan"] {
            assert_eq!(code(arrive(house, who).await), "auth.identity.unproven", "{who}");
        }
        let tokens = with_password(house, "judy@example.org", false).await;
        let departure = link(house, &tokens, Some(PASSWORD)).await.expect("begins");
        let back = Browser::new().go(&departure.location, "nobody").await;
        let outcome = finish(house, finishing(&back, Some(&departure.cookie))).await;
        assert!(matches!(outcome, Ok(Arrival::Linked(_))), "{outcome:?}");
        assert_eq!(signed_in(house, "nobody").await.user, tokens.user);
    })
    .await;
}

#[tokio::test]
async fn closed_registration_and_a_platform_without_set_up_make_no_account() {
    with_provider("", async |house: &House| {
        assert_eq!(code(arrive(house, "ada").await), "auth.setup.needed");
    })
    .await;
    let Some((issuer, client)) = browser::provider() else { return };
    let (id, secret) = client.split_once(':').expect("id:secret");
    let section = format!(
        "registration = \"closed\"\noidc.example = {{ issuer = \"{issuer}\", client_id = \"{id}\", \
         client_secret = \"{secret}\", redirect_url = \"{CALLBACK}\" }}"
    );
    with_clock(started(), &section, async |house: &House| {
        house.set_up().await;
        assert_eq!(code(arrive(house, "ada").await), "auth.registration.closed");
        assert!(house.identity.by_email("ada@example.org").is_none());
    })
    .await;
}

#[tokio::test]
async fn a_way_back_is_good_once_and_only_in_the_browser_that_began() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        let departure = begin(house).await;
        let back = Browser::new().go(&departure.location, "ada").await;
        let stranger = begin(house).await;
        let (name, _) = departure.cookie.expose().split_once('=').expect("a pair");
        let (_, value) = stranger.cookie.expose().split_once('=').expect("a pair");
        let forged = SecretText::new(format!("{name}={value}"));
        for cookie in [None, Some(&stranger.cookie), Some(&forged)] {
            let refused = finish(house, finishing(&back, cookie)).await;
            assert_eq!(code(refused), "auth.sign_in.refused");
        }
        let mine = finishing(&back, Some(&departure.cookie));
        let mixed_up = FinishSignIn { issuer: Some("https://evil.example".to_owned()), ..mine };
        let spent = departure.clone();
        assert_eq!(code(finish(house, mixed_up).await), "auth.provider.refused");
        let again = finish(house, finishing(&back, Some(&spent.cookie))).await;
        assert_eq!(code(again), "auth.sign_in.refused", "spent");
        let departure = begin(house).await;
        let back = Browser::new().go(&departure.location, "ada").await;
        house.clock.advance(Duration::from_secs(600));
        let late = finish(house, finishing(&back, Some(&departure.cookie))).await;
        assert_eq!(code(late), "auth.sign_in.refused");
        assert!(house.identity.by_email("ada@example.org").is_none());
    })
    .await;
}

#[tokio::test]
async fn a_code_of_another_sign_in_is_refused() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        let (mine, theirs) = (begin(house).await, begin(house).await);
        let stolen = Browser::new().go(&theirs.location, "ada").await;
        let back = Browser::new().go(&mine.location, "eve").await;
        // The code verifier of one browser does not fit the code of another (RFC 7636).
        let injected = FinishSignIn {
            code: stolen.value("code").map(SecretText::new),
            ..finishing(&back, Some(&mine.cookie))
        };
        assert_eq!(code(finish(house, injected).await), "auth.provider.refused");
    })
    .await;
}

#[tokio::test]
async fn whoever_refuses_at_the_provider_is_told() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        let denied = arrive(house, "denied").await.expect_err("refused");
        assert_eq!(denied.code(), "auth.provider.denied");
        assert_eq!(denied.kind(), FailureKind::Unauthenticated);
    })
    .await;
}

async fn link(
    house: &House,
    tokens: &Tokens,
    password: Option<&str>,
) -> Result<Departure, Failure> {
    let request = BeginLink {
        provider: "example".to_owned(),
        user: tokens.user,
        current_password: password.map(SecretText::new),
    };
    house.auth.oidc.ask(&by(tokens), request).await
}

#[tokio::test]
async fn an_identity_is_linked_once_and_unlinked_but_for_the_last_way_in() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        let mallory = signed_in(house, "mallory").await;
        let only = linked(house, mallory.user).await[0].id;
        let unlink = |user, identity| UnlinkIdentity { user, identity };
        let last = house.auth.accounts.ask(&by(&mallory), unlink(mallory.user, only)).await;
        assert_eq!(code(last), "auth.identity.last");
        let tokens = with_password(house, "trent@example.org", true).await;
        for (password, expected) in
            [(Some("a wrong one"), "auth.password.wrong"), (None, "auth.password.missing")]
        {
            assert_eq!(code(link(house, &tokens, password).await), expected);
        }
        let departure = link(house, &tokens, Some(PASSWORD)).await.expect("begins");
        let back = Browser::new().go(&departure.location, "mallory").await;
        let taken = finish(house, finishing(&back, Some(&departure.cookie))).await;
        assert_eq!(code(taken), "auth.identity.taken");
        let departure = link(house, &tokens, Some(PASSWORD)).await.expect("begins");
        let back = Browser::new().go(&departure.location, "peggy").await;
        let done = finish(house, finishing(&back, Some(&departure.cookie))).await;
        let Ok(Arrival::Linked(identity)) = done else { panic!("{done:?}") };
        assert_eq!(signed_in(house, "peggy").await.user, tokens.user);
        let request = unlink(mallory.user, identity.id);
        let foreign = house.auth.accounts.ask(&by(&mallory), request).await;
        assert_eq!(code(foreign), "auth.identity.not_found");
        house
            .auth
            .accounts
            .ask(&by(&tokens), unlink(tokens.user, identity.id))
            .await
            .expect("unlinked");
        assert_eq!(linked(house, tokens.user).await, []);
        assert_ne!(signed_in(house, "peggy").await.user, tokens.user, "an account of its own");
    })
    .await;
}

#[tokio::test]
async fn who_has_no_password_proves_themselves_by_a_recent_login_and_keeps_a_second_factor() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        let tokens = signed_in(house, "ada").await;
        let enrol = EnrolTotp { user: tokens.user, current_password: None, factor: None };
        house.clock.advance(Duration::from_secs(600));
        let stale = house.auth.second_factors.ask(&by(&tokens), enrol.clone()).await;
        assert_eq!(code(stale), "auth.session.stale");
        let tokens = signed_in(house, "ada").await;
        let shown = house.auth.second_factors.ask(&by(&tokens), enrol).await.expect("recent");
        let app = App::scanned(shown.uri.expose(), "ada@example.org");
        app.confirm(house, &tokens).await.expect("confirmed");
        let outcome = arrive(house, "ada").await;
        let Ok(Arrival::Challenged(challenge)) = outcome else { panic!("{outcome:?}") };
        house.clock.advance(STEP);
        let answered = app.answer(house, &challenge.challenge, &app.code(house.now())).await;
        assert_eq!(answered.expect("logs in").user, tokens.user);
        let audit = house.audit().await;
        let started = audit.iter().rfind(|record| record["action"] == "auth.login");
        let factors = &started.expect("is in the audit")["detail"]["factors"];
        assert_eq!(*factors, serde_json::json!(["oidc:example", "totp"]));
    })
    .await;
}

#[tokio::test]
async fn a_login_with_a_provider_over_http() {
    with_provider("", async |house: &House| {
        house.set_up().await;
        let ask = async |template: &str, mut request: HttpRequest| {
            request.parameters = vec![("provider".to_owned(), "example".to_owned())];
            let route = house.parts.routes.iter().find(|route| route.path() == template);
            let target = route.expect("there is such a route").target();
            let (port, response) = target.open(&request.scope);
            target.deliver(&request, port);
            response.await.response
        };
        let get = |path: &str| HttpRequest::new(Method::GET, path, [127, 0, 0, 1].into(), scope());
        let start = get("/v1/auth/oidc/example/start");
        let gone = ask("/v1/auth/oidc/{provider}/start", start).await.expect("redirected");
        assert_eq!(gone.status, StatusCode::SEE_OTHER);
        assert_eq!(gone.headers[header::CACHE_CONTROL], "no-store");
        let cookie = gone.headers[header::SET_COOKIE].to_str().expect("text").to_owned();
        let location = gone.headers[header::LOCATION].to_str().expect("text");
        let back = Browser::new().go(location, "ada").await;
        let mut callback = get("/v1/auth/oidc/example/callback");
        callback.query = back.query().to_owned();
        let pair = cookie.split(';').next().expect("a pair");
        let value = HeaderValue::from_str(&format!("a=b; {pair}")).expect("text");
        callback.headers.insert(header::COOKIE, value);
        let done = ask("/v1/auth/oidc/{provider}/callback", callback).await.expect("logs in");
        assert_eq!(done.status, StatusCode::OK);
        assert_eq!(done.headers[header::CACHE_CONTROL], "no-store");
        let tokens: Tokens = serde_json::from_slice(&done.body).expect("tokens");
        assert!(house.check(&tokens.access_token).await.is_ok());
        let bare = get("/v1/auth/oidc/example/callback");
        let refused = ask("/v1/auth/oidc/{provider}/callback", bare).await;
        assert_eq!(code(refused), "kernel.query.malformed");
    })
    .await;
}

/// Settings of a provider at an address where none is.
fn absent(address: &str) -> String {
    format!("oidc.gone = {{ issuer = \"{address}\", client_id = \"x\", timeout = \"300ms\" }}")
}

async fn try_to_begin(house: &House) -> Failure {
    let request = BeginSignIn { provider: "gone".to_owned(), organisation: None };
    house.auth.oidc.ask(&scope(), request).await.expect_err("it is away")
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_at_once_and_nothing_else_waits() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    with_config(&absent(&format!("http://{address}")), async |house: &House| {
        house.set_up().await;
        let failure = try_to_begin(house).await;
        assert_eq!(failure.code(), "auth.provider.unavailable");
        assert_eq!(failure.kind(), FailureKind::Unavailable);
        assert!(failure.retry_after_duration().is_some());
        assert!(house.log_in(ADMINISTRATOR, PASSWORD).await.is_ok());
        let unknown = BeginSignIn { provider: "none".to_owned(), organisation: None };
        let unknown = house.auth.oidc.ask(&scope(), unknown).await;
        assert_eq!(code(unknown), "auth.provider.unknown");
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_hangs_costs_its_time_limit_once_in_a_while() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let mut holding = tokio::task::JoinSet::new();
    holding.spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            open.push(stream);
        }
    });
    with_config(&absent(&format!("http://{address}")), async |house: &House| {
        taken.store(0, Ordering::SeqCst);
        let before = Instant::now();
        assert_eq!(try_to_begin(house).await.code(), "auth.provider.unavailable");
        let waited = before.elapsed();
        assert!(waited >= Duration::from_millis(300), "{waited:?}");
        assert!(waited < Duration::from_secs(5), "{waited:?}");
        for _ in 0..20 {
            assert_eq!(try_to_begin(house).await.code(), "auth.provider.unavailable");
        }
        assert_eq!(taken.load(Ordering::SeqCst), 1, "it is left alone for a while");
        house.clock.advance(Duration::from_secs(5));
        assert_eq!(try_to_begin(house).await.code(), "auth.provider.unavailable");
        assert_eq!(taken.load(Ordering::SeqCst), 2, "and asked again then");
    })
    .await;
}
