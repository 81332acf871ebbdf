//! The database crate on both dialects.

mod notes;
