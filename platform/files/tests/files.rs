//! Files that are there: listed, linked, deleted.

use serde_json::json;
use troupe_kernel::{BlobStore, Bytes};

use crate::house::{in_both, json_of, refused, text};

#[tokio::test]
async fn members_list_and_read_files_and_strangers_see_none() {
    in_both(async |house| {
        let first = house.file(house.author, b"first").await;
        house.clock.advance(std::time::Duration::from_millis(1));
        let second = house.file(house.author, b"second").await;
        house.begin(house.author, b"open").await;
        let page = json_of(&house.get(house.rival, "/v1/files?limit=1").await);
        assert_eq!(page["items"], json!([second]));
        let next = format!("/v1/files?cursor={}", text(&page["next_cursor"]));
        assert_eq!(json_of(&house.get(house.rival, &next).await)["items"], json!([first]));

        let address = format!("/v1/files/{}", text(&first["id"]));
        let read = house.get(house.rival, &address).await;
        assert_eq!((json_of(&read), read.status.as_u16()), (first.clone(), 200));
        assert_eq!(house.get(house.stranger, &address).await.status, 404);
        assert_eq!(house.post(house.stranger, &format!("{address}/link")).await.status, 404);
        let page = json_of(&house.get(house.stranger, "/v1/files").await);
        assert_eq!(page["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_link_reads_the_file_under_its_name() {
    in_both(async |house| {
        let file = house.file(house.author, b"hello").await;
        let address = format!("/v1/files/{}/link", text(&file["id"]));
        let response = house.post(house.rival, &address).await;
        assert_eq!(response.headers["cache-control"], "no-store");
        let link = json_of(&response);
        let token = text(&link["url"]).rsplit('/').next().expect("a token");
        let claim = house.blobs.redeem(token).await.expect("a link of this store");
        let blob = house.blobs.get(&claim.key).await.expect("read").expect("there");
        assert_eq!(&blob.content[..], b"hello");
        assert!(format!("{:?}", claim.usage).contains("notes.txt"));
    })
    .await;
}

#[tokio::test]
async fn a_file_is_deleted_by_its_owner_or_an_editor_with_its_content() {
    in_both(async |house| {
        let own = house.file(house.author, b"own").await;
        let other = house.file(house.author, b"other").await;
        house.run_jobs("files.erase").await;
        let address = |file: &serde_json::Value| format!("/v1/files/{}", text(&file["id"]));
        let refusal = house.delete(house.rival, &address(&own)).await;
        assert_eq!(refused(&refusal), (403, "files.access.denied".to_owned()));
        assert_eq!(house.delete(house.stranger, &address(&own)).await.status, 404);
        assert_eq!(house.delete(house.author, &address(&own)).await.status, 204);
        assert_eq!(house.delete(house.editor, &address(&other)).await.status, 204);
        assert_eq!(house.delete(house.editor, &address(&other)).await.status, 404);
        house.run_jobs("files.erase").await;
        assert_eq!(house.keys().await, [""; 0]);
        assert_eq!(house.events().await[2..], ["files.file.deleted", "files.file.deleted"]);
    })
    .await;
}

#[tokio::test]
async fn content_that_a_link_brought_after_its_file_was_deleted_is_swept() {
    in_both(async |house| {
        let who = house.author;
        let kept = house.file(who, b"kept").await;
        let deleted = house.file(who, b"deleted").await;
        let address = format!("/v1/files/{}", text(&deleted["id"]));
        assert_eq!(house.delete(who, &address).await.status, 204);
        house.run_jobs("files.erase").await;
        let key = |file: &serde_json::Value| format!("files/{}/{}", who.tenant, text(&file["id"]));
        let content = Bytes::from_static(b"deleted");
        house.blobs.put(&key(&deleted), "text/plain", content).await.expect("stored");
        house.run_jobs("files.sweep_content").await;
        assert_eq!(house.keys().await.len(), 2, "young content is left alone");
        house.clock.advance(std::time::Duration::from_secs(3601));
        house.run_jobs("files.sweep_content").await;
        assert_eq!(house.keys().await, [key(&kept)]);
    })
    .await;
}
