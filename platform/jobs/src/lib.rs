//! The scheduler: queued, delayed and recurring jobs in the database.
