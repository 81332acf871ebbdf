//! The actor kit: typed services, mailboxes that survive a restart, supervision, shards and observation.
