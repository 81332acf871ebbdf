//! Orders modules by their dependencies and finds what makes an order impossible.

use std::collections::{BTreeMap, BTreeSet};

use crate::module::{InitFault, Manifest};

/// The indices of `manifests`, every module after those it depends on; modules without a relation
/// keep the order in which they were found.
pub(super) fn order(manifests: &[Manifest]) -> Result<Vec<usize>, Vec<InitFault>> {
    let mut faults = Vec::new();
    let mut by_name = BTreeMap::new();
    for (index, manifest) in manifests.iter().enumerate() {
        faults.extend(form_faults(manifest));
        if by_name.insert(manifest.name, index).is_some() {
            let detail = format!("two modules are named `{}`; rename one", manifest.name);
            faults.push(InitFault::new(detail));
        }
    }
    for manifest in manifests {
        for needed in manifest.dependencies {
            if !by_name.contains_key(needed) {
                let detail = format!("depends on `{needed}`, which is not there; switch it on");
                faults.push(InitFault::new(detail).of(manifest.name));
            }
        }
    }
    let mut ordered: Vec<usize> = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while let Some(next) = (0..manifests.len()).find(|index| {
        !ordered.contains(index)
            && manifests[*index]
                .dependencies
                .iter()
                .all(|needed| done.contains(needed) || !by_name.contains_key(needed))
    }) {
        ordered.push(next);
        done.insert(manifests[next].name);
    }
    if ordered.len() < manifests.len() {
        faults.push(cycle_fault(manifests, &by_name, &done));
    }
    if faults.is_empty() { Ok(ordered) } else { Err(faults) }
}

fn form_faults(manifest: &Manifest) -> Vec<InitFault> {
    let mut faults = Vec::new();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if manifest.name.is_empty() || !manifest.name.bytes().all(plain) {
        faults.push(InitFault::new(format!(
            "`{}` is no name of a module; use lower case letters, digits and _",
            manifest.name
        )));
    }
    let core = manifest.version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() != 3 || numbers.iter().any(|number| number.parse::<u64>().is_err()) {
        let detail = format!("`{}` is no semantic version like 1.2.3", manifest.version);
        faults.push(InitFault::new(detail).of(manifest.name));
    }
    faults
}

/// Walks along unmet dependencies until a module comes twice, which shows the cycle.
fn cycle_fault(
    manifests: &[Manifest],
    by_name: &BTreeMap<&str, usize>,
    done: &BTreeSet<&str>,
) -> InitFault {
    let mut walked: Vec<&str> = Vec::new();
    let mut current =
        manifests.iter().map(|manifest| manifest.name).find(|name| !done.contains(name));
    while let Some(name) = current {
        if let Some(start) = walked.iter().position(|known| *known == name) {
            let cycle = walked[start..].join(" → ");
            return InitFault::new(format!("modules depend on each other: {cycle} → {name}"));
        }
        walked.push(name);
        current = by_name.get(name).and_then(|index| {
            let mut needed = manifests[*index].dependencies.iter().copied();
            needed.find(|needed| !done.contains(needed) && by_name.contains_key(needed))
        });
    }
    InitFault::new("the modules cannot be ordered by their dependencies")
}
