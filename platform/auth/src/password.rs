//! Passwords: which are good enough, and how they are hashed. Pure computation, no actors.

pub mod common;
pub mod hash;
pub mod rule;
