//! What is wrong with rules is said when they are read, with function and rule.

use super::function;
use tests::{latchwork, library::Library, project::Project};

const GRPC: &str = "grpc = { url = \"http://127.0.0.1:9\" }";
const HTTP: &str = "http = { url = \"http://127.0.0.1:9\" }";

fn found(project: &Project) -> String {
    let config = project.config();
    let output = latchwork::command(project.folder(), &["check", "-c", &config.to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("error")).collect();
    errors.join("\n")
}

#[tokio::test]
async fn what_is_wrong_with_rules_is_said_at_their_place() {
    let project = Project::new();
    let Some(_library) = Library::start(project.folder()).await else { return };
    let set = std::fs::read(project.folder().join("library.binpb")).expect("it was compiled");
    let with = |functions: &[(&str, &str, &str)]| {
        let mut project = Project::new().anonymous().permit_all();
        std::fs::write(project.folder().join("library.binpb"), &set).expect("the folder is ours");
        for (method, target, more) in functions {
            project = function(project, method, target, more);
        }
        found(&project)
    };
    assert_eq!(with(&[("GetBook", GRPC, "transcode = \"annotations\""), ("Echo", HTTP, "")]), "");
    for (method, target, more, part) in [
        ("Echo", GRPC, "transcode = \"annotations\"", "has no annotation `google.api.http`"),
        ("Chat", GRPC, "transcode = [{ route = \"GET /chat\" }]", "a stream of messages"),
        ("Chat", HTTP, "", "takes one message"),
        ("Watch", HTTP, "messages = \"bytes\"", "answers one"),
        ("GetBook", GRPC, "messages = \"bytes\"", "whose targets don't speak it"),
        ("GetBook", GRPC, "transcode = []", "there is no rule"),
        ("GetBook", GRPC, "transcode = \"annotated\"", "is not known here"),
        ("GetBook", GRPC, "transcode = [{ body = \"*\" }]", "`route` is missing"),
        ("GetBook", GRPC, "transcode = [{ route = \"GET /v1/{nam}\" }]", "there is no field `nam`"),
        ("GetBook", GRPC, "transcode = [{ route = \"GET /v1/{page}\" }]", "`{page}` is a message"),
        ("GetBook", GRPC, "transcode = [{ route = \"GET /v1/{fields}\" }]", "`{fields}` is a message, list or map"),
        ("GetBook", GRPC, "transcode = [{ route = \"GET /v1/{name\" }]", "is not closed"),
        ("GetBook", GRPC, "transcode = [{ route = \"GET /v1/{name=**}/x\" }]", "`**` is not its last segment"),
        ("GetBook", GRPC, "transcode = [{ route = \"TRACE /v1/x\" }]", "`TRACE` is no method"),
        ("GetBook", GRPC, "transcode = [{ route = \"GET /v1/x\", body = \"*\" }]", "no body"),
        ("GetBook", GRPC, "transcode = [{ route = \"POST /v1/x\", body = \"pages\" }]", "no field `pages`"),
        ("GetBook", GRPC, "transcode = [{ route = \"GET /v1/x\", response_body = \"pages\" }]", "no field `pages`"),
    ] {
        let said = with(&[(method, target, more)]);
        assert!(said.contains(part), "{method} {more}: {said}");
    }
    let clash = with(&[
        ("GetBook", GRPC, "transcode = [{ route = \"GET /v1/{name}/x\" }]"),
        ("DeleteBook", GRPC, "transcode = [{ route = \"/v1/{name=*}/x\" }]"),
    ]);
    assert!(clash.contains("the rule `/v1/{name=*}/x` of `library.deletebook` is taken"), "{clash}");
    assert!(clash.contains("`library.getbook` has the rule `GET /v1/{name}/x`"), "{clash}");
    let twice = "transcode = [{ route = \"GET /v1/{name}\" }, { route = \"GET /v1/{page.token}\" }]";
    assert!(with(&[("GetBook", GRPC, twice)]).contains("is taken"), "two rules of one function");
    let project = Project::new().anonymous().permit_all().http("shop.any", "/v1/{*rest}", "http://127.0.0.1:9/", "");
    std::fs::write(project.folder().join("library.binpb"), &set).expect("the folder is ours");
    let rule = |path: &str| format!("transcode = [{{ route = \"GET {path}\" }}]");
    let beside = function(project, "GetBook", GRPC, &rule("/v1/{name=shelves/*}"));
    assert_eq!(found(&beside), "", "what says more closely what a path is goes first");
    let same = function(beside, "DeleteBook", GRPC, &rule("/v1/{name=**}"));
    let said = found(&same);
    assert!(said.contains("the rule `GET /v1/{name=**}` of `library.deletebook` is taken"), "{said}");
    assert!(said.contains("`shop.any` has the route `/v1/{*rest}`"), "{said}");
}
