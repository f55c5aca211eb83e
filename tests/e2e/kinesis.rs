//! Functions behind `kinesis`: moto, which verifies signatures and rights; what is kept is read by the provider's own library.

use crate::examples::{copy, replace, succeeds};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};
use tests::{
    aws::{self, Key},
    client::Request,
    latchwork,
    project::Project,
    root,
};

/// The inside of a target that signs with the project's files.
fn target(url: &str, stream: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!(
        "kinesis = {{ stream = \"{stream}\", region = \"us-east-1\", endpoint = \"{url}\", \
         credentials = {{ access_key = \"file:id\", secret_key = \"file:secret\" }}{comma}{more} }}"
    )
}

fn signed(key: &Key) -> Project {
    let project = Project::new();
    project.write("id", &key.id);
    project.write("secret", &key.secret);
    project.write("wrong", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    project.anonymous()
}

fn text<'a>(said: &'a Value, name: &str) -> &'a str {
    said[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {said}"))
}

#[tokio::test]
async fn records_are_kept_that_somebody_else_verified() {
    let Some((api, key)) = aws::kinesis().await else { return };
    let at = |more: &str| target(&api.url, "orders", more);
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
    let project = signed(&key)
        .function("shop.order", "POST /orders/{id}", &at("partition_key = \"{id}/{header.x-tenant}\""), "")
        .function("shop.arn", "POST /arn", &target(&api.url, arn, "explicit_hash_key = \"{header.x-hash}\""), "")
        .function("shop.array", "POST /array", &at("batch = \"array\", partition_key = \"{body.sku}\""), "")
        .function("shop.lines", "POST /lines", &at("batch = \"lines\""), "request_bytes_max = 6000000")
        .function("shop.absent", "POST /absent", &target(&api.url, "absent", ""), "")
        .function("shop.wrong", "POST /wrong", &at("").replace("file:secret", "file:wrong"), "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let bytes = Request::post("/orders/7", b"\0\xff\x01".to_vec()).header("x-tenant", "żółć");
    let named = gateway.client().send(bytes).await;
    assert_eq!(named.status, 400, "a header that is no text names nothing: {}", named.text());
    let bytes = Request::post("/orders/7", b"\0\xff\x01".to_vec()).header("x-tenant", "acme");
    let one = gateway.client().send(bytes).await;
    assert_eq!(one.status, 202, "{}\n{}\n{}", one.text(), gateway.stderr(), api.log());
    assert!(text(&one.json(), "shard").starts_with("shardId-"), "{}", one.text());
    let hashes = ["0", "300000000000000000000000000000000000000"];
    let mut shards = BTreeSet::new();
    for hash in hashes {
        let said = gateway.client().send(Request::post("/arn", "by hash").header("x-hash", hash)).await;
        assert_eq!(said.status, 202, "{}\n{}", said.text(), gateway.stderr());
        shards.insert(text(&said.json(), "shard").to_owned());
    }
    assert_eq!(shards.len(), 2, "hash keys choose the shard");
    let array = gateway.client().send(Request::json("/array", &json!([{ "sku": "tea" }, { "sku": 7 }]))).await;
    assert_eq!((array.status, &array.json()["failed"]), (202, &json!(0)), "{}\n{}", array.text(), gateway.stderr());
    let lines = gateway.client().send(Request::post("/lines", "{\"a\": 1}\nsecond\n")).await;
    assert_eq!((lines.status, lines.json()["records"].as_array().map(Vec::len)), (202, Some(2)));
    let records = aws::kinesis_records(&api, &key);
    let mut kept: Vec<(String, Vec<u8>)> = records
        .iter()
        .map(|r| (text(r, "key").to_owned(), STANDARD.decode(text(r, "data")).expect("base64")))
        .collect();
    kept.sort_unstable();
    let by =
        |key: &str| -> Vec<Vec<u8>> { kept.iter().filter(|(of, _)| of == key).map(|(_, data)| data.clone()).collect() };
    assert_eq!(kept.len(), 7, "{records:?}");
    assert_eq!(by("7/acme"), [b"\0\xff\x01".to_vec()]);
    assert_eq!((by("tea"), by("7")), (vec![br#"{"sku":"tea"}"#.to_vec()], vec![br#"{"sku":7}"#.to_vec()]));
    assert_eq!(by(&lines.call_id()), [b"second".to_vec(), b"{\"a\": 1}".to_vec()], "one call's records stay together");
    let sequences: BTreeSet<&str> = records.iter().map(|record| text(record, "sequence")).collect();
    assert!(sequences.contains(text(&one.json(), "sequence")), "{records:?}");
    for (path, status) in [("/absent", 502), ("/wrong", 502)] {
        let said = gateway.client().send(Request::post(path, "x")).await;
        assert_eq!(said.status, status, "{path}: {}", said.text());
        assert!(!said.text().contains("Exception") && !said.text().contains("123456789012"), "{}", said.text());
    }
    for (path, body) in [("/orders/7", "x".repeat(1024 * 1024)), ("/lines", "x\n".repeat(501))] {
        let said = gateway.client().send(Request::post(path, body).header("x-tenant", "acme")).await;
        assert_eq!(said.status, 413, "{path}: {}", said.text());
    }
    assert_eq!(aws::kinesis_records(&api, &key).len(), 7);
    let log = gateway.stop().await;
    assert!(log.contains("refused the call: 403") && log.contains("400 ResourceNotFoundException"), "{log}");
    assert!(!log.contains(&key.secret), "no secret is in the log");
}

/// `deploy/examples/kinesis`, with only its addresses and keys made for the test.
#[tokio::test]
async fn the_example_keeps_an_order_and_several() {
    let Some((api, key)) = aws::kinesis().await else { return };
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("kinesis");
    copy(&root().join("deploy/examples/kinesis"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    fs::write(folder.join("secrets/id"), &key.id).expect("the folder is ours");
    fs::write(folder.join("secrets/key"), &key.secret).expect("the folder is ours");
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("\"eu-west-1\"", &*format!("\"us-east-1\", endpoint = \"{}\"", api.url)),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let said = gateway.client().send(Request::json("/orders/7", &json!({ "sku": "tea" }))).await;
    assert_eq!(said.status, 202, "{}\n{}", said.text(), gateway.stderr());
    let several = json!([{ "id": "8", "sku": "tea" }, { "id": "9", "sku": "milk" }]);
    let said = gateway.client().send(Request::json("/orders", &several)).await;
    assert_eq!((said.status, &said.json()["failed"]), (202, &json!(0)), "{}\n{}", said.text(), gateway.stderr());
    let mut keys: Vec<String> =
        aws::kinesis_records(&api, &key).iter().map(|record| text(record, "key").to_owned()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["7", "8", "9"]);
    gateway.stop().await;
}
