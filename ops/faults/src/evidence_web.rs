//! Evidence that only the running system gives: the API, the audit command, the mail server.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::evidence::{Content, Shown};
use crate::journal::{Entry, Operation};
use crate::nodes::Member;
use crate::process::Launch;
use crate::web::{self, Answer, Call};

const WITHIN: Duration = Duration::from_secs(30);

/// Posts as the API shows them to their authors.
pub(crate) fn posts(entries: &[Entry], members: &[Member], bases: &[String]) -> Vec<Shown> {
    let agent = web::agent();
    owned(entries, &[Operation::CreatePost])
        .into_iter()
        .enumerate()
        .map(|(count, (id, owner))| {
            let call = Call::new("GET", format!("/v1/blog/posts/{id}")).bearer(&members[owner].key);
            let found = match web::send(&agent, &bases[count % bases.len()], &call, WITHIN) {
                Ok(answer) if answer.is_good() => {
                    let post = answer.json();
                    let title = post["title"].as_str().unwrap_or_default().to_owned();
                    Ok((post["version"].as_i64().unwrap_or(0), title))
                }
                Ok(answer) => Err(format!("{} {}", answer.status, answer.text())),
                Err(outcome) => Err(format!("{outcome:?}")),
            };
            Shown { id, found }
        })
        .collect()
}

/// The contents of uploads and files as the API and the links that it gives answer them.
pub(crate) fn contents(entries: &[Entry], members: &[Member], bases: &[String]) -> Vec<Content> {
    let agent = web::agent();
    let base = |count: usize| &bases[count % bases.len()];
    let media = owned(entries, &[Operation::UploadMedia]).into_iter().enumerate().map(
        |(count, (id, owner))| {
            let call = Call::new("GET", format!("/v1/blog/media/{id}")).bearer(&members[owner].key);
            let found = digest(web::send(&agent, base(count), &call, WITHIN));
            Content { id, found }
        },
    );
    let media: Vec<Content> = media.collect();
    let files = owned(entries, &[Operation::CompleteFile]).into_iter().enumerate().map(
        |(count, (id, owner))| {
            let call =
                Call::new("POST", format!("/v1/files/{id}/link")).bearer(&members[owner].key);
            let found = match web::send(&agent, base(count), &call, WITHIN) {
                Ok(answer) if answer.is_good() => {
                    let link = answer.json();
                    let url = link["url"].as_str().unwrap_or_default().to_owned();
                    let whole =
                        if url.starts_with("http") { url } else { format!("{}{url}", base(count)) };
                    digest(web::send(&agent, &whole, &Call::new("GET", ""), WITHIN))
                }
                Ok(answer) => Err(format!("{} {}", answer.status, answer.text())),
                Err(outcome) => Err(format!("{outcome:?}")),
            };
            Content { id, found }
        },
    );
    media.into_iter().chain(files).collect()
}

/// Acknowledged subjects with the number of the client that made them.
fn owned(entries: &[Entry], operations: &[Operation]) -> BTreeMap<String, usize> {
    entries
        .iter()
        .filter(|entry| entry.acknowledged && operations.contains(&entry.operation))
        .filter_map(|entry| {
            // faults-SEED-CLIENT-COUNT
            let client = entry.key.split('-').nth(2)?.parse().ok()?;
            Some((entry.subject.clone(), client))
        })
        .collect()
}

fn digest(answer: Result<Answer, crate::journal::Outcome>) -> Result<Option<String>, String> {
    match answer {
        Ok(answer) if answer.is_good() => Ok(Some(
            Sha256::digest(&answer.body).iter().map(|byte| format!("{byte:02x}")).collect(),
        )),
        Ok(answer) if answer.status == 404 => Ok(None),
        Ok(answer) => Err(format!("{} {}", answer.status, answer.text())),
        Err(outcome) => Err(format!("{outcome:?}")),
    }
}

/// What `troupe audit verify` finds wrong, with the settings of a node.
pub(crate) fn audit_findings(node: &Launch) -> Result<Vec<String>> {
    let mut command = std::process::Command::new(&node.program);
    let settings = node.arguments.iter().filter(|word| *word != "serve");
    command.args(settings).args(["audit", "verify", "--json"]);
    command.env_clear().envs(node.environment.iter().cloned()).current_dir(&node.directory);
    let output = command.stdin(Stdio::null()).output().context("troupe audit verify")?;
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("troupe audit verify says {}", String::from_utf8_lossy(&output.stderr).trim())
    })?;
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let mut found: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if report["intact"] != Value::Bool(true) && found.is_empty() {
        found.push("the trail is not intact".to_owned());
    }
    Ok(found)
}

/// The addresses of all letters in the mail server, one for each letter.
pub(crate) fn mailbox(mail_api: &str) -> Result<Vec<String>> {
    const PAGE: usize = 500;
    let (agent, mut found, mut seen) = (web::agent(), Vec::new(), BTreeSet::new());
    loop {
        let path = format!("/api/v1/messages?limit={PAGE}&start={}", seen.len());
        let answer = match web::send(&agent, mail_api, &Call::new("GET", path), WITHIN) {
            Ok(answer) => answer,
            Err(outcome) => anyhow::bail!("the mail server: {outcome:?}"),
        };
        let page = answer.json();
        let messages = page["messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return Ok(found);
        }
        for message in messages {
            let id = message["ID"].as_str().unwrap_or_default().to_owned();
            if !seen.insert(id) {
                return Ok(found);
            }
            let to = message["To"][0]["Address"].as_str().unwrap_or_default();
            found.push(to.to_owned());
        }
    }
}
