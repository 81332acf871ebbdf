//! What a server says about itself: whether it takes writes, on which timeline, how far its log is.
//!
//! A timeline begins with each promotion. Places in the log are comparable between servers of one
//! timeline, and between a timeline and its successor up to where it began.

use std::time::Duration;

use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{ConnectionError, ConnectionResult, QueryableByName};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use super::address::Address;

/// How long a server may take to say how it stands.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A standby that streams says which timeline it follows; one that does not, which it was on when it
/// last put its state on disk. A place is bytes since the beginning of the log.
const QUESTION: &str = "SELECT is_standby, process, \
     CASE WHEN is_standby \
          THEN COALESCE((SELECT received_tli FROM pg_stat_wal_receiver), \
                        (SELECT timeline_id FROM pg_control_checkpoint()))::bigint \
          ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint \
     END AS timeline, \
     COALESCE(CASE WHEN is_standby THEN pg_last_wal_replay_lsn() \
                   ELSE pg_current_wal_insert_lsn() END - '0/0', 0)::bigint AS place \
     FROM (SELECT pg_is_in_recovery() AS is_standby, \
                  concat_ws(' ', inet_server_addr(), inet_server_port(), pg_postmaster_start_time()) \
                      AS process) AS server";

/// How it stands with a server.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub(super) struct Standing {
    /// Whether it follows another server and only reads.
    #[diesel(sql_type = Bool)]
    pub(super) is_standby: bool,
    /// Which server and which start of it: after a restart a standby may be less far for a while.
    #[diesel(sql_type = Text)]
    pub(super) process: String,
    /// How many promotions there were, and one.
    #[diesel(sql_type = BigInt)]
    pub(super) timeline: i64,
    /// How far its log is written, or replayed.
    #[diesel(sql_type = BigInt)]
    pub(super) place: i64,
}

/// Asks a server.
pub(super) async fn standing(connection: &mut AsyncPgConnection) -> QueryResult<Standing> {
    diesel::sql_query(QUESTION).get_result(connection).await
}

/// Asks a server how it stands, over a connection that is kept.
pub(super) async fn ask(
    address: &Address,
    kept: &mut Option<AsyncPgConnection>,
) -> ConnectionResult<Standing> {
    let asking = async {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => address.connect().await?,
        };
        let standing =
            standing(&mut connection).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok((connection, standing))
    };
    // What is dropped half way is not kept.
    let late = |_| Err(ConnectionError::BadConnection("it takes too long to answer".to_owned()));
    let (mut connection, standing) =
        tokio::time::timeout(ANSWER_WITHIN, asking).await.unwrap_or_else(late)?;
    *kept = (!connection.is_broken()).then_some(connection);
    Ok(standing)
}
