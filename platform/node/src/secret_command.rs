//! Runs the program of a `${command:[…]}` reference.
//!
//! No shell sees its words. It has nothing on its standard input, a bounded time and a bounded output.
//! Its arguments, its output and what it writes to its standard error may be secret, so a message
//! names the program alone.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// How long one command may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How long a process that was killed may take to be gone.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
const BYTES_MAX: u64 = 64 * 1024;

/// What the program writes, without the line end at its end. Blocks; not for a thread of a runtime.
pub fn output(words: &[String]) -> Result<String, String> {
    output_within(WITHIN, words)
}

fn output_within(limit: Duration, words: &[String]) -> Result<String, String> {
    let (program, arguments) = words.split_first().ok_or("no command is named")?;
    let told = |what: String| format!("the command {program} {what}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| told(format!("cannot be started: {error}")))?;
    runtime.block_on(run(program, arguments, limit)).map_err(told)
}

async fn run(program: &str, arguments: &[String], limit: Duration) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}; write its whole path"))?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let stdout = child.stdout.take();
    let work = async {
        let mut bytes = Vec::new();
        if let Some(stdout) = stdout {
            let reading = stdout.take(BYTES_MAX + 1).read_to_end(&mut bytes).await;
            reading.map_err(|error| format!("cannot be read: {error}"))?;
        }
        if bytes.len() as u64 > BYTES_MAX {
            return Err(format!(
                "writes more than {BYTES_MAX} bytes; it must write the secret alone"
            ));
        }
        let status = child.wait().await.map_err(|error| format!("was lost: {error}"))?;
        if !status.success() {
            return Err(format!(
                "failed ({status}); run it by hand as the user of the node to see why"
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| "does not write UTF-8 text".to_owned())?;
        let text = text.trim_end_matches(['\n', '\r']).to_owned();
        if text.is_empty() {
            return Err(
                "writes nothing; it must write the secret to its standard output".to_owned()
            );
        }
        Ok(text)
    };
    let outcome = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(format!("took longer than {} s and was ended", limit.as_secs_f64()))
    });
    if outcome.is_err()
        && let Some(group) = group
    {
        // What it has started ends with it; there may be nothing left.
        if kill_process_group(group, Signal::KILL).is_ok() {
            drop(tokio::time::timeout(ENDS_WITHIN, child.wait()).await);
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script, "hunter2-argument"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_command_answers_what_it_writes_without_its_line_end() {
        let words = ["/usr/bin/printf", "%s\\n\\n", "a b; $HOME"].map(str::to_owned);
        assert_eq!(output(&words).unwrap(), "a b; $HOME", "no shell has seen it");
    }

    #[test]
    fn a_failure_names_the_program_and_nothing_that_may_be_secret() {
        for (script, says) in [
            ("echo hunter2; echo hunter2 >&2; exit 3", "exit status: 3"),
            ("true", "writes nothing"),
            ("printf '\\377'", "UTF-8"),
            ("head -c 70000 /dev/zero", "more than 65536 bytes"),
            ("kill -9 $$", "signal: 9"),
        ] {
            let fault = output(&shell(script)).unwrap_err();
            assert!(fault.contains("/bin/sh") && fault.contains(says), "{fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        let missing = output(&["/nowhere/program".to_owned()]).unwrap_err();
        assert!(missing.contains("/nowhere/program cannot be started"), "{missing}");
    }

    #[test]
    fn a_command_that_does_not_end_is_ended_with_what_it_has_started() {
        let began = Instant::now();
        let mark = format!("3{}", std::process::id());
        let words = shell(&format!("sleep {mark} & sleep {mark}"));
        let fault = output_within(Duration::from_millis(300), &words).unwrap_err();
        assert!(fault.contains("took longer than 0.3 s"), "{fault}");
        assert!(began.elapsed() < Duration::from_secs(5));
        let is_there = || {
            let processes = std::fs::read_dir("/proc").unwrap().flatten();
            processes
                .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
                .any(|line| line == format!("sleep\0{mark}\0").as_bytes())
        };
        while is_there() {
            assert!(began.elapsed() < Duration::from_secs(5), "what it started is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
