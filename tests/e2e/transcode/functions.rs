//! Functions of HTTP as methods of gRPC: JSON by their rules or whole, messages as they are, errors, and streams.

use super::function;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{client::Request, lambda, latchwork, library::Library, project::Project};

fn step(method: &str, request: Value) -> Value {
    json!({ "method": method, "request": request })
}

#[tokio::test]
async fn a_method_of_grpc_runs_on_functions_of_http() {
    let mut project = Project::new().anonymous().permit_all();
    let Some(library) = Library::start(project.folder()).await else { return };
    let whole = format!("http = {{ url = \"{}\" }}", library.http);
    for method in ["GetBook", "CreateBook", "Upload", "Watch", "Fail"] {
        project = function(project, method, &whole, "transcode = \"annotations\"");
    }
    project = function(project, "Anything", &whole, "");
    let elsewhere = format!("http = {{ url = \"{}/v1/elsewhere/{{title}}\" }}", library.http);
    let rule = "transcode = [{ route = \"PUT /titles/{title}\", body = \"*\" }]";
    project = function(project, "ReplaceBook", &elsewhere, rule);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let everything = json!({ "text": "é", "i64": "-9", "precise": 0.1, "raw": "AP8=", "counts": { "a": 1 } });
    let book = json!({ "title": "Tea", "pages": "7" });
    let steps = [
        step(
            "GetBook",
            json!({ "name": "shelves/1/books/a b", "full": true, "fields": ["x", "y"], "page": { "size": 3 } }),
        ),
        step("CreateBook", json!({ "parent": "shelves/1", "book": book, "bookId": "é&" })),
        step("Anything", everything.clone()),
        step(
            "Upload",
            json!({ "name": "covers/1", "cover": { "contentType": "image/x-cover", "data": "AP8=" }, "note": "!" }),
        ),
        step("GetBook", json!({ "name": "shelves/1" })),
        step("ReplaceBook", json!({ "title": "a/b", "pages": "7" })),
        step("ReplaceBook", json!({ "title": "a b", "pages": "7" })),
    ];
    let answers = library.client(&gateway, &steps).await;
    assert_eq!(answers[0]["code"], "OK", "{answers:#?}");
    let heard = |index: usize| &answers[index]["answers"][0];
    let path = "GET /v1/shelves/1/books/a%20b?full=true&fields=x&fields=y&page.size=3";
    assert_eq!(heard(0)["method"], path);
    let metadata = &heard(0)["metadata"];
    assert_eq!((&metadata["accept"], &metadata["te"]), (&json!("application/json"), &Value::Null), "{metadata}");
    assert_eq!(answers[0]["initial"]["x-shelf"], "7");
    assert_eq!(heard(1)["method"], "POST /v1/shelves/1/books?bookId=%C3%A9%26");
    let sent: Value = serde_json::from_str(heard(1)["json"].as_str().expect("a text")).expect("JSON");
    assert_eq!(sent, book);
    assert_eq!(heard(2)["everything"], everything, "{answers:#?}");
    assert_eq!(heard(3), &json!({ "contentType": "image/x-cover", "data": STANDARD.encode(b"\x00\xff!") }));
    assert_eq!(answers[4]["code"], "INVALID_ARGUMENT", "its name has no place in the path: {}", answers[4]);
    assert_eq!(answers[5]["code"], "INVALID_ARGUMENT", "nor has this: {}", answers[5]);
    assert_eq!(
        (&heard(6)["method"], &heard(6)["json"]),
        (&json!("PUT /v1/elsewhere/a%20b"), &json!("{\"pages\":\"7\"}"))
    );

    let rest = gateway.client().send(Request::get("/v1/shelves/1/books/2?full=true")).await;
    assert_eq!(rest.json()["method"], "GET /v1/shelves/1/books/2?full=true", "by its rule on both sides");
    let failed = gateway.client().send(Request::get("/v1/fail/404?message=gone")).await;
    let error = json!({ "code": 404, "message": "gone", "status": "NOT_FOUND" });
    assert_eq!((failed.status, failed.json()), (404, json!({ "error": error })));
    gateway.stop().await;
}

#[tokio::test]
async fn errors_and_streams_of_functions_are_statuses_and_messages() {
    let mut project = Project::new().anonymous().permit_all();
    let Some(library) = Library::start(project.folder()).await else { return };
    let whole = format!("http = {{ url = \"{}\" }}", library.http);
    for method in ["Watch", "Fail"] {
        project = function(project, method, &whole, "transcode = \"annotations\"");
    }
    project = function(project, "Anything", &whole, "messages = \"bytes\"");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let fail = |code: u16, message: &str, named: &str| {
        step("Fail", json!({ "code": code, "message": message, "details": [named] }))
    };
    let watch =
        |form: &str, code: u16| step("Watch", json!({ "name": format!("shelves/{form}"), "count": 3, "code": code }));
    let everything = json!({ "text": "é", "free": { "a": [1.0, null] }, "sf64": "-9" });
    let steps = [
        fail(404, "no shelf é", ""),
        fail(409, "twice", "ALREADY_EXISTS"),
        fail(409, "twice", "NOT_FOUND"),
        fail(500, "page", ""),
        watch("lines", 0),
        watch("events", 0),
        watch("list", 0),
        watch("lines", 404),
        watch("events", 404),
        step("Anything", everything.clone()),
    ];
    let answers = library.client(&gateway, &steps).await;
    let status =
        |index: usize| [&answers[index]["code"], &answers[index]["details"]].map(|v| v.as_str().expect("a text"));
    assert_eq!(status(0), ["NOT_FOUND", "no shelf é"]);
    assert_eq!([status(1), status(2)], [["ALREADY_EXISTS", "twice"], ["ABORTED", "twice"]]);
    assert_eq!(status(3), ["INTERNAL", "the function answered 500"], "a page is for nobody");
    for answer in &answers[4..9] {
        let books = answer["answers"].as_array().expect("a list").iter();
        let pages: Vec<&str> = books.map(|book| book["pages"].as_str().unwrap_or("0")).collect();
        assert_eq!(pages, ["0", "1", "2"], "{answer}");
    }
    assert_eq!((status(4), status(5), status(6)), (["OK", ""], ["OK", ""], ["OK", ""]));
    assert_eq!([status(7), status(8)], [["NOT_FOUND", "the shelf fell"]; 2]);
    assert_eq!((status(9), &answers[9]["answers"][0]["everything"]), (["OK", ""], &everything));
    gateway.stop().await;
}

/// Methods of a service by gRPC and by plain HTTP, and methods of a function of HTTP.
#[tokio::test]
async fn time_and_size_have_limits_both_ways() {
    let mut project = Project::new().anonymous().permit_all();
    let Some(library) = Library::start(project.folder()).await else { return };
    let (service, http) =
        (format!("grpc = {{ url = \"{}\" }}", library.url), format!("http = {{ url = \"{}\" }}", library.http));
    let limits = "transcode = \"annotations\"\ntimeout = \"2s\"\nrequest_bytes_max = 1000";
    for (method, target) in
        [("GetBook", &service), ("UpdateBook", &service), ("CreateBook", &http), ("DeleteBook", &http)]
    {
        project = function(project, method, target, limits);
    }
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let late = gateway.client().send(Request::get("/v1/shelves/1/books/silent")).await;
    assert_eq!(late.status, 504, "{}", late.text());
    let book = json!({ "name": "shelves/1/books/2", "title": "x".repeat(2000) });
    let large = Request::new(http::Method::PATCH, "/v1/shelves/1/books/2", book.to_string());
    let large = gateway.client().send(large.header("content-type", "application/json")).await;
    assert_eq!(large.status, 413, "{}", large.text());
    let steps = [
        step("GetBook", json!({ "name": "shelves/1/books/silent" })),
        step("UpdateBook", json!({ "book": book })),
        step("DeleteBook", json!({ "name": "shelves/1/books/silent" })),
        step("CreateBook", json!({ "parent": "shelves/1", "book": book })),
        step("GetBook", json!({ "name": "shelves/1/books/2" })),
    ];
    let answers = library.client(&gateway, &steps).await;
    let codes: Vec<&str> = answers.iter().map(|answer| answer["code"].as_str().expect("a text")).collect();
    let expected = ["DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "OK"];
    assert_eq!(codes, expected, "{answers:#?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_method_of_grpc_runs_as_a_process() {
    let project = Project::new().anonymous().permit_all();
    let Some(library) = Library::start(project.folder()).await else { return };
    let Some(echo) = lambda::python() else { return };
    let command: Vec<String> = echo.command.iter().map(|word| format!("{word:?}")).collect();
    let target = format!(
        "process = {{ command = [{}], directory = {:?}, handler = {:?}, event = \"body\" }}",
        command.join(", "),
        echo.directory.display().to_string(),
        echo.handler
    );
    let project = function(project, "Echo", &target, "");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let book = json!({ "title": "Tea", "pages": "7", "kind": "POEM" });
    let answers = library.client(&gateway, &[step("Echo", book.clone())]).await;
    assert_eq!((&answers[0]["code"], &answers[0]["answers"][0]["event"]), (&json!("OK"), &book), "{answers:#?}");
    gateway.stop().await;
}
