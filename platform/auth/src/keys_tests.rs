//! Times of keys, their public form and their sealing.

use std::time::Duration;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn key(seed: u8, activates: i64, retires: i64) -> SigningKey {
    let lifetime = Lifetime {
        activates_at: at(activates),
        retires_at: at(retires),
        ends_at: at(retires).plus(Duration::from_secs(10)),
    };
    SigningKey::from_seed(&[seed; KEY_BYTES], lifetime).expect("32 bytes")
}

fn seed_of(set: &KeySet, now: i64) -> Option<String> {
    set.signing(at(now)).map(|key| key.id().to_owned())
}

#[test]
fn the_successor_is_published_before_it_signs_and_the_old_key_verifies_after_it_stopped() {
    let set = KeySet::new(vec![key(1, 0, 100), key(2, 100, 200)]);
    let (first, second) = (key(1, 0, 0).id().to_owned(), key(2, 0, 0).id().to_owned());
    assert_eq!(seed_of(&set, 99), Some(first.clone()));
    assert_eq!(seed_of(&set, 100), Some(second.clone()));
    assert!(set.verifying(&second, at(50)).is_some(), "published before use");
    assert!(set.verifying(&first, at(109)).is_some(), "until its last token expired");
    assert!(set.verifying(&first, at(110)).is_none());
    assert_eq!(set.public_form(at(105)).keys.len(), 2);
    assert_eq!(set.public_form(at(110)).keys.len(), 1);
    assert_eq!(set.next(at(99)).map(|key| key.id().to_owned()), Some(second));
    assert!(set.next(at(100)).is_none());
    assert_eq!(seed_of(&set, 200), None);
}

#[test]
fn of_two_active_keys_the_newer_signs() {
    let set = KeySet::new(vec![key(2, 50, 200), key(1, 0, 100)]);
    assert_eq!(seed_of(&set, 60).as_deref(), Some(key(2, 0, 0).id()));
}

#[test]
fn the_public_form_shows_no_private_key() {
    let set = KeySet::new(vec![key(1, 0, 100)]);
    let json = serde_json::to_value(set.public_form(at(1))).expect("plain data");
    let shown = &json["keys"][0];
    assert_eq!(shown["kty"], "OKP");
    assert_eq!(shown["use"], "sig");
    assert_eq!(shown.as_object().map(serde_json::Map::len), Some(6));
    let seed = URL_SAFE_NO_PAD.encode([1u8; KEY_BYTES]);
    assert!(!json.to_string().contains(&seed));
    assert!(!format!("{set:?}").contains(&seed));
}

#[test]
fn a_sealed_key_opens_only_as_what_it_was_sealed() {
    let sealer = Sealer::new(&[3; KEY_BYTES]);
    let sealed = sealer.seal("one", b"the seed").expect("randomness");
    assert_eq!(sealer.open("one", &sealed).expect("our own"), b"the seed");
    assert_ne!(sealed, sealer.seal("one", b"the seed").expect("randomness"), "a nonce of its own");
    assert_eq!(sealer.open("two", &sealed), Err(SealFault::Unopenable));
    assert_eq!(Sealer::new(&[4; KEY_BYTES]).open("one", &sealed), Err(SealFault::Unopenable));
    for length in 0..sealed.len() {
        assert_eq!(sealer.open("one", &sealed[..length]), Err(SealFault::Unopenable));
    }
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert_eq!(sealer.open("one", &changed), Err(SealFault::Unopenable));
    }
}
