//! The statements that the tests of a process send to PostgreSQL: place in the source, text, types and
//! values. Of each one is kept, the [weightiest](Statement::weight), so that it is the same in each run.
//!
//! Off, unless [`FOLDER_VARIABLE`] names a folder: the tests of a crate append theirs to a file there, a line
//! of JSON each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use diesel::pg::{Pg, PgMetadataLookup, PgQueryBuilder, PgTypeMetadata};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{QueryBuilder as _, QueryFragment};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Kind, Type};
use troupe_kernel::Timestamp;
use troupe_kernel::clock::{Clock as _, SystemClock};

/// The variable with the folder that takes the statements.
pub(super) const FOLDER_VARIABLE: &str = "TROUPE_TEST_STATEMENTS";
/// Cargo tells a test the folder of its crate.
const CRATE_VARIABLE: &str = "CARGO_MANIFEST_DIR";
const DAY_MICROS: i64 = 86_400_000_000;
/// The server counts from the year 2000.
const MICROS_TO_2000: i64 = 946_684_800_000_000;
/// No row has a time so many days away: all such times are alike.
const DAYS_MAX: i64 = 20;
/// Values in a list that is [settled].
const LISTED: i32 = 10;

static RECORDER: LazyLock<Option<Mutex<Recorder>>> = LazyLock::new(|| {
    let file = File::options().append(true).create(true).open(file(&folder()?));
    let file = file.expect("the file of the statements can be written");
    Some(Mutex::new(Recorder { file, kept: BTreeMap::new() }))
});

struct Recorder {
    file: File,
    /// By place and text.
    kept: BTreeMap<(&'static str, u32, String), Statement>,
}

/// A statement as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Statement {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) sql: String,
    /// The types of the values, as the server numbers them.
    pub(super) types: Vec<u32>,
    /// The values as the server gets them, but for what [`settled`] says.
    pub(super) values: Vec<Option<Vec<u8>>>,
}

impl Statement {
    /// Orders what was sent: the most values, the longest, the greatest.
    pub(super) fn weight(&self) -> impl Ord + '_ {
        let lengths = self.values.iter().map(|value| value.as_ref().map(Vec::len));
        let count = self.values.iter().flatten().count();
        (count, lengths.collect::<Vec<_>>(), &self.values, &self.sql)
    }
}

/// Where the statements of a run are, or will be.
pub(super) fn folder() -> Option<PathBuf> {
    variable(FOLDER_VARIABLE).map(PathBuf::from)
}

/// The folder of the crate whose tests these are.
pub(super) fn of_crate() -> PathBuf {
    variable(CRATE_VARIABLE).expect("cargo tells a test where its crate is").into()
}

/// The file with the statements of this crate's tests.
fn file(folder: &Path) -> PathBuf {
    folder.join(of_crate().file_name().expect("a crate has a folder"))
}

/// Notes a statement that is about to be sent.
pub(crate) fn record(query: &impl QueryFragment<Pg>, caller: &Location<'static>) {
    let Some(recorder) = &*RECORDER else { return };
    let mut builder = PgQueryBuilder::default();
    query.to_sql(&mut builder, &Pg).expect("a query that runs has a text");
    let mut bound = RawBytesBindCollector::<Pg>::new();
    query.collect_binds(&mut bound, &mut BuiltIn, &Pg).expect("the values of a query have bytes");
    let types = bound.metadata.iter().map(|known| known.oid().expect("a type is built in"));
    let types: Vec<u32> = types.collect();
    let now = SystemClock.now();
    let values = bound.binds.into_iter().zip(&types);
    let values = values.map(|(value, kind)| value.map(|value| settled(value, *kind, now)));
    let (file, line, sql) = (caller.file(), caller.line(), builder.finish());
    let values = values.collect();
    let statement = Statement { file: file.to_owned(), line, sql: sql.clone(), types, values };
    let mut recorder = recorder.lock();
    let kept = recorder.kept.get(&(file, line, sql.clone()));
    if kept.is_some_and(|kept| kept.weight() >= statement.weight()) {
        return;
    }
    let mut text = serde_json::to_vec(&statement).expect("a statement has a JSON form");
    text.push(b'\n');
    recorder.file.write_all(&text).expect("the file of the statements can be written");
    recorder.kept.insert((file, line, sql), statement);
}

/// A value with nothing in it that differs in each run: of ids and bytes how long they are, of documents
/// nothing, of lists the first, as often each time, because batches are as long as they happen to be. Of times
/// it has the whole days before now, counted up to now. A time that is still to come becomes now: a
/// test asks with it for what a sweep would find later.
fn settled(value: Vec<u8>, kind: u32, now: Timestamp) -> Vec<u8> {
    let Some(kind) = Type::from_oid(kind) else { return value };
    if let Kind::Array(of) = kind.kind() {
        return settled_list(&value, of, now).unwrap_or(value);
    }
    match kind {
        Type::UUID | Type::BYTEA => vec![0x80; value.len()],
        Type::JSONB => b"\x01{}".to_vec(),
        Type::TIMESTAMPTZ => {
            let micros = value.try_into().map_or(0, i64::from_be_bytes);
            let away = micros.saturating_sub(since_2000(now)).saturating_add(DAY_MICROS / 2);
            let days = away.div_euclid(DAY_MICROS).clamp(-DAYS_MAX, 0) + DAYS_MAX;
            days.to_be_bytes().to_vec()
        }
        _ => value,
    }
}

/// A list with one dimension as the server gets it: the number of dimensions, whether there are nulls, the
/// type, the number of values, that of the first, and each value behind its length. None for an
/// empty one.
fn settled_list(list: &[u8], of: &Type, now: Timestamp) -> Option<Vec<u8>> {
    let (head, values) = list.split_at_checked(20)?;
    let (length, values) = values.split_first_chunk::<4>()?;
    let first = values.get(..usize::try_from(i32::from_be_bytes(*length)).ok()?)?;
    let first = settled(first.to_vec(), of.oid(), now);
    let mut settled = head[..12].to_vec();
    settled.extend_from_slice(&LISTED.to_be_bytes());
    settled.extend_from_slice(&head[16..]);
    for _ in 0..LISTED {
        settled.extend_from_slice(length);
        settled.extend_from_slice(&first);
    }
    Some(settled)
}

/// The time that was [settled] to these days, as the server gets it.
pub(super) fn time(days: &[u8]) -> [u8; 8] {
    let days = days.try_into().map_or(0, i64::from_be_bytes) - DAYS_MAX;
    (since_2000(SystemClock.now()) + days * DAY_MICROS).to_be_bytes()
}

fn since_2000(time: Timestamp) -> i64 {
    time.as_micros() - MICROS_TO_2000
}

/// The statements in the folder of a recording that this crate's tests have sent.
pub(super) fn recorded(folder: &Path) -> Vec<Statement> {
    let text = std::fs::read_to_string(file(folder)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a statement")).collect()
}

/// No column has a type that the server numbers by itself.
struct BuiltIn;

impl PgMetadataLookup for BuiltIn {
    fn lookup_type(&mut self, name: &str, _schema: Option<&str>) -> PgTypeMetadata {
        panic!("the type {name} has no fixed number; plans know none")
    }
}

#[expect(clippy::disallowed_methods, reason = "told by who starts the tests")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_postgres::types::{FromSql, ToSql};

    use super::*;

    fn of(values: &[Option<&[u8]>]) -> Statement {
        let values = values.iter().map(|value| value.map(<[u8]>::to_vec)).collect();
        Statement { file: String::new(), line: 1, sql: String::new(), types: vec![], values }
    }

    #[test]
    fn most_values_weigh_more_than_long_ones_and_long_ones_more_than_great_ones() {
        let ordered = [
            of(&[Some(b"zzz"), None]),
            of(&[Some(b"b"), Some(b"b")]),
            of(&[Some(b"b"), Some(b"c")]),
            of(&[Some(b"aa"), Some(b"")]),
        ];
        assert!(ordered.windows(2).all(|pair| pair[0].weight() < pair[1].weight()));
    }

    #[test]
    fn nothing_of_a_settled_value_differs_in_each_run() {
        let now = Timestamp::from_micros(MICROS_TO_2000 + 100 * DAY_MICROS);
        let at = |micros: i64| {
            let sent = (100 * DAY_MICROS + micros).to_be_bytes().to_vec();
            i64::from_be_bytes(settled(sent, Type::TIMESTAMPTZ.oid(), now).try_into().unwrap())
        };
        assert_eq!((at(-1_000), at(1_000), at(3 * DAY_MICROS)), (DAYS_MAX, DAYS_MAX, DAYS_MAX));
        assert_eq!((at(-DAY_MICROS), at(-500 * DAY_MICROS)), (DAYS_MAX - 1, 0));
        let id = |byte| settled(vec![byte; 16], Type::UUID.oid(), now);
        assert_eq!(id(1), id(2));
        assert_eq!(settled(b"abc".to_vec(), Type::TEXT.oid(), now), b"abc");
        let list = |ids: &[u8]| {
            let mut sent = BytesMut::new();
            let ids: Vec<Vec<u8>> = ids.iter().map(|id| vec![*id; 2]).collect();
            ids.to_sql(&Type::BYTEA_ARRAY, &mut sent).unwrap();
            settled(sent.to_vec(), Type::BYTEA_ARRAY.oid(), now)
        };
        assert_eq!(list(&[1, 2, 3]), list(&[4]));
        let read: Vec<Vec<u8>> = FromSql::from_sql(&Type::BYTEA_ARRAY, &list(&[4])).unwrap();
        assert_eq!(read, vec![vec![0x80; 2]; 10]);
        assert_ne!(list(&[]), list(&[4]));
    }
}
