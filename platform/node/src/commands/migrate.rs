//! `troupe migrate`: the schema.

use crate::compose;
use crate::config::Config;
use crate::failure::Stop;
use crate::print;

pub async fn run(config: Config, status: bool, revert: Option<usize>) -> Result<(), Stop> {
    let composed = compose::compose(config).await?;
    if status {
        let states = composed.db.migrations(&composed.plan).await.map_err(compose::data_stop)?;
        for state in states {
            let mark = match (&state.applied_at, state.known) {
                (Some(_), true) => "done   ",
                (Some(_), false) => "unknown",
                (None, _) => "waiting",
            };
            print(&format!("{mark}  {}/{}_{}\n", state.owner, state.version, state.name));
        }
        return Ok(());
    }
    let (word, steps) = match revert {
        Some(count) => (
            "took back",
            composed.db.revert(&composed.plan, count).await.map_err(compose::data_stop)?,
        ),
        None => ("applied", composed.migrate().await?),
    };
    for step in &steps {
        print(&format!("{word} {step}\n"));
    }
    if steps.is_empty() {
        print("the schema is up to date\n");
    }
    Ok(())
}
