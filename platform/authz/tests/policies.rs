//! Bad policies are errors at start.

use std::sync::Arc;

use troupe_actors::testing::Universe;
use troupe_authz::MIGRATIONS;
use troupe_database::testing::for_both;
use troupe_kernel::ManualClock;
use troupe_kernel::policies::{PolicyDef, PolicyEffect};

use crate::house::{EDIT, assemble, children};

fn policy(id: &'static str, action: &'static str, condition: &'static str) -> PolicyDef {
    PolicyDef { id, action, effect: PolicyEffect::Permit, condition, description: "a rule" }
}

#[tokio::test]
async fn a_bad_policy_keeps_the_node_from_starting_and_every_fault_is_named() {
    for_both(MIGRATIONS, async |db| {
        let universe = Universe::start().await;
        let policies = vec![
            policy("press.syntax", EDIT, "resource.owner =="),
            policy("press.name", EDIT, "resource.ownr == principal.id"),
            policy("press.key", EDIT, "permitted('press.article.edti')"),
            policy("press.nothing", "press.magazine.*", "true"),
            policy("press.good", EDIT, "true"),
        ];
        let (_around, mut loaded, _) =
            assemble(&universe, &db, Arc::new(ManualClock::default()), policies);
        let (specs, ..) = children(&mut loaded);
        let mut failures = Vec::new();
        for spec in specs {
            if let Err(failure) = universe.system().clone().start(spec).await {
                failures.push(failure.to_string());
            }
        }
        assert_eq!(failures.len(), 1, "{failures:?}");
        for part in ["press.syntax", "resource.ownr", "press.article.edti", "press.magazine.*"] {
            assert!(failures[0].contains(part), "{part} in {failures:?}");
        }
        assert!(!failures[0].contains("press.good"));
        universe.finish().await;
    })
    .await;
}
