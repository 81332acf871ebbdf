//! A device that keeps passkeys, in software: ES256, with everything a dishonest one could bend.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use troupe_auth::SecretText;

/// Where pages of the platform of these tests are.
pub(crate) const ORIGIN: &str = "https://troupe.example";
/// What its passkeys are bound to.
pub(crate) const DOMAIN: &str = "troupe.example";

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const HAS_CREDENTIAL: u8 = 0x40;

/// The device and the browser on it.
#[derive(Clone)]
pub(crate) struct Device {
    /// The origin that the browser says it shows.
    pub(crate) origin: String,
    /// The domain that the device signs for.
    pub(crate) domain: String,
    /// Whether it recognises its owner.
    pub(crate) verifies: bool,
    /// Whether it counts its signatures.
    pub(crate) counts: bool,
    /// The account it tells in place of the one it was given.
    pub(crate) account: Option<Vec<u8>>,
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: Vec<u8>,
    account: Vec<u8>,
    private: Vec<u8>,
    counter: u32,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self {
            origin: ORIGIN.to_owned(),
            domain: DOMAIN.to_owned(),
            verifies: true,
            counts: true,
            account: None,
            keys: Vec::new(),
        }
    }

    /// Answers `navigator.credentials.create` with a new passkey.
    pub(crate) fn create(&mut self, options: &Value) -> SecretText {
        assert_eq!(options["rp"]["id"], DOMAIN);
        let selection = &options["authenticatorSelection"];
        assert_eq!(selection["residentKey"], "required");
        assert_eq!(selection["userVerification"], "required");
        let algorithms = options["pubKeyCredParams"].as_array().expect("algorithms");
        assert!(algorithms.iter().any(|one| one["alg"] == -7), "{algorithms:?}");
        let random = SystemRandom::new();
        let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let mut id = vec![0; 32];
        random.fill(&mut id).expect("random");
        let key = Key {
            id,
            account: decoded(&options["user"]["id"]),
            private: private.expect("a key").as_ref().to_vec(),
            counter: 0,
        };
        let mut data = self.data(HAS_CREDENTIAL, key.counter);
        data.extend([0; 16]);
        data.extend(u16::try_from(key.id.len()).expect("short").to_be_bytes());
        data.extend(&key.id);
        data.extend(public_of(&key));
        let mut object = vec![0xa3];
        object.extend(b"\x63fmt\x64none\x67attStmt\xa0\x68authData");
        object.push(0x58);
        object.push(u8::try_from(data.len()).expect("short"));
        object.extend(data);
        let answer = json!({
            "id": encoded(&key.id), "rawId": encoded(&key.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(self.client("webauthn.create", options).as_bytes()),
                "attestationObject": encoded(&object),
                "transports": ["internal"],
            },
        });
        self.keys.push(key);
        SecretText::new(answer.to_string())
    }

    /// Answers `navigator.credentials.get` with the newest passkey that fits.
    pub(crate) fn get(&mut self, options: &Value) -> SecretText {
        assert_eq!(options["rpId"], DOMAIN);
        assert_eq!(options["userVerification"], "required");
        let allowed: Vec<_> =
            options["allowCredentials"].as_array().into_iter().flatten().collect();
        let fits = |key: &Key| {
            allowed.is_empty() || allowed.iter().any(|one| decoded(&one["id"]) == key.id)
        };
        let place = self.keys.iter().rposition(fits).unwrap_or(self.keys.len() - 1);
        let key = &mut self.keys[place];
        if self.counts {
            key.counter += 1;
        }
        let key = key.clone();
        let client = self.client("webauthn.get", options);
        let data = self.data(0, key.counter);
        let mut signed = data.clone();
        signed.extend(ring::digest::digest(&ring::digest::SHA256, client.as_bytes()).as_ref());
        let pair = pair_of(&key);
        let signature = pair.sign(&SystemRandom::new(), &signed).expect("signs");
        let account = self.account.as_ref().unwrap_or(&key.account);
        let answer = json!({
            "id": encoded(&key.id), "rawId": encoded(&key.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(client.as_bytes()),
                "authenticatorData": encoded(&data),
                "signature": encoded(signature.as_ref()),
                "userHandle": encoded(account),
            },
        });
        SecretText::new(answer.to_string())
    }

    /// What the browser says of the page (WebAuthn §5.8.1).
    fn client(&self, kind: &str, options: &Value) -> String {
        json!({
            "type": kind, "challenge": options["challenge"], "origin": self.origin,
            "crossOrigin": false,
        })
        .to_string()
    }

    /// The head of what the device signs (WebAuthn §6.1).
    fn data(&self, flags: u8, counter: u32) -> Vec<u8> {
        let domain = ring::digest::digest(&ring::digest::SHA256, self.domain.as_bytes());
        let mut data = domain.as_ref().to_vec();
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        data.push(USER_PRESENT | verified | flags);
        data.extend(counter.to_be_bytes());
        data
    }
}

fn pair_of(key: &Key) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.private, &random).expect("a key")
}

/// The public key as a COSE key (RFC 9053): EC2, ES256, P-256.
fn public_of(key: &Key) -> Vec<u8> {
    let pair = pair_of(key);
    let point = pair.public_key().as_ref();
    let mut text = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".to_vec();
    text.extend(&point[1..33]);
    text.extend(b"\x22\x58\x20");
    text.extend(&point[33..65]);
    text
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().expect("text")).expect("base64url")
}
