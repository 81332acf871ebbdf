//! The end of a connection whose peer still sends. A socket that is closed while something unread is
//! in it sends a reset, and that may take with it an answer which the peer has not read yet: so what
//! comes after the answer is thrown away, within limits, before the socket is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::stream::HeadWatch;

/// So much is thrown away at most.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// For so long at most.
const TIME_MAX: Duration = Duration::from_secs(5);
/// A peer that sends nothing for so long is not waited for.
const SILENCE_MAX: Duration = Duration::from_secs(1);
const CHUNK_BYTES: usize = 16 * 1024;

/// Throws away what a peer sends until it ends or a limit is reached.
pub(super) struct Linger {
    left: usize,
    until: Instant,
    silence: Pin<Box<Sleep>>,
}

impl Linger {
    pub(super) fn new() -> Self {
        let silence = Box::pin(tokio::time::sleep(SILENCE_MAX));
        Self { left: BYTES_MAX, until: Instant::now() + TIME_MAX, silence }
    }

    /// Ready when the connection may be closed.
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut chunk);
            let polled = Pin::new(&mut *stream).poll_read(context, &mut buffer);
            let count = buffer.filled().len();
            let now = Instant::now();
            match polled {
                Poll::Ready(Ok(())) if (1..self.left).contains(&count) && now < self.until => {
                    self.left -= count;
                    self.silence.as_mut().reset(self.until.min(now + SILENCE_MAX));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.silence.as_mut().poll(context),
            }
        }
    }
}

/// The body of a request, which tells its connection when all of it was read.
pub(super) struct Watched {
    body: Incoming,
    watch: Arc<HeadWatch>,
}

impl Watched {
    pub(super) fn new(body: Incoming, watch: Arc<HeadWatch>) -> Self {
        watch.set_unread(!body.is_end_stream());
        Self { body, watch }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) {
            self.watch.set_unread(false);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// How long a peer is borne that sends so much at a time, so often.
    async fn borne(bytes: usize, every: Duration) -> Duration {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let began = Instant::now();
        let mut linger = Linger::new();
        let lingering = std::future::poll_fn(move |context| linger.poll(&mut ours, context));
        let sending = async {
            loop {
                tokio::time::sleep(every).await;
                if theirs.write_all(&vec![0; bytes]).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = lingering => began.elapsed(),
            () = sending => unreachable!("it never ends"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_borne_while_it_sends_and_not_for_ever() {
        let second = Duration::from_secs(1);
        let drip = borne(1, second / 10).await;
        assert!((TIME_MAX..TIME_MAX + second).contains(&drip), "{drip:?}");
        let silent = borne(1, 60 * second).await;
        assert!((SILENCE_MAX..SILENCE_MAX * 2).contains(&silent), "{silent:?}");
        let flood = borne(BYTES_MAX / 4, second / 100).await;
        assert!(flood < second, "the bytes end it: {flood:?}");
    }
}
