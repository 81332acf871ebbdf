//! Which path leads where: the paths of the table and the edge's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use matchit::Params;
use percent_encoding::percent_decode_str;
use troupe_kernel::InitFault;

use super::Operation;
use crate::table::Table;

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

/// All paths, and where they lead.
pub(crate) struct Paths {
    tree: matchit::Router<Spot>,
}

/// Parameters of a path, decoded, by name.
pub(crate) type Parameters = Vec<(String, String)>;

impl Paths {
    /// The paths of the table and the edge's own.
    ///
    /// # Errors
    /// Paths that are in conflict with each other or with the edge's own.
    pub(crate) fn new(table: &Table, own: Vec<Operation>) -> Result<Self, Vec<InitFault>> {
        let mut methods: BTreeMap<&str, Vec<(Method, u32)>> = BTreeMap::new();
        for (number, entry) in table.iter() {
            let methods = methods.entry(entry.route.path()).or_default();
            methods.push((entry.route.method().clone(), number));
        }
        let own = own.into_iter().map(|operation| (operation.path(), Spot::Own(operation)));
        let routes = methods.into_iter().map(|(path, methods)| {
            let (template, allow) = (path.to_owned(), allow(&methods));
            (path, Spot::Path(Arc::new(PathEntry { methods, template, allow })))
        });
        let (mut tree, mut faults) = (matchit::Router::new(), Vec::new());
        for (path, spot) in own.chain(routes) {
            if tree.insert(path, spot).is_err() {
                let detail = format!("{path} is in conflict with another path; change one");
                faults.push(InitFault::new(detail).of("edge"));
            }
        }
        if faults.is_empty() { Ok(Self { tree }) } else { Err(faults) }
    }

    /// Where a path leads, with its parameters; none when one of them is not text.
    pub(crate) fn find(&self, path: &str) -> (&Spot, Option<Parameters>) {
        match self.tree.at(path) {
            Ok(found) => (found.value, decoded(&found.params)),
            Err(_) => (&Spot::Nowhere, Some(Parameters::new())),
        }
    }
}

fn decoded(raw: &Params<'_, '_>) -> Option<Parameters> {
    let mut parameters = Parameters::with_capacity(raw.len());
    for (name, value) in raw.iter() {
        // hyper lets nothing into a path that would need decoding but is not encoded.
        let value = if value.contains('%') {
            percent_decode_str(value).decode_utf8().ok()?.into_owned()
        } else {
            value.to_owned()
        };
        if value.contains('\0') {
            return None;
        }
        parameters.push((name.to_owned(), value));
    }
    Some(parameters)
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
