//! The schedule of faults: which servers are killed, paused or restarted, alone and in pairs, drawn from
//! a seed.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// What a fault may hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    Postgres,
    Replica,
    Redis,
    Kafka,
    S3,
    Mail,
    /// The first node.
    Node1,
    /// The second node.
    Node2,
    /// The consumer of the suite, a process with the platform's event bus.
    Recorder,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// `SIGKILL`, and a start after a while.
    Kill,
    /// `SIGSTOP`, and `SIGCONT` after longer than every time-out of a request.
    Pause,
    /// An orderly end, and a start at once.
    Restart,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) deed: Deed,
    pub(crate) targets: Vec<Target>,
    /// How long they are away.
    pub(crate) hold: Duration,
}

/// Of so many faults of one server each, one of a pair follows.
const SINGLES_PER_PAIR: usize = 2;

impl Target {
    pub(crate) const ALL: [Self; 9] = [
        Self::Postgres,
        Self::Replica,
        Self::Redis,
        Self::Kafka,
        Self::S3,
        Self::Mail,
        Self::Node1,
        Self::Node2,
        Self::Recorder,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Replica => "postgres-replica",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
            Self::S3 => "s3",
            Self::Mail => "mail",
            Self::Node1 => "node-1",
            Self::Node2 => "node-2",
            Self::Recorder => "recorder",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|target| target.name() == name);
        let Some(target) = found else {
            let known: Vec<&str> = Self::ALL.iter().map(|target| target.name()).collect();
            bail!("nothing here is called `{name}`: {}", known.join(", "));
        };
        Ok(target)
    }
}

impl Deed {
    const ALL: [Self; 3] = [Self::Kill, Self::Pause, Self::Restart];

    fn hold(self, random: &mut StdRng) -> Duration {
        match self {
            Self::Kill => Duration::from_millis(random.random_range(4_000..9_000)),
            Self::Pause => Duration::from_millis(random.random_range(12_000..15_000)),
            Self::Restart => Duration::ZERO,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deed = match self.deed {
            Deed::Kill => "kill",
            Deed::Pause => "pause",
            Deed::Restart => "restart",
        };
        let names: Vec<&str> = self.targets.iter().map(|target| target.name()).collect();
        write!(formatter, "{deed} {}", names.join(" + "))
    }
}

/// Every deed on every server in random order, and pairs between; over and over.
pub(crate) fn draw(seed: u64, targets: &[Target], count: usize) -> Vec<Fault> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut faults = Vec::new();
    while faults.len() < count && !targets.is_empty() {
        let mut singles: Vec<(Deed, Target)> = Deed::ALL
            .into_iter()
            .flat_map(|deed| targets.iter().map(move |&target| (deed, target)))
            .collect();
        singles.shuffle(&mut random);
        for (index, (deed, target)) in singles.into_iter().enumerate() {
            let hold = deed.hold(&mut random);
            faults.push(Fault { deed, targets: vec![target], hold });
            if targets.len() > 1 && index % SINGLES_PER_PAIR == SINGLES_PER_PAIR - 1 {
                faults.push(pair(targets, &mut random));
            }
        }
    }
    faults.truncate(count);
    faults
}

fn pair(targets: &[Target], random: &mut StdRng) -> Fault {
    let deed = Deed::ALL[random.random_range(0..Deed::ALL.len())];
    let mut both: Vec<Target> = targets.to_vec();
    both.shuffle(random);
    both.truncate(2);
    both.sort();
    Fault { deed, targets: both, hold: deed.hold(random) }
}

/// The three of the short form.
pub(crate) fn short() -> Vec<Fault> {
    let kill = |targets: &[Target], seconds| Fault {
        deed: Deed::Kill,
        targets: targets.to_vec(),
        hold: Duration::from_secs(seconds),
    };
    vec![
        kill(&[Target::Postgres], 3),
        kill(&[Target::Kafka, Target::Redis], 4),
        kill(&[Target::Node1, Target::Recorder], 1),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_draws_the_same_schedule_and_another_seed_another() {
        assert_eq!(draw(7, &Target::ALL, 40), draw(7, &Target::ALL, 40));
        assert_ne!(draw(7, &Target::ALL, 40), draw(8, &Target::ALL, 40));
    }

    #[test]
    fn every_server_suffers_every_deed_alone_and_pairs_come_between() {
        let faults = draw(1, &Target::ALL, 40);
        let singles: BTreeSet<String> = faults
            .iter()
            .filter(|fault| fault.targets.len() == 1)
            .map(ToString::to_string)
            .collect();
        assert_eq!(singles.len(), 27, "{singles:?}");
        let pairs: Vec<&Fault> = faults.iter().filter(|fault| fault.targets.len() == 2).collect();
        assert_eq!(pairs.len(), 13);
        assert!(pairs.iter().all(|fault| fault.targets[0] != fault.targets[1]));
    }

    #[test]
    fn one_server_alone_has_no_pairs() {
        let faults = draw(1, &[Target::Redis], 5);
        assert!(faults.iter().all(|fault| fault.targets == [Target::Redis]));
    }
}
