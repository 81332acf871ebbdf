//! The routes as the gates use them: numbered, with their permission as a bit and their limits.

use std::time::Duration;

use troupe_kernel::{Access, Catalog, InitFault, Route};

use crate::config::EdgeConfig;

/// What a route asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Required {
    Public,
    Authenticated,
    Permission { bit: u16, key: &'static str },
}

/// One route with its limits.
pub(crate) struct Entry {
    pub(crate) route: Route,
    pub(crate) required: Required,
    pub(crate) body_bytes_max: usize,
    pub(crate) timeout: Duration,
}

/// All routes; a passage names its route by number.
pub(crate) struct Table {
    entries: Vec<Entry>,
}

impl Table {
    /// The table of these routes.
    ///
    /// # Errors
    /// Routes without an access rule and routes whose permission nobody declared.
    pub(crate) fn new(
        routes: Vec<Route>,
        catalog: &Catalog,
        config: &EdgeConfig,
    ) -> Result<Self, Vec<InitFault>> {
        let mut faults = Vec::new();
        let mut entries = Vec::with_capacity(routes.len());
        for route in routes {
            let required = match route.access() {
                None => Err("says nobody who may use it".to_owned()),
                Some(Access::Public) => Ok(Required::Public),
                Some(Access::Authenticated) => Ok(Required::Authenticated),
                Some(Access::Permission(key)) => catalog
                    .bit(key)
                    .map(|bit| Required::Permission { bit, key })
                    .ok_or_else(|| format!("names the unknown permission `{key}`")),
            };
            let limit = usize::try_from(config.body_bytes_max).unwrap_or(usize::MAX);
            match required {
                Ok(required) => entries.push(Entry {
                    required,
                    body_bytes_max: route.body_bytes_max().unwrap_or(limit),
                    timeout: route.timeout().unwrap_or(config.request_timeout),
                    route,
                }),
                Err(detail) => faults.push(InitFault::new(format!("{route} {detail}")).of("edge")),
            }
        }
        if faults.is_empty() { Ok(Self { entries }) } else { Err(faults) }
    }

    /// The route of this number.
    ///
    /// # Panics
    /// When the number is not from this table.
    pub(crate) fn get(&self, number: u32) -> &Entry {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.entries.get(index).expect("a passage names a route of its own node's table")
    }

    /// All routes with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..).zip(&self.entries)
    }
}
