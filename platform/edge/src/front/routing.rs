//! Which path leads where: axum's router over the paths of the table and the edge's own.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::any;
use http::Method;
use troupe_kernel::InitFault;

use super::{Front, Operation};

/// Where a request arrived.
#[derive(Clone)]
pub(crate) enum Spot {
    /// A path of the table.
    Path(Arc<PathEntry>),
    /// A path of the edge itself.
    Own(Operation),
    /// No path at all.
    Nowhere,
}

/// A path with the methods that it has.
pub(crate) struct PathEntry {
    methods: Vec<(Method, u32)>,
    template: String,
    /// The value of `Allow`.
    pub(crate) allow: String,
}

impl PathEntry {
    /// The route of a method; `HEAD` is answered by `GET`.
    pub(crate) fn route(&self, method: &Method) -> Option<u32> {
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        self.methods.iter().find_map(|(known, number)| (known == wanted).then_some(*number))
    }
}

/// Whoever has the value of this parameter may do what it is good for.
const SECRET: &str = "{token}";

impl Spot {
    /// A path as it may be logged: with what is secret in it as the template has it.
    pub(crate) fn loggable(&self, path: &str) -> String {
        match self {
            Self::Path(entry) if entry.template.contains(SECRET) => masked(path, &entry.template),
            _ => path.to_owned(),
        }
    }
}

fn masked(path: &str, template: &str) -> String {
    let mut pattern = template.split('/');
    let segments = path.split('/').map(|segment| match pattern.next() {
        Some(SECRET) => SECRET,
        _ => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The router over all paths.
///
/// # Errors
/// Paths that are in conflict with each other or with the edge's own.
pub(crate) fn router(front: &Arc<Front>) -> Result<Router, Vec<InitFault>> {
    let mut paths: BTreeMap<&str, Vec<(Method, u32)>> = BTreeMap::new();
    for (number, entry) in front.table.iter() {
        let methods = paths.entry(entry.route.path()).or_default();
        methods.push((entry.route.method().clone(), number));
    }
    let mut faults = Vec::new();
    let mut router = Router::new();
    for operation in front.operations.all() {
        router = with_path(router, front, operation.path(), &Spot::Own(operation));
    }
    for (path, methods) in paths {
        let allow = allow(&methods);
        let spot = Spot::Path(Arc::new(PathEntry { methods, template: path.to_owned(), allow }));
        // axum panics on a conflict; here it is one fault among others.
        let before = router.clone();
        match catch_unwind(AssertUnwindSafe(|| with_path(before, front, path, &spot))) {
            Ok(extended) => router = extended,
            Err(_) => faults.push(
                InitFault::new(format!("{path} is in conflict with another path; change one"))
                    .of("edge"),
            ),
        }
    }
    let nowhere = front.clone();
    let router = router
        .fallback(move |request: Request<Body>| nowhere.clone().serve(Spot::Nowhere, request));
    if faults.is_empty() { Ok(router) } else { Err(faults) }
}

fn with_path(router: Router, front: &Arc<Front>, path: &str, spot: &Spot) -> Router {
    let (front, spot) = (front.clone(), spot.clone());
    router
        .route(path, any(move |request: Request<Body>| front.clone().serve(spot.clone(), request)))
}

fn allow(methods: &[(Method, u32)]) -> String {
    let mut names: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.sort_unstable();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn only_the_token_of_a_path_is_masked() {
        for (path, template, logged) in [
            ("/v1/invitations/s3cret", "/v1/invitations/{token}", "/v1/invitations/{token}"),
            ("/v1/a/7/s%2Fx/accept", "/v1/a/{id}/{token}/accept", "/v1/a/7/{token}/accept"),
        ] {
            assert_eq!(masked(path, template), logged);
        }
    }
}
