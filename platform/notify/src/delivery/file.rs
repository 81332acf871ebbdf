//! Mails as files, for development: one `.eml` each, readable by its owner only, because the links in
//! it work.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::letter::Letter;
use crate::error::DeliveryFault;

/// Writes mails into a directory.
pub(super) struct FileDelivery {
    directory: PathBuf,
}

impl FileDelivery {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Writes a mail and logs where it is. The log has recipient and subject, never the content.
    pub(super) async fn deliver(&self, letter: Letter) -> Result<(), DeliveryFault> {
        let directory = self.directory.clone();
        let (to, subject) = (letter.to.clone(), letter.subject.clone());
        let written = tokio::task::spawn_blocking(move || write(&directory, &letter)).await;
        match written {
            Ok(Ok(path)) => {
                tracing::info!(%to, %subject, file = %path.display(), "a mail was written");
                Ok(())
            }
            Ok(Err(error)) => Err(DeliveryFault::transient(&format!(
                "the mail cannot be written below notify.directory: {error}"
            ))),
            Err(crash) => Err(DeliveryFault::transient(&format!("writing crashed: {crash}"))),
        }
    }
}

/// Under another name first, so that nobody reads half a mail.
fn write(directory: &Path, letter: &Letter) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(directory)?;
    let stamp = letter.written.to_datetime().format("%Y%m%dT%H%M%S%3fZ");
    let path = directory.join(format!("{stamp}-{}.eml", letter.id));
    let draft = path.with_extension("part");
    let mut file = private(&draft)?;
    file.write_all(&letter.message.formatted())?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)?;
    Ok(path)
}

fn private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}
