//! The blog as a module: in a universe of actors, on both databases, through its routes.

mod actors;
mod comments;
mod fakes;
mod house;
mod lifecycle;
mod media;
mod module;
mod plans;
mod posts;
mod public;
mod repository;
mod search;
mod snapshots;
mod transfer;
