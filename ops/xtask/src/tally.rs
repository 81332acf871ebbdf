//! What was counted: passed, failed, skipped, with the names of the last two.
//!
//! Three kinds of lines are read: the results of `cargo test`, TAP lines of shell scripts
//! (`ok …`, `not ok …`, `ok … # SKIP`), and `TROUPE-SKIPPED …`, which a test writes straight to the
//! standard error of the process when something that it needs is not there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The marker of a test that could not run in full.
const SKIPPED: &str = "TROUPE-SKIPPED";
/// Names of one sort that are printed at the end.
const NAMES_MAX: usize = 30;
/// Lines that are kept of what one failed test said, and of all of them.
const SAID_OF_ONE_MAX: usize = 30;
const SAID_MAX: usize = 100;

/// Counts with the names of what did not pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: Vec<String>,
    pub(crate) skipped: Vec<String>,
    ignored: usize,
    failures_claimed: usize,
    said: Vec<String>,
    /// How long each part took.
    took: Vec<(String, Duration)>,
    /// How many more lines belong to what is being said.
    listening: usize,
}

impl Tally {
    /// Counts one check of our own.
    pub(crate) fn check(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(name.to_owned());
        }
    }

    /// Notes loudly that something was not run, and why.
    pub(crate) fn skip(&mut self, what: &str) {
        println!("\nSKIPPED: {what}");
        self.skipped.push(what.to_owned());
    }

    /// Reads a line that `cargo test` or a test printed.
    pub(crate) fn read_test_line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count_before(result, "passed");
            self.ignored += count_before(result, "ignored");
            self.failures_claimed += count_before(result, "failed");
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed.push(name.to_owned());
        } else {
            self.read_skip(line);
        }
        self.listen(line);
    }

    /// Reads a line that a script printed in TAP form.
    pub(crate) fn read_tap_line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("not ok ") {
            self.failed.push(name.to_owned());
        } else if let Some(name) = line.strip_prefix("ok ") {
            if name.contains("# SKIP") {
                self.skipped.push(name.to_owned());
            } else {
                self.passed += 1;
            }
        } else {
            self.read_skip(line);
        }
    }

    /// Ends one program: it failed without naming a test (it did not compile, it crashed), or it
    /// counted more failures than it named.
    pub(crate) fn close(&mut self, what: &str, succeeded: bool) {
        for _ in self.failed.len()..self.failures_claimed {
            self.failed.push(format!("{what}: a test that it did not name"));
        }
        if !succeeded && self.failed.is_empty() {
            self.failed.push(what.to_owned());
        }
    }

    /// Notes how long a part took that began then; parts of one name are summed.
    pub(crate) fn took(&mut self, what: &str, began: Instant) {
        self.took.push((what.to_owned(), began.elapsed()));
    }

    /// Adds what another part counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
        self.ignored += other.ignored;
        self.said.extend(other.said);
        self.said.truncate(SAID_MAX);
        self.took.extend(other.took);
    }

    /// Prints what did not pass by name, and the closing line.
    pub(crate) fn print(&self) {
        println!();
        for (what, seconds) in summed(&self.took) {
            println!("TOOK: {seconds:>4} s {what}");
        }
        for line in &self.said {
            println!("SAID: {line}");
        }
        print_names("NOT TESTED", &grouped(&self.skipped));
        print_names("FAILED", &grouped(&self.failed));
        println!("{}", self.closing_line());
    }

    /// Whether nothing failed.
    pub(crate) fn succeeded(&self) -> bool {
        self.failed.is_empty()
    }

    fn closing_line(&self) -> String {
        let skipped = self.skipped.len() + self.ignored;
        format!("{} passed, {} failed, {skipped} skipped", self.passed, self.failed.len())
    }

    /// Keeps the beginning of what a failed test printed, and of an error of cargo: whoever reads only
    /// the end of a log finds the cause there.
    fn listen(&mut self, line: &str) {
        let begins = line.starts_with("---- ") && line.ends_with(" stdout ----");
        if begins || line.starts_with("error") {
            self.listening = SAID_OF_ONE_MAX;
        }
        if self.listening > 0 && self.said.len() < SAID_MAX && !line.is_empty() {
            self.said.push(line.to_owned());
            self.listening -= 1;
        }
    }

    fn read_skip(&mut self, line: &str) {
        if let Some((_, what)) = line.split_once(SKIPPED) {
            self.skipped.push(what.trim_start_matches([':', ' ']).to_owned());
        }
    }
}

fn print_names(sort: &str, names: &[String]) {
    for name in names.iter().take(NAMES_MAX) {
        println!("{sort}: {name}");
    }
    if names.len() > NAMES_MAX {
        println!("{sort}: and {} more", names.len() - NAMES_MAX);
    }
}

/// The parts in their order, each once, in whole seconds; what took less is left out.
fn summed(took: &[(String, Duration)]) -> Vec<(&str, u64)> {
    let mut sums: Vec<(&str, Duration)> = Vec::new();
    for (what, time) in took {
        match sums.iter_mut().find(|(known, _)| known == what) {
            Some((_, sum)) => *sum += *time,
            None => sums.push((what, *time)),
        }
    }
    let seconds = sums.into_iter().map(|(what, sum)| (what, sum.as_secs()));
    seconds.filter(|(_, seconds)| *seconds > 0).collect()
}

/// Each name once, with how often it came.
fn grouped(names: &[String]) -> Vec<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let shown = |(name, count): (&str, usize)| match count {
        1 => name.to_owned(),
        _ => format!("{name} (×{count})"),
    };
    counts.into_iter().map(shown).collect()
}

/// The number that stands before a word: `12 passed; 0 failed;`.
fn count_before(text: &str, word: &str) -> usize {
    let mut before = "";
    for token in text.split([' ', ';', '.']) {
        if token == word {
            return before.parse().unwrap_or(0);
        }
        before = token;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_test_binaries_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test mailbox::a_full_mailbox_refuses ... FAILED",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "TROUPE-SKIPPED postgres: repository::keyset (TROUPE_TEST_POSTGRES is not set)",
        ] {
            tally.read_test_line(line);
        }
        tally.close("cargo test", false);
        assert_eq!(tally.closing_line(), "15 passed, 1 failed, 2 skipped");
        assert_eq!(
            tally.skipped,
            ["postgres: repository::keyset (TROUPE_TEST_POSTGRES is not set)"]
        );
        assert_eq!(tally.failed, ["mailbox::a_full_mailbox_refuses"]);
    }

    #[test]
    fn a_program_that_fails_without_naming_a_test_counts_as_one_failure() {
        let mut tally = Tally::default();
        tally.read_test_line("error: could not compile `troupe-blog`");
        tally.close("cargo test", false);
        assert_eq!(tally.closing_line(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn the_beginning_of_what_a_failed_test_said_is_kept() {
        let mut tally = Tally::default();
        for line in ["running 1 test", "---- outage::away stdout ----", "", "panicked at x.rs:1"] {
            tally.read_test_line(line);
        }
        (0..100).for_each(|_| tally.read_test_line("a long log"));
        tally.read_test_line("error: could not compile `troupe-blog`");
        assert_eq!(tally.said[..2], ["---- outage::away stdout ----", "panicked at x.rs:1"]);
        assert_eq!(tally.said.len(), SAID_OF_ONE_MAX + 1);
    }

    #[test]
    fn tap_lines_are_counted() {
        let mut tally = Tally::default();
        for line in ["1..3", "ok 1 - sets up", "not ok 2 - logs in", "ok 3 - mails # SKIP no sink"]
        {
            tally.read_tap_line(line);
        }
        tally.close("tour", false);
        assert_eq!(tally.closing_line(), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn times_are_summed_by_name_and_short_ones_left_out() {
        let took = [("a", 700), ("b", 900), ("c", 2_000), ("a", 600)];
        let took = took.map(|(what, ms)| (what.to_owned(), Duration::from_millis(ms)));
        assert_eq!(summed(&took), [("a", 1), ("c", 2)]);
    }

    #[test]
    fn repeated_names_are_shown_once_with_their_number() {
        assert_eq!(grouped(&["a".to_owned(), "b".to_owned(), "a".to_owned()]), ["a (×2)", "b"]);
    }
}
