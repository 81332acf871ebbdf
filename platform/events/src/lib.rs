//! The event bus over the transactional outbox: an embedded log with consumer offsets.
