//! The binary `troupe`: configuration, composition and the command line.

fn main() {}
