//! The command line.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::data::Directory;
use crate::node::{Node, run, run_with_input};
use crate::people::{PASSWORD, administrator};

#[test]
fn every_command_explains_itself() {
    let directory = Directory::new();
    let node = ["--data", "--config", "--set"];
    let remote = ["--server", "--token"];
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["serve", "migrate", "admin", "blog", "audit", "events", "actors", "config"]),
        (&["serve"], &node),
        (&["migrate"], &["--status", "--revert"]),
        (&["admin"], &["create-user", "grant", "reset-second-factor", "setup-link"]),
        (&["admin", "create-user"], &["--email", "--name", "--organisation", "standard input"]),
        (&["admin", "grant"], &["--email", "--role", "--organisation"]),
        (&["admin", "reset-second-factor"], &["--email"]),
        (&["admin", "setup-link"], &node),
        (&["blog"], &["import", "export"]),
        (&["blog", "import"], &["--publish", "--server", "--token", "<DIRECTORY>"]),
        (&["blog", "export"], &remote),
        (&["audit"], &["verify"]),
        (&["audit", "verify"], &["--json"]),
        (&["events"], &["dead", "replay"]),
        (&["events", "dead"], &["--limit"]),
        (&["events", "replay"], &["<ID>"]),
        (&["actors"], &["tree", "top"]),
        (&["actors", "tree"], &["--json", "--server", "--token"]),
        (&["actors", "top"], &["--sort", "--count", "--every", "--json"]),
        (&["config"], &["check", "print"]),
        (&["config", "check"], &node),
        (&["config", "print"], &node),
        (&["completions"], &["bash", "zsh", "fish"]),
    ];
    for (words, names) in cases {
        let help = run(&directory, &[words, &["--help"][..]].concat()).good();
        for name in *names {
            assert!(help.contains(name), "{words:?} does not name {name}: {help}");
        }
    }
    assert!(run(&directory, &["--version"]).good().starts_with("troupe "));
    let wrong = run(&directory, &["migarte"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("migrate"), "{wrong:?}");
}

#[test]
fn the_configuration_is_printed_without_secrets_and_read_back() {
    let directory = Directory::new();
    let file = directory.write(
        "mine.toml",
        "[edge]\nlisten = \"127.0.0.1:4000\"\n[notify.smtp]\nhost = \"mail.example\"\n\
         password = \"hunter2\"\n[database]\nreplica_url = \"postgres://troupe:hunter3@db/x\"\n",
    );
    let print = |file: &str| run(&directory, &["--config", file, "config", "print"]).good();
    let printed = print(&file);
    assert!(!printed.contains("hunter"), "{printed}");
    assert!(printed.contains("# password = \"***\""), "{printed}");
    assert!(printed.contains("listen = \"127.0.0.1:4000\""), "{printed}");
    for section in ["audit", "auth", "blog", "edge", "identity", "node", "telemetry"] {
        assert!(printed.contains(&format!("[{section}]")), "no {section} in {printed}");
    }
    let again = directory.write("printed.toml", &printed);
    let checked = run(&directory, &["--config", &again, "config", "check"]);
    assert!(checked.good().contains("the configuration is good"));
    let unset = ["password = ", "replica_url = "];
    let known = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| unset.iter().all(|key| !line.contains(key)));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(known(&print(&again)), known(&printed));
}

#[test]
fn looking_at_the_configuration_makes_and_reaches_nothing() {
    let directory = Directory::new();
    let unreachable = "database.url=postgres://troupe@host.invalid/troupe";
    for command in ["check", "print"] {
        run(&directory, &["--data", "data", "config", command]).good();
        run(&directory, &["--data", "data", "--set", unreachable, "config", command]).good();
    }
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn migrations_are_shown_taken_back_and_applied_again() {
    let directory = Directory::new();
    let migrate =
        |words: &[&str]| run(&directory, &[&["--data", "data", "migrate"], words].concat()).good();
    let waiting = |text: &str| text.lines().filter(|line| line.starts_with("waiting")).count();
    let before = migrate(&["--status"]);
    assert_eq!(waiting(&before), before.lines().count(), "{before}");
    assert_eq!(migrate(&[]).lines().count(), before.lines().count());
    assert_eq!(waiting(&migrate(&["--status"])), 0);
    assert_eq!(migrate(&["--revert", "2"]).lines().count(), 2);
    assert_eq!(waiting(&migrate(&["--status"])), 2);
    assert_eq!(migrate(&[]).lines().filter(|line| line.starts_with("applied")).count(), 2);
    let all = before.lines().count().to_string();
    assert_eq!(migrate(&["--revert", &all]).lines().count(), before.lines().count());
    assert_eq!(migrate(&[]).lines().count(), before.lines().count());
    assert!(migrate(&[]).contains("up to date"));
}

#[test]
fn an_operator_makes_a_user_who_can_log_in() {
    let node = Node::start();
    administrator(&node);
    let create = |email: &str, password: &str| {
        let words = ["--data", "data", "admin", "create-user", "--email", email, "--name", "Op"];
        run_with_input(node.directory(), &words, password)
    };
    let made = create("op@example.org", &format!("{PASSWORD}\n"));
    assert!(!format!("{made:?}").contains(PASSWORD));
    made.good();
    let body = json!({ "email": "op@example.org", "password": PASSWORD }).to_string();
    let answer = node.web.post("/v1/auth/login").json(&body).send().expect(200);
    let token = answer.field("/access_token");
    node.web.get("/v1/inspect/tree").token(&token).send().expect(403);

    create("weak@example.org", "short\n").refused(1, &["password", "12 characters"]);
    create("none@example.org", "").refused(1, &["standard input"]);
    let again = create("op@example.org", &format!("{PASSWORD}\n"));
    assert_eq!(again.code, 1, "{again:?}");

    let grant = |email: &str, role: &str, more: &[&str]| {
        let words = ["--data", "data", "admin", "grant", "--email", email, "--role", role];
        run(node.directory(), &[&words[..], more].concat())
    };
    grant("who@example.org", "reader", &[]).refused(1, &["who@example.org", "create-user"]);
    grant("op@example.org", "emperor", &[]).refused(1, &["emperor"]);
    grant("op@example.org", "editor", &["--organisation", "none"]).refused(1, &["none"]);
    grant("op@example.org", "administrator", &[]).good();

    let reset = |email: &str| {
        let words = ["--data", "data", "admin", "reset-second-factor", "--email", email];
        run(node.directory(), &words)
    };
    reset("who@example.org").refused(1, &["who@example.org", "create-user"]);
    reset("op@example.org").refused(1, &["no authenticator app"]);
}

#[test]
fn a_right_given_beside_the_running_node_counts_soon() {
    let node = Node::with(&["authz.age_max=1s", "edge.tokens.ttl=1s"]);
    administrator(&node);
    let words = ["--data", "data", "admin", "create-user", "--email", "op@example.org"];
    let words = [&words[..], &["--name", "Op"]].concat();
    run_with_input(node.directory(), &words, PASSWORD).good();
    let body = json!({ "email": "op@example.org", "password": PASSWORD }).to_string();
    let token = node.web.post("/v1/auth/login").json(&body).send().field("/access_token");
    let tree = || node.web.get("/v1/inspect/tree").token(&token).send().status;
    assert_eq!(tree(), 403);
    let words = ["--data", "data", "admin", "grant", "--email", "op@example.org"];
    run(node.directory(), &[&words[..], &["--role", "administrator"]].concat()).good();
    let soon = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        tree() == 200
    });
    assert!(soon, "the node does not notice");
}

#[test]
fn a_node_that_is_not_there_or_refuses_is_told_apart() {
    let node = Node::start();
    let words = ["actors", "tree", "--server", &node.base, "--token", "trp_wrong"];
    run(node.directory(), &words).refused(7, &["401", "TROUPE_TOKEN"]);
    let root = administrator(&node);
    let words = ["actors", "tree", "--server", &node.base, "--token", &root.token];
    assert!(run(node.directory(), &words).good().contains("blog"));
    let words = ["actors", "top", "--json", "--server", &node.base, "--token", &root.token];
    let top = run(node.directory(), &words).good();
    assert!(serde_json::from_str::<serde_json::Value>(&top).is_ok(), "{top}");
}

#[test]
fn completions_are_a_script_of_the_shell() {
    let directory = Directory::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&directory, &["completions", shell]).good();
        assert!(script.contains("create-user"), "{shell}");
    }
    let script = directory.write("troupe.bash", &run(&directory, &["completions", "bash"]).good());
    let checked = Command::new("bash").args(["-n", &script]).stderr(Stdio::piped()).output();
    let checked = checked.expect("bash runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
