//! The routes as a whole.

use troupe_identity::permissions::PERMISSIONS;
use troupe_kernel::Access;

use crate::house::in_house;

#[tokio::test]
async fn every_route_says_who_may_use_it() {
    in_house(async |house| {
        let table: Vec<String> = house
            .parts
            .routes
            .iter()
            .map(|route| {
                let access = match route.access().expect("a route says who may use it") {
                    Access::Permission(key) => {
                        assert!(PERMISSIONS.iter().any(|known| known.key == *key), "{key}");
                        (*key).to_owned()
                    }
                    Access::Authenticated => "authenticated".to_owned(),
                    Access::Public => "public".to_owned(),
                };
                format!("{route} · {access}")
            })
            .collect();
        insta::assert_snapshot!("routes", table.join("\n"));
    })
    .await;
}
