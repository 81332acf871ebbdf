//! Files as a module: in a universe of actors, on both databases, through its routes.

mod files;
mod house;
mod plans;
mod uploads;
