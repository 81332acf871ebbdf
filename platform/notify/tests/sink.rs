//! A tiny SMTP server that keeps what it receives and answers as the test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the sink does and has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Answers to the next `RCPT TO`; without one it is accepted.
    pub(crate) recipient_answers: VecDeque<&'static str>,
    /// Answers to the next end of data; without one the mail is taken.
    pub(crate) data_answers: VecDeque<&'static str>,
    /// Answer to a login; without one any is accepted.
    pub(crate) login_answer: Option<&'static str>,
    /// Never greets.
    pub(crate) silent: bool,
    /// Takes so long to answer the end of data.
    pub(crate) late_answer: Option<Duration>,
    /// Offers a login.
    pub(crate) offers_login: bool,
    /// Mails it took.
    pub(crate) mails: Vec<String>,
    /// Commands it saw.
    pub(crate) commands: Vec<String>,
    /// Connections it accepted.
    pub(crate) connections: usize,
}

/// The server. It ends when it is dropped.
pub(crate) struct Sink {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let shared = seen.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let seen = shared.clone();
                connections.spawn(async move { drop(serve(stream, seen).await) });
            }
        });
        Self { port, seen, _tasks: tasks }
    }

    /// Settings of `[notify]` that deliver to it.
    pub(crate) fn settings(&self) -> String {
        format!(
            "delivery = \"smtp\"\nsmtp.host = \"127.0.0.1\"\nsmtp.port = {}\n\
             smtp.encryption = \"none\"\nsmtp.timeout = \"1s\"\nsmtp.hello_name = \"troupe.test\"",
            self.port
        )
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        self.seen.lock().unwrap().mails.clone()
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Seen>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if seen.lock().unwrap().silent {
        std::future::pending::<()>().await;
    }
    stream.write_all(b"220 sink ready\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        seen.lock().unwrap().commands.push(command.clone());
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" if seen.lock().unwrap().offers_login => {
                "250-sink\r\n250 AUTH PLAIN LOGIN".to_owned()
            }
            "EHLO" => "250-sink\r\n250 8BITMIME".to_owned(),
            "AUTH" => seen.lock().unwrap().login_answer.unwrap_or("235 welcome").to_owned(),
            "RCPT" => {
                seen.lock().unwrap().recipient_answers.pop_front().unwrap_or("250 ok").to_owned()
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                receive(&mut stream, &seen).await?
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn receive(
    stream: &mut BufReader<TcpStream>,
    seen: &Arc<Mutex<Seen>>,
) -> std::io::Result<String> {
    let (mut mail, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await? > 0 && line != ".\r\n" {
        mail.push_str(&line);
        line.clear();
    }
    let late = seen.lock().unwrap().late_answer;
    if let Some(late) = late {
        tokio::time::sleep(late).await;
    }
    let mut seen = seen.lock().unwrap();
    match seen.data_answers.pop_front() {
        Some(answer) => Ok(answer.to_owned()),
        None => {
            seen.mails.push(mail);
            Ok("250 taken".to_owned())
        }
    }
}
