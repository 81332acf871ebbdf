//! A broker of one test, which the test may kill and start again.
//!
//! Apache Kafka from the jars in the directory that `TROUPE_TEST_KAFKA_LIBS` names, with the `java` of the
//! path, on ports of its own and in a directory that is removed.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use troupe_kernel::Uuid;

use crate::place::skipped;

const LIBS_VARIABLE: &str = "TROUPE_TEST_KAFKA_LIBS";
const START_WITHIN: Duration = Duration::from_secs(90);

pub(crate) struct Broker {
    libs: String,
    directory: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Broker {
    /// A broker that runs; none, and a line on standard error, where it cannot be had.
    pub(crate) async fn start() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "tests find their servers by variables")]
        let Ok(libs) = std::env::var(LIBS_VARIABLE) else {
            skipped(&format!("{LIBS_VARIABLE} is not set"));
            return None;
        };
        let directory = std::env::temp_dir().join(format!("troupe-kafka-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&directory).unwrap();
        // Held together, so that they are two.
        let (one, other) = (free_port(), free_port());
        let (port, controller) = (one.1, other.1);
        drop((one, other));
        let data = directory.join("data");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             log.dirs={}\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n",
            data.display()
        );
        std::fs::write(directory.join("server.properties"), text).unwrap();
        let mut broker = Self { libs: format!("{libs}/*"), directory, port, process: None };
        let id = broker.java().args(["kafka.tools.StorageTool", "random-uuid"]).output().unwrap();
        let id = String::from_utf8(id.stdout).unwrap().trim().to_owned();
        let formatted = broker
            .java()
            .args(["kafka.tools.StorageTool", "format", "-t", &id, "-c", "server.properties"])
            .output()
            .unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        broker.run().await;
        Some(broker)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the process, and ends when the broker answers.
    pub(crate) async fn run(&mut self) {
        let process = self
            .java()
            .args(["kafka.Kafka", "server.properties"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let address = self.address();
        let answers = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            while began.elapsed() < START_WITHIN {
                std::thread::sleep(Duration::from_millis(100));
                if TcpStream::connect(&address).is_err() {
                    continue;
                }
                let client: BaseConsumer =
                    ClientConfig::new().set("bootstrap.servers", &address).create().unwrap();
                if client.fetch_metadata(None, Duration::from_secs(5)).is_ok() {
                    return true;
                }
            }
            false
        });
        assert!(answers.await.unwrap(), "the broker does not answer");
    }

    /// Kills the process, as a loss of its machine would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }

    fn java(&self) -> Command {
        let mut java = Command::new("java");
        java.current_dir(&self.directory).args(["-Xmx384m", "-cp", &self.libs]);
        java
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

fn free_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}
