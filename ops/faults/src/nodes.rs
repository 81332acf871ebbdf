//! The platform's own processes: two nodes and the recorder, and the people who use them.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::options::Surroundings;
use crate::process::Launch;
use crate::watch::until;
use crate::web::{self, Call};

/// Time for a request at the nodes of the suite.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
/// What topics, groups and keys of the run begin with: servers may have those of a run before.
pub(crate) fn prefix() -> String {
    format!("faults-{}", std::process::id())
}

/// The database of the run.
pub(crate) const DATABASE: &str = "faults";
const PASSWORD: &str = "tug boat lantern 77";
const STARTS_WITHIN: Duration = Duration::from_secs(180);
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// What the keys of the clients allow.
const PERMISSIONS: [&str; 11] = [
    "blog.post.read",
    "blog.post.create",
    "blog.post.update",
    "blog.post.publish",
    "blog.post.delete",
    "blog.media.read",
    "blog.media.create",
    "blog.media.delete",
    "files.file.read",
    "files.file.create",
    "files.file.delete",
];

/// The addresses of the database's servers as one URL, for the platform.
pub(crate) fn database_url(around: &Surroundings) -> String {
    format!("postgres://postgres@{},{}/{DATABASE}", host(&around.postgres), host(&around.replica))
}

/// The database of the run on one of the servers.
pub(crate) fn database_on(server: &str) -> String {
    format!("postgres://postgres@{}/{DATABASE}", host(server))
}

/// `HOST:PORT` of an address.
fn host(url: &str) -> &str {
    let rest = url.split_once("//").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// User and password of an address.
fn login(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("//")?;
    let (login, _) = rest.rsplit_once('@')?;
    login.split_once(':')
}

/// How a node is started.
pub(crate) fn node(
    around: &Surroundings,
    folder: &Path,
    number: usize,
    port: u16,
) -> Result<Launch> {
    let data = folder.join(format!("node-{number}"));
    fs::create_dir_all(&data)?;
    let database = database_url(around);
    let (s3_key, s3_secret) = login(&around.s3).context("TROUPE_TEST_S3_URL has no login")?;
    let (smtp_user, smtp_password) =
        login(&around.smtp).context("TROUPE_TEST_SMTP_URL has no login")?;
    let bucket = around.s3.rsplit('/').next().context("TROUPE_TEST_S3_URL has no bucket")?;
    let smtp_port =
        host(&around.smtp).rsplit(':').next().context("TROUPE_TEST_SMTP_URL: no port")?;
    let key = folder.join("audit-key.pem");
    let settings = [
        format!("node.name=node-{number}"),
        format!("edge.listen=127.0.0.1:{port}"),
        format!("edge.request_timeout={}s", REQUEST_TIMEOUT.as_secs()),
        "edge.address_limit.quota=0".to_owned(),
        "edge.principal_limit.quota=0".to_owned(),
        format!("database.url={database}"),
        format!("database.replica_url={database}"),
        format!("cache.url={}", around.redis),
        format!("cache.prefix={}", prefix()),
        format!("auth.key_encryption_key={}=", "A".repeat(43)),
        "auth.password_hash.memory_kib=8192".to_owned(),
        format!("audit.key_file={}", key.display()),
        format!("events.kafka.brokers={}", around.brokers),
        format!("events.kafka.topic_prefix={}", prefix()),
        "events.kafka.partitions=4".to_owned(),
        "events.kafka.session_timeout=10s".to_owned(),
        "events.kafka.retry_wait=5s".to_owned(),
        "jobs.lease=10s".to_owned(),
        "jobs.retry_max=5s".to_owned(),
        format!("blobs.url=s3://{bucket}/{}", prefix()),
        format!("blobs.endpoint=http://{}", host(&around.s3)),
        format!("blobs.access_key={s3_key}"),
        format!("blobs.secret_key={s3_secret}"),
        "blobs.timeout=5s".to_owned(),
        "notify.delivery=smtp".to_owned(),
        "notify.smtp.host=localhost".to_owned(),
        format!("notify.smtp.port={smtp_port}"),
        format!("notify.smtp.username={smtp_user}"),
        format!("notify.smtp.password={smtp_password}"),
        "notify.smtp.timeout=5s".to_owned(),
        "telemetry.level=warn".to_owned(),
        "telemetry.health_every=2s".to_owned(),
        "telemetry.health_details=true".to_owned(),
    ];
    let mut arguments: Vec<OsString> = vec!["--data".into(), data.into()];
    for setting in settings {
        arguments.extend(["--set".into(), setting.into()]);
    }
    arguments.push("serve".into());
    Ok(Launch {
        program: around.troupe.clone(),
        called: None,
        arguments,
        environment: environment(around),
        directory: folder.to_owned(),
        account: None,
        log: folder.join(format!("node-{number}.log")),
    })
}

/// How the recorder is started: this program by another word.
pub(crate) fn recorder(around: &Surroundings, folder: &Path) -> Result<Launch> {
    let arguments = ["record".to_owned(), database_url(around), around.brokers.clone(), prefix()];
    Ok(Launch {
        program: std::env::current_exe().context("the path of this program")?,
        called: None,
        arguments: arguments.into_iter().map(OsString::from).collect(),
        environment: environment(around),
        directory: folder.to_owned(),
        account: None,
        log: folder.join("recorder.log"),
    })
}

fn environment(around: &Surroundings) -> Vec<(OsString, OsString)> {
    let kept = ["PATH", "HOME", "TMPDIR"];
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| kept.iter().any(|kept| name.to_str() == Some(*kept)))
        .collect();
    environment.push(("SSL_CERT_FILE".into(), around.smtp_authority.clone().into()));
    environment
}

/// One who uses the nodes.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// An API key of an organisation of their own.
    pub(crate) key: String,
}

/// Waits until a node answers that it is ready.
pub(crate) fn await_ready(base: &str, log: &Path) -> Result<()> {
    let agent = web::agent();
    let ready = || {
        web::send(&agent, base, &Call::new("GET", "/readyz"), CALL_WITHIN)
            .is_ok_and(|answer| answer.status == 200)
    };
    ensure!(until(STARTS_WITHIN, ready), "a node does not get ready; its log:\n{}", tail(log));
    Ok(())
}

/// The end of a log.
pub(crate) fn tail(log: &Path) -> String {
    const LINES_MAX: usize = 15;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

/// Sets the platform up with the link that its first start prints.
pub(crate) fn set_up(base: &str, log: &Path) -> Result<()> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let (_, token) = text.split_once("/setup#token=").context("the node printed no set-up link")?;
    let token: String = token
        .chars()
        .take_while(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(*sign))
        .collect();
    let body = json!({
        "token": token, "email": "root@example.org", "password": PASSWORD,
        "display_name": "Root", "organisation": "House",
    });
    expect(base, Call::new("POST", "/v1/auth/setup").json(&body)).map(drop)
}

/// Makes one who uses the nodes.
pub(crate) fn member(base: &str, number: usize) -> Result<Member> {
    let email = format!("client-{number}@example.org");
    let mut body = registration(&email);
    body["organisation"] = json!(format!("Press {number}"));
    expect(base, Call::new("POST", "/v1/auth/register").json(&body))?;
    let session = expect(base, Call::new("POST", "/v1/auth/login").json(&credentials(&email)))?;
    let token = text(&session, "access_token")?;
    let wanted = json!({ "name": "the fault suite", "permissions": PERMISSIONS });
    let call = Call::new("POST", "/v1/auth/api-keys").bearer(&token).json(&wanted);
    let made = expect(base, call)?;
    Ok(Member { key: text(&made, "secret")? })
}

/// The body of a registration.
pub(crate) fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "display_name": "Somebody" })
}

/// The body of a login.
pub(crate) fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}

fn text(value: &Value, field: &str) -> Result<String> {
    let found = value.get(field).and_then(Value::as_str);
    found.map(str::to_owned).with_context(|| format!("an answer without {field}"))
}

fn expect(base: &str, call: Call) -> Result<Value> {
    let answer = web::send(&web::agent(), base, &call, CALL_WITHIN);
    let answer = match answer {
        Ok(answer) if answer.is_good() => answer,
        Ok(answer) => anyhow::bail!("{}: {} {}", call.path, answer.status, answer.text()),
        Err(outcome) => anyhow::bail!("{}: {outcome:?}", call.path),
    };
    Ok(answer.json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        assert_eq!(host("postgres://postgres@127.0.0.1:15432/postgres"), "127.0.0.1:15432");
        assert_eq!(host("http://a:b@127.0.0.1:17070/bucket"), "127.0.0.1:17070");
        assert_eq!(host("http://127.0.0.1:18025"), "127.0.0.1:18025");
        assert_eq!(login("smtp://troupe:secret@localhost:11025"), Some(("troupe", "secret")));
        assert_eq!(login("http://localhost:1"), None);
    }
}
