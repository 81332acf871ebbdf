//! Permissions and roles as modules declare them, and the catalogue that gives each permission its bit.
//!
//! A permission key is `owner.thing.action`. Bits follow the order of the keys, so that every node
//! with the same modules has the same bits.

use std::collections::BTreeMap;

use troupe_actors::PermissionSet;

/// One permission that a module checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionDef {
    /// `owner.thing.action`, for example `blog.post.create`.
    pub key: &'static str,
    /// What it allows, one sentence for the person who grants it.
    pub description: &'static str,
}

/// A role that exists in every tenant from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleDef {
    /// Name of the role, for example `editor`. Modules may add permissions to the same role.
    pub key: &'static str,
    /// The name shown to people.
    pub title: &'static str,
    /// Keys of the permissions it holds.
    pub permissions: Vec<&'static str>,
}

/// All permissions of a node; key to bit and back.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    keys: Vec<String>,
    descriptions: Vec<String>,
    bits: BTreeMap<String, u16>,
}

impl Catalog {
    /// A catalogue of the given permissions; a key that comes twice counts once.
    ///
    /// # Panics
    /// With more than 65,536 permissions.
    #[must_use]
    pub fn new(permissions: impl IntoIterator<Item = PermissionDef>) -> Self {
        let sorted: BTreeMap<&str, &str> =
            permissions.into_iter().map(|each| (each.key, each.description)).collect();
        let mut catalog = Self::default();
        for (index, (key, description)) in sorted.into_iter().enumerate() {
            let bit = u16::try_from(index).expect("a node has at most 65,536 permissions");
            catalog.keys.push(key.to_owned());
            catalog.descriptions.push(description.to_owned());
            catalog.bits.insert(key.to_owned(), bit);
        }
        catalog
    }

    /// The bit of a permission.
    #[must_use]
    pub fn bit(&self, key: &str) -> Option<u16> {
        self.bits.get(key).copied()
    }

    /// The permission of a bit.
    #[must_use]
    pub fn key(&self, bit: u16) -> Option<&str> {
        self.keys.get(usize::from(bit)).map(String::as_str)
    }

    /// The set of these keys; keys that no module declares (any more) are left out.
    pub fn compile<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> PermissionSet {
        keys.into_iter().filter_map(|key| self.bit(key)).collect()
    }

    /// The keys of a set, in order.
    #[must_use]
    pub fn names(&self, set: &PermissionSet) -> Vec<&str> {
        set.iter().filter_map(|bit| self.key(bit)).collect()
    }

    /// The set of all permissions.
    #[must_use]
    pub fn all(&self) -> PermissionSet {
        self.bits.values().copied().collect()
    }

    /// Every permission with its description, in order of keys.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().map(String::as_str).zip(self.descriptions.iter().map(String::as_str))
    }

    /// How many permissions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        Catalog::new(
            ["blog.post.read", "blog.post.create", "audit.record.read"]
                .map(|key| PermissionDef { key, description: "allows it" }),
        )
    }

    #[test]
    fn bits_follow_the_order_of_keys_whatever_order_they_came_in() {
        let catalog = catalog();
        assert_eq!(catalog.bit("audit.record.read"), Some(0));
        assert_eq!(catalog.bit("blog.post.read"), Some(2));
        assert_eq!(catalog.key(1), Some("blog.post.create"));
        assert_eq!(catalog.bit("unknown"), None);
        assert_eq!(catalog.key(3), None);
    }

    #[test]
    fn a_compiled_set_names_what_went_in_and_leaves_out_the_unknown() {
        let catalog = catalog();
        let set = catalog.compile(["blog.post.read", "gone.long.ago"]);
        assert_eq!(catalog.names(&set), ["blog.post.read"]);
        assert_eq!(catalog.names(&catalog.all()).len(), 3);
    }
}
