//! People of the tests: a platform administrator, owners of organisations, and somebody in none.

use serde_json::json;

use crate::node::Node;

pub const PASSWORD: &str = "tug boat lantern 77";

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub token: String,
    pub session: String,
    /// Id and short name of the organisation, if there is one.
    pub organisation: Option<(String, String)>,
}

impl Person {
    pub fn organisation(&self) -> &str {
        &self.organisation.as_ref().expect("somebody with an organisation").0
    }
}

/// Sets the platform up.
pub fn administrator(node: &Node) -> Person {
    let body = json!({
        "token": node.setup_token(), "email": "root@example.org", "password": PASSWORD,
        "display_name": "Root", "organisation": "House",
    });
    node.web.post("/v1/auth/setup").json(&body.to_string()).send().expect(201);
    log_in(node, "root@example.org")
}

/// Registers somebody, as the owner of an organisation if it has a name.
pub fn register(node: &Node, name: &str, organisation: Option<&str>) -> Person {
    let email = format!("{name}@example.org");
    let body = json!({
        "email": email, "password": PASSWORD, "display_name": name, "organisation": organisation,
    });
    let answer = node.web.post("/v1/auth/register").json(&body.to_string()).send().expect(201);
    let organisation = organisation.map(|_| (answer.field("/organisation"), answer.field("/slug")));
    Person { organisation, ..log_in(node, &email) }
}

/// Logs in with the password of these tests.
pub fn log_in(node: &Node, email: &str) -> Person {
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let answer = node.web.post("/v1/auth/login").json(&body).send().expect(200);
    Person {
        id: answer.field("/user"),
        token: answer.field("/access_token"),
        session: answer.field("/session"),
        organisation: None,
    }
}
