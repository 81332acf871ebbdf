//! The cache port, kept in process.
