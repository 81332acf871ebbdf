//! HTTP as data: the request that a route translates into a message, and the response it makes of
//! the reply. Reading and writing sockets is the edge's business.

pub mod body;
mod encoded;
mod query;
mod request;
mod response;

pub use encoded::{Encoded, Kept};
pub use query::from_query;
pub use request::HttpRequest;
pub use response::HttpResponse;
