//! What this module registers: permissions, roles, policies, tables, actors, routes, jobs and
//! subscriptions.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{ChildSpec, ServiceRef, Spec, Supervisor, System};
use troupe_database::{BatchLimits, Db, Keyed};
use troupe_identity_messages::{IdentityMessage, OrganisationEvent, USER_ANONYMISED, UserEvent};
use troupe_kernel::module::{InitFault, Manifest, Module, ModuleContext};
use troupe_kernel::{
    Authorizer, BlobStore, Cache, Failure, JobHandler, MissingService, Parts, Subscription,
};

use crate::config::BlogConfig;
use crate::messages::{
    CommentMessage, EraseBlob, ForgetCommenter, ForgetOrganisation, ForgetPost, MediaMessage,
    PostId, PostMessage, PublicMessage, PublishDue, SweepMedia,
};
use crate::repository::MIGRATIONS;
use crate::repository::public::PublishedBySlug;
use crate::routes::Services;
use crate::service::{
    Blog, Comments, ERASE_JOB, MediaLibrary, PUBLISH_JOB, Posts, PublicReads, Transfer,
};
use crate::{permissions, routes};

const POSTS_CAPACITY: usize = 1024;
const PUBLIC_CAPACITY: usize = 4096;
const COMMENTS_CAPACITY: usize = 512;
/// Each waiting message may hold an upload or a document.
const HEAVY_CAPACITY: usize = 64;
/// Keys in one query of the batcher; each value may hold more than a megabyte.
const BATCH_KEYS_MAX: usize = 64;
const STOP_WITHIN: Duration = Duration::from_secs(10);
const SWEEP_WITHIN: Duration = Duration::from_secs(600);

/// The blog.
///
/// Requires `Db`, `dyn Authorizer`, `dyn Cache`, `dyn BlobStore` and
/// `ServiceRef<IdentityMessage>`. Provides `ServiceRef<PostMessage>`.
#[derive(Debug, Default)]
pub struct BlogModule;

impl Module for BlogModule {
    fn manifest(&self) -> Manifest {
        Manifest {
            name: "blog",
            version: env!("CARGO_PKG_VERSION"),
            dependencies: &["database", "identity", "authz"],
        }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config = ctx.config::<BlogConfig>();
        let needs = Needs::find(ctx);
        let (config, needs) = match (config, needs) {
            (Ok(config), Ok(needs)) => (config, needs),
            (config, needs) => {
                let mut faults = config.err().unwrap_or_default();
                faults.extend(needs.err().unwrap_or_default());
                return Err(faults);
            }
        };
        let system = ctx.system().clone();
        let limits = BatchLimits { keys_max: BATCH_KEYS_MAX, ..BatchLimits::default() };
        let load = PublishedBySlug { db: (*needs.db).clone() };
        let (published, batcher) = Keyed::new(&system, load, limits);
        let blog = Arc::new(Blog {
            db: (*needs.db).clone(),
            published,
            authorizer: needs.authorizer,
            cache: needs.cache,
            blobs: needs.blobs,
            identity: (*needs.identity).clone(),
            config: config.clone(),
        });
        let (services, children) = actors(&system, &blog);
        let supervisor = Supervisor::new(&system, "blog").child(batcher).children(children);
        ctx.provide(Arc::new(services.posts.clone()));
        Ok(Parts::new()
            .permissions(permissions::permissions())
            .roles(permissions::roles())
            .policies(permissions::policies())
            .migrations(MIGRATIONS)
            .child(supervisor.into_spec())
            .routes(routes::routes(&services, &config))
            .job(publish_job(&services.posts))
            .job(erase_job(&services.media))
            .job(sweep_job(&services.media))
            .subscription(changes(&services.public))
            .subscription(organisations(&services.public))
            .subscription(leavers(&services.comments)))
    }
}

/// What others provide.
struct Needs {
    db: Arc<Db>,
    authorizer: Arc<dyn Authorizer>,
    cache: Arc<dyn Cache>,
    blobs: Arc<dyn BlobStore>,
    identity: Arc<ServiceRef<IdentityMessage>>,
}

impl Needs {
    fn find(ctx: &ModuleContext<'_>) -> Result<Self, Vec<InitFault>> {
        let mut faults = Vec::new();
        let db = noted(ctx.require(), &mut faults);
        let authorizer = noted(ctx.require(), &mut faults);
        let cache = noted(ctx.require(), &mut faults);
        let blobs = noted(ctx.require(), &mut faults);
        let identity = noted(ctx.require(), &mut faults);
        match (db, authorizer, cache, blobs, identity) {
            (Some(db), Some(authorizer), Some(cache), Some(blobs), Some(identity)) => {
                Ok(Self { db, authorizer, cache, blobs, identity })
            }
            _ => Err(faults),
        }
    }
}

fn noted<T: ?Sized>(
    found: Result<Arc<T>, MissingService>,
    faults: &mut Vec<InitFault>,
) -> Option<Arc<T>> {
    found.map_err(|missing| faults.push(missing.into())).ok()
}

/// The actors: each a pool over one mailbox.
fn actors(system: &System, blog: &Arc<Blog>) -> (Services, [ChildSpec; 5]) {
    let config = &blog.config;
    let given = blog.clone();
    let (posts, posts_child) = Spec::new(system, "posts", move || Posts::new(given.clone()))
        .capacity(POSTS_CAPACITY)
        .workers(config.post_workers)
        .stop_within(STOP_WITHIN)
        .build();
    let given = blog.clone();
    let (public, public_child) =
        Spec::new(system, "public", move || PublicReads::new(given.clone()))
            .capacity(PUBLIC_CAPACITY)
            .workers(config.public_workers)
            .build();
    let given = blog.clone();
    let (comments, comments_child) =
        Spec::new(system, "comments", move || Comments::new(given.clone()))
            .capacity(COMMENTS_CAPACITY)
            .workers(config.comments.workers)
            .stop_within(STOP_WITHIN)
            .build();
    let given = blog.clone();
    let (media, media_child) = Spec::new(system, "media", move || MediaLibrary::new(given.clone()))
        .capacity(HEAVY_CAPACITY)
        .workers(config.media.workers)
        .stop_within(STOP_WITHIN)
        .build();
    let given = blog.clone();
    let (transfer, transfer_child) =
        Spec::new(system, "transfer", move || Transfer::new(given.clone()))
            .capacity(HEAVY_CAPACITY)
            .workers(config.transfer_workers)
            .stop_within(STOP_WITHIN)
            .build();
    let children = [posts_child, public_child, comments_child, media_child, transfer_child];
    (Services { posts, public, comments, media, transfer }, children)
}

/// Publishes what was scheduled.
fn publish_job(posts: &ServiceRef<PostMessage>) -> JobHandler {
    JobHandler::new(PUBLISH_JOB).ask(posts, |job| job.payload::<PublishDue>())
}

/// Removes the content of deleted uploads.
fn erase_job(media: &ServiceRef<MediaMessage>) -> JobHandler {
    JobHandler::new(ERASE_JOB).ask(media, |job| job.payload::<EraseBlob>())
}

/// Removes contents whose upload was never completed, each night.
fn sweep_job(media: &ServiceRef<MediaMessage>) -> JobHandler {
    JobHandler::new("blog.sweep_media")
        .cron("17 3 * * *")
        .timeout(SWEEP_WITHIN)
        .ask(media, |_| Ok(SweepMedia {}))
}

/// Forgets cached answers once more when a change has become an event: a reader that raced with
/// the commit may have put an old answer back.
fn changes(public: &ServiceRef<PublicMessage>) -> Subscription {
    Subscription::new("blog.cache", &["blog.post.*", "blog.comment.*"]).ask(public, |event| {
        let tenant = event.tenant.ok_or_else(|| unreadable(&event.kind))?;
        let post: PostId = event.subject.parse().map_err(|_| unreadable(&event.kind))?;
        Ok(ForgetPost { tenant, post })
    })
}

/// Forgets what is cached of an organisation that was renamed, suspended or closed.
fn organisations(public: &ServiceRef<PublicMessage>) -> Subscription {
    Subscription::new("blog.organisations", &["identity.organisation.*"]).ask(public, |event| {
        let data: OrganisationEvent = event.data()?;
        Ok(ForgetOrganisation { tenant: data.organisation })
    })
}

/// Erases the names of accounts that are gone.
fn leavers(comments: &ServiceRef<CommentMessage>) -> Subscription {
    Subscription::new("blog.leavers", &[USER_ANONYMISED]).ask(comments, |event| {
        let data: UserEvent = event.data()?;
        Ok(ForgetCommenter { user: data.user })
    })
}

fn unreadable(kind: &str) -> Failure {
    Failure::invalid("blog.event.unreadable", format!("a {kind} event names no tenant or no post"))
}
