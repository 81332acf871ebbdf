//! Peers: contenders in other languages and frameworks, each a folder in `benches/peers` with a
//! `peer.toml` (benches/peers/README.md).

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use troupe_load::{Order, Values};

use super::catalog;

/// A peer's `build` ends with this when its toolchain is missing.
const NO_TOOLCHAIN: i32 = 69;

/// What a peer says of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// The name in tables; that of its folder.
    pub name: String,
    /// The jobs it does.
    pub kind: Vec<Kind>,
    /// The command that it needs.
    pub toolchain: String,
    /// Of the framework.
    pub version: String,
    /// One sentence.
    pub what: String,
    /// Whether it takes minutes to warm up: it has no part in a quick run then.
    #[serde(default)]
    pub slow: bool,
    /// How an item is asked for, when that is not as JOB.md has it.
    pub request: Option<Request>,
}

/// A job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// That of JOB.md.
    Http,
    /// Message kits.
    Messaging,
}

/// A peer's own way to ask for an item.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The program that makes its data in the fixture's directory.
    pub prepare: String,
    /// The path; `ID` stands for the item's id.
    pub path: String,
    /// The header field that carries a token.
    pub header: String,
    /// The file of its tokens in the fixture's directory.
    pub tokens: String,
}

impl Peer {
    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        catalog::folder().join("peers").join(&self.name)
    }

    /// Whether it does this job.
    #[must_use]
    pub fn does(&self, kind: Kind) -> bool {
        self.kind.contains(&kind)
    }

    /// Builds it; `Ok(false)` when its toolchain is not here.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build(&self) -> anyhow::Result<bool> {
        let program = self.folder().join("build");
        let status = Command::new(&program).status();
        let status = status.with_context(|| program.display().to_string())?;
        match status.code() {
            Some(0) => Ok(true),
            Some(NO_TOOLCHAIN) => Ok(false),
            _ => bail!("its build failed ({status})"),
        }
    }
}

impl Request {
    /// Puts it in place of the scenario's requests. The values `id` stay.
    pub fn put_into(&self, load: &mut troupe_load::Scenario) {
        for template in &mut load.requests {
            template.path = self.path.replace("ID", "{id}");
            template.headers = [(self.header.clone(), "{token}".to_owned())].into();
        }
        let file = Some(self.tokens.clone().into());
        let tokens = Values { file, order: Order::Random, ..Values::default() };
        load.values.insert("token".to_owned(), tokens);
    }
}

/// All peers, or those that are asked for, by name.
///
/// # Errors
/// When a `peer.toml` is malformed or a name is not known.
pub fn all(asked: &[String]) -> anyhow::Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for entry in std::fs::read_dir(catalog::folder().join("peers"))? {
        let file = entry?.path().join("peer.toml");
        if !file.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        let peer: Peer = toml::from_str(&text).with_context(|| file.display().to_string())?;
        if asked.is_empty() || asked.contains(&peer.name) {
            peers.push(peer);
        }
    }
    let known = |name: &String| name == "none" || peers.iter().any(|peer| peer.name == *name);
    if let Some(name) = asked.iter().find(|name| !known(name)) {
        bail!("no peer `{name}`");
    }
    peers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_the_name_of_its_folder_and_the_programs_of_its_kinds() {
        let peers = all(&[]).expect("every peer.toml is right");
        assert!(!peers.is_empty());
        for peer in peers {
            let has = |program: &str| peer.folder().join(program).is_file();
            assert!(has("build"), "{}", peer.name);
            assert_eq!(has("serve"), peer.does(Kind::Http), "{}", peer.name);
            assert_eq!(has("messaging"), peer.does(Kind::Messaging), "{}", peer.name);
        }
    }

    #[test]
    fn a_request_of_its_own_replaces_path_and_token() {
        let request = Request {
            prepare: "prepare".to_owned(),
            path: "/records/ID".to_owned(),
            header: "authorization".to_owned(),
            tokens: "tokens-own.txt".to_owned(),
        };
        let mut load = troupe_load::Scenario::new("127.0.0.1:80");
        load.requests.push(troupe_load::Template::get("/items/{id}"));
        let ids = Values { lines: vec!["1".to_owned()], ..Values::default() };
        load.values.insert("id".to_owned(), ids);
        request.put_into(&mut load);
        assert_eq!(load.requests[0].path, "/records/{id}");
        assert_eq!(load.faults(), []);
    }
}
