//! Uploads: what is taken, what is refused, and what is left behind.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_kernel::{Clock, StatusCode, Uuid, header};

use crate::house::{House, Person, each, in_both, in_both_with, text};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nimage";

async fn upload(house: &House, who: Person, name: &str, content: &'static [u8]) -> Value {
    house
        .post(&format!("/v1/blog/media?name={name}"))
        .by(who)
        .body(content)
        .expect(StatusCode::CREATED)
        .await
}

#[tokio::test]
async fn an_upload_is_kept_listed_and_read() {
    in_both(async |house| {
        let media = upload(house, house.author, "C%3A%5Ccat.png", PNG).await;
        assert_eq!((text(&media["name"]), text(&media["content_type"])), ("cat.png", "image/png"));
        assert_eq!(media["size_bytes"], PNG.len());
        house.clock.advance(Duration::from_millis(1));
        upload(house, house.author, "a.pdf", b"%PDF-1.7 text").await;
        let page =
            house.get("/v1/blog/media?limit=1").by(house.reader).expect(StatusCode::OK).await;
        assert_eq!(each(&page, "name"), ["a.pdf"]);
        let next = format!("/v1/blog/media?cursor={}", text(&page["next_cursor"]));
        assert_eq!(
            each(&house.get(&next).by(house.reader).expect(StatusCode::OK).await, "name"),
            ["cat.png"]
        );

        let id = text(&media["id"]);
        for target in [format!("/v1/blog/media/{id}"), format!("/v1/public/acme/media/{id}")] {
            let response = house.get(&target).by(house.reader).send().await;
            assert_eq!((response.status, &response.body[..]), (StatusCode::OK, PNG));
            assert_eq!(response.headers[header::CONTENT_TYPE], "image/png");
            assert_eq!(
                response.headers[header::CACHE_CONTROL],
                "public, max-age=31536000, immutable"
            );
            assert_eq!(response.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let etag = response.headers[header::ETAG].to_str().expect("text").to_owned();
            let again = house
                .get(&target)
                .by(house.reader)
                .header(header::IF_NONE_MATCH, &etag)
                .send()
                .await;
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
        }
        assert_eq!(house.events().await, ["blog.media.uploaded", "blog.media.uploaded"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_on_the_list_is_refused_and_not_stored() {
    in_both_with("[blog.media]\nbytes_max = \"1KiB\"", async |house| {
        let svg: &[u8] = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
        let cases: [(&str, Vec<u8>, u16, &str); 5] = [
            ("a.svg", svg.to_vec(), 415, "blog.media.type"),
            ("a.png", b"<html>".to_vec(), 415, "blog.media.type"),
            ("a.png", Vec::new(), 422, "blog.media.empty"),
            ("a.png", [PNG, &[0; 1024]].concat(), 413, "blog.media.too_large"),
            ("a%2F", PNG.to_vec(), 422, "blog.media.name"),
        ];
        for (name, content, status, code) in cases {
            let target = format!("/v1/blog/media?name={name}");
            assert_eq!(
                house.post(&target).by(house.author).body(content).refused(status).await,
                code
            );
        }
        let missing = house.post("/v1/blog/media").by(house.author).body(PNG).refused(400).await;
        assert_eq!(missing, "kernel.query.malformed");
        assert!(house.blobs.keys().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_organisation_has_so_much_room() {
    in_both_with("[blog.media]\ntenant_bytes_max = 20", async |house| {
        let first = upload(house, house.author, "a.png", PNG).await;
        let target = "/v1/blog/media?name=b.png";
        let full = house.post(target).by(house.author).body(PNG).refused(409).await;
        assert_eq!(full, "blog.media.quota");
        upload(house, house.stranger, "b.png", PNG).await;
        house
            .delete(&format!("/v1/blog/media/{}", text(&first["id"])))
            .by(house.author)
            .expect(StatusCode::NO_CONTENT)
            .await;
        upload(house, house.author, "b.png", PNG).await;
    })
    .await;
}

#[tokio::test]
async fn uploads_belong_to_their_uploader_and_organisation() {
    in_both(async |house| {
        let media = upload(house, house.author, "a.png", PNG).await;
        let id = text(&media["id"]);
        let target = format!("/v1/blog/media/{id}");
        assert_eq!(
            house.get(&target).by(house.stranger).refused(404).await,
            "blog.media.not_found"
        );
        assert_eq!(
            house.delete(&target).by(house.stranger).refused(404).await,
            "blog.media.not_found"
        );
        assert_eq!(
            house.get(&format!("/v1/public/other/media/{id}")).refused(404).await,
            "blog.media.not_found"
        );
        assert!(
            each(
                &house.get("/v1/blog/media").by(house.stranger).expect(StatusCode::OK).await,
                "id"
            )
            .is_empty()
        );
        assert_eq!(house.delete(&target).by(house.rival).refused(403).await, "blog.access.denied");
        house.delete(&target).by(house.editor).expect(StatusCode::NO_CONTENT).await;
        assert_eq!(house.get(&target).by(house.author).refused(404).await, "blog.media.not_found");
        assert_eq!(
            house.get("/v1/blog/media/1").by(house.author).refused(400).await,
            "kernel.path.malformed"
        );
    })
    .await;
}

#[tokio::test]
async fn the_content_of_a_deleted_upload_is_erased_by_its_job() {
    in_both(async |house| {
        let media = upload(house, house.author, "a.png", PNG).await;
        house
            .delete(&format!("/v1/blog/media/{}", text(&media["id"])))
            .by(house.author)
            .expect(StatusCode::NO_CONTENT)
            .await;
        assert_eq!(house.blobs.keys().len(), 1, "the job does it");
        assert_eq!(house.run_jobs("blog.erase_media").await, [Ok(())]);
        assert!(house.blobs.keys().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_repeated_upload_leaves_one_content() {
    in_both(async |house| {
        let send =
            || house.post("/v1/blog/media?name=a.png").by(house.author).body(PNG).idempotent("k");
        let first = send().expect(StatusCode::CREATED).await;
        assert_eq!(send().expect(StatusCode::CREATED).await, first);
        assert_eq!(house.blobs.keys(), [format!("blog/{}/{}", house.acme, text(&first["id"]))]);
    })
    .await;
}

#[tokio::test]
async fn the_sweep_removes_old_contents_without_a_row_only() {
    in_both(async |house| {
        *house.blobs.stored.lock().expect("nobody panics with it") = house.clock.now();
        let kept = upload(house, house.author, "a.png", PNG).await;
        let orphan = format!("blog/{}/{}", house.acme, Uuid::from_u128(77));
        let store: &dyn troupe_kernel::BlobStore = house.blobs.as_ref();
        store.put(&orphan, "image/png", PNG.into()).await.expect("stored");
        store.put("blog/readme.txt", "text/plain", PNG.into()).await.expect("stored");
        assert_eq!(sweep(house).await, 3, "an upload may be under way");
        house.clock.advance(Duration::from_secs(3601));
        assert_eq!(sweep(house).await, 2);
        let id = format!("blog/{}/{}", house.acme, text(&kept["id"]));
        assert_eq!(house.blobs.keys(), [id, "blog/readme.txt".to_owned()]);
    })
    .await;
}

async fn sweep(house: &House) -> usize {
    let handler =
        house.assembly.jobs.iter().find(|each| each.kind() == "blog.sweep_media").expect("there");
    assert_eq!(handler.schedule(), Some("17 3 * * *"));
    let job = troupe_kernel::Job::new("blog.sweep_media", &json!(null));
    let context = troupe_kernel::JobContext { id: Uuid::nil(), attempt: 1, job };
    let scope = troupe_kernel::Scope::system("jobs", Duration::from_secs(20));
    handler.run(&context, &scope).await.expect("swept");
    house.blobs.keys().len()
}
