//! Apache Kafka in KRaft mode, one broker or three, each its own controller. Nothing is kept over a
//! power failure, and topics are made by those who need them.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::install::Cache;
use super::install::maven::Maven;
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Service, ask};
use crate::process::{capture, variable};

const KAFKA: Maven = Maven {
    name: "kafka-4.1.2",
    artifacts: &[
        "org.apache.kafka:kafka_2.13:4.1.2",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
        "org.apache.logging.log4j:log4j-core:2.24.3",
    ],
};
/// Any id does: the cluster is thrown away.
const CLUSTER: &str = "dHJvdXBlLXNlcnZpY2VzIQ";
/// From a broker's port to its controller's.
const CONTROLLER_DISTANCE: u16 = 100;
/// A small heap and a quick start over throughput.
const JAVA: [&str; 3] = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const LOGGING: &str = "\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
";

/// The folder of the libraries, for a test that runs a broker of its own.
pub(crate) fn libraries(cache: &Cache) -> Result<PathBuf> {
    KAFKA.libraries(cache)
}

/// One cluster.
pub(super) struct Kafka {
    brokers: Vec<Port>,
    controllers: Vec<Port>,
}

impl Kafka {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        match variable("TROUPE_SERVICES_KAFKA_BROKERS").as_deref() {
            None | Some("1") => Self::of(1, settings),
            Some("3") => Self::of(3, settings),
            Some(other) => bail!("TROUPE_SERVICES_KAFKA_BROKERS={other}: 1 or 3"),
        }
    }

    /// A cluster of so many brokers.
    pub(super) fn of(number: u16, settings: &Settings) -> Result<Self> {
        let first = settings.port("KAFKA", 19092)?;
        let mut kafka = Self { brokers: Vec::new(), controllers: Vec::new() };
        for broker in 0..number {
            kafka.brokers.push(first.plus(broker)?);
            kafka.controllers.push(first.plus(broker + CONTROLLER_DISTANCE)?);
        }
        Ok(kafka)
    }

    /// Copies of all that is kept, and how many of them must be current.
    fn copies(&self) -> (usize, usize) {
        (self.brokers.len(), self.brokers.len().div_ceil(2))
    }

    fn properties(&self, index: usize, data: &Path) -> String {
        let voters: Vec<String> = self.controllers.iter().enumerate().map(voter).collect();
        let (copies, in_sync) = self.copies();
        let (broker, controller) = (self.brokers[index].number, self.controllers[index].number);
        format!(
            "process.roles=broker,controller\n\
             node.id={node}\n\
             controller.quorum.voters={voters}\n\
             listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{broker}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             log.dirs={data}\n\
             auto.create.topics.enable=false\n\
             default.replication.factor={copies}\n\
             min.insync.replicas={in_sync}\n\
             offsets.topic.replication.factor={copies}\n\
             offsets.topic.num.partitions=5\n\
             transaction.state.log.replication.factor={copies}\n\
             transaction.state.log.min.isr={in_sync}\n\
             transaction.state.log.num.partitions=5\n\
             share.coordinator.state.topic.replication.factor={copies}\n\
             share.coordinator.state.topic.min.isr={in_sync}\n\
             group.initial.rebalance.delay.ms=0\n",
            node = index + 1,
            voters = voters.join(","),
            data = data.display(),
        )
    }
}

impl Service for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn ports(&self) -> Vec<Port> {
        self.brokers.iter().chain(&self.controllers).cloned().collect()
    }

    fn exports(&self, _folder: &Path) -> Vec<Export> {
        let brokers: Vec<String> =
            self.brokers.iter().map(|port| format!("127.0.0.1:{}", port.number)).collect();
        vec![("TROUPE_TEST_KAFKA_BROKERS", brokers.join(","))]
    }

    fn install(&self, cache: &Cache) -> Result<()> {
        KAFKA.java(cache).map(drop)
    }

    fn start(&self, cache: &Cache, place: &Place) -> Result<()> {
        let logging = place.write("log4j2.properties", LOGGING)?;
        let java = || -> Result<_> {
            let mut java = KAFKA.java(cache)?;
            java.args(JAVA).arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
            Ok(java)
        };
        let mut brokers = Vec::new();
        for index in 0..self.brokers.len() {
            let name = format!("broker-{}", index + 1);
            let properties = self.properties(index, &place.make(&format!("data-{}", index + 1))?);
            let properties = place.write(&format!("{name}.properties"), &properties)?;
            let mut format = java()?;
            format.args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER, "--config"]);
            format.arg(&properties);
            capture(format)?;
            let mut broker = java()?;
            broker.arg("kafka.Kafka").arg(&properties);
            brokers.push((name, broker));
        }
        for (name, broker) in brokers {
            place.spawn(&name, broker)?;
        }
        Ok(())
    }

    fn healthy(&self) -> Result<()> {
        for port in &self.brokers {
            let known = brokers_known(port.number)?;
            ensure!(known == self.brokers.len(), "{known} of {} brokers", self.brokers.len());
        }
        Ok(())
    }

    /// An orderly end takes a broker seconds in which it moves what nobody needs any more.
    fn stop_signal(&self) -> &'static str {
        "KILL"
    }

    fn containers(&self) -> Vec<String> {
        (1..=self.brokers.len()).map(container).collect()
    }

    fn compose_variables(&self, _place: &Place) -> Vec<(String, String)> {
        let (copies, in_sync) = self.copies();
        let voter = |node: usize| format!("{node}@{}:9093", container(node));
        let voters: Vec<String> = (1..=copies).map(voter).collect();
        let mut variables = vec![
            ("TROUPE_SERVICES_KAFKA_VOTERS".to_owned(), voters.join(",")),
            ("TROUPE_SERVICES_KAFKA_COPIES".to_owned(), copies.to_string()),
            ("TROUPE_SERVICES_KAFKA_IN_SYNC".to_owned(), in_sync.to_string()),
        ];
        for (index, broker) in self.brokers.iter().enumerate().skip(1) {
            let name = format!("TROUPE_SERVICES_KAFKA_{}_PORT", index + 1);
            variables.push((name, broker.number.to_string()));
        }
        variables
    }
}

fn voter((index, port): (usize, &Port)) -> String {
    format!("{}@127.0.0.1:{}", index + 1, port.number)
}

/// The name of a node in the compose file.
fn container(node: usize) -> String {
    if node == 1 { "kafka".to_owned() } else { format!("kafka-{node}") }
}

/// How many brokers a broker knows: a Metadata request of version 1 for no topic
/// (<https://kafka.apache.org/protocol#The_Messages_Metadata>).
fn brokers_known(port: u16) -> Result<usize> {
    const REQUEST: [u8; 22] = [
        0, 0, 0, 18, // bytes that follow
        0, 3, // Metadata
        0, 1, // version
        0, 0, 0, 7, // correlation
        0, 4, b't', b'e', b's', b't', // who asks
        0, 0, 0, 0, // no topic
    ];
    let mut stream = ask::connect(port)?;
    stream.write_all(&REQUEST)?;
    // The length, the correlation, then the number of brokers.
    let mut head = [0; 12];
    stream.read_exact(&mut head).context("no answer of a broker")?;
    ensure!(head[4..8] == [0, 0, 0, 7], "what listens at {port} is not Kafka");
    let number = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    usize::try_from(number).context("more brokers than can be")
}
