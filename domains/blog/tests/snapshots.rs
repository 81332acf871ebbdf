//! The JSON of the API, so that a change of it is seen.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use troupe_kernel::StatusCode;

use crate::house::{in_both, text};

/// Replaces ids, digests and entity tags by names in order of appearance: they differ by run.
fn stable(value: Value) -> Value {
    fn walk(value: &mut Value, seen: &mut BTreeMap<String, String>) {
        match value {
            Value::String(text) if text.len() == 36 && text.matches('-').count() == 4 => {
                let number = seen.len() + 1;
                let name = seen.entry(text.clone()).or_insert_with(|| format!("[id {number}]"));
                *text = name.clone();
            }
            Value::String(text) if text.contains("id: ") => {
                let lines: Vec<&str> =
                    text.lines().filter(|line| !line.starts_with("id: ")).collect();
                *text = lines.join("\n");
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, seen)),
            Value::Object(fields) => fields.values_mut().for_each(|item| walk(item, seen)),
            _ => {}
        }
    }
    let mut value = value;
    walk(&mut value, &mut BTreeMap::new());
    value
}

#[tokio::test]
async fn answers_have_their_documented_form() {
    in_both(async |house| {
        let body = json!({ "title": "Hello, World!", "body": "# Hi\n\n*there*", "tags": ["Rust"] });
        let post = house
            .post("/v1/blog/posts")
            .by(house.author)
            .json(&body)
            .expect(StatusCode::CREATED)
            .await;
        let path = format!("/v1/blog/posts/{}", text(&post["id"]));
        house.post(&format!("{path}/publish")).by(house.author).expect(StatusCode::OK).await;
        let comment = json!({ "name": "Gus", "email": "gus@example.org", "body": "Hi" });
        let public = "/v1/public/acme/posts";
        let comments = format!("{public}/hello-world/comments");
        let receipt = house.post(&comments).json(&comment).expect(StatusCode::ACCEPTED).await;
        let approve = json!({ "status": "approved" });
        let decided = format!("/v1/blog/comments/{}", text(&receipt["id"]));

        insta::assert_json_snapshot!(
            "post",
            stable(house.get(&path).by(house.author).expect(StatusCode::OK).await)
        );
        let revisions = format!("{path}/revisions");
        insta::assert_json_snapshot!(
            "revisions",
            stable(house.get(&revisions).by(house.author).expect(StatusCode::OK).await)
        );
        insta::assert_json_snapshot!("receipt", stable(receipt));
        insta::assert_json_snapshot!(
            "comment",
            stable(
                house.patch(&decided).by(house.editor).json(&approve).expect(StatusCode::OK).await
            )
        );
        insta::assert_json_snapshot!(
            "public_comments",
            stable(house.get(&comments).expect(StatusCode::OK).await)
        );
        insta::assert_json_snapshot!(
            "public_post",
            stable(house.get(&format!("{public}/hello-world")).expect(StatusCode::OK).await)
        );
        insta::assert_json_snapshot!(
            "public_posts",
            stable(house.get(public).expect(StatusCode::OK).await)
        );
        insta::assert_json_snapshot!(
            "public_search",
            stable(house.get("/v1/public/acme/search?q=world").expect(StatusCode::OK).await)
        );
        insta::assert_json_snapshot!(
            "export",
            stable(house.get("/v1/blog/export").by(house.editor).expect(StatusCode::OK).await)
        );
        let document = json!({ "path": "a.md", "content": "---\nlayout: x\n---\n# A" });
        insta::assert_json_snapshot!(
            "imported",
            stable(
                house
                    .post("/v1/blog/import")
                    .by(house.editor)
                    .json(&document)
                    .expect(StatusCode::CREATED)
                    .await
            )
        );
        let png: &[u8] = b"\x89PNG\r\n\x1a\n";
        insta::assert_json_snapshot!(
            "media",
            stable(
                house
                    .post("/v1/blog/media?name=a.png")
                    .by(house.author)
                    .body(png)
                    .expect(StatusCode::CREATED)
                    .await
            )
        );
        let faulty = json!({ "title": "" });
        insta::assert_json_snapshot!(
            "problem",
            house
                .post("/v1/blog/posts")
                .by(house.author)
                .json(&faulty)
                .expect(StatusCode::UNPROCESSABLE_ENTITY)
                .await
        );
    })
    .await;
}
