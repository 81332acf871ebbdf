//! What the bench's directory holds.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Keys by their `kid`.
pub type Keys = HashMap<String, UnparsedPublicKey<Vec<u8>>>;
/// Permissions by subject.
pub type Permissions = HashMap<String, HashSet<String>>;
/// Items by id.
pub type Items = HashMap<String, Item>;

#[derive(Serialize, Deserialize)]
pub struct Item {
    id: String,
    tenant: String,
    title: String,
    body: String,
    tags: Vec<String>,
    author: String,
    pub version: u64,
    created_at: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    x: String,
}

pub fn read<T: DeserializeOwned>(directory: &str, name: &str) -> Result<T, Box<dyn Error>> {
    Ok(serde_json::from_slice(&fs::read(Path::new(directory).join(name))?)?)
}

pub fn keys(directory: &str) -> Result<Keys, Box<dyn Error>> {
    let mut keys = Keys::new();
    for key in read::<KeySet>(directory, "jwks.json")?.keys {
        let x = BASE64_URL_SAFE_NO_PAD.decode(key.x)?;
        keys.insert(key.kid, UnparsedPublicKey::new(&ED25519, x));
    }
    Ok(keys)
}

pub fn items(directory: &str) -> Result<Items, Box<dyn Error>> {
    let items: Vec<Item> = read(directory, "items.json")?;
    Ok(items.into_iter().map(|item| (item.id.clone(), item)).collect())
}
