//! The typed protocol of the authorization service, data only.
