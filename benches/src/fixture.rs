//! The directory that every HTTP contender reads: keys, tokens, permissions, items (see JOB.md).
//!
//! Made from a fixed seed, so that two runs serve the same bytes; only the tokens' times differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use troupe_auth::keys::{KeySet, Lifetime, SigningKey};
use troupe_auth::token::{self, Claims};
use troupe_kernel::clock::{Clock as _, SystemClock, Timestamp};
use uuid::Uuid;

/// Who issues the tokens.
pub const ISSUER: &str = "https://bench.invalid";
/// May read items.
pub const READ: &str = "items.read";
/// May add items.
pub const WRITE: &str = "items.write";

const SEED: u64 = 0x7472_6f75_7065;
const SUBJECTS: usize = 1024;
const FORBIDDEN: usize = 16;
const FRESH: usize = 131_072;
const ITEMS: usize = 1024;
const DAY_SECS: i64 = 24 * 60 * 60;

/// One item, as it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub tenant: Uuid,
    /// A line.
    pub title: String,
    /// A few lines.
    pub body: String,
    /// A few words.
    pub tags: Vec<String>,
    /// Who wrote it.
    pub author: Uuid,
    /// Counts changes; the entity tag.
    pub version: i32,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

/// What our own contenders read.
pub struct Fixture {
    /// The key that signed the tokens; only its public half is used.
    pub keys: KeySet,
    /// What each subject may do.
    pub permissions: BTreeMap<Uuid, Vec<String>>,
    /// All items.
    pub items: Vec<Item>,
}

impl Fixture {
    /// Reads the directory.
    ///
    /// # Errors
    /// A file that is missing or not what it should be.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let seed = fs::read(directory.join("signing.key")).context("signing.key cannot be read")?;
        let now = SystemClock.now();
        let key = SigningKey::from_seed(&seed, lifetime(now)).context("signing.key is no seed")?;
        Ok(Self {
            keys: KeySet::new(vec![key]),
            permissions: read(directory, "permissions.json")?,
            items: read(directory, "items.json")?,
        })
    }
}

fn read<T: for<'de> Deserialize<'de>>(directory: &Path, name: &str) -> anyhow::Result<T> {
    let path = directory.join(name);
    let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is malformed", path.display()))
}

/// Makes the directory.
///
/// # Errors
/// When a file cannot be written.
pub fn make(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let mut random = StdRng::seed_from_u64(SEED);
    let now = SystemClock.now();
    let seed: [u8; 32] = random.random();
    let key = SigningKey::from_seed(&seed, lifetime(now)).context("a seed of 32 bytes is a key")?;
    let subjects: Vec<[Uuid; 2]> =
        (0..SUBJECTS + FORBIDDEN).map(|_| [uuid(&mut random), uuid(&mut random)]).collect();
    let token = |subject: [Uuid; 2], random: &mut StdRng| sign(&key, subject, now, random);

    let mut permissions = BTreeMap::new();
    let mut tokens = String::new();
    let mut forbidden = String::new();
    for (number, subject) in subjects.iter().enumerate() {
        let (held, lines) = if number < SUBJECTS {
            (vec![READ, WRITE], &mut tokens)
        } else {
            (Vec::new(), &mut forbidden)
        };
        permissions.insert(subject[0], held);
        lines.push_str(&token(*subject, &mut random));
        lines.push('\n');
    }
    let mut fresh = String::new();
    for number in 0..FRESH {
        fresh.push_str(&token(subjects[number % SUBJECTS], &mut random));
        fresh.push('\n');
    }
    let items: Vec<Item> = (0..ITEMS).map(|number| item(number, &mut random)).collect();
    let ids: String = items.iter().map(|item| format!("{}\n", item.id)).collect();
    let public = KeySet::new(vec![key]).public_form(now);

    let forged = forge(&tokens);

    fs::write(directory.join("signing.key"), seed)?;
    fs::write(directory.join("jwks.json"), serde_json::to_vec(&public)?)?;
    fs::write(directory.join("permissions.json"), serde_json::to_vec(&permissions)?)?;
    fs::write(directory.join("tokens.txt"), tokens)?;
    fs::write(directory.join("tokens-forbidden.txt"), forbidden)?;
    fs::write(directory.join("tokens-forged.txt"), forged)?;
    fs::write(directory.join("tokens-fresh.txt"), fresh)?;
    fs::write(directory.join("items.json"), serde_json::to_vec(&items)?)?;
    fs::write(directory.join("ids.txt"), ids)?;
    Ok(())
}

fn lifetime(now: Timestamp) -> Lifetime {
    let later = Timestamp::from_secs(now.as_secs() + DAY_SECS);
    Lifetime { activates_at: now, retires_at: later, ends_at: later }
}

fn sign(key: &SigningKey, [sub, tid]: [Uuid; 2], now: Timestamp, random: &mut StdRng) -> String {
    let claims = Claims {
        iss: ISSUER.to_owned(),
        sub,
        tid: Some(tid),
        sid: uuid(random),
        iat: now.as_secs(),
        exp: now.as_secs() + DAY_SECS,
        nbf: None,
    };
    token::sign(&claims, key).expose().to_owned()
}

/// The tokens, each with the signature of its neighbour.
fn forge(tokens: &str) -> String {
    let others = tokens.lines().skip(1).filter_map(|token| token.rsplit_once('.'));
    let pairs = tokens.lines().filter_map(|token| token.rsplit_once('.')).zip(others);
    pairs.map(|((claims, _), (_, signature))| format!("{claims}.{signature}\n")).collect()
}

fn uuid(random: &mut StdRng) -> Uuid {
    uuid::Builder::from_random_bytes(random.random()).into_uuid()
}

const WORDS: [&str; 16] = [
    "message", "actor", "mailbox", "request", "tenant", "ledger", "invoice", "draft", "review",
    "publish", "queue", "replica", "gate", "token", "audit", "stage",
];

fn words(count: usize, random: &mut StdRng) -> String {
    let chosen: Vec<&str> =
        (0..count).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect();
    chosen.join(" ")
}

fn item(number: usize, random: &mut StdRng) -> Item {
    Item {
        id: uuid(random),
        tenant: uuid(random),
        title: format!("Item {number}: {}", words(4, random)),
        body: words(58, random),
        tags: (0..4).map(|_| words(1, random)).collect(),
        author: uuid(random),
        version: i32::try_from(number % 7).unwrap_or_default() + 1,
        created_at: "2026-11-01T08:30:00.000000Z".to_owned(),
    }
}
