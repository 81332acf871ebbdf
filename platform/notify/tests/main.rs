//! Integration tests of notify.
