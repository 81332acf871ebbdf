//! The blob store port on a local directory.
