//! Stand-ins for what the blog requires: an authorizer that knows the blog's rules by heart, a
//! cache and a blob store in memory, and an identity that knows a few people.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use troupe_actors::{Context, Handled, Lent, Service};
use troupe_identity_messages::{IdentityMessage, Organisation, OrganisationStatus, UserName};
use troupe_kernel::{
    Authorizer, Blob, BlobInfo, BlobStore, BoxFuture, Bytes, Cache, Cursor, Decision, Failure,
    Page, PageRequest, PermissionSet, Question, Scope, TenantId, Timestamp, UserId, Uuid,
};

/// Decides as the policies of the blog say. `managers` hold `blog.post.manage`.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) managers: Mutex<HashSet<Uuid>>,
    /// 0 decides, 1 panics, 2 waits until it changes.
    pub(crate) mood: AtomicU8,
    pub(crate) asked: AtomicUsize,
}

impl Rules {
    fn allows(&self, question: &Question) -> bool {
        let me = question.principal.subject;
        let resource = &question.resource;
        if resource.tenant != question.principal.tenant {
            return false;
        }
        if self.managers.lock().expect("nobody panics with it").contains(&me) {
            return true;
        }
        let own = resource.owner == Some(me);
        let published = resource.attributes.get("status") == Some(&"published".into());
        let own_post = resource.attributes.get("post_author") == Some(&me.to_string().into());
        match question.action.as_str() {
            "blog.post.read" => published || own,
            "blog.comment.read" | "blog.comment.delete" => own || own_post,
            "blog.comment.moderate" => own_post,
            _ => own,
        }
    }
}

impl Authorizer for Rules {
    fn resolve<'a>(
        &'a self,
        _subject: Uuid,
        _tenant: Option<Uuid>,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<PermissionSet, Failure>> {
        Box::pin(std::future::ready(Ok(PermissionSet::new())))
    }

    fn decide<'a>(
        &'a self,
        question: Question,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Decision, Failure>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            assert!(self.mood.load(Ordering::SeqCst) != 1, "the authorizer is in a bad mood");
            while self.mood.load(Ordering::SeqCst) == 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(Decision {
                allowed: self.allows(&question),
                reason: format!("no policy about {} permits it", question.action),
                policy: None,
            })
        })
    }
}

/// A cache that never expires by time.
#[derive(Default)]
pub(crate) struct MemoryCache {
    entries: Mutex<HashMap<String, (Bytes, Vec<String>)>>,
    /// Tags that were invalidated, in order.
    forgotten: Mutex<Vec<String>>,
    /// What is to be kept waits here.
    held: Mutex<Option<Arc<Held>>>,
    pub(crate) hits: AtomicUsize,
}

/// Values that were made and are not kept yet.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) reached: Notify,
    pub(crate) go: Notify,
}

impl MemoryCache {
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().expect("nobody panics with it").len()
    }

    /// Lets the next value that is to be kept wait.
    pub(crate) fn hold(&self) -> Arc<Held> {
        let held = Arc::new(Held::default());
        *self.held.lock().expect("nobody panics with it") = Some(held.clone());
        held
    }

    async fn wait(&self) {
        let held = self.held.lock().expect("nobody panics with it").take();
        if let Some(held) = held {
            held.reached.notify_one();
            held.go.notified().await;
        }
    }

    fn insert(&self, key: &str, value: Bytes, tags: &[String]) {
        let mut entries = self.entries.lock().expect("nobody panics with it");
        entries.insert(key.to_owned(), (value, tags.to_vec()));
    }
}

impl Cache for MemoryCache {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        let found = self.entries.lock().expect("nobody panics with it").get(key).cloned();
        self.hits.fetch_add(usize::from(found.is_some()), Ordering::SeqCst);
        Box::pin(std::future::ready(found.map(|(value, _)| value)))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        _ttl: Duration,
        tags: &'a [String],
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.wait().await;
            self.insert(key, value, tags);
        })
    }

    /// As adapters do: nothing is kept that was loaded before one of its tags was invalidated.
    fn fill<'a>(
        &'a self,
        key: &'a str,
        _ttl: Duration,
        tags: &'a [String],
        load: BoxFuture<'a, Result<Bytes, Failure>>,
    ) -> BoxFuture<'a, Result<Bytes, Failure>> {
        Box::pin(async move {
            let count = || self.forgotten.lock().expect("nobody panics with it").len();
            let since = count();
            let value = load.await?;
            self.wait().await;
            let is_good = {
                let forgotten = self.forgotten.lock().expect("nobody panics with it");
                !forgotten[since..].iter().any(|tag| tags.contains(tag))
            };
            if is_good {
                self.insert(key, value.clone(), tags);
            }
            Ok(value)
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.entries.lock().expect("nobody panics with it").remove(key);
        Box::pin(std::future::ready(Ok(())))
    }

    fn invalidate<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.forgotten.lock().expect("nobody panics with it").push(tag.to_owned());
        let mut entries = self.entries.lock().expect("nobody panics with it");
        entries.retain(|_, (_, tags)| !tags.iter().any(|each| each == tag));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A blob store whose blobs are all as old as `stored` says.
#[derive(Default)]
pub(crate) struct MemoryBlobs {
    pub(crate) blobs: Mutex<BTreeMap<String, Blob>>,
    pub(crate) stored: Mutex<Timestamp>,
}

impl MemoryBlobs {
    pub(crate) fn keys(&self) -> Vec<String> {
        self.blobs.lock().expect("nobody panics with it").keys().cloned().collect()
    }
}

impl BlobStore for MemoryBlobs {
    fn put<'a>(
        &'a self,
        key: &'a str,
        content_type: &'a str,
        content: Bytes,
    ) -> BoxFuture<'a, Result<BlobInfo, Failure>> {
        let info = BlobInfo {
            key: key.to_owned(),
            content_type: content_type.to_owned(),
            size_bytes: content.len() as u64,
            digest: format!("{:064x}", content.iter().map(|byte| u64::from(*byte)).sum::<u64>()),
            stored: *self.stored.lock().expect("nobody panics with it"),
        };
        let blob = Blob { info: info.clone(), content };
        self.blobs.lock().expect("nobody panics with it").insert(key.to_owned(), blob);
        Box::pin(std::future::ready(Ok(info)))
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Blob>, Failure>> {
        let found = self.blobs.lock().expect("nobody panics with it").get(key).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.blobs.lock().expect("nobody panics with it").remove(key);
        Box::pin(std::future::ready(Ok(())))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<BlobInfo>, Failure>> {
        let after = page.cursor.as_ref().map(|cursor: &Cursor| cursor.as_str().to_owned());
        let blobs = self.blobs.lock().expect("nobody panics with it");
        let rest: Vec<BlobInfo> = blobs
            .iter()
            .filter(|(key, _)| {
                key.starts_with(prefix) && after.as_ref().is_none_or(|last| *key > last)
            })
            .map(|(_, blob)| blob.info.clone())
            .collect();
        let limit = page.limit as usize;
        let next_cursor = (rest.len() > limit).then(|| rest[limit - 1].key.clone());
        let items = rest.into_iter().take(limit).collect();
        Box::pin(std::future::ready(Ok(Page { items, next_cursor })))
    }
}

/// The people and organisations that identity knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) organisations: Vec<(String, TenantId, OrganisationStatus)>,
    pub(crate) names: HashMap<Uuid, String>,
}

/// An identity that answers what the blog asks.
pub(crate) struct Identity {
    pub(crate) known: std::sync::Arc<Mutex<Known>>,
}

impl Service for Identity {
    type Message = IdentityMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<IdentityMessage>,
        ctx: &mut Context<IdentityMessage>,
    ) -> Handled {
        let known = self.known.lock().expect("nobody panics with it").clone();
        match &**message {
            IdentityMessage::FindOrganisationBySlug(query) => {
                let found = known.organisations.iter().find(|(slug, ..)| *slug == query.slug);
                let found = found.map(|(slug, id, status)| Organisation {
                    id: *id,
                    slug: slug.clone(),
                    name: format!("The {slug} company"),
                    status: *status,
                    version: 1,
                    created_at: Timestamp::EPOCH,
                    updated_at: Timestamp::EPOCH,
                });
                ctx.reply(query, found)
            }
            IdentityMessage::ListUserNames(query) => {
                let names = query.ids.iter().filter_map(|id| {
                    let display_name = known.names.get(&id.uuid())?.clone();
                    Some(UserName { id: UserId(id.uuid()), display_name })
                });
                let names = names.collect();
                ctx.reply(query, names)
            }
            _ => ctx.fail(Failure::internal("test.identity", "the blog asks nothing else")),
        }
    }
}
