//! `troupe events dead|replay`: events that a consumer gave up on.

use troupe_events::Events;
use troupe_kernel::pagination::PageRequest;
use uuid::Uuid;

use crate::cli::EventsCommand;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Stop};
use crate::print;

pub async fn run(config: Config, command: &EventsCommand) -> Result<(), Stop> {
    let composed = compose::compose(config).await?;
    let events = composed.around.container.require::<Events>().map_err(anyhow::Error::from)?;
    match command {
        EventsCommand::Dead { limit } => {
            let page = PageRequest { limit: *limit, ..PageRequest::default() };
            let letters = events.dead_letters(None, &page).await?;
            for letter in &letters.items {
                print(&format!(
                    "{}  {}  {}  {}\n",
                    letter.id, letter.consumer, letter.event.kind, letter.cause
                ));
            }
            if letters.items.is_empty() {
                print("no event is dead\n");
            }
        }
        EventsCommand::Replay { id } => {
            let id: Uuid = id.parse().map_err(|_| {
                Stop::new(Exit::Failed, format!("{id} is no id; `troupe events dead` lists them"))
            })?;
            events.replay(&compose::own_scope("events.replay"), id).await?;
            print("it will be delivered again by the running node\n");
        }
    }
    Ok(())
}
