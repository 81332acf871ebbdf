//! The anchor: a small file outside of the database that names the newest checkpoint.
//!
//! A database that was set back to an earlier state of itself is consistent: its chains, heads and
//! checkpoints were all signed once. Only something that the database does not hold can tell. The
//! anchor is that, as far as nobody sets both back; keep copies elsewhere for more.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::canonical::{Hash, hex};
use crate::error::AuditError;

/// The newest checkpoint as it was when the anchor was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Number of the checkpoint.
    pub number: u64,
    /// Its hash in hex.
    pub hash: String,
}

impl Anchor {
    /// An anchor at a checkpoint.
    #[must_use]
    pub fn new(number: u64, hash: &Hash) -> Self {
        Self { number, hash: hex(hash) }
    }

    /// Reads the file; none when there is none.
    ///
    /// # Errors
    /// When it cannot be read or is no anchor.
    pub fn read(path: &Path) -> Result<Option<Self>, AuditError> {
        let fault = |error| AuditError::Anchor { path: path.to_owned(), error };
        match fs::read(path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|error| fault(error.into()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    /// Writes the file, all or nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), AuditError> {
        self.try_write(path).map_err(|error| AuditError::Anchor { path: path.to_owned(), error })
    }

    fn try_write(&self, path: &Path) -> std::io::Result<()> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
        {
            fs::create_dir_all(directory)?;
        }
        let draft = path.with_extension("new");
        let mut file = fs::File::create(&draft)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_written_and_read() {
        let directory =
            std::env::temp_dir().join(format!("troupe-anchor-{}", uuid::Uuid::now_v7()));
        let path = directory.join("anchor.json");
        assert_eq!(Anchor::read(&path).expect("it is not there"), None);
        let anchor = Anchor::new(7, &[3; 32]);
        anchor.write(&path).expect("it is written");
        assert_eq!(Anchor::read(&path).expect("it is read"), Some(anchor));
        fs::write(&path, "{").expect("it is spoiled");
        assert!(matches!(Anchor::read(&path), Err(AuditError::Anchor { .. })));
        fs::remove_dir_all(directory).expect("cleans up");
    }
}
