//! Remembers that S3 is away, so that callers are refused at once instead of each waiting in vain.
//!
//! One caller a second is let through to try; its success lets everybody through again.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::BlobError;

/// How long after a failure nobody tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether S3 answers, as its last callers saw it.
#[derive(Debug, Default)]
pub(crate) struct Away(Mutex<Option<Instant>>);

impl Away {
    /// Lets the caller through, or refuses it while S3 is known to be away.
    pub(crate) fn pass(&self) -> Result<(), BlobError> {
        let mut next_try = self.0.lock();
        match *next_try {
            Some(at) if Instant::now() < at => Err(BlobError::Away),
            // This caller tries; the others wait for what it finds.
            Some(_) => {
                *next_try = Some(Instant::now() + PAUSE);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes how a call ended; the first failure and the first success are told to the log.
    pub(crate) fn note<T>(&self, outcome: &Result<T, BlobError>) {
        let failed = match outcome {
            Err(error) if error.is_away() => true,
            Ok(_) | Err(BlobError::S3 { .. }) => false,
            // Said by us.
            Err(_) => return,
        };
        let before = {
            let mut next_try = self.0.lock();
            std::mem::replace(&mut *next_try, failed.then(|| Instant::now() + PAUSE))
        };
        match (before, failed) {
            (None, true) => tracing::warn!("S3 is away: blobs are refused until it answers"),
            (Some(_), false) => tracing::info!("S3 answers again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow() -> Result<(), BlobError> {
        Err(BlobError::Slow { action: "reading", limit: PAUSE })
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_a_second_tries_while_s3_is_away() {
        let away = Away::default();
        assert!(away.pass().is_ok());
        away.note(&slow());
        assert!(matches!(away.pass(), Err(BlobError::Away)));
        tokio::time::advance(PAUSE).await;
        assert!(away.pass().is_ok());
        assert!(matches!(away.pass(), Err(BlobError::Away)));
        away.note(&Ok(()));
        assert!(away.pass().is_ok() && away.pass().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_we_refuse_ourselves_does_not_make_s3_look_away() {
        let away = Away::default();
        away.note::<()>(&Err(BlobError::Busy));
        assert!(away.pass().is_ok());
    }
}
