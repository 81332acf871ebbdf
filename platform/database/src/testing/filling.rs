//! Rows for every table of a database, so that the planner has something to weigh.
//!
//! A column gets a value by its type, its keys and its name; what a table knows better is an
//! expression of SQL in which `i` is the number of the row, from 1. Rows that break a unique key are
//! left out. The same rows come each time, and no more than the planner looks at, so a plan is the same
//! each time, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use tokio_postgres::Client;

/// How many rows a table gets; more than 30,000 would not all be looked at by `ANALYZE`.
const ROWS: i64 = 5_000;

/// What is particular about the rows of a table.
#[derive(Debug, Clone, Copy)]
pub struct Filling {
    table: &'static str,
    rows: i64,
    columns: &'static [(&'static str, &'static str)],
}

impl Filling {
    /// A table with values of its own in some columns.
    #[must_use]
    pub const fn of(table: &'static str, columns: &'static [(&'static str, &'static str)]) -> Self {
        Self { table, rows: ROWS, columns }
    }

    /// A table with another number of rows, for one that stays small.
    #[must_use]
    pub const fn rows(self, rows: i64) -> Self {
        Self { rows, ..self }
    }
}

/// The tables of this crate.
const OWN: &[Filling] = &[
    Filling::of("log_epoch", &[]).rows(0),
    Filling::of("consumer_offsets", &[]).rows(20),
    // It is emptied again and again.
    Filling::of("audit_queue", &[]).rows(500),
    Filling::of(
        "outbox",
        &[("kind", "(ARRAY['blog.post.published', 'identity.user.updated'])[1 + i % 2]")],
    ),
    Filling::of(
        "jobs",
        &[
            ("queue", "'default'"),
            ("kind", "'test.kind-' || i % 20"),
            ("state", "(ARRAY['dead', 'waiting', 'waiting', 'waiting', 'running'])[1 + i % 5]"),
        ],
    ),
];

/// The columns of all tables: whether one is the last of a unique key, and which one it refers to.
const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, t.typname::text, a.attnotnull, \
     EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique \
             AND x.indkey[x.indnatts - 1] = a.attnum), \
     (SELECT r.confrelid::regclass::text FROM pg_constraint r \
      WHERE r.conrelid = c.oid AND r.contype = 'f' AND r.conkey = ARRAY[a.attnum]), \
     (SELECT b.attname::text FROM pg_constraint r \
      JOIN pg_attribute b ON b.attrelid = r.confrelid AND b.attnum = r.confkey[1] \
      WHERE r.conrelid = c.oid AND r.contype = 'f' AND r.conkey = ARRAY[a.attnum]) \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid \
     WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 \
       AND NOT a.attisdropped AND a.attidentity = '' AND a.attgenerated = '' \
       AND c.relname <> 'schema_migrations' ORDER BY c.oid, a.attnum";

/// Whether all pages are known to be visible to all, which a plan that reads only an index counts on.
/// A transaction of a replica or of another database may delay it.
const IS_VISIBLE: &str = "SELECT NOT EXISTS (SELECT FROM pg_class WHERE relkind = 'r' \
     AND relnamespace = 'public'::regnamespace AND relallvisible < relpages)";
const ROUNDS_MAX: u32 = 60;
const ROUND: Duration = Duration::from_millis(500);

struct Column {
    name: String,
    kind: String,
    is_required: bool,
    is_unique: bool,
    refers_to: Option<(String, String)>,
}

/// Fills all tables in the order in which they were made, and counts the rows.
pub(super) async fn fill(client: &Client, fillings: &[Filling]) {
    let mut tables: Vec<(String, Vec<Column>)> = Vec::new();
    for row in client.query(COLUMNS, &[]).await.expect("the server lists its columns") {
        let table: String = row.get(0);
        let refers_to = row.get::<_, Option<String>>(5).zip(row.get(6));
        let (name, kind) = (row.get(1), row.get(2));
        let column =
            Column { name, kind, is_required: row.get(3), is_unique: row.get(4), refers_to };
        match tables.last_mut().filter(|(last, _)| *last == table) {
            Some((_, columns)) => columns.push(column),
            None => tables.push((table, vec![column])),
        }
    }
    for filling in fillings {
        let is_there = tables.iter().any(|(table, _)| table == filling.table);
        assert!(is_there, "there is no table {}; take its filling away", filling.table);
    }
    let of = |table: &str| {
        let own = fillings.iter().chain(OWN).find(|filling| filling.table == table).copied();
        own.unwrap_or(Filling { table: "", rows: ROWS, columns: &[] })
    };
    let rows: BTreeMap<&str, i64> =
        tables.iter().map(|(table, _)| (table.as_str(), of(table).rows)).collect();
    for (table, columns) in &tables {
        let sql = insertion(table, columns, &of(table), &rows);
        if let Err(error) = client.batch_execute(&sql).await {
            panic!("{table} needs a filling of its own ({error:?}):\n{sql}");
        }
    }
    for _ in 0..ROUNDS_MAX {
        client.batch_execute("VACUUM ANALYZE").await.expect("the tables can be counted");
        let row = client.query_one(IS_VISIBLE, &[]).await.expect("the server tells of its pages");
        if row.get(0) {
            return;
        }
        tokio::time::sleep(ROUND).await;
    }
    panic!("somebody holds an old transaction open on this server: its plans would differ");
}

fn insertion(
    table: &str,
    columns: &[Column],
    filling: &Filling,
    rows: &BTreeMap<&str, i64>,
) -> String {
    for (name, _) in filling.columns {
        let is_there = columns.iter().any(|column| column.name == *name);
        assert!(is_there, "{table} has no column {name}; take its filling away");
    }
    let (mut names, mut values) = (String::new(), String::new());
    for column in columns {
        let own = filling.columns.iter().find(|(name, _)| *name == column.name);
        let value = own.map_or_else(
            || value(table, column, filling.rows, rows),
            |(_, value)| (*value).to_owned(),
        );
        let comma = if names.is_empty() { "" } else { ", " };
        write!(names, "{comma}\"{}\"", column.name).expect("a string takes what is written");
        write!(values, "{comma}({value})").expect("a string takes what is written");
    }
    format!(
        "INSERT INTO \"{table}\" ({names}) SELECT {values} FROM generate_series(1, {}) AS i \
         ON CONFLICT DO NOTHING",
        filling.rows
    )
}

/// A value by what is known of the column.
fn value(table: &str, column: &Column, count: i64, rows: &BTreeMap<&str, i64>) -> String {
    let name = &column.name;
    if let Some((other, key)) = &column.refers_to {
        let others = rows.get(other.as_str()).copied().unwrap_or(ROWS).max(1);
        return match column.kind.as_str() {
            "int8" => format!("1 + i % {others}"),
            _ => format!("md5('{other}.{key}' || (1 + i % {others}))::uuid"),
        };
    }
    // Values that are shared come some twenty times.
    let number = match column.is_unique {
        true => "i".to_owned(),
        false => format!("(i % {})", (count / 20).max(1)),
    };
    let value = match column.kind.as_str() {
        "uuid" if column.is_unique => format!("md5('{table}.{name}' || i)::uuid"),
        "uuid" => format!("md5('{name}' || {number})::uuid"),
        "text" => format!("'{name}-' || {number}"),
        "bytea" => format!("sha256(('{name}' || {number})::bytea)"),
        "timestamptz" if is_ahead(name) => {
            format!("now() + (i - {}) * interval '1 minute'", count / 50)
        }
        "timestamptz" => "now() - i * interval '1 minute'".to_owned(),
        "bool" => "i % 2 = 0".to_owned(),
        "jsonb" => "'{}'::jsonb".to_owned(),
        "_text" => "ARRAY['item-' || i % 20]".to_owned(),
        "int4" => "(i % 5)::integer".to_owned(),
        "int8" => number,
        kind => panic!("{table}.{name} is a {kind}, which needs a filling of its own"),
    };
    match column.is_required {
        true => value,
        false => format!("CASE WHEN i % 2 = 0 THEN {value} END"),
    }
}

/// Whether a time is usually still to come.
fn is_ahead(name: &str) -> bool {
    ["expires", "due", "until", "ends", "retires"].iter().any(|word| name.contains(word))
}
