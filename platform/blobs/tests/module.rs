//! The module: links over their routes, the sweep, and what its actor survives.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use troupe_actors::testing::Universe;
use troupe_actors::{Origin, Scope};
use troupe_blobs::{Blobs, BlobsModule, LocalBlobs};
use troupe_kernel::blob::{BlobLink, BlobStore, LinkUse};
use troupe_kernel::clock::ManualClock;
use troupe_kernel::{
    Access, HeaderName, HttpRequest, HttpResponse, Job, JobContext, Layers, Module, Parts,
    Surroundings, Uuid,
};

use crate::contract::{long, text};
use crate::local::Scratch;

struct House {
    universe: Universe,
    clock: Arc<ManualClock>,
    blobs: LocalBlobs,
    parts: Parts,
    scratch: Scratch,
}

impl House {
    async fn open() -> Self {
        let universe = Universe::start().await;
        let (scratch, clock) = (Scratch::new(), Arc::new(ManualClock::default()));
        let blobs = scratch.open_with(80 << 20, clock.clone());
        let config = Layers::new().build().unwrap();
        let mut around = Surroundings::new(universe.system().clone(), clock.clone()).config(config);
        let mut module = BlobsModule::new(Blobs::Local(blobs.clone()));
        let mut parts = module.init(&mut around.context()).ok().unwrap();
        for child in std::mem::take(&mut parts.children) {
            universe.add(child).await;
        }
        Self { universe, clock, blobs, parts, scratch }
    }

    async fn link(&self, key: &str, usage: LinkUse) -> BlobLink {
        self.blobs.link(key, usage, Duration::from_secs(60)).await.unwrap()
    }

    /// Sends a request the way the edge does after its gates.
    async fn follow(
        &self,
        link: &BlobLink,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> HttpResponse {
        let route = self.parts.routes.iter().find(|route| route.method().as_str() == link.method);
        let route = route.unwrap();
        assert!(matches!(route.access(), Some(Access::Public)));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let scope = Scope::root(Duration::from_secs(20), Origin::new(Uuid::nil()));
        let mut request = HttpRequest::new(route.method().clone(), &link.url, peer, scope);
        let token = link.url.strip_prefix("/v1/blobs/links/").unwrap();
        request.parameters.push(("token".to_owned(), token.to_owned()));
        for &(name, value) in headers {
            request.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        if let Some(check) = route.before_body()
            && let Err(failure) = check(&request).await
        {
            return HttpResponse::from(&failure);
        }
        request.body = body;
        let (port, response) = route.target().open(&request.scope);
        route.target().deliver(&request, port);
        response.await.response.unwrap_or_else(|failure| HttpResponse::from(&failure))
    }

    async fn finish(self) {
        self.universe.finish().await;
    }
}

fn hello() -> LinkUse {
    LinkUse::Write {
        content_type: "text/plain".to_owned(),
        size_bytes: 5,
        digest: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".to_owned(),
    }
}

const PLAIN: [(&str, &str); 1] = [("content-type", "text/plain")];

#[tokio::test]
async fn a_link_to_write_takes_what_it_announces_and_nothing_else() {
    let house = House::open().await;
    let link = house.link("a/b", hello()).await;
    assert_eq!(link.headers, [("content-type".to_owned(), "text/plain".to_owned())]);
    for (headers, body) in [
        (&PLAIN[..], text("HELLO")),
        (&PLAIN[..], text("hello, world")),
        (&[("content-type", "text/html")][..], text("hello")),
        (&[][..], text("hello")),
    ] {
        let refused = house.follow(&link, headers, body).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    let changed = BlobLink { url: format!("{}x", link.url), ..link.clone() };
    assert_eq!(house.follow(&changed, &PLAIN, text("hello")).await.status, 403);
    let reading = BlobLink { method: "GET".to_owned(), ..link.clone() };
    assert_eq!(house.follow(&reading, &[], Bytes::new()).await.status, 403);
    assert_eq!(house.blobs.info("a/b").await.unwrap(), None);

    assert_eq!(house.follow(&link, &PLAIN, text("hello")).await.status, 204);
    let blob = house.blobs.get("a/b").await.unwrap().unwrap();
    assert_eq!((blob.content, blob.info.content_type.as_str()), (text("hello"), "text/plain"));
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.follow(&link, &PLAIN, text("hello")).await.status, 403);
    house.finish().await;
}

#[tokio::test]
async fn a_body_is_refused_by_its_head_when_the_link_is_not_good_for_it() {
    let house = House::open().await;
    let link = house.link("a/b", hello()).await;
    let route = house.parts.routes.iter().find(|route| route.method().as_str() == "PUT").unwrap();
    let check = route.before_body().expect("it is asked before its body is read");
    let asked = async |url: &str, headers: &[(&'static str, &str)]| {
        let scope = Scope::root(Duration::from_secs(20), Origin::new(Uuid::nil()));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut request = HttpRequest::new(route.method().clone(), url, peer, scope);
        let token = url.strip_prefix("/v1/blobs/links/").unwrap().to_owned();
        request.parameters.push(("token".to_owned(), token));
        for &(name, value) in headers {
            request.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        check(&request).await.map_err(|failure| failure.code().to_owned())
    };
    let length = |length| [PLAIN[0], ("content-length", length)];
    assert_eq!(asked(&link.url, &length("5")).await, Ok(()));
    assert_eq!(asked(&link.url, &PLAIN).await, Ok(()), "a length that is not known yet");
    assert_eq!(asked(&link.url, &length("6")).await.unwrap_err(), "blobs.size.differs");
    assert_eq!(asked(&link.url, &[]).await.unwrap_err(), "blobs.link.invalid");
    let changed = format!("{}x", link.url);
    assert_eq!(asked(&changed, &length("5")).await.unwrap_err(), "blobs.link.invalid");
    let reading = house.link("a/b", LinkUse::Read { file_name: None }).await;
    assert_eq!(asked(&reading.url, &length("5")).await.unwrap_err(), "blobs.link.invalid");
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(asked(&link.url, &length("5")).await.unwrap_err(), "blobs.link.invalid");
    house.finish().await;
}

#[tokio::test]
async fn a_link_to_read_gives_a_blob_or_a_range_of_it_that_no_browser_runs() {
    let house = House::open().await;
    let link = house.link("page", LinkUse::Read { file_name: Some("a b.html".to_owned()) }).await;
    assert_eq!(house.follow(&link, &[], Bytes::new()).await.status, 404);
    house.blobs.put("page", "text/html", text("<html>hello")).await.unwrap();
    let read = house.follow(&link, &[], Bytes::new()).await;
    assert_eq!((read.status.as_u16(), &read.body[..]), (200, &b"<html>hello"[..]));
    assert_eq!(read.headers["content-type"], "text/html");
    assert_eq!(read.headers["x-content-type-options"], "nosniff");
    assert_eq!(read.headers["content-security-policy"], "default-src 'none'; sandbox");
    assert_eq!(read.headers["content-disposition"], "attachment; filename*=UTF-8''a%20b.html");

    let part = house.follow(&link, &[("range", "bytes=6-8")], Bytes::new()).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"hel"[..]));
    assert_eq!(part.headers["content-range"], "bytes 6-8/11");
    let beyond = house.follow(&link, &[("range", "bytes=11-")], Bytes::new()).await;
    assert_eq!(beyond.status, 422);
    house.finish().await;
}

#[tokio::test]
async fn a_blob_that_is_too_large_for_one_answer_is_read_in_ranges() {
    let house = House::open().await;
    let content = long((64 << 20) + 1);
    house.blobs.put("a", "application/octet-stream", content.clone()).await.unwrap();
    let link = house.link("a", LinkUse::Read { file_name: None }).await;
    let refused = house.follow(&link, &[], Bytes::new()).await;
    assert!(refused.status.is_client_error(), "{:?}", refused.status);
    let rest = house.follow(&link, &[("range", "bytes=5-")], Bytes::new()).await;
    assert_eq!(rest.status, 206);
    assert!(rest.body == content.slice(5..));
    house.finish().await;
}

#[tokio::test]
async fn the_nightly_job_sweeps_the_store() {
    let house = House::open().await;
    house.blobs.put("a/b", "text/plain", text("kept")).await.unwrap();
    let lost = house.scratch.path().join("blobs/a/lost@0011");
    std::fs::write(&lost, "content without a side file").unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&lost).unwrap().set_modified(old).unwrap();
    let [handler] = &house.parts.jobs[..] else { panic!("one job") };
    assert_eq!((handler.kind(), handler.schedule()), ("blobs.sweep", Some("23 3 * * *")));
    let job = JobContext { id: Uuid::nil(), attempt: 1, job: Job::new("blobs.sweep", &()) };
    handler.run(&job, &Scope::system("test", Duration::from_secs(20))).await.unwrap();
    assert!(!lost.exists());
    assert!(house.blobs.get("a/b").await.unwrap().is_some());
    house.finish().await;
}
