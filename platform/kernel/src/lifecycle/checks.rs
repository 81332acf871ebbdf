//! Validates what the modules contribute together. All faults at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::Contribution;
use crate::module::InitFault;
use crate::routes::{Access, PathTemplate, Route};

/// Checks everything. `complete` says whether every module contributed; if one did not, what it
/// would have declared is unknown and references to it are not judged.
pub(super) fn check(contributions: &[Contribution], complete: bool) -> Vec<InitFault> {
    let mut faults = Vec::new();
    duplicates(contributions, &mut faults);
    permission_forms(contributions, &mut faults);
    if complete {
        unknown_permissions(contributions, &mut faults);
    }
    routes(contributions, &mut faults);
    migrations(contributions, &mut faults);
    subscriptions(contributions, &mut faults);
    faults
}

/// Finds keys that come more than once.
struct Unique<'a, K> {
    what: &'a str,
    owners: BTreeMap<K, &'static str>,
}

impl<'a, K: Ord + Display> Unique<'a, K> {
    fn new(what: &'a str) -> Self {
        Self { what, owners: BTreeMap::new() }
    }

    fn add(&mut self, module: &'static str, key: K, faults: &mut Vec<InitFault>) {
        if let Some(first) = self.owners.get(&key) {
            let whose = if *first == module { "itself" } else { first };
            let detail = format!("the {} `{key}` is already declared by {whose}", self.what);
            faults.push(InitFault::new(detail).of(module));
        } else {
            self.owners.insert(key, module);
        }
    }
}

fn duplicates(contributions: &[Contribution], faults: &mut Vec<InitFault>) {
    let mut permissions = Unique::new("permission");
    let mut policies = Unique::new("policy");
    let mut jobs = Unique::new("kind of job");
    let mut consumers = Unique::new("subscription");
    let mut migrations = Unique::new("migration");
    let mut checks = Unique::new("health check");
    for Contribution { manifest, parts } in contributions {
        let name = manifest.name;
        for each in &parts.permissions {
            permissions.add(name, each.key, faults);
        }
        for each in &parts.policies {
            policies.add(name, each.id, faults);
        }
        for each in &parts.jobs {
            jobs.add(name, each.kind(), faults);
        }
        for each in &parts.subscriptions {
            consumers.add(name, each.name(), faults);
        }
        for each in &parts.migrations {
            migrations.add(name, format!("{}/{}", each.owner, each.version), faults);
        }
        for each in &parts.health {
            checks.add(name, each.name(), faults);
        }
    }
}

fn permission_forms(contributions: &[Contribution], faults: &mut Vec<InitFault>) {
    for Contribution { manifest, parts } in contributions {
        for permission in &parts.permissions {
            if !is_dotted_name(permission.key, 3) {
                let detail = format!(
                    "the permission `{}` must be owner.thing.action in lower case",
                    permission.key
                );
                faults.push(InitFault::new(detail).of(manifest.name));
            }
        }
    }
}

fn is_dotted_name(key: &str, parts: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    key.split('.').count() == parts
        && key.split('.').all(|part| !part.is_empty() && part.bytes().all(plain))
}

fn unknown_permissions(contributions: &[Contribution], faults: &mut Vec<InitFault>) {
    let known: BTreeSet<&str> = contributions
        .iter()
        .flat_map(|each| &each.parts.permissions)
        .map(|permission| permission.key)
        .collect();
    let judge = |key: &str, whose: &dyn Display, module: &str| {
        (!known.contains(key)).then(|| {
            let hint = crate::config::unknown_detail("permission", key, known.iter().copied());
            InitFault::new(format!("{whose} names the permission `{key}`: {hint}")).of(module)
        })
    };
    for Contribution { manifest, parts } in contributions {
        for route in &parts.routes {
            if let Some(Access::Permission(key)) = route.access() {
                faults.extend(judge(key, route, manifest.name));
            }
        }
        for role in &parts.roles {
            let whose = format!("the role `{}`", role.key);
            faults.extend(
                role.permissions.iter().filter_map(|key| judge(key, &whose, manifest.name)),
            );
        }
    }
}

/// A path that other routes share in shape, and the module and template that came first.
struct Known<'a> {
    module: &'static str,
    path: &'a str,
    methods: BTreeSet<String>,
}

fn routes(contributions: &[Contribution], faults: &mut Vec<InitFault>) {
    let mut shapes: BTreeMap<String, Known<'_>> = BTreeMap::new();
    for Contribution { manifest, parts } in contributions {
        for route in &parts.routes {
            let mut refuse = |detail: String| {
                faults.push(InitFault::new(format!("{route} {detail}")).of(manifest.name));
            };
            if route.access().is_none() {
                refuse(
                    "says nobody who may use it; add .permission(…), .authenticated() or .public()"
                        .to_owned(),
                );
            }
            match PathTemplate::parse(route.path()) {
                Err(fault) => refuse(format!("has a faulty path: {fault}")),
                Ok(template) => {
                    if let Some(detail) = place_route(&mut shapes, manifest.name, route, &template)
                    {
                        refuse(detail);
                    }
                }
            }
        }
    }
}

fn place_route<'a>(
    shapes: &mut BTreeMap<String, Known<'a>>,
    module: &'static str,
    route: &'a Route,
    template: &PathTemplate,
) -> Option<String> {
    let known = shapes.entry(template.shape()).or_insert_with(|| Known {
        module,
        path: route.path(),
        methods: BTreeSet::new(),
    });
    if !known.methods.insert(route.method().to_string()) {
        return Some(format!("is already declared by {} as {}", known.module, known.path));
    }
    (known.path != route.path()).then(|| {
        format!(
            "has the same path as {} of {}; name the parameters alike",
            known.path, known.module
        )
    })
}

fn migrations(contributions: &[Contribution], faults: &mut Vec<InitFault>) {
    for Contribution { manifest, parts } in contributions {
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for migration in &parts.migrations {
            let (owner, version) = (migration.owner, migration.version);
            let digits = version.len() == 4 && version.bytes().all(|byte| byte.is_ascii_digit());
            if !digits {
                let detail =
                    format!("the migration `{owner}/{version}` needs a number of four digits");
                faults.push(InitFault::new(detail).of(manifest.name));
            }
            if last.insert(owner, version).is_some_and(|before| before > version) {
                let detail = format!("the migration `{owner}/{version}` is out of order");
                faults.push(InitFault::new(detail).of(manifest.name));
            }
        }
    }
}

fn subscriptions(contributions: &[Contribution], faults: &mut Vec<InitFault>) {
    for Contribution { manifest, parts } in contributions {
        for subscription in &parts.subscriptions {
            if subscription.patterns().is_empty() {
                let detail =
                    format!("the subscription `{}` listens to nothing", subscription.name());
                faults.push(InitFault::new(detail).of(manifest.name));
            }
        }
    }
}
