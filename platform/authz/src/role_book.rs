//! The built-in roles, assembled from what every module adds to them.
//!
//! Five of them form a ladder: each holds what the one below holds, so that an owner may give every
//! role of the ladder. `administrator` holds every permission and counts on the whole platform only.
//! A module may register further roles; they hold what was registered and nothing else.

use std::collections::BTreeMap;

use troupe_authz_messages::{
    ROLE_ADMIN, ROLE_ADMINISTRATOR, ROLE_AUTHOR, ROLE_EDITOR, ROLE_OWNER, ROLE_READER, Role,
};
use troupe_kernel::PermissionSet;
use troupe_kernel::permissions::{Catalog, RoleDef};

const LADDER: [&str; 5] = [ROLE_READER, ROLE_AUTHOR, ROLE_EDITOR, ROLE_ADMIN, ROLE_OWNER];

/// One built-in role.
#[derive(Debug, Clone)]
pub struct BuiltinRole {
    /// Name to show.
    pub title: String,
    /// What it holds.
    pub permissions: PermissionSet,
    /// Whether it can only be granted platform-wide.
    pub platform: bool,
}

/// All built-in roles by key.
#[derive(Debug, Clone, Default)]
pub struct RoleBook {
    roles: BTreeMap<String, BuiltinRole>,
}

impl RoleBook {
    /// Merges the definitions of all modules.
    #[must_use]
    pub fn new(catalog: &Catalog, definitions: &[RoleDef]) -> Self {
        let mut book = Self::default();
        for key in LADDER {
            book.entry(key, default_title(key));
        }
        for definition in definitions {
            let set = catalog.compile(definition.permissions.iter().copied());
            book.entry(definition.key, definition.title).permissions.extend(&set);
        }
        let mut below = PermissionSet::new();
        for key in LADDER {
            let role = book.entry(key, default_title(key));
            role.permissions.extend(&below);
            below = role.permissions.clone();
        }
        let administrator = book.entry(ROLE_ADMINISTRATOR, "Platform administrator");
        administrator.permissions = catalog.all();
        administrator.platform = true;
        book
    }

    /// A built-in role.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&BuiltinRole> {
        self.roles.get(key)
    }

    /// The built-in roles as callers see them.
    pub fn list<'a>(&'a self, catalog: &'a Catalog) -> impl Iterator<Item = Role> + 'a {
        self.roles.iter().map(|(key, role)| describe(key, role, catalog))
    }

    /// One built-in role as callers see it.
    #[must_use]
    pub fn describe(&self, key: &str, catalog: &Catalog) -> Option<Role> {
        self.get(key).map(|role| describe(key, role, catalog))
    }

    fn entry(&mut self, key: &str, title: &str) -> &mut BuiltinRole {
        self.roles.entry(key.to_owned()).or_insert_with(|| BuiltinRole {
            title: title.to_owned(),
            permissions: PermissionSet::new(),
            platform: false,
        })
    }
}

fn describe(key: &str, role: &BuiltinRole, catalog: &Catalog) -> Role {
    Role {
        key: key.to_owned(),
        title: role.title.clone(),
        description: String::new(),
        permissions: catalog.names(&role.permissions).into_iter().map(str::to_owned).collect(),
        builtin: true,
        platform: role.platform,
        tenant: None,
        version: 0,
        updated_at: None,
    }
}

fn default_title(key: &str) -> &'static str {
    match key {
        ROLE_READER => "Reader",
        ROLE_AUTHOR => "Author",
        ROLE_EDITOR => "Editor",
        ROLE_ADMIN => "Admin",
        _ => "Owner",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use troupe_kernel::permissions::PermissionDef;

    fn catalog() -> Catalog {
        Catalog::new(
            ["a.read", "a.write", "b.read", "b.rule", "platform.rule"]
                .map(|key| PermissionDef { key, description: "allows it" }),
        )
    }

    fn names(book: &RoleBook, key: &str) -> Vec<String> {
        book.describe(key, &catalog()).expect("a built-in role").permissions
    }

    #[test]
    fn modules_add_to_one_role_and_the_ladder_inherits() {
        let definitions = [
            RoleDef { key: "reader", title: "Reader", permissions: vec!["a.read"] },
            RoleDef { key: "reader", title: "Reader", permissions: vec!["b.read"] },
            RoleDef { key: "admin", title: "Admin", permissions: vec!["b.rule"] },
            RoleDef { key: "writer", title: "Writer", permissions: vec!["a.write", "gone.away"] },
        ];
        let book = RoleBook::new(&catalog(), &definitions);
        assert_eq!(names(&book, "reader"), ["a.read", "b.read"]);
        assert_eq!(names(&book, "author"), ["a.read", "b.read"]);
        assert_eq!(names(&book, "owner"), ["a.read", "b.read", "b.rule"]);
        assert_eq!(names(&book, "writer"), ["a.write"]);
    }

    #[test]
    fn the_administrator_holds_everything_and_is_platform_wide() {
        let book = RoleBook::new(&catalog(), &[]);
        assert_eq!(names(&book, ROLE_ADMINISTRATOR).len(), 5);
        assert!(book.get(ROLE_ADMINISTRATOR).is_some_and(|role| role.platform));
        assert!(names(&book, "owner").is_empty());
    }
}
