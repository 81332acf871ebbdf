//! A Redis of a test's own, which can be killed and started again with its data.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::house::{SOON, prefix, skipped};

/// A server process. It is killed with the test.
pub struct Server {
    port: u16,
    settings: Vec<String>,
    directory: PathBuf,
    process: Child,
}

impl Server {
    /// Starts a server; says that the test is skipped when none is installed.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with lines of its configuration.
    pub async fn start_with(settings: &[&str]) -> Option<Self> {
        let settings: Vec<String> = settings.iter().map(|&line| line.to_owned()).collect();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = std::env::temp_dir().join(format!("troupe-redis-{}", prefix()));
        std::fs::create_dir_all(&directory).unwrap();
        match launch(port, &directory, &settings).await {
            Ok(process) => Some(Self { port, settings, directory, process }),
            Err(error) => {
                std::fs::remove_dir_all(&directory).unwrap();
                skipped(&format!("redis-server cannot be started: {error}"));
                None
            }
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its address with another scheme, host or login.
    pub fn url_with(&self, scheme: &str, login: &str, host: &str) -> String {
        format!("{scheme}://{login}@{host}:{}", self.port)
    }

    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    pub async fn start_again(&mut self) {
        self.process = launch(self.port, &self.directory, &self.settings).await.unwrap();
    }

    /// Sends a command beside all nodes.
    pub async fn command(&self, words: &[&str]) -> redis::Value {
        self.command_by(&self.url(), words).await
    }

    /// The same with a login.
    pub async fn command_by(&self, url: &str, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(url).unwrap();
        let mut conn = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut conn).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.start_kill());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

async fn launch(port: u16, directory: &Path, settings: &[String]) -> std::io::Result<Child> {
    let is_secured = settings.iter().any(|line| line.starts_with("tls-"));
    let kind = if is_secured { "tls-port" } else { "port" };
    let mut lines = format!("bind 127.0.0.1\nport 0\n{kind} {port}\nsave \"\"\n");
    for line in settings {
        lines.push_str(line);
        lines.push('\n');
    }
    let file = directory.join("redis.conf");
    std::fs::write(&file, lines)?;
    let mut process = Command::new("redis-server")
        .arg(file)
        .arg("--dir")
        .arg(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let answers = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(SOON, answers).await.is_err() {
        process.kill().await?;
        return Err(std::io::Error::other("it does not answer"));
    }
    Ok(process)
}
