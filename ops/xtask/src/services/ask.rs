//! Short questions to servers on 127.0.0.1, each with a deadline.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long a healthy server may take for one answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Connects, with a deadline on all that is read and written.
pub(super) fn connect(port: u16) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, ANSWERS_WITHIN)
        .with_context(|| format!("nothing listens at {address}"))?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    stream.set_write_timeout(Some(ANSWERS_WITHIN))?;
    Ok(stream)
}

/// The body of a page, whose status must be 200.
pub(super) fn get(port: u16, path: &str) -> Result<String> {
    request(port, ("GET", path), "", "")
}

/// The answer to a body, whose status must be 200.
pub(super) fn post(port: u16, path: &str, media_type: &str, body: &str) -> Result<String> {
    let fields = format!("content-type: {media_type}\r\ncontent-length: {}\r\n", body.len());
    request(port, ("POST", path), &fields, body)
}

fn request(port: u16, (method, path): (&str, &str), fields: &str, body: &str) -> Result<String> {
    let mut stream = connect(port)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{fields}connection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).context("no answer to the end")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(status == "200", "{path} answers {status}");
    Ok(body.to_owned())
}

/// Sends words of a line protocol and reads until the answer contains `wanted`.
pub(super) fn exchange(port: u16, words: &str, wanted: &str) -> Result<String> {
    let mut stream = connect(port)?;
    stream.write_all(words.as_bytes())?;
    let mut answer = String::new();
    let mut part = [0; 1024];
    while !answer.contains(wanted) {
        let bytes =
            stream.read(&mut part).with_context(|| format!("no `{wanted}` in: {answer}"))?;
        if bytes == 0 || answer.len() as u64 > ANSWER_BYTES_MAX {
            bail!("no `{wanted}` in: {answer}");
        }
        answer.push_str(&String::from_utf8_lossy(&part[..bytes]));
    }
    Ok(answer)
}
