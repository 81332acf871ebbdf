//! Between hyper and the socket: ends a connection whose peer takes nothing or sends the head of a
//! request too slowly, gives the answers that hyper writes by itself (to a head that is no HTTP) the
//! form of all others, and closes only when the peer had time to read its answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use troupe_kernel::Problem;
use troupe_kernel::error::PROBLEM_MEDIA_TYPE;

use super::linger::Linger;

/// A problem document as a whole response, for where no request was understood.
pub(super) fn problem(
    status: u16,
    code: &str,
    detail: &str,
    retry_after_secs: Option<u32>,
) -> String {
    let document = Problem::new(status, code, detail);
    let body = serde_json::to_string(&document).unwrap_or_default();
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    let retry = retry_after_secs.map(|secs| format!("retry-after: {secs}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {PROBLEM_MEDIA_TYPE}\r\n{retry}\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What hyper answers by itself, and what we say instead.
const BARE: [(&[u8], u16, &str, &str); 3] = [
    (
        b"HTTP/1.1 400 ",
        400,
        "edge.head.malformed",
        "the head of the request is no HTTP/1.1; see RFC 9112",
    ),
    (b"HTTP/1.1 414 ", 414, "edge.target.too_long", "the request target is too long; shorten it"),
    (
        b"HTTP/1.1 431 ",
        431,
        "edge.head.too_large",
        "the header fields are too many or too long; send fewer or shorter ones",
    ),
];

/// Whether this is one of hyper's own answers: an error without a body. Ours have one.
fn bare(written: &[u8]) -> Option<String> {
    let (_, status, code, detail) = BARE.iter().find(|(start, ..)| written.starts_with(start))?;
    let head = String::from_utf8_lossy(written).to_ascii_lowercase();
    let is_bare = head.contains("\r\ncontent-length: 0\r\n") && head.ends_with("\r\n\r\n");
    is_bare.then(|| problem(*status, code, detail, None))
}

/// Where the connection is in a request; the service and its stream share it.
#[derive(Debug, Default)]
pub(super) struct HeadWatch {
    /// Odd while a request is answered, even while a head is awaited.
    turns: AtomicU64,
    late: AtomicBool,
    /// The peer may still be sending what nobody reads.
    unread: AtomicBool,
}

impl HeadWatch {
    /// A head is complete, or its answer is ready.
    pub(super) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a part of a request is left unread.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    /// Whether a head did not arrive in time.
    pub(super) fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }
}

/// How long a stream may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a head from its first byte on.
    pub(super) head: Duration,
    /// For a write that makes no progress.
    pub(super) write: Duration,
}

/// A stream with limits on how long a head may take and a write may stall.
pub(super) struct Guarded<S> {
    stream: S,
    patience: Patience,
    watch: Arc<HeadWatch>,
    /// The time for the head of this turn.
    head: Option<(u64, Pin<Box<Sleep>>)>,
    stalled: Option<Pin<Box<Sleep>>>,
    /// What is written instead of hyper's own answer, and how far it is.
    instead: Option<(Vec<u8>, usize)>,
    /// Our side is shut down, and what the peer still sends is thrown away.
    linger: Option<Linger>,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, patience: Patience, watch: Arc<HeadWatch>) -> Self {
        Self { stream, patience, watch, head: None, stalled: None, instead: None, linger: None }
    }

    /// Counts the time of a head from its first byte; an error once it is up.
    fn watch_head(&mut self, context: &mut Context<'_>, count: Option<usize>) -> io::Result<()> {
        let turn = self.watch.turns.load(Ordering::Relaxed);
        if self.head.as_ref().is_some_and(|(of, _)| *of != turn) {
            self.head = None;
        }
        if turn % 2 == 1 {
            return Ok(());
        }
        if self.head.is_none() && count.is_some_and(|count| count > 0) {
            self.head = Some((turn, Box::pin(tokio::time::sleep(self.patience.head))));
        }
        // Only a stream that waits for more can be late.
        if count.is_none()
            && let Some((_, head)) = &mut self.head
            && head.as_mut().poll(context).is_ready()
        {
            self.watch.late.store(true, Ordering::Relaxed);
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the head came too slowly"));
        }
        Ok(())
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// Passes on what a write said, unless it has stalled for too long.
    fn guard<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let deadline = Instant::now() + self.patience.write;
        let stalled =
            self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no data")))
    }

    /// Writes what stands instead of hyper's own answer.
    fn write_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((text, done)) = &mut self.instead {
            if *done == text.len() {
                self.instead = None;
                break;
            }
            let polled = Pin::new(&mut self.stream).poll_write(context, &text[*done..]);
            if let Poll::Ready(Ok(count @ 1..)) = polled {
                *done += count;
                self.stalled = None;
                continue;
            }
            let written = ready!(self.guard(context, polled))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let count = polled.is_ready().then(|| buffer.filled().len() - before);
        self.watch_head(context, count)?;
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_instead(context))?;
        if let Some(text) = bare(bytes) {
            self.watch.set_unread(true);
            self.instead = Some((text.into_bytes(), 0));
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.guard(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_instead(context))?;
        if let Some(first) = slices.first()
            && let Some(text) = bare(first)
        {
            self.watch.set_unread(true);
            self.instead = Some((text.into_bytes(), 0));
            return Poll::Ready(Ok(first.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.guard(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_instead(context))?;
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.guard(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_instead(context))?;
        let this = &mut *self;
        if this.linger.is_none() {
            let polled = Pin::new(&mut this.stream).poll_shutdown(context);
            ready!(this.guard(context, polled))?;
            if !this.watch.unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(Linger::new);
        linger.poll(&mut this.stream, context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn guarded<S>(stream: S) -> (Guarded<S>, Arc<HeadWatch>) {
        let watch = Arc::new(HeadWatch::default());
        let patience = Patience { head: Duration::from_secs(5), write: Duration::from_secs(5) };
        (Guarded::new(stream, patience, watch.clone()), watch)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_timed_from_its_first_byte_and_idleness_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let (mut guarded, watch) = guarded(ours);
        let mut byte = [0; 1];
        let idle = tokio::time::timeout(Duration::from_secs(60), guarded.read(&mut byte)).await;
        assert!(idle.is_err(), "an idle stream just waits");
        theirs.write_all(b"G").await.unwrap();
        assert_eq!(guarded.read(&mut byte).await.unwrap(), 1);
        watch.turn();
        let body = tokio::time::timeout(Duration::from_secs(60), guarded.read(&mut byte)).await;
        assert!(body.is_err(), "what follows the head has limits of its own");
        watch.turn();
        theirs.write_all(b"G").await.unwrap();
        assert_eq!(guarded.read(&mut byte).await.unwrap(), 1);
        let error = guarded.read(&mut byte).await.unwrap_err();
        assert_eq!((error.kind(), watch.is_late()), (io::ErrorKind::TimedOut, true));
    }

    #[tokio::test]
    async fn a_bare_answer_is_replaced_and_others_pass() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let (mut guarded, _) = guarded(ours);
        let reader = tokio::task::JoinSet::from_iter([async move {
            let mut text = String::new();
            theirs.read_to_string(&mut text).await.unwrap();
            text
        }]);
        guarded.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let bare = b"HTTP/1.1 431 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        guarded.write_all(bare).await.unwrap();
        guarded.shutdown().await.unwrap();
        let text = reader.join_all().await.remove(0);
        assert!(text.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 431 "));
        assert!(text.contains(PROBLEM_MEDIA_TYPE), "{text}");
        assert!(text.contains("edge.head.too_large"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_ends_the_connection() {
        let (ours, _theirs) = tokio::io::duplex(4);
        let (mut guarded, _) = guarded(ours);
        let error = guarded.write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
