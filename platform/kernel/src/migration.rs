//! Migrations as modules declare them; the database crate runs them.

/// The two directions of a migration in one dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Applies it.
    pub up: &'static str,
    /// Takes it back.
    pub down: &'static str,
}

/// One step of the schema, in both dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The module whose tables it changes.
    pub owner: &'static str,
    /// Its number within the owner: `0001`.
    pub version: &'static str,
    /// What it does: `posts`.
    pub name: &'static str,
    /// The PostgreSQL script.
    pub postgres: Script,
    /// The SQLite script.
    pub sqlite: Script,
}
