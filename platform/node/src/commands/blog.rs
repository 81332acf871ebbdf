//! `troupe blog import|export`: through the API of a running node.

use std::path::Path;

use serde_json::json;
use troupe_blog::directory::{self, Writer};

use crate::cli::BlogCommand;
use crate::client::Client;
use crate::failure::{Exit, Stop};
use crate::print;

/// Pages of an export that are read at most.
const PAGES_MAX: usize = 100_000;
/// Progress is told after so many documents.
const TELL_EVERY: usize = 100;

pub fn run(command: &BlogCommand) -> Result<(), Stop> {
    match command {
        BlogCommand::Import { directory, publish, access } => {
            import(directory, *publish, &Client::new(access))
        }
        BlogCommand::Export { directory, access } => export(directory, &Client::new(access)),
    }
}

/// One request a document: an interruption loses none that was answered, and a second run leaves
/// alone what is there already.
fn import(directory: &Path, publish: bool, client: &Client) -> Result<(), Stop> {
    let listing = directory::walk(directory).map_err(anyhow::Error::from)?;
    let (mut created, mut updated, mut unchanged) = (0, 0, 0);
    let mut refused = Vec::new();
    for (index, source) in listing.documents.iter().enumerate() {
        let content = match directory::read(source) {
            Ok(content) => content,
            Err(error) => {
                refused.push(format!("{}: {:#}", source.path, anyhow::Error::from(error)));
                continue;
            }
        };
        let body = json!({ "path": source.path, "content": content, "publish": publish });
        let reply = match client.post_again_and_again("/v1/blog/import", &body) {
            Ok(reply) => reply,
            Err(stop) if stop.exit == Exit::Refused => {
                refused.push(format!("{}: {}", source.path, stop.message));
                continue;
            }
            Err(stop) => return Err(stop),
        };
        match reply["outcome"].as_str() {
            Some("created") => created += 1,
            Some("updated") => updated += 1,
            _ => unchanged += 1,
        }
        if (index + 1) % TELL_EVERY == 0 {
            print(&format!("{} of {}\n", index + 1, listing.documents.len()));
        }
    }
    print(&format!("{created} created, {updated} updated, {unchanged} unchanged\n"));
    refused.extend(listing.skipped.iter().map(|each| format!("{}: {}", each.path, each.reason)));
    if refused.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} documents were not imported; mend them and run it again:\n  - {}",
        refused.len(),
        refused.join("\n  - ")
    );
    Err(Stop::new(Exit::Refused, message))
}

fn export(directory: &Path, client: &Client) -> Result<(), Stop> {
    let mut writer = Writer::open(directory).map_err(anyhow::Error::from)?;
    let mut cursor: Option<String> = None;
    let mut written = 0;
    for _ in 0..PAGES_MAX {
        let path = match &cursor {
            Some(cursor) => format!("/v1/blog/export?limit=100&cursor={cursor}"),
            None => "/v1/blog/export?limit=100".to_owned(),
        };
        let page = client.get(&path)?;
        for item in page["items"].as_array().into_iter().flatten() {
            let text = |key: &str| item[key].as_str().unwrap_or_default();
            writer.write(text("path"), text("content")).map_err(anyhow::Error::from)?;
            written += 1;
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            print(&format!("{written} documents written to {}\n", directory.display()));
            return Ok(());
        }
    }
    let message =
        format!("the export has more than {PAGES_MAX} pages; {written} documents were written");
    Err(Stop::new(Exit::Failed, message))
}
