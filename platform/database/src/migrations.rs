//! Migrations as data: [`migrations!`](crate::migrations!) embeds an owner's folder, [`Plan`] merges all
//! owners into one ordered list and refuses what does not fit.
//!
//! An owner's scripts lie in `migrations/OWNER/{postgres,sqlite}/VERSION_NAME/{up,down}.sql` below the
//! repository root. A version is four digits and rises; an owner never touches another owner's tables,
//! so owners need no order among each other.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use troupe_kernel::{Migration, Script};

use crate::connection::Dialect;
use crate::migrator::SchemaError;

/// The migrations of this crate: the effect tables.
pub const MIGRATIONS: &[Migration] =
    crate::migrations!("database", ["0001_effects", "0002_log_epoch"]);

/// Embeds the migrations of an owner, in order, as `&'static [Migration]`.
///
/// The calling crate lies two folders below the repository root (`platform/blog`), as every crate with
/// tables does.
///
/// ```ignore
/// pub const MIGRATIONS: &[Migration] = troupe_database::migrations!("blog", ["0001_posts", "0002_tags"]);
/// ```
#[macro_export]
macro_rules! migrations {
    ($owner:literal, [$($folder:literal),+ $(,)?]) => {
        &[$($crate::migrations::embedded(
            $owner,
            $folder,
            $crate::migrations::script(
                $crate::migrations!(@text $owner, "postgres", $folder, "up"),
                $crate::migrations!(@text $owner, "postgres", $folder, "down"),
            ),
            $crate::migrations::script(
                $crate::migrations!(@text $owner, "sqlite", $folder, "up"),
                $crate::migrations!(@text $owner, "sqlite", $folder, "down"),
            ),
        )),+]
    };
    (@text $owner:literal, $dialect:literal, $folder:literal, $direction:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../../migrations/", $owner, "/", $dialect, "/", $folder, "/", $direction, ".sql"
        ))
    };
}

/// One script pair; used by [`migrations!`](crate::migrations).
#[doc(hidden)]
#[must_use]
pub const fn script(up: &'static str, down: &'static str) -> Script {
    Script { up, down }
}

/// One migration from its folder's name; used by [`migrations!`](crate::migrations).
///
/// # Panics
/// At compile time when the folder's name is not four digits, an underscore and a name.
#[doc(hidden)]
#[must_use]
pub const fn embedded(
    owner: &'static str,
    folder: &'static str,
    postgres: Script,
    sqlite: Script,
) -> Migration {
    let bytes = folder.as_bytes();
    assert!(bytes.len() > 5 && bytes[4] == b'_', "a migration's folder is called like 0001_name");
    let (version, rest) = folder.split_at(4);
    let (_, name) = rest.split_at(1);
    Migration { owner, version, name, postgres, sqlite }
}

/// All owners' migrations in the order in which they are applied.
#[derive(Debug, Clone)]
pub struct Plan {
    steps: Vec<Migration>,
}

impl Plan {
    /// Merges the owners' lists; this crate's own come first and need not be given.
    ///
    /// # Errors
    /// Every fault at once: a version that is given twice or does not rise within its owner, a version
    /// that is not four digits, an empty script.
    pub fn merge(lists: &[&[Migration]]) -> Result<Self, SchemaError> {
        let mut steps: Vec<Migration> = MIGRATIONS.to_vec();
        steps.extend(
            lists
                .iter()
                .flat_map(|list| list.iter().copied())
                .filter(|step| step.owner != "database"),
        );
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, step) in steps.iter().enumerate() {
            let id = format!("{}/{}_{}", step.owner, step.version, step.name);
            if !seen.insert((step.owner, step.version)) {
                faults.push(format!("{id}: the version {} is given twice", step.version));
            }
            if step.version.len() != 4 || !step.version.bytes().all(|byte| byte.is_ascii_digit()) {
                faults.push(format!("{id}: a version has four digits"));
            }
            let before = steps[..index].iter().rfind(|other| other.owner == step.owner);
            if before.is_some_and(|before| before.version > step.version) {
                faults.push(format!("{id}: versions must rise"));
            }
            let scripts = [step.postgres.up, step.postgres.down, step.sqlite.up, step.sqlite.down];
            if scripts.iter().any(|text| text.trim().is_empty()) {
                faults.push(format!("{id}: a script is empty; each dialect needs up and down"));
            }
        }
        if faults.is_empty() { Ok(Self { steps }) } else { Err(SchemaError::Plan { faults }) }
    }

    /// The migrations in order.
    #[must_use]
    pub fn steps(&self) -> &[Migration] {
        &self.steps
    }

    /// A short hash of every script, for the name of a test template.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for step in &self.steps {
            for part in [step.owner, step.version, step.name, step.postgres.up, step.sqlite.up] {
                hash.update(part.as_bytes());
                hash.update([0]);
            }
        }
        hex(&hash.finalize()[..8])
    }
}

/// The scripts of a migration for a dialect.
pub(crate) fn scripts(step: &Migration, dialect: Dialect) -> Script {
    match dialect {
        Dialect::Postgres => step.postgres,
        Dialect::Sqlite => step.sqlite,
    }
}

/// A hash of the script that is applied, to find one that was edited afterwards.
pub(crate) fn checksum(step: &Migration, dialect: Dialect) -> String {
    hex(&Sha256::digest(scripts(step, dialect).up.as_bytes())[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn step(owner: &'static str, version: &'static str) -> Migration {
        Migration {
            owner,
            version,
            name: "x",
            postgres: script("u", "d"),
            sqlite: script("u", "d"),
        }
    }

    #[test]
    fn a_plan_refuses_duplicates_and_falling_versions_all_at_once() {
        let lists: [&[Migration]; 2] = [
            &[step("blog", "0002"), step("blog", "0001"), step("auth", "0001")],
            &[step("auth", "0001"), step("auth", "2")],
        ];
        let Err(SchemaError::Plan { faults }) = Plan::merge(&lists) else {
            panic!("the plan was taken")
        };
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("blog/0001_x: versions must rise"), "{faults:?}");
        assert!(faults[1].contains("given twice"), "{faults:?}");
        assert!(faults[2].contains("four digits"), "{faults:?}");
    }

    #[test]
    fn the_effects_come_first_and_only_once() {
        let plan = Plan::merge(&[&[step("blog", "0001")], MIGRATIONS]).unwrap();
        let owners: Vec<_> = plan.steps().iter().map(|step| step.owner).collect();
        assert_eq!(owners.first(), Some(&"database"));
        assert_eq!(owners.iter().filter(|owner| **owner == "database").count(), MIGRATIONS.len());
        assert_eq!(owners.last(), Some(&"blog"));
    }
}
