//! One external provider: where it sends browsers, and whom it has proven.
//!
//! Its metadata and keys are read when they are needed, kept for a while, and read anew at once when
//! a token is signed with a key that is not among them. A provider that did not answer is not asked
//! again for some seconds: meanwhile callers learn at once that it is away. Every exchange has one
//! time limit. What it is not: a place that knows accounts.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreClient, CoreGenderClaim, CoreIdTokenClaims, CoreProviderMetadata, CoreResponseType,
};
use openidconnect::{
    AccessTokenHash, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EmptyAdditionalClaims, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse as _, UserInfoClaims,
};
use parking_lot::RwLock;
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::config::Secret;
use troupe_kernel::error::Failure;

use super::binding::Binding;
use super::http::HttpClient;
use crate::config::OidcProviderConfig;
use crate::error;
use crate::secret::SecretText;

/// A provider that did not answer is left alone for so long.
const PAUSE: Duration = Duration::from_secs(5);
/// A key that is not known makes the keys be read anew at most this often.
const KEYS_PAUSE: Duration = Duration::from_secs(5);

/// Somebody whom a provider has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The provider's issuer.
    pub issuer: String,
    /// Who it is there.
    pub subject: String,
    /// Their address, if the provider tells it.
    pub email: Option<String>,
    /// Whether the provider has proven the address.
    pub email_verified: bool,
    /// Their name, if the provider tells it.
    pub name: Option<String>,
    /// Their language, if the provider tells it.
    pub locale: Option<String>,
}

/// Why nobody was proven.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The provider does not answer, or answers what makes no sense.
    #[error("the provider does not answer: {0}")]
    Away(String),
    /// The provider refuses, or proves nobody.
    #[error("the provider proves nobody: {0}")]
    Refused(String),
    /// The token is signed with a key that is not among the provider's.
    #[error("the provider signed with a key that is not known")]
    UnknownKey,
}

/// What is known of a provider.
#[derive(Default)]
struct Known {
    metadata: Option<(Arc<CoreProviderMetadata>, Timestamp)>,
    away_since: Option<Timestamp>,
}

/// An external provider.
pub struct Provider {
    name: String,
    config: OidcProviderConfig,
    /// That of the configuration, until a reload brings another.
    secret: RwLock<Secret>,
    redirect: RedirectUrl,
    http: HttpClient,
    clock: SharedClock,
    known: RwLock<Known>,
}

/// Makes a client of the provider's metadata; its type is too long to be named.
macro_rules! client {
    ($provider:expr, $metadata:expr) => {{
        let secret = $provider.secret();
        let secret = (!secret.is_empty()).then(|| ClientSecret::new(secret.expose().to_owned()));
        let id = ClientId::new($provider.config.client_id.clone());
        CoreClient::from_provider_metadata((*$metadata).clone(), id, secret)
            .set_redirect_uri($provider.redirect.clone())
    }};
}

impl Provider {
    /// A provider of the configuration; `redirect` is where it sends browsers back.
    ///
    /// # Errors
    /// When an address is none, or the certificates of the system cannot be read.
    pub fn new(
        name: &str,
        config: &OidcProviderConfig,
        redirect: &str,
        clock: SharedClock,
    ) -> Result<Self, String> {
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|fault| fault.to_string())?;
        let encrypted_only = config.issuer.starts_with("https://");
        let http = HttpClient::new(encrypted_only, config.timeout)
            .map_err(|fault| format!("the certificates of the system cannot be read: {fault}"))?;
        let (name, config) = (name.to_owned(), config.clone());
        let secret = RwLock::new(config.client_secret.clone());
        Ok(Self { name, config, secret, redirect, http, clock, known: RwLock::default() })
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &OidcProviderConfig {
        &self.config
    }

    /// The secret of this platform's client there.
    pub(super) fn secret(&self) -> Secret {
        self.secret.read().clone()
    }

    /// The next exchange has this secret.
    pub(super) fn take_secret(&self, secret: Secret) {
        *self.secret.write() = secret;
    }

    /// Where a browser goes to be proven.
    ///
    /// # Errors
    /// `auth.provider.unavailable`.
    pub async fn departure(&self, binding: &Binding) -> Result<String, Failure> {
        let metadata = self.bounded(self.metadata(None)).await?;
        let verifier = PkceCodeVerifier::new(binding.verifier().expose().to_owned());
        let state = CsrfToken::new(binding.state().expose().to_owned());
        let nonce = Nonce::new(binding.nonce().expose().to_owned());
        let client = client!(self, metadata);
        let (url, _, _) = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || state,
                move || nonce,
            )
            .add_scopes(self.config.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url.into())
    }

    /// Who a browser is that brought this code back.
    ///
    /// # Errors
    /// `auth.provider.refused`, `auth.provider.unavailable`.
    pub async fn arrival(&self, binding: &Binding, code: &SecretText) -> Result<Proven, Failure> {
        self.bounded(self.exchange(binding, code)).await
    }

    /// Runs an exchange within the time limit, and remembers when the provider was away.
    async fn bounded<T>(
        &self,
        exchange: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Failure> {
        let now = self.clock.now();
        let away = self.known.read().away_since.map(|since| since.plus(PAUSE).since(now));
        if let Some(wait) = away.filter(|wait| !wait.is_zero()) {
            return Err(error::provider_unavailable(&self.name, wait));
        }
        let timeout = self.config.timeout;
        let outcome = tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(Fault::Away(format!("no answer within {timeout:?}"))));
        self.known.write().away_since = matches!(outcome, Err(Fault::Away(_))).then_some(now);
        let outcome_name = match &outcome {
            Ok(_) => "answered",
            Err(Fault::Away(_)) => "away",
            Err(_) => "refused",
        };
        metrics::counter!(
            "troupe_auth_provider_exchanges_total",
            "provider" => self.name.clone(), "outcome" => outcome_name
        )
        .increment(1);
        outcome.map_err(|fault| {
            tracing::warn!(provider = %self.name, %fault, "a sign-in with a provider failed");
            match fault {
                Fault::Away(_) => error::provider_unavailable(&self.name, PAUSE),
                Fault::Refused(_) | Fault::UnknownKey => error::provider_refused(&self.name),
            }
        })
    }

    /// The metadata with the keys, read anew when they are too old or older than `than`. When they
    /// cannot be read, those that were kept still count.
    async fn metadata(&self, than: Option<Timestamp>) -> Result<Arc<CoreProviderMetadata>, Fault> {
        let now = self.clock.now();
        let kept = self.known.read().metadata.clone();
        if let Some((metadata, read_at)) = &kept {
            let is_fresh = now.since(*read_at) < self.config.keep;
            if is_fresh && than.is_none_or(|than| *read_at >= than) {
                return Ok(metadata.clone());
            }
        }
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(|fault| away(&fault))?;
        match CoreProviderMetadata::discover_async(issuer, &self.http).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                self.known.write().metadata = Some((metadata.clone(), now));
                Ok(metadata)
            }
            Err(fault) => match kept {
                Some((metadata, _)) => {
                    let fault = chain(&fault);
                    tracing::warn!(provider = %self.name, fault, "old metadata of a provider is used");
                    Ok(metadata)
                }
                None => Err(away(&fault)),
            },
        }
    }

    async fn exchange(&self, binding: &Binding, code: &SecretText) -> Result<Proven, Fault> {
        let metadata = self.metadata(None).await?;
        let client = client!(self, metadata);
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .map_err(|fault| away(&fault))?
            .set_pkce_verifier(PkceCodeVerifier::new(binding.verifier().expose().to_owned()))
            .request_async(&self.http)
            .await
            .map_err(|fault| match fault {
                RequestTokenError::ServerResponse(answer) => Fault::Refused(answer.to_string()),
                // Its words might repeat a token.
                RequestTokenError::Parse(..) => Fault::Away("no token response".to_owned()),
                other => away(&other),
            })?;
        let token = tokens.id_token().ok_or_else(|| refused("there is no identity token"))?;
        let verified = |metadata: Arc<CoreProviderMetadata>| -> Result<CoreIdTokenClaims, Fault> {
            let client = client!(self, metadata);
            let now = date(self.clock.now());
            let verifier = client.id_token_verifier().set_time_fn(move || now);
            let nonce = Nonce::new(binding.nonce().expose().to_owned());
            let claims = token.claims(&verifier, &nonce).map_err(unverified)?;
            if let Some(expected) = claims.access_token_hash() {
                let algorithm = token.signing_alg().map_err(|fault| refused(&fault))?;
                let key = token.signing_key(&verifier).map_err(|fault| refused(&fault))?;
                let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
                    .map_err(|fault| refused(&fault))?;
                if actual != *expected {
                    return Err(refused("the access token belongs to another identity token"));
                }
            }
            Ok(claims.clone())
        };
        let claims = match verified(metadata) {
            Err(Fault::UnknownKey) => {
                let than = self.clock.now().minus(KEYS_PAUSE);
                verified(self.metadata(Some(than)).await?)?
            }
            other => other?,
        };
        let mut proven = Proven {
            issuer: claims.issuer().to_string(),
            subject: claims.subject().to_string(),
            email: claims.email().map(|email| email.to_string()),
            email_verified: claims.email_verified() == Some(true),
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
            locale: claims.locale().map(|locale| locale.to_string()),
        };
        if proven.email.is_none()
            && let Ok(request) =
                client.user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
        {
            // Many providers tell the address only here (OpenID Connect Core 5.3).
            let told: UserInfoClaims<EmptyAdditionalClaims, CoreGenderClaim> =
                request.request_async(&self.http).await.map_err(|fault| away(&fault))?;
            proven.email = told.email().map(|email| email.to_string());
            proven.email_verified = told.email_verified() == Some(true);
            proven.name = proven.name.or_else(|| {
                told.name().and_then(|name| name.get(None)).map(|name| name.to_string())
            });
        }
        Ok(proven)
    }
}

fn unverified(fault: ClaimsVerificationError) -> Fault {
    match fault {
        ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey,
        ) => Fault::UnknownKey,
        other => Fault::Refused(chain(&other)),
    }
}

fn date(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(at.as_secs(), 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn away(fault: &dyn Error) -> Fault {
    Fault::Away(chain(fault))
}

fn refused(fault: impl std::fmt::Display) -> Fault {
    Fault::Refused(fault.to_string())
}

/// A fault with its causes. None of them holds a token: they are words of the library about answers.
fn chain(fault: &dyn Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(fault) = cause {
        text.push_str(": ");
        text.push_str(&fault.to_string());
        cause = fault.source();
    }
    text
}
