//! Mail templates and their delivery.
