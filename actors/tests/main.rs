//! The actor kit as its users meet it.

mod cores;
mod mailbox;
mod observation;
mod properties;
mod service;
mod shop;
mod spans;
mod strategies;
mod supervision;
mod testkit;
