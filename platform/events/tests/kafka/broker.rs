//! A broker of one test, which the test may kill and start again.
//!
//! Apache Kafka from the jars in the directory that `TROUPE_TEST_KAFKA_LIBS` names, with the `java` of the
//! path, on ports of its own and in a directory that is removed.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use troupe_kernel::Uuid;

use crate::place::skipped;

const LIBS_VARIABLE: &str = "TROUPE_TEST_KAFKA_LIBS";
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
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
        let libs = libraries()?;
        let directory = std::env::temp_dir().join(format!("troupe-kafka-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&directory).unwrap();
        Some(Self::made(libs, directory, &More::default(), &[]).await)
    }

    /// A broker with TLS on two ports besides: one with logins, and one whose certificate has expired.
    /// None, and a line on standard error, where it cannot be had.
    pub(crate) async fn secured() -> Option<(Self, Secured)> {
        let libs = libraries()?;
        let directory = std::env::temp_dir().join(format!("troupe-kafka-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&directory).unwrap();
        let Some(secured) = Secured::make(&directory) else {
            std::fs::remove_dir_all(&directory).unwrap();
            return None;
        };
        let users = SCRAM.map(|kind| format!("{kind}=[name=app,password=hunter2]"));
        let users = users.each_ref().map(|user| ["--add-scram", user.as_str()]).concat();
        let broker = Self::made(libs, directory, &secured.properties(), &users).await;
        Some((broker, secured))
    }

    async fn made(libs: String, directory: PathBuf, more: &More, format: &[&str]) -> Self {
        let More { listeners, protocols, properties } = more;
        // Held together, so that they are two.
        let (one, other) = (free_port(), free_port());
        let (port, controller) = (one.1, other.1);
        drop((one, other));
        let data = directory.join("data");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}{listeners}\n\
             controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}\n\
             log.dirs={}\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n{properties}",
            data.display()
        );
        std::fs::write(directory.join("server.properties"), text).unwrap();
        let mut broker = Self { libs: format!("{libs}/*"), directory, port, process: None };
        let id = broker.java().args(["kafka.tools.StorageTool", "random-uuid"]).output().unwrap();
        let id = String::from_utf8(id.stdout).unwrap().trim().to_owned();
        let formatted = broker
            .java()
            .args(["kafka.tools.StorageTool", "format", "-t", &id, "-c", "server.properties"])
            .args(format)
            .output()
            .unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        broker.run().await;
        broker
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

    /// Another password for the user of the logins; connections that are there stay.
    pub(crate) fn change_password(&self, password: &str) {
        let entry = format!("SCRAM-SHA-512=[password={password}]");
        let address = self.address();
        let output = self
            .java()
            .args(["kafka.admin.ConfigCommand", "--bootstrap-server", &address, "--alter"])
            .args(["--add-config", &entry, "--entity-type", "users", "--entity-name", "app"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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

/// Further listeners, and what they need.
#[derive(Default)]
struct More {
    listeners: String,
    protocols: String,
    properties: String,
}

/// The ports with TLS, and the certificates.
pub(crate) struct Secured {
    folder: PathBuf,
    port: u16,
    late_port: u16,
}

impl Secured {
    /// None, and a line that says so, where openssl is not installed.
    fn make(folder: &Path) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skipped("openssl is not installed here");
            return None;
        }
        let (one, other) = (free_port(), free_port());
        let made = Self { folder: folder.to_owned(), port: one.1, late_port: other.1 };
        for root in ["root", "strange"] {
            made.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                 -keyout {root}.key -out {root}.pem -subj /CN=troupe-{root} \
                 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
            ));
        }
        std::fs::write(made.folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
        for (name, days) in [("server", 2), ("late", 0)] {
            made.openssl(&format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                 -keyout {name}.key -out {name}.csr -subj /CN=localhost",
            ));
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial \
                 -out {name}.pem -days {days} -extfile names",
            ));
            let both = made.text(&format!("{name}.key")) + &made.text(&format!("{name}.pem"));
            std::fs::write(made.folder.join(format!("{name}.both")), both).unwrap();
        }
        Some(made)
    }

    /// The port where users log in.
    pub(crate) fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The port whose certificate has expired.
    pub(crate) fn late_address(&self) -> String {
        format!("localhost:{}", self.late_port)
    }

    /// The text of a file.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    fn properties(&self) -> More {
        let Self { folder, port, late_port } = self;
        let folder = folder.display();
        let login = "org.apache.kafka.common.security";
        let scram = format!("{login}.scram.ScramLoginModule required;");
        let plain = format!("{login}.plain.PlainLoginModule required user_app=\"hunter2\";");
        let users = SCRAM.map(|kind| {
            let kind = kind.to_ascii_lowercase();
            format!("listener.name.logins.{kind}.sasl.jaas.config={scram}\n")
        });
        More {
            listeners: format!(",LOGINS://localhost:{port},LATE://localhost:{late_port}"),
            protocols: ",LOGINS:SASL_SSL,LATE:SSL".to_owned(),
            properties: format!(
                "listener.name.logins.sasl.enabled.mechanisms=PLAIN,{}\n\
                 listener.name.logins.plain.sasl.jaas.config={plain}\n{}\
                 listener.name.logins.ssl.keystore.type=PEM\n\
                 listener.name.logins.ssl.keystore.location={folder}/server.both\n\
                 listener.name.late.ssl.keystore.type=PEM\n\
                 listener.name.late.ssl.keystore.location={folder}/late.both\n",
                SCRAM.join(","),
                users.concat(),
            ),
        }
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.current_dir(&self.folder).args(arguments.split_whitespace()).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {error}");
    }
}

fn libraries() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests find their servers by variables")]
    let libs = std::env::var(LIBS_VARIABLE).ok();
    if libs.is_none() {
        skipped(&format!("{LIBS_VARIABLE} is not set"));
    }
    libs
}

fn free_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}
