//! Tests of the log subscriber as a whole: what is written for what is logged.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use troupe_actors::testing::Universe;
use troupe_actors::{
    Context, Handled, Lent, Origin, PermissionSet, Principal, PrincipalKind, Scope, Service, Spec,
};
use troupe_kernel::clock::ManualClock;
use uuid::Uuid;

use super::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("lines are UTF-8")
    }

    fn documents(&self) -> Vec<Value> {
        let text = self.text();
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }
}

struct Log {
    written: Written,
    levels: LogLevels,
    errors: ErrorBus,
    _guard: DefaultGuard,
}

fn log(format: LogFormat) -> Log {
    let config = TelemetryConfig { format, ..TelemetryConfig::default() };
    let clock: SharedClock = Arc::new(ManualClock::default());
    let errors = ErrorBus::new(clock.clone(), &config);
    let written = Written::default();
    let (subscriber, levels) = build(&config, LogOutput::to(written.clone()), clock, &errors);
    let guard = tracing::subscriber::set_default(subscriber);
    Log { written, levels, errors, _guard: guard }
}

#[test]
fn a_line_is_one_json_document_with_its_fields() {
    let log = log(LogFormat::Json);
    let error = std::io::Error::other("disk full");
    tracing::warn!(
        attempt = 3,
        path = "/a\nb",
        error = &error as &dyn std::error::Error,
        level = "mine",
        "saved {}",
        "late"
    );
    let document = &log.written.documents()[0];
    assert_eq!(document["time"], "2026-01-01T00:00:00Z");
    assert_eq!(document["level"], "warn");
    assert_eq!(document["target"], "troupe_telemetry::logs::tests");
    assert_eq!(document["message"], "saved late");
    assert_eq!(document["attempt"], 3);
    assert_eq!(document["path"], "/a\nb");
    assert_eq!(document["error"], "disk full");
    assert_eq!(document["level_"], "mine");
}

#[test]
fn fields_of_spans_are_added_and_the_inner_ones_win() {
    let log = log(LogFormat::Json);
    let outer =
        tracing::info_span!("outer", listener = "a", port = 1, late = tracing::field::Empty);
    outer.record("late", 7);
    outer.in_scope(|| {
        tracing::info_span!("inner", port = 2).in_scope(|| tracing::info!("here"));
    });
    let document = &log.written.documents()[0];
    assert_eq!(
        (&document["listener"], &document["port"], &document["late"]),
        (&"a".into(), &2.into(), &7.into())
    );
}

#[test]
fn nobody_can_write_a_line_of_their_own() {
    let log = log(LogFormat::Pretty);
    tracing::info!(agent = "x\n00:00:00 ERROR forged\x1b[2J", "asked\r\nagain");
    let text = log.written.text();
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains('\x1b'));
    assert!(
        text.contains("INFO troupe_telemetry::logs::tests: asked\\r\\nagain agent=x\\n00:00:00"),
        "{text}"
    );
}

#[test]
fn levels_change_while_the_node_runs() {
    let log = log(LogFormat::Json);
    tracing::debug!("one");
    log.levels.set(LogLevel::Debug).expect("the subscriber lives");
    tracing::debug!("two");
    log.levels.set_target("troupe_telemetry::logs", Some(LogLevel::Error)).expect("it lives");
    tracing::warn!("three");
    log.levels.set_target("troupe_telemetry::logs", None).expect("it lives");
    tracing::debug!("four");
    let messages: Vec<_> =
        log.written.documents().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, ["two", "four"]);
    assert_eq!(log.levels.current(), (LogLevel::Debug, Vec::new()));
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work;

troupe_actors::protocol! {
    enum WorkMessage("work", 1) redact [] {
        Work => (),
    }
}

struct Worker;

impl Service for Worker {
    type Message = WorkMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<WorkMessage>,
        ctx: &mut Context<WorkMessage>,
    ) -> Handled {
        let WorkMessage::Work(work) = &**message;
        tokio::task::yield_now().await;
        tracing::error!(code = "work.failed", "it broke");
        ctx.reply(work, ())
    }
}

#[tokio::test]
async fn a_line_of_a_handler_carries_the_ids_of_its_message() {
    let log = log(LogFormat::Json);
    let universe = Universe::start().await;
    let worker = universe.spawn(Spec::new(universe.system(), "worker", || Worker)).await;
    let (request, tenant) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut origin = Origin::new(request);
    origin.trace = 0xabc;
    origin.principal = Some(Arc::new(Principal {
        subject: Uuid::from_u128(3),
        kind: PrincipalKind::User,
        tenant: Some(tenant),
        session: None,
        permissions: PermissionSet::new(),
        bound: None,
        label: "ada".to_owned(),
    }));
    let scope = Scope::root(Duration::from_secs(5), origin);
    worker.ask(&scope, Work).await.expect("it answers");
    tracing::info!("beside");
    universe.finish().await;

    let lines = log.written.documents();
    assert_eq!(lines[0]["request"], request.to_string());
    assert_eq!(lines[0]["tenant"], tenant.to_string());
    assert_eq!(lines[0]["trace"], "00000000000000000000000000000abc");
    assert_eq!(lines[1]["message"], "beside");
    assert!(lines[1].get("request").is_none());

    let waiting = log.errors.intake().take();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].tenant, Some(tenant));
    assert_eq!(waiting[0].fields["code"], "work.failed");
}
