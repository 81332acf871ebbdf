//! Posts, comments, media and feeds.
//!
//! A service crate with the usual rooms. What a post is made of lies in [`content`] as pure
//! functions; [`directory`] reads and writes a folder of documents for the command line. The
//! module wires everything else.

pub mod content;
pub mod directory;
