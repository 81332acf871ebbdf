//! Replies by idempotency key, so that a repeated request is answered and not done again.
//!
//! The key belongs to a tenant and a subject. The record is reserved at the start of the transaction
//! (a second request with the key waits there for the first) and holds the reply at its end; when the
//! work fails, the reservation is rolled back with it and the request may be tried again.

use crate::prelude::*;
use troupe_actors::{Idempotency, Scope};
use troupe_kernel::{Failure, Timestamp};
use uuid::Uuid;

use crate::schema::idempotency;

/// The key of one record.
#[derive(Debug, Clone)]
pub(crate) struct RecordKey {
    tenant: DbUuid,
    subject: DbUuid,
    request_key: String,
    /// Which command of the request: one request may run several on its way.
    operation: &'static str,
}

/// What reserving a key gave.
pub(crate) enum Reservation {
    /// The caller sent no key.
    None,
    /// The work is to be done, and its reply stored under this key.
    New(RecordKey),
    /// The work was done before; this was the reply.
    Replay(Json),
}

/// Reserves the scope's key for `operation`.
pub(crate) async fn reserve(
    conn: &mut DbConn,
    scope: &Scope,
    operation: &'static str,
    now: Timestamp,
) -> Result<Reservation, Failure> {
    let Some(Idempotency { key, fingerprint }) = scope.idempotency() else {
        return Ok(Reservation::None);
    };
    let record = RecordKey {
        tenant: DbUuid(scope.tenant().unwrap_or(Uuid::nil())),
        subject: DbUuid(scope.subject().unwrap_or(Uuid::nil())),
        request_key: key.clone(),
        operation,
    };
    let reserved = insert(conn, &record, fingerprint, now).await?;
    let stored = find(conn, &record).await?;
    if stored.iter().any(|(_, stored, _)| stored != fingerprint) {
        return Err(Failure::invalid(
            "database.idempotency.mismatch",
            "this Idempotency-Key was used for another request; use a new key for a new request",
        ));
    }
    if reserved {
        return Ok(Reservation::New(record));
    }
    let reply = stored
        .into_iter()
        .find(|(stored, _, _)| stored == operation)
        .and_then(|(_, _, reply)| reply);
    reply.map(Reservation::Replay).ok_or_else(|| {
        Failure::conflict(
            "database.idempotency.running",
            "the request with this Idempotency-Key is still running",
        )
    })
}

async fn insert(
    conn: &mut DbConn,
    record: &RecordKey,
    fingerprint: &str,
    now: Timestamp,
) -> DbResult<bool> {
    let row = (
        idempotency::tenant.eq(record.tenant),
        idempotency::subject.eq(record.subject),
        idempotency::request_key.eq(&record.request_key),
        idempotency::operation.eq(record.operation),
        idempotency::fingerprint.eq(fingerprint),
        idempotency::created_at.eq(DbTimestamp(now)),
    );
    let written: usize = run!(conn, |c| diesel::insert_into(idempotency::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(written == 1)
}

type Stored = (String, String, Option<Json>);

async fn find(conn: &mut DbConn, record: &RecordKey) -> DbResult<Vec<Stored>> {
    run!(conn, |c| idempotency::table
        .filter(idempotency::tenant.eq(record.tenant))
        .filter(idempotency::subject.eq(record.subject))
        .filter(idempotency::request_key.eq(&record.request_key))
        .select((idempotency::operation, idempotency::fingerprint, idempotency::reply))
        .load::<Stored>(c))
}

/// Stores the reply of the work under its reserved key.
pub(crate) async fn store(conn: &mut DbConn, record: &RecordKey, reply: Json) -> DbResult<()> {
    let written: DbResult<usize> = run!(conn, |c| diesel::update(idempotency::table)
        .filter(idempotency::tenant.eq(record.tenant))
        .filter(idempotency::subject.eq(record.subject))
        .filter(idempotency::request_key.eq(&record.request_key))
        .filter(idempotency::operation.eq(record.operation))
        .set(idempotency::reply.eq(Some(reply)))
        .execute(c));
    written.map(|_| ())
}
