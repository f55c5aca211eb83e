//! `deploy/examples/transcoding`, with only its addresses made for the test.

use crate::examples::{copy, replace, succeeds};
use serde_json::json;
use std::fs;
use tests::{client::Request, latchwork, library::Library, root, wait};

#[tokio::test]
async fn the_example_runs() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("transcoding");
    copy(&root().join("deploy/examples/transcoding"), &folder);
    let Some(library) = Library::start(&folder).await else { return };
    // Only what describes it in the example counts.
    fs::remove_file(folder.join("library.binpb")).expect("it was copied");
    let (grpc, http) = (library.url.trim_start_matches("http://"), library.http.trim_start_matches("http://"));
    let admin = format!("127.0.0.1:{}", wait::free_port());
    let changes = [
        ("127.0.0.1:8080", "127.0.0.1:0"),
        ("127.0.0.1:9443", &admin),
        ("127.0.0.1:50051", grpc),
        ("127.0.0.1:8081", http),
    ];
    replace(&folder.join("latchwork.toml"), &changes);
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    crate::scenarios::judged_by_the_printed_schema(&folder);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let read = gateway.client().send(Request::get("/v1/shelves/7/books/2?full=true")).await;
    assert_eq!(read.status, 200, "{}", read.text());
    assert_eq!(
        read.json(),
        json!({ "method": "GetBook", "json": "{\"full\": true, \"name\": \"shelves/7/books/2\"}" })
    );
    for (pages, status) in [(120, 200), (1200, 403)] {
        let book = json!({ "title": "Tea", "pages": pages });
        let made = gateway.client().send(Request::json("/v1/shelves/7/books", &book)).await;
        assert_eq!(made.status, status, "{}", made.text());
    }
    let replaced = Request::put("/v1/titles/Tea", "{\"pages\":7}").header("content-type", "application/json");
    let replaced = gateway.client().send(replaced).await;
    let expected = json!({ "method": "PUT /v1/elsewhere/Tea", "json": "{\"pages\":\"7\"}" });
    assert_eq!((replaced.status, replaced.json()), (200, expected), "{}", replaced.text());
    let listed = gateway.admin().send(Request::get("/latchwork/v1/functions")).await;
    assert!(listed.text().contains("PUT /v1/titles/{title}"), "{}", listed.text());
    gateway.stop().await;
}
