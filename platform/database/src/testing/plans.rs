//! How PostgreSQL would answer each statement that a crate sends, as text for a snapshot: a lost index
//! shows in review.
//!
//! What the crate's own tests send is recorded: by whoever runs them, and plans afterwards, or else by
//! running them once more. Every statement is planned with the weightiest values that were sent, on a
//! database whose tables are [filled](super::Filling); the text is that of `EXPLAIN` without costs and
//! values. (A plan for any values would leave out the indexes over some rows only.) Every `run!` of the
//! crate must have been sent, or have a reason, and so must a statement that reads a large table from
//! end to end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};
use troupe_kernel::Migration;

use super::filling::{Filling, fill};
use super::sites::{Site, sites};
use super::statements::{self, FOLDER_VARIABLE, Statement, folder, of_crate, recorded};
use super::{TestDatabase, unique_name};
use crate::connection::Dialect;

/// What decides a plan beside the rows; the rest is as the server has it.
const SETTINGS: &str = "SET TimeZone = 'UTC'; SET random_page_cost = 1.1; \
     SET effective_cache_size = '1GB'; SET work_mem = '4MB'; SET default_statistics_target = 100; \
     SET max_parallel_workers_per_gather = 0; SET jit = off; SET statement_timeout = '300s'; \
     SET plan_cache_mode = force_custom_plan";
/// From so many rows on a table is large.
const LARGE_ROWS: f32 = 1_000.0;
/// What writing to a string promises.
const WRITES: &str = "a string takes what is written";
/// Tells insta to write snapshots.
const RENEWING: &str = "INSTA_UPDATE";

/// A crate whose statements are planned.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    /// The migrations of its tests.
    pub migrations: &'a [Migration],
    /// What is particular about the rows of its tables.
    pub fillings: &'a [Filling],
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

/// Plans the statements; none where there is no server or one whose plans are not kept.
///
/// # Panics
/// When the tests fail, when a `run!` was not sent or a large table is read from end to end without a
/// reason, or when a reason is not needed any more. The text says what to do.
pub async fn plans(planned: &Planned<'_>) -> Option<Plans> {
    let database = TestDatabase::create(Dialect::Postgres, planned.migrations).await?;
    let root = of_crate();
    let client = connect(database.url()).await;
    let name = format!("postgres_{}", major(&client).await);
    if !is_kept(&root, &name) {
        super::skip(&format!("no plans of {name} are kept: {RENEWING}=always writes them"));
        drop(client);
        database.remove().await;
        return None;
    }
    let statements = sent(&root);
    let workspace = root.ancestors().nth(2).expect("a crate lies two folders deep");
    let folder =
        root.strip_prefix(workspace).expect("it lies below").to_string_lossy().into_owned();
    let sites = sites(&root, &folder);

    fill(&client, planned.fillings).await;
    let by_site = grouped(statements, &sites);
    let large = large_tables(&client).await;
    let (mut text, mut scans) = (String::new(), BTreeSet::new());
    let mut faults = unsent(&sites, &by_site, planned.unsent);
    for (site, statements) in sites.iter().zip(&by_site) {
        for (sql, statement) in statements {
            let plan = plan(&client, statement).await;
            writeln!(text, "{}\n  {sql}", site.name).expect(WRITES);
            for line in &plan {
                writeln!(text, "    {line}").expect(WRITES);
            }
            if let Some(table) = scanned(&plan, &large) {
                scans.insert((site.name.clone(), table));
            }
        }
    }
    faults.extend(unreasoned(&scans, planned.scanning));
    drop(client);
    database.remove().await;
    assert!(faults.is_empty(), "{}\n\n{text}", faults.join("\n"));
    Some(Plans { name, text })
}

async fn major(client: &Client) -> i32 {
    let question = "SELECT current_setting('server_version_num')::integer / 10000";
    client.query_one(question, &[]).await.expect("the server tells its version").get(0)
}

/// Whether there is a snapshot to compare with, or one is to be written.
fn is_kept(root: &Path, name: &str) -> bool {
    let snapshot = root.join(format!("tests/snapshots/main__plans__{name}.snap"));
    snapshot.exists() || std::env::var_os(RENEWING).is_some()
}

/// What the crate's tests sent, or send now, and once more when one fails: whether they pass is not
/// asked here, and a machine with much to do may have been too slow for one.
fn sent(root: &Path) -> Vec<Statement> {
    if let Some(folder) = folder() {
        return recorded(&folder);
    }
    let folder = std::env::temp_dir().join(format!("troupe-statements-{}", unique_name()));
    std::fs::create_dir(&folder).expect("a folder can be made for the statements");
    let mut command = Command::new(std::env::current_exe().expect("a test knows its program"));
    command.args(["--skip", "plans::"]).current_dir(root).env(FOLDER_VARIABLE, &folder);
    for _ in 0..2 {
        if command.output().expect("the tests run once more").status.success() {
            break;
        }
    }
    let statements = recorded(&folder);
    drop(std::fs::remove_dir_all(&folder));
    statements
}

/// The statements of each site by their text, of each the weightiest.
fn grouped(statements: Vec<Statement>, sites: &[Site]) -> Vec<BTreeMap<String, Statement>> {
    let mut grouped = vec![BTreeMap::new(); sites.len()];
    for statement in statements {
        let before = |site: &Site| site.file == statement.file && site.line <= statement.line;
        let Some(site) = sites.iter().rposition(before) else { continue };
        let text = shortened(&statement.sql);
        let kept = grouped[site].entry(text).or_insert_with(|| statement.clone());
        if statement.weight() > kept.weight() {
            *kept = statement;
        }
    }
    grouped
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
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(value) = self.0 else { return Ok(IsNull::Yes) };
        match *kind {
            Type::TIMESTAMPTZ => out.extend_from_slice(&statements::time(value)),
            _ => out.extend_from_slice(value),
        }
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

/// Text in quotes and numbers behind an operator become question marks.
fn without_values(line: &str) -> String {
    let text = line.split('\'').enumerate();
    let text: String = text.map(|(place, part)| if place % 2 == 0 { part } else { "?" }).collect();
    let mut is_operand = false;
    let words = text.split(' ').map(|word| {
        let rest = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let is_number = is_operand && rest.len() < word.len();
        is_operand = !word.is_empty() && word.chars().all(|letter| "=<>".contains(letter));
        if is_number { format!("?{rest}") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A statement without its quotes, without the columns that it answers and with the first row of many.
fn shortened(statement: &str) -> String {
    let text = statement.replace('"', "").split_whitespace().collect::<Vec<_>>().join(" ");
    match (text.strip_prefix("SELECT "), text.find(" FROM ")) {
        (Some(_), Some(from)) => format!("SELECT …{}", &text[from..]),
        _ => of_one_row(&text),
    }
}

fn of_one_row(insertion: &str) -> String {
    let Some((head, rows)) = insertion.split_once(" VALUES (") else { return insertion.to_owned() };
    match (rows.split("), (").next(), rows.rsplit_once("), (").map(|(_, last)| last)) {
        (Some(first), Some(last)) => {
            let tail = last.split_once(')').map_or("", |(_, tail)| tail);
            format!("{head} VALUES ({first}), …{tail}")
        }
        _ => insertion.to_owned(),
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

    fn statement(line: u32, sql: &str, value: &[u8]) -> Statement {
        Statement {
            file: "a.rs".to_owned(),
            line,
            sql: sql.to_owned(),
            types: vec![Type::TEXT.oid()],
            values: vec![Some(value.to_vec())],
        }
    }

    #[test]
    fn a_statement_belongs_to_the_run_before_it_and_the_weightiest_is_kept() {
        let sites = [site("a::first", 3), site("a::second", 9)];
        let sent = [
            statement(5, "SELECT a FROM t", &[1]),
            statement(5, "SELECT b FROM t", &[7]),
            statement(5, "SELECT a FROM t", &[2]),
            statement(1, "of nobody", &[]),
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
    fn a_plan_has_no_values_and_tells_the_large_table_that_it_reads_whole() {
        let line = without_values("  Filter: ((email = 'o''hara'::text) AND (n = 5))");
        assert_eq!(line, "  Filter: ((email = ??::text) AND (n = ?))");
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
        let insertion = "INSERT INTO a (b, c) VALUES ($1, $2), ($3, $4), ($5, $6) RETURNING b";
        let of_many = "INSERT INTO a (b, c) VALUES ($1, $2), … RETURNING b";
        assert_eq!(shortened(insertion), of_many);
        assert_eq!(shortened("INSERT INTO a (b) VALUES ($1)"), "INSERT INTO a (b) VALUES ($1)");
    }
}
