//! The audit trail as a whole, on both dialects.

mod actors;
mod forging;
mod house;
mod routes;
mod sealing;
mod tampering;
mod trail;
