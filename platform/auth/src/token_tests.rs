//! The form of access tokens: the standard's own vector, every way to forge one, and properties.

use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::keys::Lifetime;

const ISSUER: &str = "https://troupe.example";

fn now() -> Timestamp {
    Timestamp::from_secs(1_750_000_000)
}

fn key(seed: u8) -> SigningKey {
    let lifetime = Lifetime {
        activates_at: now().minus(Duration::from_secs(60)),
        retires_at: now().plus(Duration::from_secs(3_600)),
        ends_at: now().plus(Duration::from_secs(4_200)),
    };
    SigningKey::from_seed(&[seed; 32], lifetime).expect("32 bytes")
}

fn claims() -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        sub: Uuid::from_u128(1),
        tid: Some(Uuid::from_u128(2)),
        sid: Uuid::from_u128(3),
        iat: now().as_secs(),
        exp: now().as_secs() + 600,
        nbf: None,
    }
}

fn check(token: &str) -> Result<Claims, TokenFault> {
    check_at(token, now())
}

fn check_at(token: &str, at: Timestamp) -> Result<Claims, TokenFault> {
    let expected = Expectation { issuer: ISSUER, now: at, skew: Duration::from_secs(5) };
    verify(token, &KeySet::new(vec![key(1)]), &expected)
}

/// A token with any header and payload, signed by our own key: what an attacker would like to have.
fn forged(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key(1).sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header_with(extra: &str) -> String {
    format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}"{extra}}}"#, key(1).id())
}

fn payload() -> String {
    serde_json::to_string(&claims()).expect("plain data")
}

#[test]
fn a_signed_token_reads_back() {
    assert_eq!(check(sign(&claims(), &key(1)).expose()), Ok(claims()));
}

#[test]
fn the_signature_is_the_one_of_rfc_8037() {
    // RFC 8037, appendices A.1 to A.4.
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("hex");
    let lifetime = key(1).lifetime();
    let key = SigningKey::from_seed(&seed, lifetime).expect("32 bytes");
    assert_eq!(URL_SAFE_NO_PAD.encode(key.public()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(
        URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header_with("").replace("EdDSA", "none")),
        URL_SAFE_NO_PAD.encode(payload())
    );
    assert_eq!(check(&format!("{signed}.")), Err(TokenFault::Algorithm));
    assert_eq!(check(&signed), Err(TokenFault::Malformed));
    let (signed, _) = forged(&header_with(""), &payload()).rsplit_once('.').map(own).expect("dots");
    assert_eq!(check(&format!("{signed}.")), Err(TokenFault::Signature));
}

fn own((left, right): (&str, &str)) -> (String, String) {
    (left.to_owned(), right.to_owned())
}

#[test]
fn a_token_that_names_another_algorithm_is_refused_even_if_its_signature_is_right() {
    for algorithm in ["none", "None", "HS256", "RS256", "ES256", "eddsa", "Ed448", ""] {
        let header = header_with("").replace("EdDSA", algorithm);
        assert_eq!(check(&forged(&header, &payload())), Err(TokenFault::Algorithm), "{algorithm}");
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let header = header_with("").replace("EdDSA", "HS256");
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload()));
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key(1).public());
    let tag = ring::hmac::sign(&secret, signed.as_bytes());
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
    assert_eq!(check(&token), Err(TokenFault::Algorithm));
}

#[test]
fn a_header_that_asks_the_reader_for_something_is_refused() {
    let own_key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("32 bytes");
    let x = URL_SAFE_NO_PAD.encode(own_key.public_key().as_ref());
    for extra in [
        r#","crit":["b64"],"b64":false"#.to_owned(),
        format!(r#","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#),
        r#","jku":"https://evil.example/keys""#.to_owned(),
        r#","x5u":"https://evil.example/cert""#.to_owned(),
        r#","alg":"none""#.to_owned(),
    ] {
        let token = forged(&header_with(&extra), &payload());
        assert_eq!(check(&token), Err(TokenFault::Malformed), "{extra}");
    }
}

#[test]
fn a_token_of_another_key_is_refused() {
    let unknown = sign(&claims(), &key(2));
    assert!(matches!(check(unknown.expose()), Err(TokenFault::UnknownKey(_))));
    let (signed, _) = forged(&header_with(""), &payload()).rsplit_once('.').map(own).expect("dots");
    let signature = URL_SAFE_NO_PAD.encode(key(2).sign(signed.as_bytes()));
    assert_eq!(check(&format!("{signed}.{signature}")), Err(TokenFault::Signature));
}

#[test]
fn times_are_checked_to_the_second() {
    let token = sign(&claims(), &key(1));
    let end = Timestamp::from_secs(claims().exp);
    assert!(check_at(token.expose(), end.minus(Duration::from_micros(1))).is_ok());
    assert_eq!(check_at(token.expose(), end), Err(TokenFault::Expired));
    let early = now().minus(Duration::from_secs(6));
    assert_eq!(check_at(token.expose(), early), Err(TokenFault::NotYetValid));
    let later = Claims { nbf: Some(now().as_secs() + 60), ..claims() };
    assert_eq!(check(sign(&later, &key(1)).expose()), Err(TokenFault::NotYetValid));
}

#[test]
fn a_retired_key_verifies_until_its_last_token_has_expired() {
    let ends = key(1).lifetime().ends_at;
    let late = Claims { iat: ends.as_secs() - 60, exp: ends.as_secs() + 60, ..claims() };
    let token = sign(&late, &key(1));
    assert!(check_at(token.expose(), ends.minus(Duration::from_secs(1))).is_ok());
    assert!(matches!(check_at(token.expose(), ends), Err(TokenFault::UnknownKey(_))));
}

#[test]
fn another_issuer_and_other_claims_are_refused() {
    let other = Claims { iss: "https://other.example".to_owned(), ..claims() };
    assert_eq!(check(sign(&other, &key(1)).expose()), Err(TokenFault::Issuer));
    let with_more = payload().replacen('{', r#"{"admin":true,"#, 1);
    assert_eq!(check(&forged(&header_with(""), &with_more)), Err(TokenFault::Malformed));
    let twice = payload().replacen('{', r#"{"exp":9999999999,"#, 1);
    assert_eq!(check(&forged(&header_with(""), &twice)), Err(TokenFault::Malformed));
    let without = payload().replacen(r#""sid""#, r#""jti""#, 1);
    assert_eq!(check(&forged(&header_with(""), &without)), Err(TokenFault::Malformed));
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let token = format!("{}.a.b", "a".repeat(TOKEN_BYTES_MAX));
    assert_eq!(check(&token), Err(TokenFault::Malformed));
}

proptest! {
    #[test]
    fn no_text_is_taken_for_a_token(text in "\\PC{0,200}") {
        prop_assert!(check(&text).is_err());
    }

    #[test]
    fn no_three_segments_are_taken_for_a_token(
        header in "\\{\"alg\":\"EdDSA\",\\PC{0,40}\\}", payload in "\\{\\PC{0,60}\\}",
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let token = format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload),
            URL_SAFE_NO_PAD.encode(signature),
        );
        prop_assert!(check(&token).is_err());
    }

    #[test]
    fn one_changed_character_refuses_the_token(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.=-]") {
        let token = sign(&claims(), &key(1));
        let at = at.index(token.expose().len());
        let mut changed = token.expose().to_owned();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != token.expose());
        prop_assert!(check(&changed).is_err());
    }

    #[test]
    fn what_is_signed_reads_back(sub in any::<u128>(), tid in any::<Option<u128>>(), sid in any::<u128>(), lasts in 1i64..3_000) {
        let claims = Claims {
            sub: Uuid::from_u128(sub),
            tid: tid.map(Uuid::from_u128),
            sid: Uuid::from_u128(sid),
            exp: now().as_secs() + lasts,
            ..claims()
        };
        prop_assert_eq!(check(sign(&claims, &key(1)).expose()), Ok(claims));
    }
}
