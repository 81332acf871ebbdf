//! The servers and nodes of a run: started, hurt, healed, and asked whether they are well.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::evidence::{Interruption, NodeEnd};
use crate::nodes::{self, Member};
use crate::options::{Options, Surroundings};
use crate::plan::{Deed, Fault, Target};
use crate::recorder;
use crate::server::Server;
use crate::sql;
use crate::watch::{Watch, until};
use crate::web::{self, Call};

/// Where the nodes listen: below the ephemeral ports, so that no connection takes the port of a node that
/// is away.
const PORTS: [u16; 2] = [23_180, 23_181];
const CLIENTS: usize = 6;
/// A broker takes a minute where everything else is busy.
const ANSWERS_WITHIN: Duration = Duration::from_secs(240);
/// How long the nodes may take to be well after everything is back.
const WELL_WITHIN: Duration = Duration::from_secs(240);
const ASK_WITHIN: Duration = Duration::from_secs(12);

/// Everything that runs.
pub(crate) struct Rig {
    pub(crate) around: Surroundings,
    /// Data of the nodes, their logs and the journal.
    pub(crate) folder: PathBuf,
    pub(crate) watch: Watch,
    pub(crate) bases: Vec<String>,
    servers: BTreeMap<Target, Server>,
    interruptions: Mutex<Vec<Interruption>>,
    memory: Mutex<BTreeMap<Target, (u64, u64)>>,
    promoted: AtomicBool,
}

/// How a fault went.
pub(crate) struct Suffered {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    /// From the end of the fault until every check of every node passed; none when that did not come.
    pub(crate) well_after: Option<Duration>,
}

impl Rig {
    /// Makes the database and starts the nodes on servers that run already.
    pub(crate) fn start(around: Surroundings, options: &Options) -> Result<Self> {
        let folder = around.services.join("faults-run");
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder)?;
        make_database(&around)?;
        let mut servers = BTreeMap::new();
        for (target, name, address) in [
            (Target::Postgres, "postgres", &around.postgres),
            (Target::Replica, "postgres-replica", &around.replica),
            (Target::Redis, "redis", &around.redis),
            (Target::Kafka, "kafka", &around.brokers),
            (Target::S3, "s3", &around.s3),
            (Target::Mail, "mail", &around.smtp),
        ] {
            let place = around.services.join(format!("{name}-{}", port(address)?));
            servers.insert(target, Server::adopt(target, &place)?);
        }
        let ports = if options.short { &PORTS[..1] } else { &PORTS[..] };
        for (index, (&port, target)) in ports.iter().zip([Target::Node1, Target::Node2]).enumerate()
        {
            let launch = nodes::node(&around, &folder, index + 1, port)?;
            let log = launch.log.clone();
            servers.insert(target, Server::start_new(target, launch)?);
            nodes::await_ready(&base(port), &log)?;
            if index == 0 {
                nodes::set_up(&base(port), &log)?;
            }
        }
        sql::run(&nodes::database_on(&around.postgres), recorder::TABLE)?;
        let launch = nodes::recorder(&around, &folder)?;
        servers.insert(Target::Recorder, Server::start_new(Target::Recorder, launch)?);
        Ok(Self {
            around,
            folder,
            watch: Watch::start(),
            bases: ports.iter().copied().map(base).collect(),
            servers,
            interruptions: Mutex::default(),
            memory: Mutex::default(),
            promoted: AtomicBool::new(false),
        })
    }

    /// Those who will use the nodes.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        (0..CLIENTS).map(|number| nodes::member(&self.bases[0], number)).collect()
    }

    /// What there is to be hurt.
    pub(crate) fn targets(&self) -> Vec<Target> {
        self.servers.keys().copied().collect()
    }

    /// The database, by whoever takes its writes now.
    pub(crate) fn database(&self) -> String {
        let promoted = self.promoted.load(Ordering::Acquire);
        nodes::database_on(if promoted { &self.around.replica } else { &self.around.postgres })
    }

    /// Does a fault to its end and waits until the nodes are well.
    pub(crate) fn suffer(&self, fault: &Fault) -> Result<Suffered> {
        let from_ms = self.watch.now_ms();
        for target in &fault.targets {
            let server = self.server(*target)?;
            match fault.deed {
                Deed::Kill => server.kill()?,
                Deed::Pause => server.pause()?,
                Deed::Restart => server.stop()?,
            }
        }
        std::thread::sleep(fault.hold);
        for target in &fault.targets {
            let server = self.server(*target)?;
            match fault.deed {
                Deed::Pause => server.resume()?,
                Deed::Kill | Deed::Restart => server.start()?,
            }
            self.await_answer(server)?;
        }
        let to_ms = self.watch.now_ms();
        for target in &fault.targets {
            self.interrupt(*target, from_ms, to_ms);
        }
        Ok(Suffered { from_ms, to_ms, well_after: self.await_well() })
    }

    /// Kills the primary for good and lets the replica take its place; what it acknowledged the replica has
    /// (`synchronous_standby_names`).
    pub(crate) fn promote(&self) -> Result<Suffered> {
        const IN_STEP: Duration = Duration::from_secs(10);
        let primary = nodes::database_on(&self.around.postgres);
        for statement in
            ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"]
        {
            sql::run(&primary, statement)?;
        }
        let in_step = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let is_in_step =
            until(ANSWERS_WITHIN, || sql::number(&primary, in_step).is_ok_and(|one| one == 1));
        ensure!(is_in_step, "the replica does not follow the primary in step");
        std::thread::sleep(IN_STEP);
        let from_ms = self.watch.now_ms();
        self.server(Target::Postgres)?.kill()?;
        let replica = nodes::database_on(&self.around.replica);
        sql::run(&replica, "SELECT pg_promote()")?;
        self.promoted.store(true, Ordering::Release);
        let to_ms = self.watch.now_ms();
        Ok(Suffered { from_ms, to_ms, well_after: self.await_well() })
    }

    /// How the platform's processes are at the end.
    pub(crate) fn nodes_at_end(&self) -> Vec<NodeEnd> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.servers
            .values()
            .filter(|server| is_ours(server.target))
            .map(|server| {
                let (max, end) = memory.get(&server.target).copied().unwrap_or_default();
                NodeEnd {
                    name: server.target.name().to_owned(),
                    ended_by_itself: server.ended_by_itself(),
                    unwell: self.complaint_of(server.target),
                    memory_max_kib: max,
                    memory_end_kib: end,
                }
            })
            .collect()
    }

    /// When nodes were not able to answer.
    pub(crate) fn interruptions(&self) -> Vec<Interruption> {
        self.interruptions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the first node is started, for commands with its settings.
    pub(crate) fn node_launch(&self) -> Result<crate::process::Launch> {
        nodes::node(&self.around, &self.folder, 1, PORTS[0])
    }

    /// Looks at the memory of the platform's processes.
    pub(crate) fn measure(&self) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for server in self.servers.values().filter(|server| is_ours(server.target)) {
            if let Some(now) = server.id().memory_kib() {
                let (max, end) = memory.entry(server.target).or_default();
                (*max, *end) = (now.max(*max), now);
            }
        }
    }

    /// Ends the nodes; the recorder goes on.
    pub(crate) fn finish_nodes(&self) -> Result<()> {
        let is_node = |server: &&Server| matches!(server.target, Target::Node1 | Target::Node2);
        for server in self.servers.values().filter(is_node) {
            server.kill()?;
        }
        Ok(())
    }

    /// Ends the platform's processes; the servers are `cargo xtask services`' to end.
    pub(crate) fn finish(&self) -> Result<()> {
        for server in self.servers.values().filter(|server| is_ours(server.target)) {
            server.kill()?;
        }
        Ok(())
    }

    /// The ends of the logs of the platform's processes, for a run that failed.
    pub(crate) fn logs(&self) -> String {
        let ours = self.servers.values().filter(|server| is_ours(server.target));
        let logs = ours
            .map(|server| format!("-- {}\n{}\n", server.target.name(), nodes::tail(server.log())));
        logs.collect()
    }

    fn server(&self, target: Target) -> Result<&Server> {
        self.servers.get(&target).with_context(|| format!("{} does not run", target.name()))
    }

    fn interrupt(&self, target: Target, from_ms: u64, to_ms: u64) {
        let node = match target {
            Target::Node1 => 0,
            Target::Node2 => 1,
            _ => return,
        };
        let mut interruptions = self.interruptions.lock().unwrap_or_else(PoisonError::into_inner);
        interruptions.push(Interruption { node, from_ms, to_ms });
    }

    fn await_answer(&self, server: &Server) -> Result<()> {
        let answers = || match server.target {
            Target::Postgres => answers_sql(&self.around.postgres),
            Target::Replica => answers_sql(&self.around.replica),
            Target::Redis => answers_ping(&self.around.redis),
            Target::Kafka => connects(&self.around.brokers),
            Target::S3 => connects(&self.around.s3),
            Target::Mail => connects(&self.around.smtp),
            Target::Node1 => self.is_live(0),
            Target::Node2 => self.is_live(1),
            Target::Recorder => server.id().lives(),
        };
        let name = server.target.name();
        ensure!(
            until(ANSWERS_WITHIN, answers),
            "{name} does not answer after it was started again; its log:\n{}",
            nodes::tail(server.log())
        );
        Ok(())
    }

    fn is_live(&self, node: usize) -> bool {
        let call = Call::new("GET", "/livez");
        web::send(&web::agent(), &self.bases[node], &call, ASK_WITHIN)
            .is_ok_and(|answer| answer.status == 200)
    }

    fn await_well(&self) -> Option<Duration> {
        let began = Instant::now();
        let well = || self.complaint().is_none();
        until(WELL_WITHIN, well).then(|| began.elapsed())
    }

    /// Why some node is not well.
    fn complaint(&self) -> Option<String> {
        let mut ours = self.servers.keys().copied().filter(|target| is_ours(*target));
        ours.find_map(|target| self.complaint_of(target))
    }

    fn complaint_of(&self, target: Target) -> Option<String> {
        let node = match target {
            Target::Node1 => 0,
            Target::Node2 => 1,
            _ => {
                let lives = self.servers.get(&target).is_some_and(|server| server.id().lives());
                return (!lives).then(|| "it does not run".to_owned());
            }
        };
        let call = Call::new("GET", "/readyz");
        let answer = match web::send(&web::agent(), &self.bases[node], &call, ASK_WITHIN) {
            Ok(answer) => answer,
            Err(outcome) => return Some(format!("{outcome:?}")),
        };
        // Without a replica, as after a promotion, a check may warn for good.
        let well = answer.json()["status"] == "pass"
            || (self.promoted.load(Ordering::Acquire) && answer.status == 200);
        (!well).then(|| format!("{} {}", answer.status, answer.text()))
    }
}

/// Whether it is a process of the platform, which this suite started.
fn is_ours(target: Target) -> bool {
    matches!(target, Target::Node1 | Target::Node2 | Target::Recorder)
}

/// The servers of the tests answer before the log is written; those of this run do not.
fn make_database(around: &Surroundings) -> Result<()> {
    let name = nodes::DATABASE;
    for statement in [
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        format!("CREATE DATABASE {name}"),
        format!("ALTER DATABASE {name} SET synchronous_commit = on"),
    ] {
        sql::run(&around.postgres, &statement)?;
    }
    Ok(())
}

fn base(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn port(address: &str) -> Result<u16> {
    let authority = address.split_once("//").map_or(address, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or(authority);
    let port = authority.rsplit(':').next().and_then(|port| port.parse().ok());
    port.with_context(|| format!("{address} has no port"))
}

fn connect(address: &str) -> Option<TcpStream> {
    let address: SocketAddr = ([127, 0, 0, 1], port(address).ok()?).into();
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()
}

fn connects(address: &str) -> bool {
    connect(address).is_some()
}

fn answers_sql(address: &str) -> bool {
    sql::run(address, "SELECT 1").is_ok()
}

fn answers_ping(address: &str) -> bool {
    let Some(mut stream) = connect(address) else { return false };
    let mut answer = [0; 5];
    stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"+PONG"
}

/// The file of the journal.
pub(crate) fn journal_path(folder: &Path) -> PathBuf {
    folder.join("journal.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_an_address_is_found() {
        assert_eq!(port("smtp://a:b@localhost:11025").expect("it has one"), 11_025);
        assert_eq!(port("127.0.0.1:19092").expect("it has one"), 19_092);
        assert!(port("redis://localhost").is_err());
    }
}
