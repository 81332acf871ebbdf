//! Who asks, and whether they may: token, permission, limit of the subject.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{error, web};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use moka::sync::Cache;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::data::{Keys, Permissions};
use crate::limits::Limits;
use crate::problem;

const ISSUER: &str = "https://bench.invalid";
/// Verified tokens that are remembered.
const TOKENS: u64 = 65_536;
/// How long a verified token is believed at most.
const BELIEVED: Duration = Duration::from_secs(60);
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

pub struct Gate {
    keys: Keys,
    permissions: Permissions,
    verified: Cache<String, Arc<Claims>>,
    pub subjects: Limits<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: u64,
}

impl Gate {
    pub fn new(keys: Keys, permissions: Permissions, quota: u32) -> Result<Self, Box<dyn Error>> {
        let verified = Cache::builder().max_capacity(TOKENS).time_to_live(BELIEVED).build();
        Ok(Self { keys, permissions, verified, subjects: Limits::new(quota)? })
    }

    /// The claims of a good token.
    fn claims(&self, token: &str) -> Option<Arc<Claims>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        if let Some(claims) = self.verified.get(token) {
            return (now < claims.exp).then_some(claims);
        }
        let claims = self.verify(token).filter(|claims| now < claims.exp).map(Arc::new)?;
        self.verified.insert(token.to_owned(), claims.clone());
        Some(claims)
    }

    fn verify(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = decode(header)?;
        let key = self.keys.get(&header.kid).filter(|_| header.alg == "EdDSA")?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        key.verify(signed.as_bytes(), &signature).ok()?;
        decode::<Claims>(claims).filter(|claims| claims.iss == ISSUER)
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

pub async fn pass(
    permission: &'static str,
    gate: web::Data<Gate>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let refuse = |request: ServiceRequest, status| {
        Ok(request.into_response(problem(status)).map_into_right_body())
    };
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer "));
    let Some(claims) = token.and_then(|token| gate.claims(token)) else {
        return refuse(request, StatusCode::UNAUTHORIZED);
    };
    if !gate.permissions.get(&claims.sub).is_some_and(|held| held.contains(permission)) {
        return refuse(request, StatusCode::FORBIDDEN);
    }

    let verdict = gate.subjects.take(&claims.sub);
    let mut response = match verdict.retry_secs {
        None => next.call(request).await?.map_into_left_body(),
        Some(seconds) => {
            let mut refusal = problem(StatusCode::TOO_MANY_REQUESTS);
            refusal.headers_mut().insert(RETRY_AFTER, seconds.into());
            request.into_response(refusal).map_into_right_body()
        }
    };
    let state = format!("\"subject\";r={};t={}", verdict.remaining, verdict.reset_secs);
    let value = |text: &str| HeaderValue::from_str(text).map_err(error::ErrorInternalServerError);
    response.headers_mut().insert(POLICY, value(gate.subjects.policy())?);
    response.headers_mut().insert(STATE, value(&state)?);
    Ok(response)
}
