//! An open-loop HTTP/1.1 load generator that measures from the intended send time.
//!
//! In an open loop requests are due at moments that do not depend on the server (Poisson arrivals).
//! A request that is due while every connection waits stands in a bounded backlog, and its latency
//! counts from the moment it was due: a server that stalls cannot hide it by being asked less. In a
//! closed loop each connection sends as soon as it has its answer: good for CPU per request, not for
//! latency.
//!
//! One thread, non-blocking sockets, one epoll loop that sleeps to the microsecond and never spins.
//! Everything is bounded: connections, backlog, duration, requests, heads and bodies of answers.
//! There is no TLS and no pipelining, and redirects are not followed.

mod arrivals;
mod connection;
mod engine;
mod error;
mod file;
mod plan;
mod report;
mod response;
mod scenario;
mod tally;

pub use engine::{Remote, run};
pub use error::{Fault, LoadError};
pub use report::{Errors, Generator, Latency, Percentile, Report};
pub use scenario::{Mode, Order, Scenario, Template, Values, parse_duration};
