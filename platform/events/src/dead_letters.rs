//! Dead letters: events that a consumer could not apply.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::Scope;
use troupe_database::prelude::*;
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::ids::new_id;
use troupe_kernel::{Event, Failure, Timestamp, Uuid};

/// How long noting the end of a delivery may take.
const NOTE_TIMEOUT: Duration = Duration::from_secs(20);

table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    use troupe_database::{Id, Instant, JsonDoc};

    /// Events that a consumer could not apply.
    dead_letters (id) {
        /// Its id.
        id -> Id,
        /// Whose it is.
        consumer -> Text,
        /// Which event.
        event_id -> Id,
        /// Its kind.
        kind -> Text,
        /// Its order key.
        subject -> Text,
        /// Its tenant.
        tenant -> Nullable<Id>,
        /// The event as a CloudEvent, with all its attributes.
        event -> JsonDoc,
        /// Deliveries that failed.
        attempts -> Integer,
        /// The code of the last failure.
        cause_code -> Text,
        /// The last failure in words.
        cause -> Text,
        /// When it was given up.
        failed_at -> Instant,
        /// When a replay was asked for.
        replay_at -> Nullable<Instant>,
    }
}

/// An event that a consumer could not apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its id.
    pub id: Uuid,
    /// The subscription.
    pub consumer: String,
    /// The event with its key and headers.
    pub event: Event,
    /// Deliveries that failed.
    pub attempts: u32,
    /// The code of the last failure.
    pub cause_code: String,
    /// The last failure in words.
    pub cause: String,
    /// When it was given up.
    pub failed_at: Timestamp,
    /// When a replay was asked for that has not been tried yet.
    pub replay_at: Option<Timestamp>,
}

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = dead_letters, treat_none_as_default_value = false)]
struct Row {
    id: DbUuid,
    consumer: String,
    event_id: DbUuid,
    kind: String,
    subject: String,
    tenant: Option<DbUuid>,
    event: Json,
    attempts: i32,
    cause_code: String,
    cause: String,
    failed_at: DbTimestamp,
    replay_at: Option<DbTimestamp>,
}

impl TryFrom<Row> for DeadLetter {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.id.0,
            consumer: row.consumer,
            event: row.event.to()?,
            attempts: u32::try_from(row.attempts).unwrap_or(0),
            cause_code: row.cause_code,
            cause: row.cause,
            failed_at: row.failed_at.0,
            replay_at: row.replay_at.map(Into::into),
        })
    }
}

/// Keeps an event that a consumer gave up.
pub(crate) async fn give_up(
    db: &Db,
    consumer: &str,
    event: Event,
    attempts: u32,
    failure: &Failure,
) -> Result<(), Failure> {
    tracing::error!(consumer, event = %event.id, kind = event.kind, subject = event.subject, %failure,
        "an event was given up and is kept as a dead letter");
    metrics::counter!("events_dead_total", "consumer" => consumer.to_owned()).increment(1);
    let letter = DeadLetter {
        id: new_id(&**db.clock()),
        consumer: consumer.to_owned(),
        event,
        attempts,
        cause_code: failure.code().to_owned(),
        cause: failure.detail().to_owned(),
        failed_at: db.clock().now(),
        replay_at: None,
    };
    let scope = Scope::system("events.dead_letter", NOTE_TIMEOUT);
    db.transaction(&scope, async move |uow: &mut UnitOfWork| keep(uow.conn(), &letter).await).await
}

/// Notes how a replay ended: the letter is gone, or stays with the new cause.
pub(crate) async fn settle(
    db: &Db,
    mut letter: DeadLetter,
    result: Result<(), Failure>,
) -> Result<(), Failure> {
    if let Err(failure) = &result {
        letter.attempts = letter.attempts.saturating_add(1);
        failure.code().clone_into(&mut letter.cause_code);
        failure.detail().clone_into(&mut letter.cause);
        letter.failed_at = db.clock().now();
        letter.replay_at = None;
    }
    let delivered = result.is_ok();
    let scope = Scope::system("events.replay", NOTE_TIMEOUT);
    db.transaction(&scope, async move |uow: &mut UnitOfWork| {
        if delivered {
            remove(uow.conn(), letter.id).await?;
            return Ok(());
        }
        keep(uow.conn(), &letter).await
    })
    .await?;
    result
}

/// Keeps a dead letter; one of the same consumer and event is replaced.
pub(crate) async fn keep(conn: &mut DbConn, letter: &DeadLetter) -> Result<(), Failure> {
    use dead_letters as table;
    let row = Row {
        id: DbUuid(letter.id),
        consumer: letter.consumer.clone(),
        event_id: DbUuid(letter.event.id),
        kind: letter.event.kind.clone(),
        subject: letter.event.subject.clone(),
        tenant: letter.event.tenant.map(DbUuid::of),
        event: Json::of(&letter.event)?,
        attempts: i32::try_from(letter.attempts).unwrap_or(i32::MAX),
        cause_code: letter.cause_code.clone(),
        cause: letter.cause.clone(),
        failed_at: DbTimestamp(letter.failed_at),
        replay_at: letter.replay_at.map(DbTimestamp),
    };
    let latest = (
        table::attempts.eq(row.attempts),
        table::cause_code.eq(row.cause_code.clone()),
        table::cause.eq(row.cause.clone()),
        table::failed_at.eq(row.failed_at),
        table::replay_at.eq(row.replay_at),
    );
    run!(conn, |c| diesel::insert_into(table::table)
        .values(&row)
        .on_conflict((table::consumer, table::event_id))
        .do_update()
        .set(latest)
        .execute(c))?;
    Ok(())
}

/// One dead letter.
pub(crate) async fn find(conn: &mut DbConn, id: Uuid) -> Result<Option<DeadLetter>, Failure> {
    let row: Option<Row> =
        run!(conn, |c| dead_letters::table.find(DbUuid(id)).select(Row::as_select()).get_result(c))
            .optional()?;
    row.map(DeadLetter::try_from).transpose()
}

/// The newest dead letters, of one consumer or of all, after a place.
pub(crate) async fn list(
    conn: &mut DbConn,
    consumer: Option<&str>,
    after: Option<(Timestamp, Uuid)>,
    rows: i64,
) -> Result<Vec<DeadLetter>, Failure> {
    use dead_letters as table;
    let after = after.map(|(at, id)| (DbTimestamp(at), DbUuid(id)));
    let pattern = consumer.map_or_else(|| "%".to_owned(), escaped);
    let rows: Vec<Row> = run!(conn, |c| table::table
        .filter(table::consumer.like(pattern).escape('\\'))
        .filter(keyset((table::failed_at, table::id), after, Direction::Descending))
        .order((table::failed_at.desc(), table::id.desc()))
        .limit(rows)
        .select(Row::as_select())
        .load(c))?;
    rows.into_iter().map(DeadLetter::try_from).collect()
}

/// A pattern that matches this text only.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Removes a dead letter; false when there is none.
pub(crate) async fn remove(conn: &mut DbConn, id: Uuid) -> DbResult<bool> {
    let removed = run!(conn, |c| diesel::delete(dead_letters::table.find(DbUuid(id))).execute(c))?;
    Ok(removed == 1)
}

/// Asks for a replay; false when there is no such letter.
pub(crate) async fn ask_for_replay(conn: &mut DbConn, id: Uuid, now: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(dead_letters::table.find(DbUuid(id)))
        .set(dead_letters::replay_at.eq(Some(DbTimestamp(now))))
        .execute(c))?;
    Ok(changed == 1)
}

/// The letters of a consumer for which a replay was asked, oldest event first.
pub(crate) async fn to_replay(
    conn: &mut DbConn,
    consumer: &str,
    limit: i64,
) -> Result<Vec<DeadLetter>, Failure> {
    let rows: Vec<Row> = run!(conn, |c| dead_letters::table
        .filter(dead_letters::consumer.eq(consumer))
        .filter(dead_letters::replay_at.is_not_null())
        .order((dead_letters::failed_at, dead_letters::id))
        .limit(limit)
        .select(Row::as_select())
        .load(c))?;
    rows.into_iter().map(DeadLetter::try_from).collect()
}

/// How many dead letters a consumer has.
pub(crate) async fn count(conn: &mut DbConn, consumer: &str) -> DbResult<i64> {
    run!(conn, |c| dead_letters::table
        .filter(dead_letters::consumer.eq(consumer))
        .count()
        .get_result::<i64>(c))
}
