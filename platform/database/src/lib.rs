//! PostgreSQL and SQLite behind one connection type, the unit of work and the migration runner.
