//! A server of threads whose routes misbehave in known ways.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// It runs until the test process ends.
pub struct Server {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                thread::spawn(move || serve(stream, &counter));
            }
        });
        Self { address, requests }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// An address at which nothing listens.
pub fn unused_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Answers one request after the other until an answer ends the connection.
fn serve(stream: TcpStream, counter: &AtomicU64) {
    let mut answers = stream.try_clone().expect("a second handle");
    let mut requests = BufReader::new(stream);
    while let Some((head, body)) = read(&mut requests) {
        let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (answer, keep): (&[u8], bool) = match path {
            "/ok" => (OK, true),
            "/stall" => {
                if number.is_multiple_of(400) {
                    thread::sleep(Duration::from_millis(50));
                }
                (OK, true)
            }
            "/slow" => {
                thread::sleep(Duration::from_millis(5));
                (OK, true)
            }
            "/never" => {
                thread::sleep(Duration::from_secs(2));
                (b"", false)
            }
            "/missing" => (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", true),
            "/last" => {
                (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", false)
            }
            "/break" => (b"HTTP/1.1 200 OK\r\ncontent-le", false),
            "/nonsense" => (b"good morning\r\n\r\n", false),
            "/chunked" => (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                true,
            ),
            "/echo" => (echo(&head, &body), true),
            _ => (b"HTTP/1.1 500 Unknown\r\ncontent-length: 0\r\n\r\n", true),
        };
        if answers.write_all(answer).is_err() || !keep {
            return;
        }
    }
}

/// 201 when the token of the header is that of the body.
fn echo(head: &str, body: &str) -> &'static [u8] {
    let token = head
        .lines()
        .find_map(|line| line.strip_prefix("authorization: Bearer "))
        .unwrap_or_default();
    if !token.is_empty() && body == format!(r#"{{"token":"{token}"}}"#) {
        b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"
    } else {
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
    }
}

fn read(requests: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if requests.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    requests.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}
