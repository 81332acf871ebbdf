//! The statements that the tests of a process send to PostgreSQL, as they are sent: place in the source,
//! text, types and values.
//!
//! Off, unless [`FILE_VARIABLE`] names a file, to which each is appended as a line of JSON.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::panic::Location;
use std::path::Path;
use std::sync::LazyLock;

use diesel::pg::{Pg, PgMetadataLookup, PgQueryBuilder, PgTypeMetadata};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{QueryBuilder as _, QueryFragment};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The variable with the file that takes the statements.
pub(super) const FILE_VARIABLE: &str = "TROUPE_TEST_STATEMENTS";
/// Of one statement so many values are kept.
const VALUES_MAX: usize = 50;

static RECORDER: LazyLock<Option<Mutex<Recorder>>> = LazyLock::new(|| {
    let file = File::options().append(true).create(true).open(file_name()?);
    let file = file.expect("the file of the statements can be written");
    Some(Mutex::new(Recorder { file, kept: BTreeMap::new() }))
});

struct Recorder {
    file: File,
    kept: BTreeMap<(u32, String), usize>,
}

/// A statement as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Statement {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) sql: String,
    /// The types of the values, as the server numbers them.
    pub(super) types: Vec<u32>,
    /// The values as the server gets them.
    pub(super) values: Vec<Option<Vec<u8>>>,
}

/// Whether statements are recorded; then only the half on PostgreSQL of a test counts.
pub(super) fn is_recording() -> bool {
    RECORDER.is_some()
}

/// Notes a statement that is about to be sent.
pub(crate) fn record(query: &impl QueryFragment<Pg>, caller: &Location<'_>) {
    let Some(recorder) = &*RECORDER else { return };
    let mut builder = PgQueryBuilder::default();
    query.to_sql(&mut builder, &Pg).expect("a query that runs has a text");
    let sql = builder.finish();
    let mut recorder = recorder.lock();
    let kept = recorder.kept.entry((caller.line(), sql.clone())).or_default();
    *kept += 1;
    if *kept > VALUES_MAX {
        return;
    }
    let mut bound = RawBytesBindCollector::<Pg>::new();
    query.collect_binds(&mut bound, &mut BuiltIn, &Pg).expect("the values of a query have bytes");
    let types = bound.metadata.iter().map(|known| known.oid().expect("a type is built in"));
    let statement = Statement {
        file: caller.file().to_owned(),
        line: caller.line(),
        sql,
        types: types.collect(),
        values: bound.binds,
    };
    let mut line = serde_json::to_vec(&statement).expect("a statement has a JSON form");
    line.push(b'\n');
    recorder.file.write_all(&line).expect("the file of the statements can be written");
}

/// The statements in a file of a recording.
pub(super) fn recorded(file: &Path) -> Vec<Statement> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a statement")).collect()
}

/// No column has a type that the server numbers by itself.
struct BuiltIn;

impl PgMetadataLookup for BuiltIn {
    fn lookup_type(&mut self, name: &str, _schema: Option<&str>) -> PgTypeMetadata {
        panic!("the type {name} has no fixed number; plans know none")
    }
}

#[expect(clippy::disallowed_methods, reason = "set by the test that starts this process")]
fn file_name() -> Option<String> {
    std::env::var(FILE_VARIABLE).ok()
}
