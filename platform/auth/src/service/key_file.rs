//! The key-encryption key: from the configuration, or from a file that is made once.
//!
//! The file is readable by its owner alone. A file that others can read is refused rather than
//! used, as is one that does not hold a key: both are mistakes that must not pass silently.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use troupe_kernel::error::Failure;

use crate::config::{AuthConfig, read_key};
use crate::keys::{KEY_BYTES, Sealer};
use crate::secret::{NoRandomness, random_bytes};

/// Why there is no key-encryption key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or made.
    #[error("the key file {} cannot be read or made; make its directory writable or set auth.key_encryption_key", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read the file.
    #[error("the key file {} can be read by others; run `chmod 600` on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file does not hold a key.
    #[error("the key file {} does not hold 32 bytes in base64; restore it, or remove it if no signing keys were made yet", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// No randomness for a new key.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Self::internal("auth.key_file.unusable", format!("{error}{}", cause.unwrap_or_default()))
    }
}

/// The sealer that the configuration names; makes the key file when there is none. Blocks.
///
/// # Errors
/// When the file cannot be used.
pub fn sealer(config: &AuthConfig) -> Result<Sealer, KeyFileError> {
    let key = match config.configured_key() {
        Some(key) => key,
        None => from_file(&config.key_file)?,
    };
    Ok(Sealer::new(&key))
}

/// The sealer that the configuration names, where its key must be there already. Blocks.
///
/// # Errors
/// When the file cannot be used.
pub fn existing(config: &AuthConfig) -> Result<Sealer, KeyFileError> {
    let path = &config.key_file;
    if config.configured_key().is_none()
        && let Err(source) = fs::metadata(path)
    {
        return Err(KeyFileError::Unusable { path: path.clone(), source });
    }
    sealer(config)
}

fn from_file(path: &Path) -> Result<[u8; KEY_BYTES], KeyFileError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            check_mode(path)?;
            read_key(&text).ok_or_else(|| KeyFileError::NotAKey { path: path.to_owned() })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(source) => Err(KeyFileError::Unusable { path: path.to_owned(), source }),
    }
}

fn make(path: &Path) -> Result<[u8; KEY_BYTES], KeyFileError> {
    let unusable = |source| KeyFileError::Unusable { path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(unusable)?;
    }
    let key = random_bytes::<KEY_BYTES>()?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    restrict(&mut options);
    match options.open(path) {
        Ok(mut file) => {
            let text = format!("{}\n", STANDARD.encode(key));
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unusable)?;
            Ok(key)
        }
        // Another process made it in this moment.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(path).map_err(unusable)?;
            read_key(&text).ok_or_else(|| KeyFileError::NotAKey { path: path.to_owned() })
        }
        Err(source) => Err(unusable(source)),
    }
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn restrict(_options: &mut OpenOptions) {}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = fs::metadata(path)
        .map_err(|source| KeyFileError::Unusable { path: path.to_owned(), source })?;
    if meta.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(KeyFileError::Exposed { path: path.to_owned() })
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<(), KeyFileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("troupe-auth-{name}-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        path
    }

    #[test]
    fn the_file_is_made_once_for_its_owner_alone_and_read_again() {
        let directory = directory("made");
        let path = directory.join("deeper").join("auth.key");
        let first = from_file(&path).expect("can be made");
        assert_eq!(from_file(&path).expect("can be read"), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::remove_dir_all(directory).expect("ours");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = directory("exposed");
        let path = directory.join("auth.key");
        from_file(&path).expect("can be made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
        assert!(matches!(from_file(&path), Err(KeyFileError::Exposed { .. })));
        fs::remove_dir_all(directory).expect("ours");
    }

    #[test]
    fn what_is_no_key_and_what_cannot_be_made_is_refused() {
        let directory = directory("broken");
        let path = directory.join("auth.key");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        restrict(&mut options);
        options.open(&path).expect("ours").write_all(b"nonsense").expect("ours");
        assert!(matches!(from_file(&path), Err(KeyFileError::NotAKey { .. })));
        let below_a_file = path.join("auth.key");
        assert!(matches!(from_file(&below_a_file), Err(KeyFileError::Unusable { .. })));
        fs::remove_dir_all(directory).expect("ours");
    }
}
