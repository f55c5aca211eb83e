//! Policy sees one input and decides alike, whether a caller speaks plain HTTP, gRPC, or calls by name.

use super::function;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{client::Request, fetch, grpcio, latchwork, library::Library, project::Project, records};

const POLICY: &str = "@id(\"short\")\npermit (principal, action == Action::\"library.createbook\", resource)\n\
    when { context.input has book && context.input.book.pages <= 100 && context.input.parent == \"shelves/1\" };\n\
    @id(\"know\")\npermit (principal, action == Action::\"describe\", resource);";

/// `parent: "shelves/1"`, and a book of that many pages.
fn message(pages: u8) -> Vec<u8> {
    [b"\x0a\x09shelves/1\x12\x07\x12\x03Tea\x18", &[pages][..]].concat()
}

#[tokio::test]
async fn every_way_of_calling_is_decided_alike() {
    let project = Project::new().anonymous().policy(POLICY);
    let Some(library) = Library::start(project.folder()).await else { return };
    let Some(python) = fetch::python("grpcio") else { return };
    let target = format!("grpc = {{ url = \"{}\" }}", library.url);
    let project = function(project, "CreateBook", &target, "transcode = \"annotations\"");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let audit = project.audit();
    let input = |id: &str| {
        let records = records::of_call(&audit, id);
        records.into_iter().find(|record| !record["input"].is_null()).expect("a record with an input")["input"].clone()
    };
    let mut inputs: Vec<Value> = Vec::new();
    for (pages, allowed) in [(7_u8, true), (120, false)] {
        let native = json!({
            "kind": "native", "method": "/library.v1.Library/CreateBook", "shape": "unary",
            "send_hex": [message(pages).iter().map(|byte| format!("{byte:02x}")).collect::<String>()]
        });
        let by_name = |input: Value| {
            let request = json!({ "function": "library.createbook", "input": input });
            json!({ "kind": "by_name", "method": "Invoke", "request": request })
        };
        let text = json!({ "parent": "shelves/1", "book": { "title": "Tea", "pages": pages } }).to_string();
        let bytes = json!({ "binary": STANDARD.encode(message(pages)), "content_type": "application/protobuf" });
        let steps = [native, by_name(json!({ "json": text })), by_name(bytes)];
        let answers = grpcio::client(&python, &gateway.url, &gateway.ca, None, &steps).await;
        let code = if allowed { "OK" } else { "PERMISSION_DENIED" };
        assert!(answers.iter().all(|answer| answer["code"] == code), "{answers:#?}");
        let rest = Request::json("/v1/shelves/1/books", &json!({ "title": "Tea", "pages": pages }));
        let rest = gateway.client().send(rest).await;
        assert_eq!(rest.status, if allowed { 200 } else { 403 }, "{}", rest.text());
        if allowed {
            let ids = answers.iter().map(|answer| answer["initial"]["latchwork-call-id"].as_str().expect("an id"));
            inputs.extend(ids.map(input));
            inputs.push(input(&rest.call_id()));
        }
    }
    assert_eq!(inputs.len(), 4);
    assert!(inputs.iter().all(|input| *input == inputs[0]), "{inputs:#?}");
    let elsewhere = Request::json("/v1/shelves/2/books", &json!({ "title": "Tea", "pages": 7 }));
    assert_eq!(gateway.client().send(elsewhere).await.status, 403, "what the path holds is input, too");
    gateway.stop().await;
}
