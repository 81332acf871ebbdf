//! `troupe actors tree|top`: reads the running node.

use std::time::Duration;

use serde_json::Value;

use crate::cli::{Access, ActorsCommand};
use crate::client::Client;
use crate::failure::Stop;
use crate::{print, render};

pub fn run(command: &ActorsCommand) -> Result<(), Stop> {
    match command {
        ActorsCommand::Tree { access, json } => {
            let answer = Client::new(access).get("/v1/inspect/tree")?;
            print(&if *json { pretty(&answer) } else { render::tree(items(&answer, "roots")) });
            Ok(())
        }
        ActorsCommand::Top { access, sort, count, every, json } => {
            let path = format!("/v1/inspect/top?sort={}&k={count}", sort.name());
            watch(access, &path, *every, |answer| {
                if *json { pretty(answer) } else { render::top(items(answer, "actors")) }
            })
        }
    }
}

fn watch(
    access: &Access,
    path: &str,
    every: Option<u64>,
    show: impl Fn(&Value) -> String,
) -> Result<(), Stop> {
    let client = Client::new(access);
    loop {
        let answer = client.get(path)?;
        print(&show(&answer));
        let Some(seconds) = every else { return Ok(()) };
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

fn items<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    answer[key].as_array().map_or(&[], Vec::as_slice)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
