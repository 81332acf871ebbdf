//! The inspection API: the actor tree, top lists, crashes and dead letters of a running node.
//!
//! Everything is read from the passive views of the actor kit: no inspected actor is ever messaged,
//! and every answer is bounded. Contents of messages are redacted by their protocol before they
//! come here; to see them takes a permission of its own, and each look is audited.
//!
//! The console looks at the whole node, across all organisations. Its permissions therefore belong
//! to no role of an organisation; the platform administrator has them.

mod config;
mod messages;
mod module;
mod permissions;
mod routes;
mod service;
mod taps;
mod views;

pub use config::ConsoleConfig;
pub use messages::{
    GetActor, GetCrash, GetKinds, GetNode, GetProtocols, GetTop, GetTree, InspectMessage,
    ListCrashes, ListDeadLetters, ListRecords, ListTaps, ReadTap, StartTap, StopTap,
};
pub use module::ConsoleModule;
pub use permissions::{PAYLOAD_READ, SYSTEM_READ, TAP_WRITE};
pub use views::{
    ActorPage, ActorSummary, ActorsView, CrashSummary, CrashView, DeadLetterView, HeaderView,
    KindView, LatencyView, NodeView, ProtocolView, RecordView, SortBy, TapRecords, TapView,
    TreeBranch, TreeView,
};
