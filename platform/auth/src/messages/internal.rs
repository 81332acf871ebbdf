//! Signing keys and password hashes.

use serde::{Deserialize, Serialize};

use crate::secret::SecretText;

/// Answers the public keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetPublicKeys;

/// Publishes the next signing key when it is time, and deletes those past their time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RotateKeys {
    /// Makes a new key that signs at once, whatever the time; the others sign no more. For a key
    /// that may have become known.
    pub now: bool,
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Id of the key that was published, if one was.
    pub published: Option<String>,
    /// Keys that were deleted.
    pub deleted: u64,
}

/// Answers whether a key is known, after reading the keys anew if it is not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindKey {
    /// Id of the key.
    pub kid: String,
}

/// Reads the keys anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReloadKeys;

/// Hashes a password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HashPassword {
    /// The password.
    pub password: SecretText,
}

/// Checks a password against a hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyPassword {
    /// The password.
    pub password: SecretText,
    /// The hash; none takes as long and answers no.
    pub hash: Option<String>,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the password has the hash.
    pub matches: bool,
    /// A new hash to store, when it matches and the old one was made at another cost.
    pub renewed: Option<String>,
}
