//! How PostgreSQL would answer each statement that a crate sends, as text for a snapshot: a lost index
//! shows in review.
//!
//! The crate's own tests are run once more in a process that records what is sent. Every statement is
//! planned with the values it was sent with, on a database whose tables are [filled](super::Filling);
//! the text is that of `EXPLAIN` without costs and values. Every `run!` of the crate must have been
//! sent, or have a reason, and so must a statement that reads a large table from end to end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};
use troupe_kernel::Migration;

use super::filling::{Filling, fill};
use super::sites::{Site, sites};
use super::statements::{FILE_VARIABLE, Statement, is_recording, recorded};
use super::{TestDatabase, unique_name};
use crate::connection::Dialect;

/// What decides a plan beside the rows; the rest is as the server has it.
const SETTINGS: &str = "SET TimeZone = 'UTC'; SET random_page_cost = 1.1; \
     SET effective_cache_size = '1GB'; SET work_mem = '4MB'; SET default_statistics_target = 100; \
     SET max_parallel_workers_per_gather = 0; SET jit = off; SET statement_timeout = '60s'; \
     SET plan_cache_mode = force_custom_plan";
/// From so many rows on a table is large.
const LARGE_ROWS: f32 = 1_000.0;
/// Types of which a value says nothing to the planner but how long it is: they differ in each run.
const RANDOM: [Type; 3] = [Type::UUID, Type::UUID_ARRAY, Type::BYTEA];
/// What writing to a string promises.
const WRITES: &str = "a string takes what is written";
const DAY_MICROS: i64 = 86_400_000_000;
const SECS_TO_2000: i64 = 946_684_800;

/// A crate whose statements are planned.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    /// `env!("CARGO_MANIFEST_DIR")`.
    pub folder: &'a str,
    /// The migrations of its tests.
    pub migrations: &'a [Migration],
    /// What is particular about the rows of its tables.
    pub fillings: &'a [Filling],
    /// Which of its tests send all statements, as the names of tests begin; all of them when empty.
    pub tests: &'a [&'a str],
    /// Functions that send none in these tests, and why that is well.
    pub unsent: &'a [(&'a str, &'a str)],
    /// Functions that may read a large table from end to end, and why.
    pub scanning: &'a [(&'a str, &'a str)],
}

/// The plans of a crate's statements.
#[derive(Debug)]
pub struct Plans {
    /// The name of the snapshot: it has the version of the server.
    pub name: String,
    /// Each statement with its plan.
    pub text: String,
}

/// Plans the statements; none where there is no server, and in the process that records.
///
/// # Panics
/// When the tests fail, when a `run!` was not sent or a large table is read from end to end without a
/// reason, or when a reason is not needed any more. The text says what to do.
pub async fn plans(planned: &Planned<'_>) -> Option<Plans> {
    if is_recording() {
        return None;
    }
    let database = TestDatabase::create(Dialect::Postgres, planned.migrations).await?;
    let statements = sent(planned);
    let root = Path::new(planned.folder);
    let workspace = root.ancestors().nth(2).expect("a crate lies two folders deep");
    let folder =
        root.strip_prefix(workspace).expect("it lies below").to_string_lossy().into_owned();
    let sites = sites(root, &folder);
    let by_site = grouped(statements, &sites);

    let client = connect(database.url()).await;
    fill(&client, planned.fillings).await;
    let large = large_tables(&client).await;
    let (mut text, mut scans) = (String::new(), BTreeSet::new());
    let mut faults = unsent(&sites, &by_site, planned.unsent);
    for (site, statements) in sites.iter().zip(&by_site) {
        for statement in statements.values() {
            let plan = plan(&client, statement).await;
            writeln!(text, "{}\n  {}", site.name, shortened(&statement.sql)).expect(WRITES);
            for line in &plan {
                writeln!(text, "    {line}").expect(WRITES);
            }
            if let Some(table) = scanned(&plan, &large) {
                scans.insert((site.name.clone(), table));
            }
        }
    }
    faults.extend(unreasoned(&scans, planned.scanning));
    let major: i32 = client
        .query_one("SELECT current_setting('server_version_num')::integer / 10000", &[])
        .await
        .expect("the server tells its version")
        .get(0);
    drop(client);
    database.remove().await;
    assert!(faults.is_empty(), "{}\n\n{text}", faults.join("\n"));
    Some(Plans { name: format!("postgres_{major}"), text })
}

/// Runs the crate's tests in a process that records.
fn sent(planned: &Planned<'_>) -> Vec<Statement> {
    let file: PathBuf = std::env::temp_dir().join(format!("troupe-statements-{}", unique_name()));
    let tests = std::env::current_exe().expect("a test knows its program");
    let mut command = Command::new(tests);
    command.args(planned.tests).args(["--skip", "plans::", "--test-threads", "4"]);
    command.current_dir(planned.folder).env(FILE_VARIABLE, &file);
    let output = command.output().expect("the tests run once more");
    let statements = recorded(&file);
    drop(std::fs::remove_file(&file));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "the tests that send the statements failed:\n{text}");
    statements
}

/// The statements of each site by their text, each with the values that weigh most.
fn grouped(statements: Vec<Statement>, sites: &[Site]) -> Vec<BTreeMap<String, Statement>> {
    let mut grouped = vec![BTreeMap::new(); sites.len()];
    for statement in statements {
        let before = |site: &Site| site.file == statement.file && site.line <= statement.line;
        let Some(site) = sites.iter().rposition(before) else { continue };
        let kept = grouped[site].entry(statement.sql.clone()).or_insert_with(|| statement.clone());
        if weight(&statement) > weight(kept) {
            *kept = statement;
        }
    }
    grouped
}

/// Orders the values of a statement in the same way in each run: the longest, the greatest, the times
/// that are nearest to now.
fn weight(statement: &Statement) -> Vec<(usize, i64, Vec<u8>)> {
    use troupe_kernel::clock::{Clock as _, SystemClock};
    let now = (SystemClock.now().as_secs() - SECS_TO_2000) * 1_000_000;
    let weigh = |(value, kind): (&Option<Vec<u8>>, &u32)| {
        let Some(value) = value else { return (0, 0, Vec::new()) };
        let kind = Type::from_oid(*kind);
        if kind.as_ref().is_some_and(|kind| RANDOM.contains(kind)) {
            return (value.len(), 0, Vec::new());
        }
        if let (true, Ok(bytes)) = (kind == Some(Type::TIMESTAMPTZ), value.as_slice().try_into()) {
            let days = i64::from_be_bytes(bytes).saturating_sub(now).saturating_abs() / DAY_MICROS;
            return (value.len(), -days, Vec::new());
        }
        (value.len(), 0, value.clone())
    };
    statement.values.iter().zip(&statement.types).map(weigh).collect()
}

async fn connect(url: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.expect("the database of the plans is there");
    #[expect(clippy::disallowed_methods, reason = "it ends with the client, in a test")]
    drop(tokio::spawn(connection));
    client.batch_execute(SETTINGS).await.expect("a session has these settings");
    client
}

async fn large_tables(client: &Client) -> BTreeSet<String> {
    let rows = client
        .query(
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND reltuples >= $1",
            &[&LARGE_ROWS],
        )
        .await
        .expect("the server has counted its rows");
    rows.iter().map(|row| row.get(0)).collect()
}

/// The plan with the values that were sent, without these values.
async fn plan(client: &Client, statement: &Statement) -> Vec<String> {
    let types: Vec<Type> = statement
        .types
        .iter()
        .map(|kind| Type::from_oid(*kind).expect("a type is built in"))
        .collect();
    let values: Vec<Sent<'_>> = statement.values.iter().map(Sent).collect();
    let values: Vec<&(dyn ToSql + Sync)> =
        values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    let question = format!("EXPLAIN (COSTS OFF) {}", statement.sql);
    let planned = async {
        let prepared = client.prepare_typed(&question, &types).await?;
        client.query(&prepared, &values).await
    };
    let lines = planned.await.unwrap_or_else(|error| {
        panic!("no plan for {}:{} {}: {error:?}", statement.file, statement.line, statement.sql)
    });
    lines.iter().map(|row| without_values(row.get(0))).collect()
}

/// A value as it was sent.
#[derive(Debug)]
struct Sent<'a>(&'a Option<Vec<u8>>);

impl ToSql for Sent<'_> {
    fn to_sql(
        &self,
        _kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(value) = self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(value);
        Ok(IsNull::No)
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    fn encode_format(&self, _kind: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

/// Text in quotes becomes a question mark.
fn without_values(line: &str) -> String {
    line.split('\'')
        .enumerate()
        .map(|(place, part)| if place % 2 == 0 { part } else { "?" })
        .collect()
}

/// A statement without its quotes and without the columns that it answers.
fn shortened(statement: &str) -> String {
    let text = statement.replace('"', "").split_whitespace().collect::<Vec<_>>().join(" ");
    match (text.strip_prefix("SELECT "), text.find(" FROM ")) {
        (Some(_), Some(from)) => format!("SELECT …{}", &text[from..]),
        _ => text,
    }
}

/// The large table that a plan reads from end to end.
fn scanned(plan: &[String], large: &BTreeSet<String>) -> Option<String> {
    plan.iter().find_map(|line| {
        let table = line.split_once("Seq Scan on ")?.1.split_whitespace().next()?;
        large.get(table).cloned()
    })
}

/// The functions that sent nothing without a reason, and the reasons that are not needed.
fn unsent(
    sites: &[Site],
    by_site: &[BTreeMap<String, Statement>],
    reasons: &[(&str, &str)],
) -> Vec<String> {
    let silent: Vec<&Site> = sites
        .iter()
        .zip(by_site)
        .filter_map(|(site, statements)| statements.is_empty().then_some(site))
        .collect();
    let reasoned: BTreeSet<&str> = reasons.iter().map(|(function, _)| *function).collect();
    let without = silent.iter().filter(|site| !reasoned.contains(site.name.as_str())).map(|site| {
        let Site { name, file, line } = site;
        format!(
            "{name} ({file}:{line}) was sent by no test, so it has no plan: test it, or give a reason in \
             `unsent`"
        )
    });
    let needless = reasoned
        .iter()
        .filter(|function| !silent.iter().any(|site| site.name == **function))
        .map(|function| format!("{function} is sent, or not there: take it out of `unsent`"));
    without.chain(needless).collect()
}

/// The scans without a reason, and the reasons that are not needed.
fn unreasoned(scans: &BTreeSet<(String, String)>, reasons: &[(&str, &str)]) -> Vec<String> {
    let reasoned: BTreeSet<&str> = reasons.iter().map(|(function, _)| *function).collect();
    let without = scans.iter().filter(|(name, _)| !reasoned.contains(name.as_str())).map(
        |(name, table)| {
            format!(
                "{name} reads all of {table}, which is large: give it an index, or a reason in `scanning`"
            )
        },
    );
    let needless = reasoned
        .iter()
        .filter(|function| !scans.iter().any(|(name, _)| name == **function))
        .map(|function| format!("{function} reads no large table: take it out of `scanning`"));
    without.chain(needless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str, line: u32) -> Site {
        Site { name: name.to_owned(), file: "a.rs".to_owned(), line }
    }

    fn statement(line: u32, sql: &str, values: &[&[u8]], kind: &Type) -> Statement {
        Statement {
            file: "a.rs".to_owned(),
            line,
            sql: sql.to_owned(),
            types: vec![kind.oid(); values.len()],
            values: values.iter().map(|value| Some(value.to_vec())).collect(),
        }
    }

    #[test]
    fn a_statement_belongs_to_the_run_before_it_and_its_weightiest_values_are_kept() {
        let sites = [site("a::first", 3), site("a::second", 9)];
        let sent = [
            statement(5, "x", &[&[1]], &Type::INT4),
            statement(5, "x", &[&[7]], &Type::INT4),
            statement(5, "x", &[&[2]], &Type::INT4),
            statement(1, "of nobody", &[], &Type::INT4),
        ];
        let grouped = grouped(sent.to_vec(), &sites);
        assert_eq!(grouped[0].values().collect::<Vec<_>>(), [&sent[1]]);
        assert!(grouped[1].is_empty());
        let faults = unsent(&sites, &grouped, &[("a::first", "why")]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("a::second (a.rs:9) was sent by no test"));
        assert!(faults[1].starts_with("a::first is sent"));
    }

    #[test]
    fn random_values_have_no_weight_but_their_length() {
        let one = statement(1, "x", &[&[1; 16], &[2; 16]], &Type::UUID);
        let other = statement(1, "x", &[&[9; 16], &[0; 16]], &Type::UUID);
        assert_eq!(weight(&one), weight(&other));
    }

    #[test]
    fn a_plan_has_no_values_and_tells_the_large_table_that_it_reads_whole() {
        let line = without_values("  Filter: ((email = 'o''hara'::text) AND (n = 5))");
        assert_eq!(line, "  Filter: ((email = ??::text) AND (n = 5))");
        let plan = ["Limit".to_owned(), "  ->  Seq Scan on users u".to_owned()];
        let large = |name: &str| BTreeSet::from([name.to_owned()]);
        assert_eq!(scanned(&plan, &large("users")), Some("users".to_owned()));
        assert_eq!(scanned(&plan, &large("others")), None);
        let scans = BTreeSet::from([("users::all".to_owned(), "users".to_owned())]);
        assert!(unreasoned(&scans, &[])[0].contains("give it an index"));
        assert!(unreasoned(&scans, &[("users::all", "why")]).is_empty());
        assert!(unreasoned(&BTreeSet::new(), &[("users::all", "why")])[0].contains("take it out"));
        let statement = "SELECT \"a\".\"id\", b FROM \"a\"  WHERE (\"a\".\"id\" = $1)";
        assert_eq!(shortened(statement), "SELECT … FROM a WHERE (a.id = $1)");
    }
}
