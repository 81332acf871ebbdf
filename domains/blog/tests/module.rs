//! What the module registers, and that nothing of it is left out of the tests.

use std::collections::BTreeSet;

use troupe_blog::permissions;
use troupe_kernel::Access;

use crate::house::in_both;

#[tokio::test]
async fn every_permission_guards_a_route_or_a_rule() {
    in_both(async |house| {
        let guarded: BTreeSet<&str> = house
            .assembly
            .routes
            .iter()
            .filter_map(|route| match route.access() {
                Some(Access::Permission(key)) => Some(*key),
                _ => None,
            })
            .collect();
        for permission in permissions::permissions() {
            let ruled = permissions::policies()
                .iter()
                .any(|policy| policy.condition.contains(&format!("'{}'", permission.key)));
            assert!(guarded.contains(permission.key) || ruled, "{}", permission.key);
        }
    })
    .await;
}

#[tokio::test]
async fn every_route_is_described_and_public_ones_are_below_public() {
    in_both(async |house| {
        assert_eq!(house.assembly.routes.len(), 34);
        for route in &house.assembly.routes {
            let public = route.path().starts_with("/v1/public/");
            assert_eq!(route.access() == Some(&Access::Public), public, "{route}");
            assert!(!route.operation().summary.is_empty(), "{route}");
            assert!(!route.operation().responses.is_empty(), "{route}");
        }
    })
    .await;
}

#[tokio::test]
async fn without_its_needs_the_module_names_them_all() {
    use troupe_kernel::module::{Module as _, Surroundings};
    let universe = troupe_actors::testing::Universe::start().await;
    let clock = std::sync::Arc::new(troupe_kernel::ManualClock::default());
    let tree = troupe_kernel::Layers::new().file("troupe.toml", "blog.feed_items = 0").build();
    let mut around =
        Surroundings::new(universe.system().clone(), clock).config(tree.expect("TOML"));
    let faults = troupe_blog::BlogModule.init(&mut around.context()).err().expect("faults");
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for part in ["blog.feed_items", "Db", "Authorizer", "Cache", "BlobStore", "IdentityMessage"] {
        assert!(shown.iter().any(|line| line.contains(part)), "{part}: {shown:?}");
    }
    universe.finish().await;
}
