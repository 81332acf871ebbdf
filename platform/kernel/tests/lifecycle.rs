//! The life of modules: order, and every fault at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{Spec, System, SystemConfig};
use troupe_kernel::clock::ManualClock;
use troupe_kernel::lifecycle::{Loaded, Modules};
use troupe_kernel::{
    BoxFuture, ConfigSection, Failure, HealthCheck, HttpResponse, InitFault, JobHandler, Layers,
    Manifest, Migration, Module, ModuleContext, Parts, PermissionDef, RoleDef, Route, Scope,
    Script, Subscription, Surroundings,
};

use crate::routes::{Double, Doubler};

type Init = Box<dyn FnMut(&mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> + Send>;

struct Sample {
    manifest: Manifest,
    init: Init,
    log: Arc<Mutex<Vec<String>>>,
    fails_to_start: bool,
}

impl Module for Sample {
    fn manifest(&self) -> Manifest {
        self.manifest
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        (self.init)(ctx)
    }

    fn start<'a>(&'a mut self, _scope: &'a Scope) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if self.fails_to_start {
                return Err(Failure::unavailable("sample.start", "does not start"));
            }
            self.log.lock().unwrap().push(format!("start {}", self.manifest.name));
            Ok(())
        })
    }

    fn stop<'a>(&'a mut self, _scope: &'a Scope) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.log.lock().unwrap().push(format!("stop {}", self.manifest.name));
        })
    }
}

fn module(
    name: &'static str,
    dependencies: &'static [&'static str],
    init: impl FnMut(&mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> + Send + 'static,
) -> Box<Sample> {
    Box::new(Sample {
        manifest: Manifest { name, version: "1.0.0", dependencies },
        init: Box::new(init),
        log: Arc::default(),
        fails_to_start: false,
    })
}

fn empty(name: &'static str, dependencies: &'static [&'static str]) -> Box<dyn Module> {
    module(name, dependencies, |_| Ok(Parts::new()))
}

fn surroundings() -> Surroundings {
    Surroundings::new(System::new(SystemConfig::default()), Arc::new(ManualClock::default()))
}

fn initialise(modules: Vec<Box<dyn Module>>) -> Result<Loaded, Vec<String>> {
    let faults = |faults: Vec<InitFault>| faults.iter().map(ToString::to_string).collect();
    Modules::validate(modules).map_err(faults)?.initialise(&mut surroundings()).map_err(faults)
}

fn faults_of(modules: Vec<Box<dyn Module>>) -> Vec<String> {
    initialise(modules).err().expect("the modules are faulty")
}

const fn permission(key: &'static str) -> PermissionDef {
    PermissionDef { key, description: "allows it" }
}

fn route(ctx: &ModuleContext<'_>, path: &str, permission: Option<&'static str>) -> Route {
    let (service, _) = Spec::new(ctx.system(), "doubler", || Doubler).build();
    let builder = Route::get(path);
    let builder = match permission {
        Some(key) => builder.permission(key),
        None => builder,
    };
    builder.ask(&service, |_| Ok(Double { number: 1 }), |sum| Ok(HttpResponse::ok(&sum)))
}

const SCRIPT: Script = Script { up: "create", down: "drop" };
const FIRST: Migration =
    Migration { owner: "blog", version: "0001", name: "posts", postgres: SCRIPT, sqlite: SCRIPT };

#[test]
fn modules_follow_those_they_depend_on() {
    let modules = Modules::validate(vec![
        empty("blog", &["authz", "identity"]),
        empty("authz", &["identity"]),
        empty("audit", &[]),
        empty("identity", &[]),
    ])
    .unwrap();
    let names: Vec<_> = modules.manifests().iter().map(|manifest| manifest.name).collect();
    assert_eq!(names, ["audit", "identity", "authz", "blog"]);
}

#[test]
fn every_fault_of_the_order_is_reported_at_once() {
    let mut odd = module("Odd Name", &[], |_| Ok(Parts::new()));
    odd.manifest.version = "1.x";
    let faults = faults_of(vec![
        empty("a", &["b"]),
        empty("b", &["c"]),
        empty("c", &["a", "gone"]),
        empty("twice", &[]),
        empty("twice", &[]),
        empty("free", &[]),
        odd,
    ]);
    let all = faults.join("\n");
    assert_eq!(faults.len(), 5, "{all}");
    assert!(all.contains("modules depend on each other: a → b → c → a"), "{all}");
    assert!(all.contains("module c: depends on `gone`"), "{all}");
    assert!(all.contains("two modules are named `twice`"), "{all}");
    assert!(all.contains("`Odd Name` is no name"), "{all}");
    assert!(all.contains("`1.x` is no semantic version"), "{all}");
}

#[test]
fn a_module_takes_what_one_before_it_provides() {
    let giver = module("giver", &[], |ctx| {
        ctx.provide(Arc::new("a gift".to_owned()));
        Ok(Parts::new().permissions([permission("giver.gift.give")]))
    });
    let taker = module("taker", &["giver"], |ctx| {
        assert_eq!(*ctx.require::<String>()?, "a gift");
        Ok(Parts::new().route(route(ctx, "/v1/taker", Some("giver.gift.give"))))
    });
    let loaded = initialise(vec![taker, giver]).expect("both modules are fine");
    assert_eq!(loaded.assembly.routes[0].to_string(), "GET /v1/taker");
    assert_eq!(loaded.assembly.catalog.bit("giver.gift.give"), Some(0));
}

#[test]
fn a_fault_names_its_module_and_spares_the_ones_that_depend_on_it() {
    let faults = faults_of(vec![
        module("taker", &[], |ctx| {
            ctx.require::<String>()?;
            Ok(Parts::new())
        }),
        module("broken", &[], |_| Err(InitFault::new("the socket is gone").into())),
        module("dependent", &["broken"], |_| unreachable!("its dependency failed")),
    ]);
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].starts_with("module taker: nothing provides alloc::string::String"));
    assert_eq!(faults[1], "module broken: the socket is gone");
}

#[test]
fn every_fault_of_the_collected_parts_is_reported_at_once() {
    let first = module("blog", &[], |ctx| {
        ctx.provide(Arc::new(1_u8));
        let (service, _) = Spec::new(ctx.system(), "doubler", || Doubler).build();
        Ok(Parts::new()
            .permissions([permission("blog.post.read"), permission("blog.post.read")])
            .permissions([permission("Blog.post")])
            .roles([RoleDef {
                key: "editor",
                title: "Editor",
                permissions: vec!["blog.post.reed"],
            }])
            .routes([
                route(ctx, "/v1/posts/{id}", Some("blog.post.read")),
                route(ctx, "/v1/posts", Some("blog.post.write")),
                route(ctx, "/v1/open", None),
                route(ctx, "/v1//bad", Some("blog.post.read")),
            ])
            .job(JobHandler::new("blog.publish").ask(&service, |_| Ok(Double { number: 1 })))
            .job(JobHandler::new("blog.publish").ask(&service, |_| Ok(Double { number: 1 })))
            .subscription(
                Subscription::new("blog.search", &[]).ask(&service, |_| Ok(Double { number: 1 })),
            )
            .health(HealthCheck::new("blog", Arc::new(|| Box::pin(async { Ok(()) }))))
            .migrations(&[FIRST, Migration { version: "1", ..FIRST }]))
    });
    let second = module("copy", &[], |ctx| {
        ctx.provide(Arc::new(2_u8));
        let (service, _) = Spec::new(ctx.system(), "doubler", || Doubler).build();
        Ok(Parts::new()
            .routes([
                route(ctx, "/v1/posts/{id}", Some("blog.post.read")),
                route(ctx, "/v1/{kind}", Some("blog.post.read")),
            ])
            .route(Route::put("/v1/{sort}").public().ask(
                &service,
                |_| Ok(Double { number: 1 }),
                |_| Ok(HttpResponse::accepted()),
            ))
            .subscription(
                Subscription::new("blog.search", &["blog.*"])
                    .ask(&service, |_| Ok(Double { number: 1 })),
            )
            .health(HealthCheck::new("blog", Arc::new(|| Box::pin(async { Ok(()) }))))
            .migrations(&[Migration { version: "0002", ..FIRST }, FIRST]))
    });
    let faults = faults_of(vec![first, second]);
    let expected = [
        "u8 is provided more than once",
        "module blog: the permission `blog.post.read` is already declared by itself",
        "module blog: the permission `Blog.post` must be owner.thing.action",
        "module blog: the role `editor` names the permission `blog.post.reed`: unknown permission; did you mean `blog.post.read`?",
        "module blog: GET /v1/posts names the permission `blog.post.write`: unknown",
        "module blog: GET /v1/open says nobody who may use it",
        "module blog: GET /v1//bad has a faulty path: the path has an empty segment",
        "module copy: GET /v1/posts/{id} is already declared by blog as /v1/posts/{id}",
        "module copy: PUT /v1/{sort} has the same path as /v1/{kind} of copy",
        "module blog: the kind of job `blog.publish` is already declared by itself",
        "module copy: the subscription `blog.search` is already declared by blog",
        "module copy: the health check `blog` is already declared by blog",
        "module blog: the subscription `blog.search` listens to nothing",
        "module blog: the migration `blog/1` needs a number of four digits",
        "module copy: the migration `blog/0001` is already declared by blog",
        "module copy: the migration `blog/0001` is out of order",
    ];
    let all = faults.join("\n");
    for start in expected {
        assert!(faults.iter().any(|fault| fault.starts_with(start)), "{start}\nin\n{all}");
    }
    assert_eq!(faults.len(), expected.len(), "{all}");
}

#[test]
fn modules_add_to_the_same_role_and_the_declarations_show_the_whole() {
    let mut around = surroundings();
    let role =
        |permission| RoleDef { key: "editor", title: "Editor", permissions: vec![permission] };
    let modules: Vec<Box<dyn Module>> = vec![
        module("a", &[], move |_| {
            Ok(Parts::new().permissions([permission("a.b.c")]).roles([role("a.b.c")]))
        }),
        module("d", &[], move |_| {
            Ok(Parts::new().permissions([permission("d.e.f")]).roles([role("d.e.f")]))
        }),
    ];
    let declarations = around.context().declarations();
    assert!(Modules::validate(modules).unwrap().initialise(&mut around).is_ok());
    let declared = declarations.get();
    assert_eq!(declared.roles.len(), 1);
    assert_eq!(declared.roles[0].permissions, ["a.b.c", "d.e.f"]);
    assert_eq!(declared.catalog.len(), 2);
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SampleConfig {
    size: u8,
    name: String,
}

impl ConfigSection for SampleConfig {
    const NAME: &'static str = "sample";
}

#[test]
fn faults_of_the_configuration_come_with_the_module_that_reads_it() {
    let text = "[sample]\nsize = 1000\nnmae = \"x\"";
    let config = Layers::new().file("troupe.toml", text).build().unwrap();
    let mut around = surroundings().config(config);
    let reader: Box<dyn Module> = module("reader", &[], |ctx| {
        ctx.config::<SampleConfig>()?;
        Ok(Parts::new())
    });
    let modules = Modules::validate(vec![reader]).unwrap();
    let faults = modules.initialise(&mut around).err().unwrap();
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 2, "{shown:#?}");
    assert!(shown.iter().all(|fault| fault.starts_with("module reader: sample.")), "{shown:#?}");
}

fn logged(log: &Arc<Mutex<Vec<String>>>, mut sample: Box<Sample>, fails: bool) -> Box<dyn Module> {
    sample.log = log.clone();
    sample.fails_to_start = fails;
    sample
}

#[tokio::test]
async fn hooks_run_in_order_and_stop_in_reverse() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let none = |_: &mut ModuleContext<'_>| Ok(Parts::new());
    let scope = Scope::bare(Duration::from_secs(1));
    let mut loaded = initialise(vec![
        logged(&log, module("b", &["a"], none), false),
        logged(&log, module("a", &[], none), false),
    ])
    .ok()
    .unwrap();
    loaded.start(&scope).await.unwrap();
    loaded.stop(&scope).await;
    assert_eq!(*log.lock().unwrap(), ["start a", "start b", "stop b", "stop a"]);
}

#[tokio::test]
async fn a_module_that_does_not_start_stops_those_before_it() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let none = |_: &mut ModuleContext<'_>| Ok(Parts::new());
    let scope = Scope::bare(Duration::from_secs(1));
    let mut loaded = initialise(vec![
        logged(&log, module("a", &[], none), false),
        logged(&log, module("b", &[], none), true),
        logged(&log, module("c", &[], none), false),
    ])
    .ok()
    .unwrap();
    assert_eq!(loaded.start(&scope).await.unwrap_err().code(), "sample.start");
    assert_eq!(*log.lock().unwrap(), ["start a", "stop a"]);
}
