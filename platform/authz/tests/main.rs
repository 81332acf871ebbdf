//! The authorization service as a whole, on both dialects.

mod actors;
mod bindings;
mod decisions;
mod house;
mod members;
mod plans;
mod policies;
mod roles;
mod routes;
