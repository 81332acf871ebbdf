//! The audit trail as a whole, on both dialects.

mod actors;
mod forging;
mod house;
mod plans;
mod routes;
mod sealing;
mod tampering;
mod trail;
