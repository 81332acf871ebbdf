//! Signing keys: their times, their public form, and how their private half is sealed at rest.
//!
//! A key passes through four times. It is *published* (in the key set others read) before it
//! *activates* (signs), so that nobody meets a token with a key they have not seen; it *retires*
//! when its successor signs, and *ends* when the last token it signed has expired. At every moment
//! the newest active key signs. Private keys, and the secrets of authenticator apps, are stored
//! sealed with a key that is not in the database. No I/O here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::RwLock;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::error::Failure;
use troupe_kernel::ports::SecretSealer;
use utoipa::ToSchema;

use crate::secret::{NoRandomness, digest, random_bytes};

/// Bytes of an Ed25519 seed, and of the key that seals seeds.
pub const KEY_BYTES: usize = 32;

/// When a key does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Signs from here on.
    pub activates_at: Timestamp,
    /// Signs no more from here on.
    pub retires_at: Timestamp,
    /// Verifies no more from here on.
    pub ends_at: Timestamp,
}

/// A key pair with its id and its times.
pub struct SigningKey {
    id: String,
    pair: Ed25519KeyPair,
    lifetime: Lifetime,
}

impl SigningKey {
    /// A new key; also answers its seed, to be sealed and stored.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate(lifetime: Lifetime) -> Result<(Self, [u8; KEY_BYTES]), NoRandomness> {
        let seed = random_bytes::<KEY_BYTES>()?;
        let key = Self::from_seed(&seed, lifetime).expect("a seed of 32 bytes is a key");
        Ok((key, seed))
    }

    /// The key with this seed; none when the seed does not have 32 bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8], lifetime: Lifetime) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let id = thumbprint(pair.public_key().as_ref());
        Some(Self { id, pair, lifetime })
    }

    /// The key's id: the thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half, 32 bytes.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// When the key does what.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The signature of `message`, 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// Whether `signature` is this key's signature of `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public()).verify(message, signature).is_ok()
    }

    fn signs(&self, now: Timestamp) -> bool {
        self.lifetime.activates_at <= now && now < self.lifetime.retires_at
    }

    fn verifies(&self, now: Timestamp) -> bool {
        now < self.lifetime.ends_at
    }

    fn public_form(&self) -> PublicKey {
        PublicKey {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: URL_SAFE_NO_PAD.encode(self.public()),
            kid: self.id.clone(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("id", &self.id)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// The JWK thumbprint of an Ed25519 key (RFC 7638 §3, members of RFC 8037 §2).
#[must_use]
pub fn thumbprint(public: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    URL_SAFE_NO_PAD.encode(digest(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

/// The keys that count now.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<SigningKey>>,
}

impl KeySet {
    /// A set of these keys.
    #[must_use]
    pub fn new(keys: Vec<SigningKey>) -> Self {
        Self { keys: keys.into_iter().map(Arc::new).collect() }
    }

    /// Whether both have the same keys.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let ids = |set: &Self| set.keys.iter().map(|key| key.id.clone()).collect::<BTreeSet<_>>();
        ids(self) == ids(other)
    }

    /// The key that signs at `now`: of those that may, the one activated last.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Option<&Arc<SigningKey>> {
        self.keys.iter().filter(|key| key.signs(now)).max_by_key(|key| key.lifetime.activates_at)
    }

    /// The key with this id, if it still verifies at `now`.
    #[must_use]
    pub fn verifying(&self, id: &str, now: Timestamp) -> Option<&Arc<SigningKey>> {
        self.keys.iter().find(|key| key.id == id && key.verifies(now))
    }

    /// The key that will sign after the current one, if it is published already.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<&Arc<SigningKey>> {
        self.keys.iter().find(|key| key.lifetime.activates_at > now)
    }

    /// What others need to verify our tokens, oldest key first.
    #[must_use]
    pub fn public_form(&self, now: Timestamp) -> PublicKeySet {
        let mut keys: Vec<_> = self.keys.iter().filter(|key| key.verifies(now)).collect();
        keys.sort_by_key(|key| key.lifetime.activates_at);
        PublicKeySet { keys: keys.into_iter().map(|key| key.public_form()).collect() }
    }
}

/// The key set as the actor that keeps it and the readers that verify share it.
#[derive(Debug, Clone, Default)]
pub struct SharedKeys(Arc<RwLock<Arc<KeySet>>>);

impl SharedKeys {
    /// The keys now.
    #[must_use]
    pub fn load(&self) -> Arc<KeySet> {
        self.0.read().clone()
    }

    /// Replaces them.
    pub fn store(&self, keys: KeySet) {
        *self.0.write() = Arc::new(keys);
    }
}

/// A public key as JSON Web Key (RFC 7517, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicKey {
    /// Key type, always `OKP`.
    pub kty: String,
    /// Curve, always `Ed25519`.
    pub crv: String,
    /// The public key, base64url.
    pub x: String,
    /// Key id, as in the header of tokens.
    pub kid: String,
    /// Algorithm, always `EdDSA`.
    pub alg: String,
    /// Use, always `sig`.
    #[serde(rename = "use")]
    pub usage: String,
}

/// A JSON Web Key Set (RFC 7517 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicKeySet {
    /// The keys.
    pub keys: Vec<PublicKey>,
}

/// Why a stored secret cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// Sealed with another key, or changed since.
    #[error("a stored secret was sealed with another key-encryption key or was changed")]
    Unopenable,
    /// The operating system gave no randomness for the nonce.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Seals secrets with ChaCha20-Poly1305 (RFC 8439); what a secret is for is authenticated with it, so
/// that one stored secret cannot be passed off as another.
#[derive(Clone)]
pub struct Sealer(Arc<LessSafeKey>);

impl Sealer {
    /// A sealer with this key-encryption key.
    #[must_use]
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has 32 bytes");
        Self(Arc::new(LessSafeKey::new(key)))
    }

    /// Seals `secret` for `id`: the nonce, then the sealed bytes.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn seal(&self, id: &str, secret: &[u8]) -> Result<Vec<u8>, SealFault> {
        let nonce = random_bytes::<NONCE_LEN>()?;
        let mut sealed = secret.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(id.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealFault::Unopenable)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Sealer::seal`] answered.
    ///
    /// # Errors
    /// When it was sealed with another key, for another id, or changed since.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Result<Vec<u8>, SealFault> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(SealFault::Unopenable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealFault::Unopenable)?;
        let mut bytes = sealed.to_vec();
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(id.as_bytes()), &mut bytes)
            .map_err(|_| SealFault::Unopenable)?;
        Ok(opened.to_vec())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sealer([redacted])")
    }
}

/// The sealer as the keeper of keys, which reads its key at start, and the services that seal other
/// secrets share it.
#[derive(Debug, Clone, Default)]
pub struct SharedSealer(Arc<OnceLock<Sealer>>);

impl SharedSealer {
    /// Puts the sealer in its place; a keeper that was restarted finds it there.
    pub fn fill(&self, sealer: Sealer) -> &Sealer {
        self.0.get_or_init(|| sealer)
    }

    /// The sealer.
    ///
    /// # Panics
    /// Before the keeper of keys has started, which comes before every other actor of auth.
    #[must_use]
    pub fn get(&self) -> &Sealer {
        self.0.get().expect("the keeper of keys starts before whoever seals")
    }
}

/// Other modules seal with the same key, so that operators keep one.
impl SecretSealer for SharedSealer {
    fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(self.ready()?.seal(purpose, secret)?)
    }

    fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(self.ready()?.open(purpose, sealed)?)
    }
}

impl SharedSealer {
    fn ready(&self) -> Result<&Sealer, Failure> {
        self.0.get().ok_or_else(|| {
            Failure::unavailable(
                "auth.sealer.missing",
                "the key that seals secrets is not read yet",
            )
        })
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
