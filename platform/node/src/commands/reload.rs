//! `troupe reload`: sends SIGHUP to the node that serves a data directory.

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::NodeArgs;
use crate::failure::{Exit, Stop};
use crate::{compose, config, print};

pub fn run(args: &NodeArgs) -> Result<(), Stop> {
    let data = config::data_directory(args);
    let remote = |what: String| Stop::new(Exit::Remote, what);
    let process = compose::who_serves(&data)?.ok_or_else(|| {
        remote(format!("no node serves {}; name its directory with --data", data.display()))
    })?;
    let id =
        Pid::from_raw(process).ok_or_else(|| remote("the lock names no process".to_owned()))?;
    kill_process(id, Signal::HUP).map_err(|error| {
        remote(format!("process {process} cannot be told: {error}; do it as the user of the node"))
    })?;
    print("the node reads its configuration again; its log says what has changed\n");
    Ok(())
}
