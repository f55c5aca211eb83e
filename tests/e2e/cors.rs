//! Callers in browsers, by a client that asks as they do (Fetch §4.8): preflights, answers, and what strangers learn.

use http::Method;
use serde_json::{Value, json};
use tests::{
    client::{Answer, Request},
    latchwork,
    origin::Origin,
    project::Project,
};

/// A page that may call.
const PAGE: &str = "https://app.example.com";

/// What a browser asks before a `POST` of JSON with a token.
fn preflight(path: &str, origin: &str, method: &str) -> Request {
    let mut request = Request::get(path);
    request.method = Method::OPTIONS;
    request
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type")
}

#[tokio::test]
async fn preflights_are_answered_by_route_and_strangers_learn_nothing() {
    let issued = "algorithms = [\"ES256\"]";
    let project = Project::new()
        .issuer("corp", "https://login.example.test", issued)
        .tables("[app.pages]\ncors = { origins = [\"https://app.example.com\"], credentials = true, max_age = \"1h\" }")
        .http(
            "shop.open",
            "POST /open",
            "http://127.0.0.1:9/",
            "cors = { origins = [\"*\"], headers = [\"x-a\", \"x-b\"] }",
        )
        .http("shop.none", "POST /none", "http://127.0.0.1:9/", "")
        .tables(&of_pages("pages.own", "/own/{id}", ""))
        .tables(&of_pages("pages.closed", "/closed", "cors = { origins = [] }"))
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for client in [gateway.client(), gateway.client().http2()] {
        let allowed = client.send(preflight("/own/7", PAGE, "POST")).await;
        assert_eq!((allowed.status, allowed.text().as_str()), (204, ""));
        for (name, value) in [
            ("access-control-allow-origin", PAGE),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", "authorization, content-type"),
            ("access-control-max-age", "3600"),
        ] {
            assert_eq!(allowed.header(name), value, "{name}: {:?}", allowed.headers);
        }
        assert!(allowed.header("vary").contains("origin"), "{:?}", allowed.headers);
        let open = client.send(preflight("/open", "https://anybody.example", "POST")).await;
        assert_eq!((open.status, open.header("access-control-allow-origin")), (204, "*"));
        assert_eq!(open.header("access-control-allow-headers"), "x-a, x-b");
        assert_eq!(open.header("access-control-allow-credentials"), "", "never with every origin");
        let unknown = refused(&client.send(preflight("/no-such-function", PAGE, "POST")).await);
        assert_eq!(unknown.0, 401);
        for request in [
            preflight("/none", PAGE, "POST"),
            preflight("/closed", PAGE, "POST"),
            preflight("/own/7", "https://evil.example", "POST"),
            preflight("/own/7", "https://app.example.com.evil.example", "POST"),
            preflight("/own/7", "null", "POST"),
            preflight("/own/7", PAGE, "DELETE"),
            preflight("/own/7", PAGE, "CONNECT"),
        ] {
            let shown = format!("{request:?}");
            assert_eq!(refused(&client.send(request).await), unknown, "{shown}: as if there were nothing");
        }
        let mut plain = Request::get("/own/7");
        plain.method = Method::OPTIONS;
        assert_eq!(refused(&client.send(plain).await), unknown, "no preflight, no answer");
    }
    // A page reads why it was refused, or it could not ask for a token.
    let denied = gateway.client().send(Request::json("/own/7", &json!({})).header("origin", PAGE)).await;
    assert_eq!((denied.status, denied.header("access-control-allow-origin")), (401, PAGE));
    gateway.stop().await;
}

#[tokio::test]
async fn answers_name_who_may_read_them() {
    let origin = Origin::start().await;
    let cors = "cors = { origins = [\"https://app.example.com\"], credentials = true }\nforward_headers = [\"cookie\"]";
    let project = Project::new()
        .anonymous()
        .http("shop.echo", "POST /echo", &origin.url, cors)
        .http("shop.none", "POST /none", &origin.url, "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let call = |path, page| Request::json(path, &json!({})).header("origin", page);
    let cookies = "__Host-session=1; theme=dark";
    let allowed = gateway.client().send(call("/echo", PAGE).header("cookie", cookies)).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, PAGE), "{}", allowed.text());
    assert_eq!(allowed.header("access-control-allow-credentials"), "true");
    assert!(allowed.header("access-control-expose-headers").contains("latchwork-call-id"));
    assert_eq!(origin.seen().last().expect("the call").headers["cookie"], cookies, "as the browser names them");
    let other = gateway.client().send(call("/echo", "https://evil.example")).await;
    let without = gateway.client().send(Request::json("/echo", &json!({}))).await;
    for answer in [&allowed, &other, &without] {
        assert!(answer.headers.get_all("vary").iter().any(|v| v == "origin"), "{:?}", answer.headers);
    }
    for answer in [&other, &without, &gateway.client().send(call("/none", PAGE)).await] {
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""), "{:?}", answer.headers);
    }
    gateway.stop().await;
}

fn of_pages(name: &str, path: &str, more: &str) -> String {
    format!(
        "[function.\"{name}\"]\napp = \"pages\"\nroute = \"POST {path}\"\n\
         targets = [{{ http = {{ url = \"http://127.0.0.1:9/\" }} }}]\n{more}"
    )
}

/// What a refusal tells, without what differs between any two calls.
fn refused(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut problem = answer.json();
    problem.as_object_mut().expect("a problem").remove("call_id");
    let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort();
    (answer.status, problem, names)
}
