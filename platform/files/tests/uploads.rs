//! Uploads: in parts and by a link, resumed, refused, given up and forgotten.

use std::time::Duration;

use serde_json::json;
use troupe_kernel::{BlobStore, Bytes, Method};

use crate::house::{House, digest, in_both, in_both_with, json_of, refused, text};

/// Parts of five bytes.
const SMALL: &str = "size_max = \"40B\"\npart_size = \"5B\"";

/// Where the content of an upload lies.
fn key(house: &House, upload: &str) -> String {
    let id = upload.rsplit('/').next().expect("an id");
    format!("files/{}/{id}", house.author.tenant)
}

#[tokio::test]
async fn an_upload_in_parts_is_resumed_and_becomes_a_file() {
    in_both_with(SMALL, async |house| {
        let (who, content) = (house.author, b"one two three");
        let upload = house.begin(who, content).await;
        house.part(who, &upload, 2, b"wo th").await;
        house.part(who, &upload, 1, b"wrong").await;
        let replaced = json_of(&house.part(who, &upload, 1, b"one t").await);
        assert_eq!(replaced, json!({ "number": 1, "size_bytes": 5, "digest": digest(b"one t") }));

        // The connection broke off: what has come is asked for, the rest is sent.
        let shown = json_of(&house.get(who, &upload).await);
        let come: Vec<_> = shown["parts"].as_array().expect("parts").iter().collect();
        assert_eq!(come.iter().map(|part| &part["number"]).collect::<Vec<_>>(), [1, 2]);
        let early = house.post(who, &format!("{upload}/complete")).await;
        assert_eq!(refused(&early), (409, "files.upload.incomplete".to_owned()));
        house.part(who, &upload, 3, b"ree").await;

        let file = house.post(who, &format!("{upload}/complete")).await;
        assert_eq!(file.status, 201, "{file:?}");
        let file = json_of(&file);
        assert_eq!((text(&file["name"]), &file["size_bytes"]), ("notes.txt", &json!(13)));
        assert_eq!(text(&file["digest"]), digest(content));
        let again = house.post(who, &format!("{upload}/complete")).await;
        assert_eq!(json_of(&again), file, "repeating answers the file");
        let blob = house.blobs.get(&key(house, &upload)).await.expect("read").expect("there");
        assert_eq!(
            (&blob.content[..], blob.info.content_type.as_str()),
            (&content[..], "text/plain")
        );

        assert_eq!(house.keys().await.len(), 4);
        house.run_jobs("files.erase").await;
        assert_eq!(house.keys().await, [key(house, &upload)], "the parts are gone");
        assert_eq!(house.events().await, ["files.file.stored"]);
        assert_eq!(house.audits().await, ["files.upload.begin", "files.upload.complete"]);
    })
    .await;
}

#[tokio::test]
async fn an_upload_by_its_link_is_completed_without_parts() {
    in_both(async |house| {
        let content = b"hello";
        let response = house.announce(house.author, content).await;
        let upload = json_of(&response);
        assert_eq!((text(&upload["link"]["method"])), "PUT");
        let token = text(&upload["link"]["url"]).rsplit('/').next().expect("a token");
        let claim = house.blobs.redeem(token).await.expect("a link of this store");
        // What the node does with the request of the link.
        house
            .blobs
            .put(&claim.key, "text/plain", Bytes::from_static(content))
            .await
            .expect("stored");
        let address = format!("/v1/files/uploads/{}", text(&upload["id"]));
        let file = house.post(house.author, &format!("{address}/complete")).await;
        assert_eq!(file.status, 201, "{file:?}");

        let address = house.begin(house.author, content).await;
        let other = key(house, &address);
        house.blobs.put(&other, "text/plain", Bytes::from_static(b"other")).await.expect("stored");
        let refusal = house.post(house.author, &format!("{address}/complete")).await;
        assert_eq!(refused(&refusal), (409, "files.upload.differs".to_owned()));
        assert_eq!(house.blobs.info(&other).await.expect("asked"), None, "it is not kept");
    })
    .await;
}

#[tokio::test]
async fn content_that_is_not_what_was_announced_becomes_no_file() {
    in_both(async |house| {
        let who = house.author;
        let upload = house.begin(who, b"hello").await;
        house.part(who, &upload, 1, b"HELLO").await;
        let refusal = house.post(who, &format!("{upload}/complete")).await;
        assert_eq!(refused(&refusal), (422, "blobs.digest.differs".to_owned()));
        let page = house.get(who, "/v1/files").await;
        assert_eq!(json_of(&page)["items"], json!([]));
        house.part(who, &upload, 1, b"hello").await;
        assert_eq!(house.post(who, &format!("{upload}/complete")).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn all_parts_together_are_no_more_than_was_announced() {
    in_both_with(SMALL, async |house| {
        let who = house.author;
        let upload = house.begin(who, b"hello world!").await;
        for (number, content, code) in [
            (0, &b"hello"[..], "files.part.number"),
            (4, b"hello", "files.part.number"),
            (u32::MAX, b"hello", "files.part.number"),
            (1, b"", "files.part.size"),
            (1, b"hell", "files.part.size"),
            (2, b"hello!", "files.part.size"),
            (3, b"abc", "files.part.size"),
        ] {
            let refusal = house.part(who, &upload, number, content).await;
            assert_eq!(refused(&refusal), (422, code.to_owned()), "{number}");
        }
        let empty = house.begin(who, b"").await;
        assert_eq!(refused(&house.part(who, &empty, 1, b"").await).1, "files.part.number");
        assert_eq!(house.keys().await, [""; 0]);
        let file = house.post(who, &format!("{empty}/complete")).await;
        assert_eq!(file.status, 201, "{file:?}");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_before_it_is_sent() {
    in_both_with("size_max = \"20B\"\ntenant_size_max = \"30B\"\nopen_max = 2", async |house| {
        let announce = async |changed: &str, value: serde_json::Value| {
            let mut body = json!({
                "name": "a", "content_type": "text/plain", "size_bytes": 1, "digest": digest(b"x"),
            });
            body[changed] = value;
            let target = "/v1/files/uploads";
            house.send(house.author, Method::POST, target, body.to_string()).await
        };
        for (changed, value, code) in [
            ("name", json!("a\nb"), "files.name.invalid"),
            ("size_bytes", json!(21), "files.size.invalid"),
            ("content_type", json!("text"), "blobs.content_type.invalid"),
            ("digest", json!("abc"), "blobs.digest.invalid"),
        ] {
            assert_eq!(refused(&announce(changed, value).await).1, code);
        }
        assert!(announce("owner", json!("me")).await.status.is_client_error());
        house.begin(house.author, &[b'x'; 20]).await;
        let refusal = house.announce(house.rival, &[b'x'; 11]).await;
        assert_eq!(refused(&refusal), (409, "files.quota".to_owned()));
        house.begin(house.author, &[b'x'; 10]).await;
        let refusal = house.announce(house.author, b"").await;
        assert_eq!(refused(&refusal), (409, "files.uploads.open".to_owned()));
        house.begin(house.stranger, &[b'x'; 20]).await;
    })
    .await;
}

#[tokio::test]
async fn an_upload_is_its_owners_alone() {
    in_both(async |house| {
        let upload = house.begin(house.author, b"hello").await;
        for who in [house.rival, house.editor, house.stranger] {
            assert_eq!(house.get(who, &upload).await.status, 404);
            assert_eq!(house.part(who, &upload, 1, b"hello").await.status, 404);
            assert_eq!(house.post(who, &format!("{upload}/complete")).await.status, 404);
            assert_eq!(house.delete(who, &upload).await.status, 404);
        }
        assert_eq!(house.keys().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_is_given_up_or_forgotten_leaves_nothing() {
    in_both(async |house| {
        let who = house.author;
        let given_up = house.begin(who, b"hello").await;
        house.part(who, &given_up, 1, b"hello").await;
        assert_eq!(house.delete(who, &given_up).await.status, 204);
        house.run_jobs("files.erase").await;
        assert_eq!(house.keys().await, [""; 0]);

        let forgotten = house.begin(who, b"hello").await;
        house.part(who, &forgotten, 1, b"hello").await;
        let kept = house.file(who, b"kept").await;
        house.run_jobs("files.erase").await;
        house.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(house.get(who, &forgotten).await.status, 404, "its time is over");
        house.run_jobs("files.sweep_uploads").await;
        assert_eq!(house.keys().await.len(), 2, "not yet: a request may be under way");
        house.clock.advance(Duration::from_secs(3601));
        house.run_jobs("files.sweep_uploads").await;
        let id = text(&kept["id"]);
        assert_eq!(house.keys().await, [format!("files/{}/{id}", who.tenant)]);
        let audits = house.audits().await;
        assert_eq!(audits.last().map(String::as_str), Some("files.upload.expire"));
    })
    .await;
}
