//! Child processes: cargo with a clean environment, output captured or streamed line by line.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, Result, bail};

/// Lines that may wait between a child and the reader.
const LINES_WAITING_MAX: usize = 1024;

/// Reads one variable of the environment; empty counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the tool of the repository has no configuration file"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The cargo that runs us, without the variables that describe this crate: they would reach the
/// build scripts of others and make them build again.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end and gives what it printed.
///
/// # Errors
/// When it cannot be started or fails; the error carries the end of what it said.
pub(crate) fn capture(mut command: Command) -> Result<String> {
    let shown = show(&command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the program runs at all and succeeds; says nothing.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs to the end on our own streams.
pub(crate) fn run(mut command: Command) -> Result<bool> {
    println!("\n$ {}", show(&command));
    let status = command.status().with_context(|| format!("cannot start {}", show(&command)))?;
    Ok(status.success())
}

/// Runs to the end, repeats each line of both streams on our standard output and shows it to
/// `look`.
pub(crate) fn stream(mut command: Command, mut look: impl FnMut(&str)) -> Result<ExitStatus> {
    println!("\n$ {}", show(&command));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", show(&command)))?;
    let (sender, lines) = sync_channel(LINES_WAITING_MAX);
    let readers = [
        child.stdout.take().map(|stream| read_lines(stream, sender.clone())),
        child.stderr.take().map(|stream| read_lines(stream, sender)),
    ];
    for line in lines {
        println!("{line}");
        look(&line);
    }
    for reader in readers.into_iter().flatten() {
        if reader.join().is_err() {
            bail!("a reader of {} panicked", show(&command));
        }
    }
    child.wait().with_context(|| format!("waiting for {}", show(&command)))
}

fn read_lines(
    stream: impl Read + Send + 'static,
    sender: SyncSender<String>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    })
}

fn show(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words =
        vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_seen_and_the_exit_status_is_kept() {
        let mut seen = Vec::new();
        let status =
            stream(shell("echo one; echo two >&2; exit 3"), |line| seen.push(line.to_owned()))
                .expect("sh exists");
        seen.sort();
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_failed_capture_carries_what_the_program_said() {
        let error =
            capture(shell("echo no such thing >&2; exit 1")).expect_err("exit 1 is a failure");
        assert!(error.to_string().contains("no such thing"), "{error}");
    }
}
