//! What processes and the machine have used, from `/proc`.

use std::fs;

/// The tick of `/proc/PID/stat`: a hundredth of a second on every Linux that we run on.
const TICK_NS: u64 = 10_000_000;
const PAGE_BYTES: u64 = 4096;

/// CPU time of a process and its descendants in nanoseconds.
///
/// Living threads count to the nanosecond; threads and children that have ended to two ticks.
#[must_use]
pub fn cpu_ns(pid: u32) -> u64 {
    tree(pid).into_iter().map(process_ns).sum()
}

/// Resident memory of a process and its descendants.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let pages = |pid: u32| -> Option<u64> {
        read(&format!("/proc/{pid}/statm"))?.split(' ').nth(1)?.parse().ok()
    };
    tree(pid).into_iter().filter_map(pages).sum::<u64>() * PAGE_BYTES
}

/// The first process of the PostgreSQL that listens at a port; without a port in any command line
/// (a container) the oldest of all.
#[must_use]
pub fn postgres(port: u16) -> Option<u32> {
    let mut servers: Vec<(u32, String)> = processes()
        .into_iter()
        .filter(|pid| {
            read(&format!("/proc/{pid}/comm")).is_some_and(|name| name.trim() == "postgres")
        })
        .filter(|pid| !parent(*pid).is_some_and(is_postgres))
        .filter_map(|pid| Some((pid, read(&format!("/proc/{pid}/cmdline"))?.replace('\0', " "))))
        .collect();
    servers.sort();
    let flag = format!("-p {port} ");
    servers
        .iter()
        .find(|(_, line)| line.contains(&flag))
        .or_else(|| servers.first())
        .map(|(pid, _)| *pid)
}

/// The load average over a minute, and the share of time that other guests of the host took since
/// the start of the machine, as two numbers of ticks: stolen and all.
#[must_use]
pub fn machine() -> (f64, u64, u64) {
    let load = read("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let stat = read("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    // Guest time, the last two, is part of user time already.
    (load, ticks.get(7).copied().unwrap_or(0), ticks.iter().take(8).sum())
}

fn is_postgres(pid: u32) -> bool {
    read(&format!("/proc/{pid}/comm")).is_some_and(|name| name.trim() == "postgres")
}

fn process_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let living: u64 = tasks
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    let ticks = |fields: [usize; 2]| -> u64 {
        fields.into_iter().filter_map(|index| field(pid, index)).sum::<u64>() * TICK_NS
    };
    // Fields 14 and 15: the process with the threads that have ended; 16 and 17: its children that
    // were waited for.
    living.max(ticks([13, 14])) + ticks([15, 16])
}

fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> =
        processes().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next).copied() {
        tree.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
        next += 1;
    }
    tree
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: u32) -> Option<u32> {
    field(pid, 3).and_then(|parent| u32::try_from(parent).ok())
}

/// A number of `/proc/PID/stat`, counted from 0; the name in parentheses may hold spaces.
fn field(pid: u32, index: usize) -> Option<u64> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    let (_, after) = text.rsplit_once(')')?;
    after.split_whitespace().nth(index.checked_sub(2)?)?.parse().ok()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_work_of_a_child_counts_while_it_lives_and_after() {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done); echo done; read end",
        ]);
        let mut child =
            shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh exists");
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
        let used = cpu_ns(child.id());
        assert!(used > 20_000_000, "{used}");
        assert!(resident_bytes(child.id()) > 100_000);
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }

    #[test]
    fn a_thread_that_has_ended_still_counts() {
        let burn = || {
            let start = std::time::Instant::now();
            while start.elapsed() < std::time::Duration::from_millis(300) {
                std::hint::black_box(start);
            }
        };
        let before = cpu_ns(std::process::id());
        std::thread::spawn(burn).join().expect("it does not panic");
        let used = cpu_ns(std::process::id()) - before;
        // The machine may give it a part of a core only.
        assert!(used > 40_000_000, "{used}");
    }
}
