//! The process's own figures under the names that Prometheus clients use, read from `/proc`.
//!
//! On a system without `/proc` they are left out.

use std::fs;

use crate::metrics::count;

/// Clock ticks in a second: `USER_HZ`, which Linux fixes at 100 for what it shows in `/proc`.
const TICKS_PER_SECOND: u64 = 100;

/// What `/proc` tells of this process.
#[derive(Debug, PartialEq, Eq)]
struct Usage {
    cpu_ticks: u64,
    threads: u64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

/// Sets the gauges of the process.
pub(crate) fn measure() {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    if let Some(usage) = parse(&read("stat"), &read("status")) {
        let seconds = count(usage.cpu_ticks) / count(TICKS_PER_SECOND);
        metrics::gauge!("process_cpu_seconds_total").set(seconds);
        metrics::gauge!("process_threads").set(count(usage.threads));
        metrics::gauge!("process_virtual_memory_bytes").set(count(usage.virtual_bytes));
        metrics::gauge!("process_resident_memory_bytes").set(count(usage.resident_bytes));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(count(open.count() as u64));
    }
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The name of the program stands in brackets and may hold anything, brackets too.
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some(Usage {
        cpu_ticks: number(11)? + number(12)?,
        threads: number(17)?,
        virtual_bytes: number(20)?,
        resident_bytes: kilobytes("VmRSS:")? * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_behind_a_name_with_brackets() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 1000 123456 300";
        let status = "Name:\ta\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        let usage = parse(stat, status).expect("both files are whole");
        let expected = Usage {
            cpu_ticks: 300,
            threads: 7,
            virtual_bytes: 123_456,
            resident_bytes: 2048 * 1024,
        };
        assert_eq!(usage, expected);
        assert_eq!(parse("", status), None);
    }
}
