//! Passkeys as people use them: the sign-in page of a node in a real browser.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::node::Node;
use crate::people::{PASSWORD, administrator, register};

const ADA: &str = "ada@example.org";
const SIGNED_IN: &str = "You are signed in as ada@example.org.";
const SIGNED_OUT: &str = "You are signed out.";

/// A node that browsers reach as `localhost`, and the address of its sign-in page.
fn node_with_page() -> (Node, String) {
    // Its own address is part of its settings, so that the port must be known before it starts.
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let settings = [
        format!("edge.listen=127.0.0.1:{port}"),
        format!("auth.public_url=http://localhost:{port}"),
    ];
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    (Node::with(&settings), format!("http://localhost:{port}/sign-in"))
}

fn with_password(browser: &Browser) {
    browser.write("#email", ADA);
    browser.write("#password", PASSWORD);
    browser.click("#password-form button");
}

fn sign_out(browser: &Browser) {
    browser.click("#sign-out");
    browser.expect("#state", SIGNED_OUT);
}

fn add(browser: &Browser, name: &str) {
    browser.write("#name", name);
    browser.write("#proof-password", PASSWORD);
    browser.click("#add-form > button");
    browser.expect("#passkeys", name);
}

#[test]
fn a_passkey_is_set_up_used_and_removed_in_a_browser() {
    let Some(browser) = Browser::start() else { return };
    let (node, page) = node_with_page();
    administrator(&node);
    register(&node, "ada", Some("Hush Press"));
    let device = browser.plug_in();
    browser.open(&page);
    with_password(&browser);
    browser.expect("#state", SIGNED_IN);
    browser.expect("#none", "You have no passkey yet.");
    add(&browser, "blue phone");
    assert_eq!(browser.text("#recovery-codes").lines().count(), 10);
    let kept = browser.passkeys(&device);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        (&kept[0]["rpId"], &kept[0]["isResidentCredential"]),
        (&json!("localhost"), &json!(true))
    );
    sign_out(&browser);

    // Alone.
    browser.click("#with-passkey");
    browser.expect("#state", SIGNED_IN);
    browser.expect("#passkeys", "blue phone, used ");
    sign_out(&browser);

    // As the second step.
    with_password(&browser);
    browser.expect("#second", "Your account asks for a second step.");
    browser.click("#answer-passkey");
    browser.expect("#state", SIGNED_IN);
    sign_out(&browser);

    // A device that does not recognise its owner gives nothing.
    browser.recognise(&device, false);
    browser.click("#with-passkey");
    browser.expect("#fault", "That was cancelled or took too long.");
    browser.recognise(&device, true);

    // A removed one opens nothing, although the device still has it.
    browser.click("#with-passkey");
    browser.expect("#passkeys", "blue phone");
    browser.click("#passkeys li button:nth-of-type(1)");
    browser.answer_dialogue("green phone");
    browser.expect("#passkeys", "green phone");
    browser.write("#proof-password", PASSWORD);
    browser.click("#passkeys li button:nth-of-type(2)");
    browser.expect("#none", "You have no passkey yet.");
    sign_out(&browser);
    browser.click("#with-passkey");
    browser.expect("#fault", "this passkey does not sign in here");
    assert_eq!(browser.text("#title"), "Sign in");
    with_password(&browser);
    browser.expect("#state", SIGNED_IN);
}

#[test]
fn a_copied_passkey_is_barred_when_it_counts_back() {
    let Some(browser) = Browser::start() else { return };
    let (node, page) = node_with_page();
    administrator(&node);
    register(&node, "ada", None);
    let device = browser.plug_in();
    browser.open(&page);
    with_password(&browser);
    browser.expect("#state", SIGNED_IN);
    add(&browser, "blue phone");
    let copy = browser.passkeys(&device)[0].clone();
    let copied_at = copy["signCount"].as_u64().expect("a count");
    for _ in 0..2 {
        sign_out(&browser);
        browser.click("#with-passkey");
        browser.expect("#state", SIGNED_IN);
    }
    sign_out(&browser);
    let used = browser.passkeys(&device)[0].clone();
    assert!(used["signCount"].as_u64().expect("a count") > copied_at, "{used}");
    browser.take_passkey(&device, &used);
    browser.put_passkey(&device, &copy);
    browser.click("#with-passkey");
    browser.expect("#fault", "this passkey does not sign in here");

    // Neither does the one that was used, and its owner sees why.
    browser.take_passkey(&device, &copy);
    browser.put_passkey(&device, &used);
    browser.click("#with-passkey");
    browser.expect("#fault", "this passkey does not sign in here");
    let body = json!({ "email": ADA, "password": PASSWORD }).to_string();
    let begun = node.web.post("/v1/auth/login").json(&body).send().expect(202);
    assert_eq!(begun.json()["passkey"], Value::Null, "the password alone is not enough either");
    let log = node.log();
    assert!(log.contains("there are two of a passkey"), "it is in the log");
}
