//! Methods of gRPC by plain HTTP: a real service of `grpcio`, called by the rules of its annotations and by written ones.

use http::Method;
use serde_json::{Value, json};
use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    library::Library,
    project::Project,
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
    _library: Library,
    _project: Project,
    gateway: Running,
}

impl World {
    async fn start() -> Option<Self> {
        let mut project = Project::new().anonymous().permit_all();
        let library = Library::start(project.folder()).await?;
        let target = format!("grpc = {{ url = \"{}\" }}", library.url);
        for method in METHODS {
            let (name, route) = (format!("library.{}", method.to_lowercase()), format!("grpc library.v1.Library/{method}"));
            let more = "descriptors = \"library.binpb\"\ntranscode = \"annotations\"";
            project = project.function(&name, &route, &target, more);
        }
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        Some(Self { _library: library, _project: project, gateway })
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
    let patch = Request::new(Method::PATCH, "/v1/shelves/1/books/2?update_mask=title,pages", book.to_string());
    let heard = world.heard(patch.header("content-type", "application/json")).await;
    let whole = json!({ "name": "shelves/1/books/2", "title": "Tea", "pages": "7" });
    assert_eq!(heard, json!({ "book": whole, "updateMask": "title,pages" }));
    world.gateway.stop().await;
}
