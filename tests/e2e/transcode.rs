//! Methods of gRPC by plain HTTP, and functions of HTTP by gRPC: a real service of `grpcio`, called by the rules of its
//! annotations and by written ones.

mod example;
mod functions;
mod policy;
mod rules;

use http::Method;
use serde_json::{Value, json};
use tests::{
    client::{Answer, Client, Request},
    latchwork::{self, Running},
    library::Library,
    project::Project,
    records,
};

/// Methods of the service whose annotations count.
const METHODS: [&str; 11] = [
    "GetBook",
    "CreateBook",
    "UpdateBook",
    "ReplaceBook",
    "DeleteBook",
    "Anything",
    "Titles",
    "Upload",
    "Watch",
    "Download",
    "Fail",
];

struct World {
    library: Library,
    project: Project,
    gateway: Running,
}

impl World {
    async fn start() -> Option<Self> {
        let mut project = Project::new().anonymous().permit_all();
        let library = Library::start(project.folder()).await?;
        let target = format!("grpc = {{ url = \"{}\" }}", library.url);
        for method in METHODS {
            project = function(project, method, &target, "transcode = \"annotations\"");
        }
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        Some(Self { library, project, gateway })
    }

    async fn send(&self, request: Request) -> Answer {
        self.gateway.client().send(request).await
    }

    /// What the service was given, as its own library writes it.
    async fn heard(&self, request: Request) -> Value {
        let answer = self.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        serde_json::from_str(answer.json()["json"].as_str().expect("a text")).expect("JSON")
    }
}

/// A function of a method, described.
fn function(project: Project, method: &str, target: &str, more: &str) -> Project {
    let (name, route) = (format!("library.{}", method.to_lowercase()), format!("grpc library.v1.Library/{method}"));
    project.function(&name, &route, target, &format!("descriptors = \"library.binpb\"\n{more}"))
}

fn patch(path: &str, body: &Value) -> Request {
    Request::new(Method::PATCH, path, body.to_string()).header("content-type", "application/json")
}

#[tokio::test]
async fn each_field_comes_from_its_place() {
    let Some(world) = World::start().await else { return };
    let heard = world.heard(Request::get("/v1/shelves/1/books/2?full=true&fields=a&fields=b&page.size=3")).await;
    let expected = json!({ "name": "shelves/1/books/2", "full": true, "fields": ["a", "b"], "page": { "size": 3 } });
    assert_eq!(heard, expected);
    assert_eq!(world.heard(Request::get("/v1/books/a%20b")).await, json!({ "name": "a b" }));
    assert_eq!(world.heard(Request::get("/v1/files/a/b/c")).await, json!({ "name": "a/b/c" }));
    assert_eq!(world.heard(Request::get("/v1/files")).await, json!({}));
    let book = json!({ "title": "Tea", "pages": "7" });
    let heard = world.heard(Request::json("/v1/shelves/1/books?bookId=x", &book)).await;
    assert_eq!(heard, json!({ "parent": "shelves/1", "book": book, "bookId": "x" }));
    let whole = json!({ "name": "shelves/1/books/2", "title": "Tea", "pages": "7" });
    for body in [&book, &whole] {
        let heard = world.heard(patch("/v1/shelves/1/books/2?update_mask=title,pages", body)).await;
        assert_eq!(heard, json!({ "book": whole, "updateMask": "title,pages" }));
    }
    let heard = world.heard(Request::put("/v1/shelves/1/books/2:replace", "").header("x-tag", "blue")).await;
    assert_eq!(heard, json!({ "name": "shelves/1/books/2" }));
    let answer = world.send(Request::get("/v1/books/b").header("x-tag", "blue").header("grpc-encoding", "gzip")).await;
    let metadata = &answer.json()["metadata"];
    assert_eq!((&metadata["x-tag"], &metadata["grpc-encoding"]), (&json!("blue"), &Value::Null), "{metadata}");
    assert_eq!((answer.header("x-shelf"), answer.header("etag")), ("7", "\"7\""));
    // What the service says at the end, under a name of its own and under one that its head has.
    assert_eq!((answer.header("x-trailing"), answer.headers.get_all("x-shelf").iter().count()), ("2", 1));
    head(&world, &answer).await;

    let deleted = world.send(Request::new(Method::DELETE, "/v1/shelves/1/books/2", "")).await;
    assert_eq!((deleted.status, deleted.text().as_str()), (200, "{}"));
    let titles = world.send(Request::get("/v1/shelves/1/titles?fields=a&fields=b")).await;
    assert_eq!(titles.json(), json!(["a", "b"]), "the field that is sent");
    assert_eq!(world.send(Request::get("/v1/shelves/1/titles")).await.json(), json!([]));
    let cover = Request::post("/v1/covers/1?note=!", &b"\xff\x00"[..]).header("content-type", "image/x-cover");
    let cover = world.send(cover).await;
    assert_eq!((&cover.body[..], cover.header("content-type")), (&b"\xff\x00!"[..], "image/x-cover"));
    world.gateway.stop().await;
}

/// A HEAD is answered as the GET was, without its body: also what is refused, and never a stream.
async fn head(world: &World, got: &Answer) {
    let of = |path: &str| Request::new(Method::HEAD, path, "");
    for client in [world.gateway.client(), world.gateway.client().http2()] {
        let answer = client.send(of("/v1/books/b").header("x-tag", "blue")).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        for name in ["content-type", "x-shelf", "etag", "x-trailing"] {
            assert_eq!(answer.header(name), got.header(name), "{name}");
        }
        assert!(answer.header("content-length").parse::<usize>().is_ok_and(|length| length > 2), "{answer:?}");
        let records = records::of_call(&world.project.audit(), &answer.call_id());
        assert_eq!(records::kinds(&records), ["intent", "closed"], "{records:?}");
        let closed = &records[1];
        assert_eq!((&closed["outcome"], &closed["bytes_out"]), (&json!("completed"), &json!(0)), "{closed}");
        assert_eq!(records[0]["request"]["method"], "HEAD", "{}", records[0]);
        for (path, status) in
            [("/v1/fail/5", 404), ("/v1/books/b?colour=red", 400), ("/v1/shelves/1:watch?count=3", 404)]
        {
            let answer = client.send(of(path)).await;
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_the_message_is_refused_with_its_name() {
    let Some(world) = World::start().await else { return };
    let book = json!({ "title": "Tea" });
    let raw =
        |body: &str| Request::post("/v1/shelves/1/books", body.to_owned()).header("content-type", "application/json");
    for (request, status, part) in [
        (Request::get("/v1/books/b?colour=red"), 400, "colour"),
        (Request::get("/v1/books/b?full=yes"), 400, "full"),
        (Request::get("/v1/books/b?full=true&full=true"), 400, "full"),
        (Request::get("/v1/books/b?name=c"), 400, "name"),
        (Request::get("/v1/books/b?page=3"), 400, "page"),
        (Request::get("/v1/books/b?page.size=x"), 400, "page.size"),
        (Request::get("/v1/books/b?fields=%ff"), 400, "UTF-8"),
        (Request::get("/v1/anything/a/LOST/1"), 400, "kind"),
        (Request::get("/v1/anything/a/NOVEL/1?card=a&cash.text=b"), 400, "cash.text"),
        (Request::get("/v1/anything/a/NOVEL/1?counts=1"), 400, "counts"),
        (Request::json("/v1/shelves/1/books?book.title=x", &book), 400, "book.title"),
        (Request::json("/v1/shelves/1/books", &json!({ "titel": "Tea" })), 400, "titel"),
        (Request::json("/v1/anything?text=x", &json!({})), 400, "text"),
        (patch("/v1/shelves/1/books/2", &json!({ "name": "shelves/9/books/2" })), 400, "book.name"),
        (raw(r#"{"title":"a","title":"b"}"#), 400, "twice"),
        (Request::post("/v1/shelves/1/books", "{}").header("content-type", "text/plain"), 415, "application/json"),
        (Request::post("/v1/any/a/b/b", "{}").header("content-type", "application/json"), 400, "no body"),
        (Request::get("/v1/shelves/1/books/a%2Fb"), 400, "slash"),
        (Request::get("/v1/shelves/1"), 404, "no such function"),
        (Request::new(Method::DELETE, "/v1/books/b", ""), 404, "no such function"),
        (Request::json("/library.v1.Library/GetBook", &json!({})), 400, "in this way"),
    ] {
        let shown = format!("{} {}", request.method, request.path);
        let answer = world.send(request).await;
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{shown}");
        assert!(answer.text().contains(part), "{shown}: {}", answer.text());
    }
    let secret = world.send(Request::get("/v1/books/b?page.size=s3cret")).await;
    assert!(!secret.text().contains("s3cret"), "{}", secret.text());
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_status_of_the_function_is_one_of_http() {
    let Some(world) = World::start().await else { return };
    let details = "details=FALLEN&details=retry&details=debug";
    let answer = world.send(Request::get(&format!("/v1/fail/8?message=shelf%20%C3%A9&{details}"))).await;
    assert_eq!((answer.status, answer.header("content-type")), (429, "application/json"), "{}", answer.text());
    assert_eq!(answer.header("retry-after"), "2");
    let error = &answer.json()["error"];
    assert_eq!((&error["code"], &error["status"]), (&json!(429), &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(error["message"], "shelf é");
    let told = error["details"].as_array().expect("a list");
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "FALLEN", "domain": "library", "metadata": { "shelf": "7" }
    });
    let retry = json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s" });
    assert_eq!(told, &[info, retry], "what is for the service's own people stays there");
    for (code, status) in [(1, 499), (3, 400), (5, 404), (6, 409), (7, 403), (12, 501), (14, 503), (15, 500), (16, 401)]
    {
        let answer = world.send(Request::get(&format!("/v1/fail/{code}"))).await;
        assert_eq!(answer.status, status, "{code}: {}", answer.text());
        let closed = records::of_call(&world.project.audit(), &answer.call_id()).pop().expect("a record");
        assert_eq!((&closed["kind"], &closed["status"]), (&json!("closed"), &json!(status)), "{closed}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_stream_of_messages_is_lines_or_events() {
    let Some(world) = World::start().await else { return };
    let lines = world.send(Request::get("/v1/shelves/1:watch?count=3")).await;
    assert_eq!((lines.status, lines.header("content-type")), (200, "application/x-ndjson"));
    let read = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
    let expected = [json!({ "name": "shelves/1" }), json!({ "name": "shelves/1", "pages": "1" })];
    assert_eq!(lines.text().lines().map(read).take(2).collect::<Vec<_>>(), expected);
    assert_eq!(lines.text().lines().count(), 3);
    let events = world.send(Request::get("/v1/shelves/1:watch?count=2").header("accept", "text/event-stream")).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    let told: Vec<Value> = events.text().split("\n\n").filter_map(|e| e.strip_prefix("data: ").map(read)).collect();
    assert_eq!(told, expected);
    let none = world.send(Request::get("/v1/shelves/1:watch")).await;
    assert_eq!((none.status, none.text().as_str()), (200, ""));
    let failed = world.send(Request::get("/v1/shelves/1:watch?code=5")).await;
    assert_eq!((failed.status, &failed.json()["error"]["status"]), (404, &json!("NOT_FOUND")), "nothing was sent yet");
    let cover = world.send(Request::get("/v1/covers/1:download?count=2")).await;
    assert_eq!((&cover.body[..], cover.header("content-type")), (&b"\x00\xff\x01\xff"[..], "image/x-cover"));

    for (accept, last) in [("*/*", "{\"error\":"), ("text/event-stream", "event: error\ndata: {\"error\":")] {
        let request = Request::get("/v1/shelves/1:watch?count=2&code=5").header("accept", accept);
        let (text, whole) = broken(&world.gateway.client(), request).await;
        assert!(!whole, "it breaks off: {text}");
        assert!(text.contains("\"pages\":\"1\"") && text.contains(last) && text.contains("NOT_FOUND"), "{text}");
    }
    let client = world.gateway.client().http2();
    let lost = client.try_send(Request::get("/v1/shelves/1:watch?count=2&code=5")).await;
    assert!(lost.is_err(), "it breaks off over HTTP/2, too");
    world.gateway.stop().await;
}

/// What came of an answer over HTTP/1.1, and whether it ended well.
async fn broken(client: &Client, request: Request) -> (String, bool) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut io = client.stream().await.expect("a connection");
    let accept = request.headers["accept"].to_str().expect("text");
    let head =
        format!("GET {} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\nconnection: close\r\n\r\n", request.path);
    io.write_all(head.as_bytes()).await.expect("it is read");
    let mut bytes = Vec::new();
    // TLS may end without a word, too.
    let _ = io.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let whole = text.ends_with("0\r\n\r\n");
    (text, whole)
}

#[tokio::test]
async fn googles_own_clients_are_understood() {
    let Some(world) = World::start().await else { return };
    let ca = world.gateway.ca.to_string_lossy();
    let said = world.library.script("library_oracle.py", &[&world.gateway.url, &ca, "20261128", "600"]).await;
    let sent: Value = serde_json::from_str(&said).expect("JSON");
    let rules = sent.as_object().expect("an object");
    assert_eq!(rules.len(), 10, "each rule was used: {sent}");
    world.gateway.stop().await;
}
