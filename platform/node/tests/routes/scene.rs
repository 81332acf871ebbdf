//! Two organisations on one node; the first has one of everything that a route can name.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::node::Node;
use crate::people::{Person, administrator, register};
use crate::web::Answer;

const MAIL_WITHIN: Duration = Duration::from_secs(30);
const PDF: &[u8] = b"%PDF-1.4\nhush\n%%EOF";

/// Everything the tests of routes need.
pub struct Scene<'a> {
    pub node: &'a Node,
    pub root: Person,
    /// Owner of the first organisation.
    pub ada: Person,
    /// Owner of the second one.
    pub bob: Person,
    /// Somebody in no organisation.
    pub nobody: Person,
    /// A key of the first organisation that may only read posts.
    pub key: String,
    /// The things of the first organisation, by name.
    pub things: BTreeMap<&'static str, String>,
}

impl<'a> Scene<'a> {
    pub fn set(node: &'a Node) -> Self {
        let root = administrator(node);
        let ada = register(node, "ada", Some("Hush Press"));
        let bob = register(node, "bob", Some("Loud Press"));
        let nobody = register(node, "nobody", None);
        let things = BTreeMap::from([
            ("organisation", ada.organisation().to_owned()),
            ("user", ada.id.clone()),
            ("session", ada.session.clone()),
        ]);
        let mut scene = Self { node, root, ada, bob, nobody, key: String::new(), things };
        scene.write_blog();
        scene.upload_files();
        scene.give_rights();
        scene.invite();
        scene.open_tap();
        scene.add_webhooks();
        scene
    }

    fn made(&mut self, name: &'static str, answer: Answer, pointer: &str) {
        let id = answer.expect(201).field(pointer);
        self.things.insert(name, id);
    }

    fn post(&self, person: &Person, path: &str, body: &str) -> Answer {
        self.node.web.post(&self.fill(path)).token(&person.token).json(&self.fill(body)).send()
    }

    fn write_blog(&mut self) {
        let body = r#"{"title":"Hush","body":"hush hush","comments_enabled":true,"tags":["hush"]}"#;
        let post = self.post(&self.ada, "/v1/blog/posts", body);
        self.made("post", post, "/id");
        self.post(&self.ada, "/v1/blog/posts/{post}/publish", "{}").expect(200);
        let comment = self.post(&self.ada, "/v1/blog/posts/{post}/comments", r#"{"body":"hush"}"#);
        self.made("comment", comment, "/id");
        let upload = self.node.web.post("/v1/blog/media?name=hush.pdf").token(&self.ada.token);
        let media = upload.body("application/octet-stream", PDF).send();
        self.made("media", media, "/id");
    }

    fn upload_files(&mut self) {
        let announced = r#"{"name":"hush.txt","content_type":"text/plain","size_bytes":5,
            "digest":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}"#;
        let upload = self.post(&self.ada, "/v1/files/uploads", announced);
        self.made("file", upload, "/id");
        let part = self.node.web.ask("PUT", &self.fill("/v1/files/uploads/{file}/parts/1"));
        let part = part.token(&self.ada.token).body("application/octet-stream", b"hello");
        part.send().expect(200);
        self.post(&self.ada, "/v1/files/uploads/{file}/complete", "").expect(201);
        let upload = self.post(&self.ada, "/v1/files/uploads", announced);
        self.made("upload", upload, "/id");
    }

    fn give_rights(&mut self) {
        let body = r#"{"name":"hush key","permissions":["blog.post.read"]}"#;
        let key = self.post(&self.ada, "/v1/auth/api-keys", body);
        self.key = key.field("/secret");
        self.made("api_key", key, "/key/id");
        let body = r#"{"key":"hush-role","title":"Hush","permissions":["blog.post.read"]}"#;
        self.post(&self.ada, "/v1/authz/roles", body).expect(201);
        let body = r#"{"subject":"{user}","role":"hush-role"}"#;
        let binding = self.post(&self.ada, "/v1/authz/bindings", body);
        self.made("binding", binding, "/id");
        let spare = register(self.node, "spare", None);
        let body = json!({ "subject": spare.id, "role": "administrator" }).to_string();
        let binding = self.post(&self.root, "/v1/authz/platform/bindings", &body);
        self.made("platform_binding", binding, "/id");
    }

    fn invite(&mut self) {
        let body = r#"{"email":"hush-guest@example.org","role":"reader"}"#;
        let invitation = self.post(&self.ada, "/v1/organisations/{organisation}/invitations", body);
        self.made("invitation", invitation, "/id");
        let since = Instant::now();
        let token = loop {
            if let Some(token) = self.mailed_token("hush-guest@example.org") {
                break token;
            }
            assert!(since.elapsed() < MAIL_WITHIN, "the invitation is not mailed");
            std::thread::sleep(Duration::from_millis(20));
        };
        self.things.insert("invitation_token", token);
        let mails = self.node.web.get("/v1/notify/mails?recipient=hush-guest@example.org");
        let mails = mails.token(&self.root.token).send().expect(200);
        self.things.insert("mail", mails.field("/items/0/id"));
    }

    /// The token of the link in the mail to this address.
    fn mailed_token(&self, address: &str) -> Option<String> {
        let directory = std::fs::read_dir(self.node.data().join("mails")).ok()?;
        let texts = directory.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
        let text = texts.filter(|text| text.contains(address)).last()?;
        let text = text.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
        let (_, rest) = text.split_once("/v1/invitations/")?;
        let end =
            rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"-_".contains(letter));
        Some(rest[..end?].to_owned())
    }

    fn open_tap(&mut self) {
        let tap = self.post(&self.root, "/v1/inspect/taps", r#"{"protocol":"blog","seconds":60}"#);
        self.made("tap", tap, "/id");
    }

    /// One endpoint that nothing is sent to, and one with a message.
    fn add_webhooks(&mut self) {
        let body = r#"{"url":"https://hush.example/","events":["blog.media.deleted"]}"#;
        let endpoint = self.post(&self.ada, "/v1/webhooks/endpoints", body);
        self.made("webhook", endpoint, "/endpoint/id");
        let other = self.post(&self.ada, "/v1/webhooks/endpoints", body).field("/endpoint/id");
        let test = self.post(&self.ada, &format!("/v1/webhooks/endpoints/{other}/test"), "");
        self.things.insert("webhook_delivery", test.expect(202).field("/id"));
    }

    /// Puts the things of the first organisation where their names are.
    pub fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.things {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    /// What an answer tells of the first organisation beyond what was asked.
    pub fn told(&self, answer: &Answer, asked: &str) -> Vec<String> {
        let words = ["hush", "Hush", "ada@example.org"].map(str::to_owned);
        let secrets = self.things.values().cloned().chain(words);
        secrets.filter(|secret| answer.text.contains(secret) && !asked.contains(secret)).collect()
    }

    /// Everything of the first organisation as its owner reads it.
    pub fn picture(&self) -> Vec<String> {
        let paths = [
            "/v1/organisations/{organisation}",
            "/v1/organisations/{organisation}/members",
            "/v1/organisations/{organisation}/invitations",
            "/v1/blog/posts/{post}",
            "/v1/blog/posts/{post}/revisions",
            "/v1/blog/comments",
            "/v1/blog/media/{media}",
            "/v1/files/{file}",
            "/v1/auth/api-keys/{api_key}",
            "/v1/authz/roles/hush-role",
            "/v1/authz/bindings/{binding}",
            "/v1/authz/permissions/mine",
            "/v1/webhooks/endpoints/{webhook}",
        ];
        let read = |path: &&str| {
            let answer = self.node.web.get(&self.fill(path)).token(&self.ada.token).send();
            format!("{path}: {}", answer.expect(200).text)
        };
        paths.iter().map(read).collect()
    }
}
