//! Tests of the templates: all of them rendered, none with a missing variable.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

fn branding() -> Branding {
    Branding {
        product: "Troupe".to_owned(),
        public_url: "https://troupe.example".to_owned(),
        default_locale: "en".to_owned(),
    }
}

fn builtin() -> TemplateSet {
    TemplateSet::builtin(branding()).expect("the built-in templates are sound")
}

/// What the owner of each template gives it: the contract between the two.
fn sample(name: &str) -> Value {
    let link = "https://troupe.example/x/Zm9v?a=1&b=2";
    let time = "2026-01-31T12:00:00.123456Z";
    match name {
        "identity.verify_email" | "identity.email_change" => {
            json!({"display_name": "Ada", "email": "ada@example.org", "link": link, "expires_at": time})
        }
        "identity.email_change_notice" => {
            json!({"display_name": "Ada", "email": "new@example.org"})
        }
        "identity.invitation" => json!({
            "email": "ada@example.org", "organisation": "Acme & Sons", "inviter": "Bob <b>",
            "role": "editor", "link": link, "expires_at": time,
        }),
        "identity.deletion_requested" => json!({"display_name": "Ada", "due_at": time}),
        "identity.webhook_disabled" => json!({
            "display_name": "Ada", "organisation": "Acme & Sons", "host": "hooks.example.org",
            "because": "failing",
        }),
        "auth.password_reset" => json!({"display_name": "Ada", "link": link, "expires_at": time}),
        "auth.password_changed" => json!({"display_name": "Ada", "changed_at": time}),
        "auth.identity_changed" => json!({
            "display_name": "Ada", "change": "linked", "provider": "example", "changed_at": time,
        }),
        "auth.passkey_changed" => json!({
            "display_name": "Ada", "change": "copied", "name": "Ada's \"phone\"", "changed_at": time,
        }),
        "auth.second_factor_changed" => json!({
            "display_name": "Ada", "change": "recovery_code_used", "recovery_codes_left": 9,
            "changed_at": time,
        }),
        "auth.sessions_revoked" => json!({"display_name": "Ada", "detected_at": time}),
        other => panic!("the template {other} has no sample; add what its owner gives it"),
    }
}

fn mail(name: &str, locale: &str) -> Mail {
    Mail::new(name, "ada@example.org", &sample(name)).locale(locale)
}

#[test]
fn every_template_renders_as_recorded() {
    let set = builtin();
    for (name, locale) in set.names() {
        let rendered = set.render(&mail(name, locale)).expect(name);
        assert_eq!(rendered.locale, locale);
        let shown = format!(
            "Subject: {}\n\n{}\n\n---\n\n{}",
            rendered.subject, rendered.text, rendered.html
        );
        insta::assert_snapshot!(format!("{locale}.{name}"), shown);
    }
}

#[test]
fn every_template_is_there_in_every_language() {
    let set = builtin();
    for (name, locales) in &set.names {
        assert_eq!(locales.iter().collect::<Vec<_>>(), ["de", "en"], "{name}");
    }
}

#[test]
fn a_missing_variable_is_an_error_in_every_template() {
    let set = builtin();
    for (name, locale) in set.names() {
        let Value::Object(data) = sample(name) else { panic!("a sample is an object") };
        for missing in data.keys() {
            let mut mail = mail(name, locale);
            mail.data.as_object_mut().unwrap().remove(missing);
            let fault = set.render(&mail).expect_err(missing);
            assert!(
                matches!(fault, TemplateFault::Render { .. }),
                "{name} without {missing}: {fault}"
            );
        }
    }
}

#[test]
fn every_file_of_templates_is_compiled_in() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates");
    let set = builtin();
    let mut seen = 0;
    for (path, locale) in entries(&root).unwrap().into_iter().filter(|(path, _)| path.is_dir()) {
        for (_, file) in entries(&path).unwrap() {
            let name = file.trim_end_matches(".txt").trim_end_matches(".html");
            assert!(set.names().any(|known| known == (name, locale.as_str())), "{locale}/{file}");
            seen += 1;
        }
    }
    assert_eq!(seen, embedded::TEMPLATES.len() * 2);
}

#[test]
fn html_escapes_values_and_text_does_not() {
    let rendered = builtin().render(&mail("identity.invitation", "en")).unwrap();
    assert!(rendered.html.contains("Bob &lt;b&gt;") && !rendered.html.contains("Bob <b>"));
    assert!(rendered.html.contains("Acme &amp; Sons"));
    assert!(rendered.text.contains("Bob <b>") && rendered.text.contains("?a=1&b=2"));
    assert_eq!(rendered.subject, "Bob <b> invites you to Acme & Sons");
}

#[test]
fn a_value_with_a_line_break_stays_in_the_subject_line() {
    let mut mail = mail("identity.invitation", "en");
    mail.data["inviter"] = json!("Bob\r\nBcc: all@example.org");
    let rendered = builtin().render(&mail).unwrap();
    assert_eq!(rendered.subject, "Bob Bcc: all@example.org invites you to Acme & Sons");
}

#[test]
fn a_language_falls_back_to_the_nearest_one() {
    let set = builtin();
    for (wanted, expected) in
        [("de", "de"), ("de-AT", "de"), ("DE", "de"), ("fr", "en"), ("", "en")]
    {
        let rendered = set.render(&mail("identity.verify_email", wanted)).unwrap();
        assert_eq!(rendered.locale, expected, "{wanted}");
    }
}

#[test]
fn unknown_templates_and_data_that_is_no_object_are_refused() {
    let set = builtin();
    let unknown = Mail::new("identity.gone", "a@example.org", &json!({}));
    assert_eq!(
        set.render(&unknown),
        Err(TemplateFault::Unknown { name: "identity.gone".to_owned() })
    );
    let list = Mail::new("identity.verify_email", "a@example.org", &json!([1]));
    assert_eq!(set.render(&list), Err(TemplateFault::Data));
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("troupe-notify-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("en")).unwrap();
        Self(path)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join(file), text).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_directory_overrides_what_it_holds_and_leaves_the_rest() {
    let directory = Directory::new("overlay");
    directory
        .write("en/identity.verify_email.txt", "Subject: Hi {{ display_name }}\n\nGo {{ link }}\n");
    directory.write("layout.html", "<html>{% block content %}{% endblock %}!</html>");
    let mut set = builtin();
    set.overlay(&directory.0).unwrap();
    let rendered = set.render(&mail("identity.verify_email", "en")).unwrap();
    assert_eq!(
        (rendered.subject.as_str(), rendered.text.as_str()),
        ("Hi Ada", "Go https://troupe.example/x/Zm9v?a=1&b=2")
    );
    assert!(rendered.html.ends_with("!</html>") && rendered.html.contains("Confirm the address"));
    assert!(set.render(&mail("auth.password_reset", "de")).unwrap().text.contains("Guten Tag"));
}

#[test]
fn a_faulty_directory_says_which_file_is_wrong() {
    let directory = Directory::new("faulty");
    directory.write("en/own.greeting.txt", "Hello\n");
    let fault = builtin().overlay(&directory.0).unwrap_err();
    assert!(matches!(fault, TemplateFault::NoSubject { .. }), "{fault}");
    directory.write("en/own.greeting.txt", "Subject: Hello\n\nHello\n");
    let fault = builtin().overlay(&directory.0).unwrap_err();
    assert!(matches!(fault, TemplateFault::Incomplete { part: "html", .. }), "{fault}");
    directory.write("en/own.greeting.html", "{{ oops");
    let fault = builtin().overlay(&directory.0).unwrap_err();
    assert!(
        fault.to_string().starts_with("the template en/own.greeting.html is faulty"),
        "{fault}"
    );
    let fault = builtin().overlay(&directory.0.join("gone")).unwrap_err();
    assert!(matches!(fault, TemplateFault::Directory { .. }), "{fault}");
}
