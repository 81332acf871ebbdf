//! An answer with what is known of its request, for the log line and the metrics.

use http::header;
use troupe_kernel::{Failure, HttpResponse, Problem, Uuid};

use super::Exchange;

/// What is known of a request when its answer is ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Number of the route; none when nothing matched.
    pub(crate) route: Option<u32>,
    pub(crate) subject: Option<Uuid>,
    pub(crate) tenant: Option<Uuid>,
    /// Code of the failure, if it failed.
    pub(crate) code: Option<String>,
}

/// An answer and its outcome.
pub(crate) struct Answered {
    pub(crate) response: HttpResponse,
    pub(crate) outcome: Outcome,
}

impl Answered {
    pub(crate) fn new(response: HttpResponse) -> Self {
        Self { response, outcome: Outcome::default() }
    }

    /// The problem document of a failure.
    pub(crate) fn failed(failure: &Failure, exchange: &Exchange) -> Self {
        let mut answered = Self::problem(Problem::from(failure), exchange);
        if let Some(wait) = failure.retry_after_duration() {
            // Rounded up: a caller that comes back on time must not be early.
            let secs = wait.as_millis().div_ceil(1000).max(1);
            answered.response = answered.response.header(header::RETRY_AFTER, secs);
        }
        answered
    }

    /// A problem document, which names the request.
    pub(crate) fn problem(problem: Problem, exchange: &Exchange) -> Self {
        let problem = problem.instance(exchange.request);
        let mut response = HttpResponse::problem(&problem);
        if problem.status == 401 {
            response = response.header(header::WWW_AUTHENTICATE, challenge(problem.code()));
        }
        let code = Some(problem.code().to_owned());
        Self { response, outcome: Outcome { code, ..Outcome::default() } }
    }

    /// The same answer on a connection that ends with it.
    pub(crate) fn closing(mut self) -> Self {
        self.response = self.response.header(header::CONNECTION, "close");
        self
    }
}

/// RFC 6750: a request without a credential is asked for one, a faulty credential is called that.
fn challenge(code: &str) -> &'static str {
    if code.ends_with(".missing") {
        "Bearer realm=\"troupe\""
    } else {
        "Bearer realm=\"troupe\", error=\"invalid_token\""
    }
}
