//! The typed protocol of the identity service, data only.
