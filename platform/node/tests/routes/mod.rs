//! Every route of the API, as the node itself lists them: without a token, without the permission,
//! and with the rights of another organisation.

mod scene;
mod tables;

use std::collections::BTreeSet;

use serde_json::Value;

use self::scene::Scene;
use self::tables::{FOREIGN, OWN, PUBLIC, SENSITIVE, WITHOUT_FOREIGN};
use crate::data::Postgres;
use crate::node::Node;
use crate::people::PASSWORD;

/// What the API key of the scene may do.
const KEY_PERMISSION: &str = "blog.post.read";
const ANY_ID: &str = "01900000-0000-7000-8000-000000000000";

/// A route of the document.
#[derive(Debug)]
struct Listed {
    name: String,
    method: String,
    path: String,
    public: bool,
    permission: Option<String>,
}

impl Listed {
    /// The path with something in place of each parameter; the gates never look at it.
    fn any_path(&self) -> String {
        let mut path = String::new();
        for part in self.path.split_inclusive('/') {
            let end = if part.ends_with('/') { "/" } else { "" };
            if part.starts_with('{') {
                path.push_str(ANY_ID);
                path.push_str(end);
            } else {
                path.push_str(part);
            }
        }
        path
    }
}

fn listed(node: &Node) -> Vec<Listed> {
    let document = node.web.get("/openapi.json").send().expect(200).json();
    let paths = document["paths"].as_object().expect("paths").clone();
    let mut routes = Vec::new();
    for (path, operations) in &paths {
        for (method, operation) in operations.as_object().expect("operations") {
            let method = method.to_uppercase();
            let security = operation["security"].as_array();
            routes.push(Listed {
                name: format!("{method} {path}"),
                method,
                path: path.clone(),
                public: security.is_none_or(Vec::is_empty),
                permission: operation["x-permission"].as_str().map(str::to_owned),
            });
        }
    }
    routes
}

fn on_both(test: impl Fn(&Scene<'_>)) {
    let node = Node::start();
    test(&Scene::set(&node));
    drop(node);
    if let Some(database) = Postgres::create() {
        let node = Node::on(Some(database.url()));
        test(&Scene::set(&node));
    }
}

#[test]
fn every_route_is_in_exactly_one_table() {
    let node = Node::start();
    let routes = listed(&node);
    let tables = || {
        let public = PUBLIC.iter().copied();
        let foreign = FOREIGN.iter().map(|row| row.0);
        let own = OWN.iter().map(|row| row.0);
        public.chain(foreign).chain(own).chain(WITHOUT_FOREIGN.iter().map(|row| row.0))
    };
    let known: BTreeSet<&str> = tables().collect();
    assert_eq!(known.len(), tables().count(), "a route is in two tables");
    let there: BTreeSet<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    let uncovered: Vec<_> = there.difference(&known).collect();
    assert!(uncovered.is_empty(), "add these routes to tests/routes/tables.rs: {uncovered:#?}");
    let gone: Vec<_> = known.difference(&there).collect();
    assert!(gone.is_empty(), "take these routes out of tests/routes/tables.rs: {gone:#?}");
    for route in &routes {
        let meant = PUBLIC.contains(&route.name.as_str());
        assert_eq!(route.public, meant, "{} is public by mistake, or no longer", route.name);
    }
    assert!(WITHOUT_FOREIGN.iter().all(|row| row.1.len() > 10), "a reason is missing");
}

#[test]
fn every_route_refuses_who_has_no_token_a_wrong_one_or_no_permission() {
    on_both(|scene| {
        let web = &scene.node.web;
        let mut checked = 0;
        for route in listed(scene.node).iter().filter(|route| !route.public) {
            let name = &route.name;
            let ask = || web.ask(&route.method, &route.any_path());
            let answer = ask().send();
            assert_eq!(answer.status, 401, "{name} without a token: {answer:?}");
            assert_eq!(answer.problem(), "edge.credential.missing", "{name}");
            assert!(answer.header("www-authenticate").is_some(), "{name}: {answer:?}");
            let answer = ask().token("trp_nobody_gave_this_out").send();
            assert_eq!(answer.status, 401, "{name} with a wrong token: {answer:?}");
            if let Some(permission) = &route.permission {
                let answer = ask().token(&scene.nobody.token).send();
                assert_eq!(answer.status, 403, "{name} without a role: {answer:?}");
                assert_eq!(answer.problem(), "edge.permission.missing", "{name}");
                if permission != KEY_PERMISSION {
                    let answer = ask().token(&scene.key).send();
                    assert_eq!(answer.status, 403, "{name} with another permission: {answer:?}");
                    assert_eq!(answer.problem(), "edge.permission.missing", "{name}");
                }
            }
            checked += 1;
        }
        assert_eq!(checked, FOREIGN.len() + OWN.len() + WITHOUT_FOREIGN.len());
        web.get("/v1/blog/posts").token(&scene.key).send().expect(200);
    });
}

#[test]
fn every_route_keeps_one_organisation_from_another() {
    on_both(|scene| {
        let before = scene.picture();
        for (name, path, body) in FOREIGN {
            let (answer, asked) = as_bob(scene, name, path, body);
            assert!(
                matches!(answer.status, 403 | 404),
                "{name} of another organisation: {answer:?}"
            );
            answer.problem();
            assert_eq!(scene.told(&answer, &asked), [""; 0], "{name} tells: {answer:?}");
        }
        for (name, path, body) in OWN {
            let (answer, asked) = as_bob(scene, name, path, body);
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            assert_eq!(scene.told(&answer, &asked), [""; 0], "{name} tells: {answer:?}");
        }
        assert_eq!(scene.picture(), before, "nothing was changed");
        let session = scene.node.web.get("/v1/auth/sessions").token(&scene.ada.token).send();
        assert!(session.expect(200).text.contains(&scene.ada.session));
        // The same things are there for their owner, so that 404 was no mistake of this test.
        for name in ["GET /v1/blog/media/{id}", "GET /v1/auth/api-keys/{id}"] {
            let row = FOREIGN.iter().find(|row| row.0 == name).expect("a row");
            scene.node.web.get(&scene.fill(row.1)).token(&scene.ada.token).send().expect(200);
        }
    });
}

#[test]
fn what_a_stolen_token_must_not_do_asks_for_the_password() {
    on_both(|scene| {
        let web = &scene.node.web;
        let document = web.get("/openapi.json").send().expect(200).json();
        // Who was sent no mail in the last minute, and who is the last owner of nothing.
        let able = [&scene.root, &scene.nobody];
        for ((name, more), able) in SENSITIVE.iter().zip(able) {
            let path = name.strip_prefix("POST ").expect("a change");
            let operation = &document["paths"][path]["post"];
            assert!(operation["requestBody"]["required"].as_bool().unwrap_or(false), "{operation}");
            let with = |token: &str, password: &str| {
                let mut body: Value = serde_json::from_str(more).expect("the table has JSON");
                body["current_password"] = Value::from(password);
                web.post(path).token(token).json(&body.to_string()).send()
            };
            let without = web.post(path).token(&scene.bob.token).json(more).send();
            assert_eq!(
                (without.status, without.problem().as_str()),
                (400, "kernel.body.malformed")
            );
            let wrong = with(&scene.bob.token, "not the password");
            assert_eq!((wrong.status, wrong.problem().as_str()), (403, "auth.password.wrong"));
            let by_key = with(&scene.key, PASSWORD);
            let problem = by_key.problem();
            assert_eq!((by_key.status, problem.as_str()), (403, "identity.principal.not_a_user"));
            with(&able.token, PASSWORD).expect(202);
        }
        let guess = || {
            let body = r#"{"email":"bob@new.example","current_password":"not the password"}"#;
            web.post("/v1/users/me/email-change").token(&scene.bob.token).json(body).send()
        };
        let codes: Vec<String> = (0..8).map(|_| guess().problem()).collect();
        assert!(codes.iter().any(|code| code == "auth.login.locked"), "{codes:?}");
        let body = format!(r#"{{"email":"bob@example.org","password":"{PASSWORD}"}}"#);
        let login = web.post("/v1/auth/login").json(&body).send();
        assert_eq!((login.status, login.problem().as_str()), (429, "auth.login.locked"));
    });
}

/// What the owner of the second organisation is answered, and all that was asked.
fn as_bob(scene: &Scene<'_>, name: &str, path: &str, body: &str) -> (crate::web::Answer, String) {
    let (method, _) = name.split_once(' ').expect("method and path");
    let (path, body) = (scene.fill(path), scene.fill(body));
    let mut asking = scene.node.web.ask(method, &path).token(&scene.bob.token);
    asking = asking.header("if-match", "\"1\"");
    if !body.is_empty() {
        let _: Value = serde_json::from_str(&body).expect("the table has JSON");
        asking = asking.json(&body);
    }
    (asking.send(), format!("{path} {body}"))
}
