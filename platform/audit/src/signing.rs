//! Ed25519 keys: the one that signs the trail and those that verify it.
//!
//! The private key is a PKCS#8 file in PEM form (RFC 8410) that common tools read; it is made on the
//! first start, readable by its owner only. Its id is the first 16 hex digits of the SHA-256 of the
//! public key, so that a verifier knows which key a signature needs.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::canonical::hex;
use crate::error::AuditError;

/// Bytes before the 32 of the seed in a PKCS#8 private key (RFC 8410, section 7).
const PRIVATE_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Bytes before the 32 of a public key in a SubjectPublicKeyInfo (RFC 8410, section 4).
const PUBLIC_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";
/// A key file is larger than this only by mistake.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// The key that signs heads and checkpoints.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// A key that verifies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: [u8; 32],
    id: String,
}

impl SigningKey {
    /// Reads the key in `path`, or makes one there that only the owner can read.
    ///
    /// # Errors
    /// When the file cannot be read or written, is readable by others, or holds no Ed25519 key.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        match Self::read(path) {
            Err(AuditError::KeyFile { error, .. })
                if error.kind() == std::io::ErrorKind::NotFound =>
            {
                Self::create(path)
            }
            result => result,
        }
    }

    /// Reads the key in `path`.
    ///
    /// # Errors
    /// When the file is not there, is readable by others, or holds no Ed25519 key.
    pub fn read(path: &Path) -> Result<Self, AuditError> {
        let text =
            read(path).map_err(|error| AuditError::KeyFile { path: path.to_owned(), error })?;
        Self::from_pem(&text)
    }

    /// Reads a key from PEM text.
    ///
    /// # Errors
    /// When the text holds no Ed25519 key.
    pub fn from_pem(text: &SecretString) -> Result<Self, AuditError> {
        let der = from_pem(text.expose_secret(), PRIVATE_LABEL).ok_or(AuditError::BadKey)?;
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| AuditError::BadKey)?;
        let public = PublicKey::from_bytes(pair.public_key().as_ref())?;
        Ok(Self { pair, public })
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }

    fn create(path: &Path) -> Result<Self, AuditError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| AuditError::NoRandomness)?;
        let text =
            SecretString::from(to_pem(&[PRIVATE_PREFIX.as_slice(), &seed].concat(), PRIVATE_LABEL));
        match write(path, &text) {
            Ok(()) => Self::from_pem(&text),
            // Another process was faster: its key is the key.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(AuditError::KeyFile { path: path.to_owned(), error }),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningKey").field("id", &self.public.id).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// A key of 32 bytes.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AuditError> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| AuditError::BadKey)?;
        Ok(Self { bytes, id: hex(&Sha256::digest(bytes)[..8]) })
    }

    /// Reads a key from PEM text.
    ///
    /// # Errors
    /// When the text holds no Ed25519 public key.
    pub fn from_pem(text: &str) -> Result<Self, AuditError> {
        let der = from_pem(text, PUBLIC_LABEL).ok_or(AuditError::BadKey)?;
        let bytes = der.strip_prefix(PUBLIC_PREFIX.as_slice()).ok_or(AuditError::BadKey)?;
        Self::from_bytes(bytes)
    }

    /// The key as PEM text.
    #[must_use]
    pub fn to_pem(&self) -> String {
        to_pem(&[PUBLIC_PREFIX.as_slice(), &self.bytes].concat(), PUBLIC_LABEL)
    }

    /// Names the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether `signature` is this key's signature of `bytes`.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.bytes).verify(bytes, signature).is_ok()
    }
}

fn read(path: &Path) -> std::io::Result<SecretString> {
    let metadata = fs::metadata(path)?;
    if metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(std::io::Error::other("the file is too large for a key"));
    }
    refuse_shared(&metadata)?;
    fs::read_to_string(path).map(SecretString::from)
}

#[cfg(unix)]
fn refuse_shared(metadata: &fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::PermissionDenied,
        "others than its owner may read it; run `chmod 600` on it",
    ))
}

#[cfg(not(unix))]
fn refuse_shared(_metadata: &fs::Metadata) -> std::io::Result<()> {
    Ok(())
}

/// Writes beside the file and links it into place: a crash leaves none half written, and of two
/// first starts at once the second finds the key of the first.
fn write(path: &Path, text: &SecretString) -> std::io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = directory {
        fs::create_dir_all(directory)?;
    }
    let draft = path.with_extension(format!("{}.new", uuid::Uuid::now_v7()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&draft)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked
}

fn to_pem(der: &[u8], label: &str) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn from_pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let body = text.split_once(&format!("-----BEGIN {label}-----"))?.1;
    let body = body.split_once(&format!("-----END {label}-----"))?.0;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("troupe-audit-{}-{name}", uuid::Uuid::now_v7()))
    }

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let path = temporary("once").join("audit.pem");
        let first = SigningKey::open(&path).expect("a key is made");
        let second = SigningKey::open(&path).expect("it is read");
        assert_eq!(first.public(), second.public());
        let signature = first.sign(b"statement");
        assert!(second.public().verifies(b"statement", &signature));
        assert!(!second.public().verifies(b"statemenT", &signature));
        fs::remove_dir_all(path.parent().expect("a directory")).expect("cleans up");
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = temporary("mode.pem");
        SigningKey::open(&path).expect("a key is made");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changes the mode");
        assert!(matches!(SigningKey::open(&path), Err(AuditError::KeyFile { .. })));
        fs::remove_file(&path).expect("cleans up");
    }

    #[test]
    fn public_keys_travel_as_pem() {
        // Example of RFC 8410, section 10.1.
        let text = "-----BEGIN PUBLIC KEY-----\n\
                    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                    -----END PUBLIC KEY-----\n";
        let key = PublicKey::from_pem(text).expect("an Ed25519 key");
        assert_eq!(key.to_pem(), text);
        assert_eq!(key.id().len(), 16);
        assert!(PublicKey::from_pem("nonsense").is_err());
    }

    #[test]
    fn private_keys_of_other_tools_are_read() {
        // Example of RFC 8410, section 10.3.
        let text = SecretString::from(
            "-----BEGIN PRIVATE KEY-----\n\
             MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
             -----END PRIVATE KEY-----\n",
        );
        let key = SigningKey::from_pem(&text).expect("an Ed25519 key");
        assert_eq!(
            key.public().to_pem(),
            "-----BEGIN PUBLIC KEY-----\n\
             MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
             -----END PUBLIC KEY-----\n"
        );
        assert!(!format!("{key:?}").contains("1Du"));
    }
}
