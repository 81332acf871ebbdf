//! The module in a small house: a database, a universe, and a directory for its key and anchor.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use troupe_actors::testing::Universe;
use troupe_actors::{ChildSpec, ServiceRef};
use troupe_audit::{
    Anchor, AuditConfig, AuditEntry, AuditMessage, AuditModule, EntryQuery, ListEntries,
    MIGRATIONS, PublicKey, Report, SealNow, SealedNow, SealerMessage, Trail, VerifierMessage,
    VerifyOptions, verify,
};
use troupe_database::testing::for_both;
use troupe_database::{Db, Dialect, UnitOfWork};
use troupe_kernel::lifecycle::Modules;
use troupe_kernel::module::{InitFault, Manifest, Module, ModuleContext, Surroundings};
use troupe_kernel::parts::Parts;
use troupe_kernel::ports::AuditLog;
use troupe_kernel::{
    AuditRecord, Layers, PageRequest, Route, Scope, SharedClock, SystemClock, TenantId, Uuid,
};

struct Database(Db);

impl Module for Database {
    fn manifest(&self) -> Manifest {
        Manifest { name: "database", version: "1.0.0", dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        ctx.provide(Arc::new(self.0.clone()));
        Ok(Parts::new())
    }
}

/// A directory that is removed with the value.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("troupe-audit-test-{}", Uuid::now_v7())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(crate) struct House {
    pub(crate) universe: Universe,
    pub(crate) db: Db,
    pub(crate) directory: Directory,
    pub(crate) trail: ServiceRef<AuditMessage>,
    pub(crate) verifier: ServiceRef<VerifierMessage>,
    pub(crate) sealer: ServiceRef<SealerMessage>,
    pub(crate) log: Arc<dyn AuditLog>,
    pub(crate) routes: Vec<Route>,
}

/// Runs a test in a house on each dialect.
pub(crate) async fn in_both(test: impl AsyncFn(&House)) {
    for_both(MIGRATIONS, async |db| {
        let house = House::open(db, "").await;
        test(&house).await;
        house.universe.finish().await;
    })
    .await;
}

/// What `assemble` gives: the wired module and the directory of its files.
pub(crate) type Assembled = (Surroundings, Vec<ChildSpec>, Vec<Route>, Directory);

pub(crate) fn assemble(
    universe: &Universe,
    db: &Db,
    clock: SharedClock,
    settings: &str,
) -> Assembled {
    let directory = Directory::new();
    let toml = format!(
        "[audit]\nkey_file = '{}'\nanchor_file = '{}'\n{settings}",
        directory.0.join("key.pem").display(),
        directory.0.join("anchor.json").display()
    );
    let config = Layers::new().file("test.toml", &toml).build().expect("the settings are TOML");
    let mut around = Surroundings::new(universe.system().clone(), clock).config(config);
    let modules: Vec<Box<dyn Module>> = vec![Box::new(AuditModule), Box::new(Database(db.clone()))];
    let modules = Modules::validate(modules).expect("the modules fit together");
    let mut loaded = modules.initialise(&mut around).expect("the modules initialise");
    let assembly = loaded.take_assembly();
    let children = assembly.children.into_iter().flat_map(|(_, children)| children).collect();
    (around, children, assembly.routes, directory)
}

impl House {
    pub(crate) async fn open(db: Db, settings: &str) -> Self {
        Self::open_with(db, Arc::new(SystemClock), settings).await
    }

    pub(crate) async fn open_with(db: Db, clock: SharedClock, settings: &str) -> Self {
        let universe = Universe::start().await;
        let (around, children, routes, directory) = assemble(&universe, &db, clock, settings);
        for child in children {
            universe.add(child).await;
        }
        let container = &around.container;
        Self {
            trail: (*container.require::<ServiceRef<AuditMessage>>().expect("it is provided"))
                .clone(),
            verifier: (*container
                .require::<ServiceRef<VerifierMessage>>()
                .expect("it is provided"))
            .clone(),
            sealer: (*container.require::<ServiceRef<SealerMessage>>().expect("it is provided"))
                .clone(),
            log: container.require::<dyn AuditLog>().expect("it is provided"),
            universe,
            db,
            directory,
            routes,
        }
    }

    /// Writes records in one transaction, as a handler does.
    pub(crate) async fn write(&self, tenant: Option<TenantId>, actions: &[&str]) {
        let records: Vec<AuditRecord> =
            actions.iter().map(|action| record(tenant, action)).collect();
        self.db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                records.into_iter().for_each(|record| uow.audit(record));
                Ok(())
            })
            .await
            .expect("the records are written");
    }

    pub(crate) async fn seal(&self) -> SealedNow {
        self.sealer.ask(&scope(), SealNow).await.expect("it seals")
    }

    /// A trail of `count` entries in `tenant`, checkpointed after the first half.
    pub(crate) async fn story(&self, tenant: TenantId, count: usize) {
        for index in 0..count {
            self.write(Some(tenant), &[&format!("story.part.{index}")]).await;
            if index + 1 == count / 2 {
                self.seal().await;
            }
        }
        self.sealed().await;
    }

    /// Waits until nothing waits, without a checkpoint of its own.
    pub(crate) async fn sealed(&self) {
        for _ in 0..400 {
            let report = self.verify(None).await;
            if report.waiting == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("records are sealed soon after their commit");
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        let config =
            AuditConfig { key_file: self.directory.0.join("key.pem"), ..AuditConfig::default() };
        config.public_keys().expect("the key is there").remove(0)
    }

    pub(crate) fn anchor(&self) -> Option<Anchor> {
        Anchor::read(&self.directory.0.join("anchor.json")).expect("the anchor is readable")
    }

    pub(crate) async fn verify(&self, anchor: Option<Anchor>) -> Report {
        let options = VerifyOptions { anchor, ..VerifyOptions::default() };
        verify(&self.db, &[self.public_key()], &options).await.expect("the trail is read")
    }

    /// The entries of a trail, oldest first.
    pub(crate) async fn entries(&self, trail: Trail) -> Vec<AuditEntry> {
        let query = ListEntries {
            trail,
            query: EntryQuery::default(),
            page: PageRequest::new(None, 100).expect("a page"),
        };
        let mut items = self.trail.ask(&scope(), query).await.expect("they are listed").items;
        items.reverse();
        items
    }

    /// Changes the database behind everybody's back.
    pub(crate) async fn tamper(&self, statements: &[String]) {
        let sql = statements.join(";\n");
        self.db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                Ok(uow.conn().batch(&sql).await?)
            })
            .await
            .expect("the tampering itself works");
    }

    /// Statements that take the guards from the tables.
    pub(crate) fn unguarded(&self) -> Vec<String> {
        let triggers: &[(&str, &str)] = match self.db.dialect() {
            Dialect::Postgres => &[
                ("audit_entries_append_only", "audit_entries"),
                ("audit_checkpoints_append_only", "audit_checkpoints"),
                ("audit_checkpoint_heads_append_only", "audit_checkpoint_heads"),
                ("audit_heads_keep", "audit_heads"),
                ("audit_heads_forward", "audit_heads"),
            ],
            Dialect::Sqlite => &[
                ("audit_entries_no_update", ""),
                ("audit_entries_no_delete", ""),
                ("audit_entries_no_replace", ""),
                ("audit_checkpoints_no_update", ""),
                ("audit_checkpoints_no_delete", ""),
                ("audit_checkpoints_no_replace", ""),
                ("audit_checkpoint_heads_no_update", ""),
                ("audit_checkpoint_heads_no_delete", ""),
                ("audit_checkpoint_heads_no_replace", ""),
                ("audit_heads_no_delete", ""),
                ("audit_heads_forward", ""),
            ],
        };
        triggers
            .iter()
            .map(|(trigger, table)| match self.db.dialect() {
                Dialect::Postgres => format!("DROP TRIGGER {trigger} ON {table}"),
                Dialect::Sqlite => format!("DROP TRIGGER {trigger}"),
            })
            .collect()
    }

    /// A literal of bytes given in hex.
    pub(crate) fn bytes(&self, hex: &str) -> String {
        match self.db.dialect() {
            Dialect::Postgres => format!("'\\x{hex}'::bytea"),
            Dialect::Sqlite => format!("x'{hex}'"),
        }
    }

    /// A literal of an id.
    pub(crate) fn id(&self, id: Uuid) -> String {
        match self.db.dialect() {
            Dialect::Postgres => format!("'{id}'::uuid"),
            Dialect::Sqlite => format!("x'{}'", id.simple()),
        }
    }
}

pub(crate) fn scope() -> Scope {
    Scope::system("test", Duration::from_secs(30))
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new(&SystemClock)
}

pub(crate) fn record(tenant: Option<TenantId>, action: &str) -> AuditRecord {
    let mut record = AuditRecord::new(&scope(), action, "thing:1").detail(detail());
    record.tenant = tenant;
    record.actor = Some(Uuid::from_u128(7));
    record
}

pub(crate) fn detail() -> Value {
    json!({"z": [1, 2.5, -0.0, 1e20, u64::MAX], "a": {"name": "Zoë \u{1F600}", "none": null}})
}
