//! The event bus over the transactional outbox: an embedded log with consumer offsets.
//!
//! The outbox table is the log. Each subscription has a supervised consumer actor that reads the log
//! from its own offset and asks the subscribed service; events of one subject arrive in order, each at
//! least once. The service drops a second delivery with `db.consume` in its own transaction, so that
//! each event is applied once. An event that cannot be applied goes to the dead letters and the others
//! continue.
//!
//! A consumer is woken after each commit with events and polls slowly besides. With several nodes, one
//! of them delivers to a consumer at a time (a lease beside the offset).
//!
//! Not here: publishing (events are added to the unit of work), other brokers.

mod bus;
mod config;
mod consumer;
mod dead_letters;
mod delivery;
mod events;
#[cfg(feature = "kafka")]
mod kafka;
mod kafka_config;
mod log;
mod module;
mod retention;
mod turn;

pub use config::EventsConfig;
pub use consumer::{ConsumerMessage, Wake};
pub use dead_letters::DeadLetter;
pub use events::{Events, Lag, Replay};
pub use kafka_config::{KafkaConfig, Sasl};
pub use log::Position;
pub use module::{EventsModule, MIGRATIONS};
pub use retention::{RetentionMessage, Trim};
