//! How much may be sent: what we allow ourselves, and what the server asks for.

use std::time::Duration;

use http::HeaderMap;
use troupe_actors::Moment;

/// The field in which a server says what it does not want for a while.
const LIMITS: &str = "x-sentry-rate-limits";
/// Without a word from the server, after its 429.
const UNTOLD: Duration = Duration::from_secs(60);
/// A server that wants to be left alone for longer is asked again after this.
const SILENCE_MAX: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Why a report is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// More than we allow ourselves.
    TooMany,
    /// The server does not want any.
    Unwanted,
}

/// What may be sent now.
#[derive(Debug)]
pub(super) struct Limits {
    per_minute_max: u32,
    minute_began: Moment,
    this_minute: u32,
    silent_until: Option<(Moment, Duration)>,
}

impl Limits {
    pub(super) fn new(per_minute_max: u32) -> Self {
        let minute_began = Moment::now();
        Self { per_minute_max, minute_began, this_minute: 0, silent_until: None }
    }

    /// Takes a place for one report.
    pub(super) fn take(&mut self, now: Moment) -> Result<(), Held> {
        if let Some((since, length)) = self.silent_until {
            if now.since(since) < length {
                return Err(Held::Unwanted);
            }
            self.silent_until = None;
        }
        if now.since(self.minute_began) >= MINUTE {
            self.minute_began = now;
            self.this_minute = 0;
        }
        if self.this_minute >= self.per_minute_max {
            return Err(Held::TooMany);
        }
        self.this_minute += 1;
        Ok(())
    }

    /// Heeds what the server said with its answer.
    pub(super) fn heed(
        &mut self,
        now: Moment,
        refused: bool,
        headers: &HeaderMap,
        retry_after: Option<Duration>,
    ) {
        let told: Vec<_> =
            headers.get_all(LIMITS).iter().filter_map(|value| value.to_str().ok()).collect();
        let silence = match (told.is_empty(), refused) {
            (false, _) => told.into_iter().filter_map(silence).max(),
            (true, true) => Some(retry_after.unwrap_or(UNTOLD)),
            (true, false) => None,
        };
        if let Some(length) = silence {
            self.silent_until = Some((now, length.min(SILENCE_MAX)));
        }
    }
}

/// For how long a field asks that no errors are sent. It is a list of
/// `SECONDS:CATEGORIES:SCOPE:REASON`, categories separated by `;`, none meaning all.
fn silence(field: &str) -> Option<Duration> {
    let limits = field.split(',').filter_map(|limit| {
        let mut parts = limit.trim().split(':');
        let seconds: f64 = parts.next()?.trim().parse().ok()?;
        let categories = parts.next().unwrap_or_default();
        let concerns = categories.is_empty()
            || categories.split(';').any(|category| matches!(category, "error" | "default"));
        concerns.then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
    });
    limits.max()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn told(field: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(LIMITS),
            HeaderValue::from_static(field),
        )])
    }

    #[test]
    fn only_limits_on_errors_are_heeded() {
        for (field, seconds) in [
            ("60:error;transaction:organization", Some(60)),
            ("60::organization", Some(60)),
            ("60:transaction:key, 2700:default;error:project:quota", Some(2700)),
            ("60:transaction;attachment:key", None),
            ("60:metric_bucket:organization:quota_exceeded:custom", None),
            ("nonsense", None),
            ("-5:error:key", None),
        ] {
            assert_eq!(silence(field), seconds.map(Duration::from_secs), "{field}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_for_silence_gets_it() {
        let mut limits = Limits::new(100);
        limits.heed(Moment::now(), false, &told("60:error:key"), None);
        assert_eq!(limits.take(Moment::now()), Err(Held::Unwanted));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(limits.take(Moment::now()), Ok(()));
        limits.heed(Moment::now(), true, &HeaderMap::new(), Some(Duration::from_secs(5)));
        assert_eq!(limits.take(Moment::now()), Err(Held::Unwanted));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(limits.take(Moment::now()), Ok(()));
        limits.heed(Moment::now(), true, &HeaderMap::new(), None);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(limits.take(Moment::now()), Err(Held::Unwanted));
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_has_so_many_reports() {
        let mut limits = Limits::new(2);
        let now = Moment::now();
        assert_eq!([limits.take(now), limits.take(now)], [Ok(()), Ok(())]);
        assert_eq!(limits.take(now), Err(Held::TooMany));
        tokio::time::advance(MINUTE).await;
        assert_eq!(limits.take(Moment::now()), Ok(()));
    }
}
