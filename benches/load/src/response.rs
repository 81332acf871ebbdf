//! Reads one answer after the other from a connection: the head with httparse, the body only as
//! far as it takes to find its end.

use httparse::{EMPTY_HEADER, Status};

const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;
/// A chunk's size line or a trailer line.
const LINE_BYTES_MAX: usize = 4096;

/// Where the reading of an answer stands.
pub(crate) struct Reader {
    stage: Stage,
    /// A head or a line that came in parts.
    kept: Vec<u8>,
    status: u16,
    keep: bool,
    body_bytes: usize,
    body_bytes_max: usize,
}

enum Stage {
    Head,
    /// So many bytes are to come.
    Sized(usize),
    /// The body ends with the connection.
    UntilClose,
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailer,
}

/// A whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the connection can be used again.
    pub(crate) keep: bool,
}

/// The bytes are no answer, or one beyond the limits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Reader {
    pub(crate) fn new(body_bytes_max: usize) -> Self {
        Self {
            stage: Stage::Head,
            kept: Vec::new(),
            status: 0,
            keep: true,
            body_bytes: 0,
            body_bytes_max,
        }
    }

    /// Forgets what a broken connection left.
    pub(crate) fn reset(&mut self) {
        self.stage = Stage::Head;
        self.kept.clear();
        self.body_bytes = 0;
    }

    /// Takes bytes; gives the answer when it is whole.
    pub(crate) fn take(
        &mut self,
        mut bytes: &[u8],
        to_head: bool,
    ) -> Result<Option<Answer>, Malformed> {
        loop {
            let done = match self.stage {
                Stage::Head => match self.head(&mut bytes, to_head)? {
                    Some(done) => done,
                    None => return Ok(None),
                },
                Stage::Sized(left) => {
                    let taken = left.min(bytes.len());
                    bytes = &bytes[taken..];
                    self.stage = Stage::Sized(left - taken);
                    left == taken
                }
                Stage::UntilClose => {
                    self.count(bytes.len())?;
                    bytes = &[];
                    false
                }
                Stage::Chunk(left) => {
                    let taken = left.min(bytes.len());
                    bytes = &bytes[taken..];
                    self.stage =
                        if left == taken { Stage::ChunkEnd } else { Stage::Chunk(left - taken) };
                    false
                }
                Stage::ChunkSize | Stage::ChunkEnd | Stage::Trailer => {
                    match self.line(&mut bytes)? {
                        Some(done) => done,
                        None => return Ok(None),
                    }
                }
            };
            if done {
                let answer = Answer { status: self.status, keep: self.keep };
                self.reset();
                // Nothing was asked for that these bytes could answer.
                return if bytes.is_empty() { Ok(Some(answer)) } else { Err(Malformed) };
            }
            if bytes.is_empty() {
                return Ok(None);
            }
        }
    }

    /// The other side closed: the end of an answer of unknown length, or a break.
    pub(crate) fn end(&mut self) -> Option<Answer> {
        let whole = matches!(self.stage, Stage::UntilClose);
        self.reset();
        whole.then_some(Answer { status: self.status, keep: false })
    }

    /// `Some(true)`: the answer is whole with its head; `None`: more bytes are needed.
    fn head(&mut self, bytes: &mut &[u8], to_head: bool) -> Result<Option<bool>, Malformed> {
        let whole = if self.kept.is_empty() {
            parse(bytes)?
        } else {
            // The few heads that arrive in parts are put together.
            self.kept.extend_from_slice(bytes);
            parse(&self.kept)?
        };
        let Some(head) = whole else {
            if self.kept.is_empty() {
                self.kept.extend_from_slice(bytes);
            }
            return if self.kept.len() > HEAD_BYTES_MAX { Err(Malformed) } else { Ok(None) };
        };
        let rest = if self.kept.is_empty() {
            bytes.len() - head.length
        } else {
            self.kept.len() - head.length
        };
        *bytes = &bytes[bytes.len() - rest..];
        self.kept.clear();
        self.status = head.status;
        self.keep = head.keep;
        self.stage = match head.body {
            _ if (100..200).contains(&head.status) => Stage::Head,
            _ if to_head || matches!(head.status, 204 | 304) => return Ok(Some(true)),
            Body::Sized(length) => {
                self.count(length)?;
                Stage::Sized(length)
            }
            Body::Chunked => Stage::ChunkSize,
            Body::UntilClose => Stage::UntilClose,
        };
        Ok(Some(matches!(self.stage, Stage::Sized(0))))
    }

    fn count(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.body_bytes = self.body_bytes.saturating_add(bytes);
        if self.body_bytes > self.body_bytes_max { Err(Malformed) } else { Ok(()) }
    }

    /// One line of the chunked coding; `Some(true)`: that was the last.
    fn line(&mut self, bytes: &mut &[u8]) -> Result<Option<bool>, Malformed> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |index| index + 1));
        self.kept.extend_from_slice(line);
        *bytes = rest;
        if self.kept.len() > LINE_BYTES_MAX {
            return Err(Malformed);
        }
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.kept);
        let is_empty = line == b"\r\n";
        let mut done = false;
        self.stage = match self.stage {
            Stage::ChunkSize => match httparse::parse_chunk_size(&line) {
                Ok(Status::Complete((_, 0))) => Stage::Trailer,
                Ok(Status::Complete((_, size))) => {
                    let size = usize::try_from(size).map_err(|_| Malformed)?;
                    self.count(size)?;
                    Stage::Chunk(size)
                }
                _ => return Err(Malformed),
            },
            Stage::ChunkEnd if is_empty => Stage::ChunkSize,
            Stage::Trailer => {
                done = is_empty;
                Stage::Trailer
            }
            _ => return Err(Malformed),
        };
        self.kept = line;
        self.kept.clear();
        Ok(Some(done))
    }
}

struct Head {
    length: usize,
    status: u16,
    keep: bool,
    body: Body,
}

enum Body {
    Sized(usize),
    Chunked,
    UntilClose,
}

fn parse(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(length) = response.parse(bytes).map_err(|_| Malformed)? else {
        return Ok(None);
    };
    let status = response.code.ok_or(Malformed)?;
    let mut keep = response.version == Some(1);
    let mut body = Body::UntilClose;
    for header in response.headers.iter() {
        let name = header.name;
        if name.eq_ignore_ascii_case("content-length") && !matches!(body, Body::Chunked) {
            let text = std::str::from_utf8(header.value).map_err(|_| Malformed)?;
            body = Body::Sized(text.trim().parse().map_err(|_| Malformed)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            keep = !header.value.eq_ignore_ascii_case(b"close")
                && (keep || header.value.eq_ignore_ascii_case(b"keep-alive"));
        }
    }
    keep &= !matches!(body, Body::UntilClose);
    Ok(Some(Head { length, status, keep, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes in pieces of every size; all must give the same.
    fn read(text: &str) -> Result<Option<Answer>, Malformed> {
        let mut results = Vec::new();
        for size in 1..=text.len() {
            let mut reader = Reader::new(1000);
            let mut result = Ok(None);
            for part in text.as_bytes().chunks(size) {
                result = reader.take(part, false);
                if result != Ok(None) {
                    break;
                }
            }
            results.push(result);
        }
        let last = results.pop().expect("some text");
        assert!(results.iter().all(|result| *result == last), "{results:?} {last:?}");
        last
    }

    #[test]
    fn answers_are_whole_however_they_are_cut() {
        let kept = Ok(Some(Answer { status: 200, keep: true }));
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"), kept);
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), kept);
        let chunks = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nfoo: bar\r\n\r\n";
        assert_eq!(
            read(&format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")),
            kept
        );
        let early =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        assert_eq!(read(early), Ok(Some(Answer { status: 204, keep: false })));
    }

    #[test]
    fn nonsense_and_bodies_over_the_limit_are_malformed() {
        assert_eq!(
            Reader::new(10).take(b"hello there, this is no answer\r\n", false),
            Err(Malformed)
        );
        let long = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n";
        assert_eq!(Reader::new(10).take(long, false), Err(Malformed));
        let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nB\r\n";
        assert_eq!(Reader::new(10).take(chunk, false), Err(Malformed));
        let extra = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc";
        assert_eq!(Reader::new(10).take(extra, false), Err(Malformed));
    }

    #[test]
    fn a_body_without_length_ends_with_the_connection() {
        let mut reader = Reader::new(10);
        assert_eq!(reader.take(b"HTTP/1.0 200 OK\r\n\r\nabc", false), Ok(None));
        assert_eq!(reader.end(), Some(Answer { status: 200, keep: false }));
        assert_eq!(reader.end(), None);
    }
}
