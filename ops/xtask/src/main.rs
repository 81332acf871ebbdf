//! The commands of the repository: test, ci, layers, services.

fn main() {}
