//! A headless Chromium with a device that keeps passkeys, driven over WebDriver (W3C; the device is
//! that of WebAuthn §11).
//!
//! The driver and its browser are ended by their own ids, also when their test fails.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::data::Directory;
use crate::web::{Answer, Web};

const STARTED_WITHIN: Duration = Duration::from_secs(30);
const WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// The key of an element in answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
pub struct Browser {
    driver: Driver,
    session: String,
}

/// The process that drives it, which ends what it started.
struct Driver {
    child: Child,
    web: Web,
    /// Where driver and browser keep what they need.
    _directory: Directory,
}

impl Browser {
    /// Starts one; says loudly that the test is skipped when there is no driver.
    pub fn start() -> Option<Self> {
        let mut probe = Command::new("chromedriver");
        let found = probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            let test = std::thread::current().name().unwrap_or("?").to_owned();
            let why = "chromedriver is not installed";
            drop(writeln!(std::io::stderr(), "TROUPE-SKIPPED chromium: {test} ({why})"));
            return None;
        }
        let driver = Driver::start();
        // As root, as in most containers, Chromium has no sandbox.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=900,1100",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "webauthn:virtualAuthenticators": true,
        } } });
        let answer = driver.web.post("/session").json(&wanted.to_string()).send().expect(200);
        let session = answer.field("/value/sessionId");
        Some(Self { driver, session })
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, path, body).expect(200).json()["value"].take()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/session/{}{path}", self.session);
        let mut asking = self.driver.web.ask(method, &path);
        if method == "POST" {
            asking = asking.json(&body.to_string());
        }
        asking.send()
    }

    /// Finds an element and acts on it; again when the page replaced it in between.
    fn act(&self, selector: &str, action: &str, body: &Value) {
        let since = Instant::now();
        loop {
            let path = format!("{}/{action}", self.element(selector));
            let answer = self.ask("POST", &path, body);
            if !answer.text.contains("stale element reference") {
                answer.expect(200);
                return;
            }
            assert!(since.elapsed() < WITHIN, "{selector} is replaced all the time");
            std::thread::sleep(POLL);
        }
    }

    pub fn open(&self, address: &str) {
        self.command("POST", "/url", &json!({ "url": address }));
    }

    fn element(&self, selector: &str) -> String {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.command("POST", "/element", &wanted);
        let id = found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {selector}: {found}"));
        format!("/element/{id}")
    }

    pub fn click(&self, selector: &str) {
        self.act(selector, "click", &json!({}));
    }

    pub fn write(&self, selector: &str, text: &str) {
        self.act(selector, "clear", &json!({}));
        self.act(selector, "value", &json!({ "text": text }));
    }

    /// Writes into the dialogue that is open, and closes it.
    pub fn answer_dialogue(&self, text: &str) {
        self.command("POST", "/alert/text", &json!({ "text": text }));
        self.command("POST", "/alert/accept", &json!({}));
    }

    /// The text that is shown at an element; empty while it is hidden. Found and read at once, because
    /// the page may replace it.
    pub fn text(&self, selector: &str) -> String {
        let script = "const it = document.querySelector(arguments[0]); \
            return it && it.checkVisibility() ? it.innerText.trim() : '';";
        let asked = json!({ "script": script, "args": [selector] });
        let text = self.command("POST", "/execute/sync", &asked);
        text.as_str().expect("text").to_owned()
    }

    /// Waits until an element shows this.
    pub fn expect(&self, selector: &str, text: &str) {
        let since = Instant::now();
        loop {
            let shown = self.text(selector);
            if shown.contains(text) {
                return;
            }
            let fault = self.text("#fault");
            assert!(since.elapsed() < WITHIN, "{selector} shows {shown:?}, not {text:?}: {fault}");
            std::thread::sleep(POLL);
        }
    }

    /// Plugs in a device that keeps passkeys and recognises its owner; answers its id.
    pub fn plug_in(&self) -> String {
        let device = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true,
        });
        let id = self.command("POST", "/webauthn/authenticator", &device);
        id.as_str().expect("an id").to_owned()
    }

    /// What a device keeps, private keys included.
    pub fn passkeys(&self, device: &str) -> Vec<Value> {
        let path = format!("/webauthn/authenticator/{device}/credentials");
        self.command("GET", &path, &Value::Null).as_array().expect("passkeys").clone()
    }

    /// Puts a passkey into a device.
    pub fn put_passkey(&self, device: &str, passkey: &Value) {
        let path = format!("/webauthn/authenticator/{device}/credential");
        self.command("POST", &path, passkey);
    }

    /// Takes a passkey out of a device.
    pub fn take_passkey(&self, device: &str, passkey: &Value) {
        let id = passkey["credentialId"].as_str().expect("an id");
        let path = format!("/webauthn/authenticator/{device}/credentials/{id}");
        self.command("DELETE", &path, &Value::Null);
    }

    /// Whether a device recognises its owner from now on.
    pub fn recognise(&self, device: &str, recognises: bool) {
        let path = format!("/webauthn/authenticator/{device}/uv");
        self.command("POST", &path, &json!({ "isUserVerified": recognises }));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        drop(self.driver.web.ask("DELETE", &path).try_send());
    }
}

impl Driver {
    fn start() -> Self {
        let directory = Directory::new();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", directory.path())
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("the driver starts");
        let output = child.stdout.take().expect("it has an output");
        let (told, hears) = mpsc::channel();
        // Ends with the driver, which closes its output.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                drop(told.send(line));
            }
        });
        let since = Instant::now();
        let mut seen = String::new();
        while let Ok(line) = hears.recv_timeout(STARTED_WITHIN.saturating_sub(since.elapsed())) {
            if let Some((_, rest)) = line.split_once("started successfully on port ") {
                let port = rest.trim_end_matches('.');
                let web = Web::new(&format!("http://127.0.0.1:{port}"));
                return Self { child, web, _directory: directory };
            }
            seen.push_str(&line);
        }
        drop(child.kill());
        drop(child.wait());
        panic!("the driver does not start: {seen}");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The whole group: a browser that outlived its session goes too.
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-s", "KILL", "--", &group]).status());
        drop(self.child.wait());
    }
}
