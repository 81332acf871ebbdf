//! The HTTP side: only reading, only one's own trail unless platform-wide.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use troupe_actors::Origin;
use troupe_kernel::http::{HttpRequest, HttpResponse};
use troupe_kernel::{
    Access, Method, PermissionSet, Principal, PrincipalKind, Scope, TenantId, Uuid,
};

use crate::house::{House, in_both, tenant};

fn person(tenant: Option<TenantId>) -> Scope {
    let mut origin = Origin::new(Uuid::now_v7());
    origin.principal = Some(Arc::new(Principal {
        subject: Uuid::now_v7(),
        kind: PrincipalKind::User,
        tenant: tenant.map(TenantId::uuid),
        session: None,
        permissions: PermissionSet::new(),
        bound: None,
        label: "test".to_owned(),
    }));
    Scope::root(Duration::from_secs(20), origin)
}

async fn get(house: &House, path: &str, template: &str, scope: Scope) -> HttpResponse {
    let route = house
        .routes
        .iter()
        .find(|route| route.path() == template)
        .unwrap_or_else(|| panic!("no route {template}"));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut request = HttpRequest::new(Method::GET, path, peer, scope.clone());
    query.clone_into(&mut request.query);
    for (part, name) in path.split('/').zip(template.split('/')) {
        if let Some(name) = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            request.parameters.push((name.to_owned(), part.to_owned()));
        }
    }
    let (port, pending) = route.target().open(&scope);
    route.target().deliver(&request, port);
    pending.await.response.unwrap_or_else(|failure| HttpResponse::from(&failure))
}

fn json_of(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).expect("the answer is JSON")
}

#[tokio::test]
async fn every_route_reads_and_needs_a_permission_of_its_reach() {
    in_both(async |house| {
        assert_eq!(house.routes.len(), 12);
        for route in &house.routes {
            assert_eq!(route.method(), Method::GET, "{route}");
            let Some(Access::Permission(key)) = route.access() else {
                panic!("{route} needs no permission")
            };
            let platform = route.path().contains("/platform/");
            assert_eq!(key.starts_with("audit.platform."), platform, "{route}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_trail_is_read_over_http_within_ones_organisation() {
    in_both(async |house| {
        let (own, other) = (tenant(), tenant());
        house.write(Some(own), &["a.b.1", "a.c.2"]).await;
        house.write(Some(other), &["a.b.3"]).await;
        house.seal().await;
        let entries = "/v1/audit/entries";
        let listed =
            get(house, "/v1/audit/entries?action=a.&limit=1", entries, person(Some(own))).await;
        let listed = json_of(&listed);
        assert_eq!(listed["items"][0]["action"], "a.c.2");
        assert!(listed["next_cursor"].is_string());
        let asked = format!("/v1/audit/entries?tenant={other}");
        assert_eq!(get(house, &asked, entries, person(Some(own))).await.status, 403);
        assert_eq!(get(house, entries, entries, person(None)).await.status, 403);
        for odd in
            ["outcome=odd", "colour=red", "actor=me", "from=yesterday", "limit=0", "cursor=zzz"]
        {
            let path = format!("/v1/audit/entries?{odd}");
            assert_eq!(get(house, &path, entries, person(Some(own))).await.status, 400, "{odd}");
        }
        let one = "/v1/audit/entries/{sequence}";
        assert_eq!(get(house, "/v1/audit/entries/2", one, person(Some(own))).await.status, 200);
        assert_eq!(get(house, "/v1/audit/entries/2", one, person(Some(other))).await.status, 404);
        assert_eq!(get(house, "/v1/audit/entries/two", one, person(Some(own))).await.status, 400);

        let platform = "/v1/audit/platform/entries";
        let all = json_of(&get(house, platform, platform, person(None)).await);
        assert_eq!(all["items"].as_array().map(Vec::len), Some(3));
        let asked = format!("{platform}?tenant={other}");
        let chosen = json_of(&get(house, &asked, platform, person(None)).await);
        assert_eq!(chosen["items"][0]["action"], "a.b.3");
    })
    .await;
}

#[tokio::test]
async fn export_checkpoints_key_and_verification_are_had_over_http() {
    in_both(async |house| {
        let own = tenant();
        house.write(Some(own), &["a.b.1", "a.b.2"]).await;
        house.seal().await;
        let scope = || person(Some(own));
        let exported = get(house, "/v1/audit/export", "/v1/audit/export", scope()).await;
        assert_eq!(exported.headers["content-type"], "application/x-ndjson");
        assert_eq!(
            exported.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(),
            2
        );
        assert!(!exported.headers.contains_key("next-cursor"));
        let said =
            json_of(&get(house, "/v1/audit/checkpoints", "/v1/audit/checkpoints", scope()).await);
        assert_eq!(said["items"][0]["sequence"], 2);
        let key = json_of(&get(house, "/v1/audit/key", "/v1/audit/key", scope()).await);
        assert_eq!(key["id"], house.public_key().id());
        let report = json_of(&get(house, "/v1/audit/verify", "/v1/audit/verify", scope()).await);
        assert_eq!((&report["intact"], &report["entries"]), (&true.into(), &2.into()));
        let path = "/v1/audit/platform/verify";
        assert_eq!(json_of(&get(house, path, path, scope()).await)["complete"], true);
        let path = "/v1/audit/waiting";
        assert_eq!(
            json_of(&get(house, path, path, scope()).await)["items"].as_array().map(Vec::len),
            Some(0)
        );

        let mut statements = house.unguarded();
        statements.push("UPDATE audit_entries SET action = 'x' WHERE sequence = 1".to_owned());
        house.tamper(&statements).await;
        let report = json_of(&get(house, "/v1/audit/verify", "/v1/audit/verify", scope()).await);
        assert_eq!(report["intact"], false);
        assert_eq!(report["findings"][0]["kind"], "entry_changed");
        assert_eq!(report["findings"][0]["sequence"], 1);
    })
    .await;
}
