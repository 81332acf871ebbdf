//! Passwords and tokens.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use troupe_auth::password::hash::{HashCost, Hasher};
use troupe_auth::token::{Claims, Expectation, sign, verify};
use troupe_kernel::clock::{Clock as _, SystemClock};
use troupe_kernel::{Uuid, new_id};

use super::Pair;
use crate::fixture::{Fixture, ISSUER};

const SIGNATURES: u64 = 500;
const HASHES: u64 = 4;
const PASSWORD: &str = "a long walk on the pier";

pub(super) fn pairs(directory: &Path) -> anyhow::Result<Vec<Pair>> {
    let keys = Fixture::read(directory)?.keys;
    let now = SystemClock.now();
    let key = keys.signing(now).context("the fixture has a key that signs")?.clone();
    let claims = Claims {
        iss: ISSUER.to_owned(),
        sub: new_id(&SystemClock),
        tid: Some(Uuid::nil()),
        sid: new_id(&SystemClock),
        iat: now.as_secs(),
        exp: now.as_secs() + 600,
        nbf: None,
    };
    let token = sign(&claims, &key);
    let bytes = token.expose().as_bytes().to_vec();
    let signature = key.sign(&bytes);
    let (signing, checking) = (key.clone(), key);
    let (signed, given) = (claims.clone(), bytes.clone());
    let hasher = Hasher::new(HashCost::default()).context("argon2 accepts the default cost")?;
    let hash = hasher.hash(PASSWORD)?;
    let checker = hasher.clone();
    Ok(vec![
        Pair::new("an access token checked (EdDSA)", SIGNATURES, move || {
            let expected = Expectation { issuer: ISSUER, now, skew: Duration::ZERO };
            verify(token.expose(), &keys, &expected)
        })
        .beside("its signature alone", move || checking.verify(&given, &signature)),
        Pair::new("an access token signed", SIGNATURES, {
            let signing = signing.clone();
            move || sign(&signed, &signing)
        })
        .beside("the signature alone", move || signing.sign(&bytes)),
        Pair::new("a password hashed (argon2id, 19 MiB, 2 passes)", HASHES, move || {
            hasher.hash(PASSWORD)
        }),
        Pair::new("a password checked", HASHES, move || checker.verify(PASSWORD, &hash)),
    ])
}
