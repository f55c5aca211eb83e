//! A page of another origin in a real browser: what it may call and read, and what it may not.

use serde_json::json;
use tests::{
    browser::Page, certificates::Certificates, client::Request, latchwork, origin::Origin, project::Project, skip,
};

const COOKIE: &str = "__Host-session=1; Secure; HttpOnly; Path=/; SameSite=Lax";

#[tokio::test]
async fn a_page_calls_what_it_may_and_nothing_else() {
    if skip::skipped("chromium") {
        return;
    }
    let project = Project::new();
    let certificates = Certificates::new();
    certificates.write(project.folder());
    let (page, origin) = (Page::start(&certificates).await, Origin::start().await);
    let cors = format!(
        "cors = {{ origins = [\"{}\"], credentials = true, headers = [\"content-type\", \"x-tag\", \"x-cookie\"] }}\n\
         forward_headers = [\"cookie\"]",
        page.origin
    );
    let project = project
        .anonymous()
        .http("shop.echo", "POST /echo", &origin.url, &cors)
        .http("shop.elsewhere", "POST /elsewhere", &origin.url, "cors = { origins = [\"https://app.example.com\"] }")
        .http("shop.none", "POST /none", &origin.url, "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let script = SCRIPT.replace("GATEWAY", &gateway.url.replace("127.0.0.1", "localhost")).replace("COOKIE", COOKIE);
    let Some(said) = page.open(&script, project.folder()).await else { return };

    for name in ["first", "again"] {
        let answer = &said[name];
        assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("{\"a\":1}")), "{said:#}");
        assert!(answer["call"].as_str().is_some_and(|id| id.len() == 36), "a script reads the call's id: {said:#}");
    }
    assert_eq!(said["cookies"], "", "`HttpOnly` was kept");
    for name in ["other header", "other method", "elsewhere", "none", "unknown"] {
        assert_eq!(said[name], json!({ "error": "TypeError" }), "{name}: {said:#}");
    }
    let seen = origin.seen();
    let calls: Vec<_> = seen.iter().map(|s| (s.method.as_str(), s.path.as_str())).collect();
    // A page may send plain text anywhere, and can't read what comes back.
    assert_eq!(calls, [("POST", "/echo"), ("POST", "/echo"), ("POST", "/none")], "preflights reach no function");
    let header = |index: usize, name: &str| seen[index].headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    assert_eq!((header(0, "cookie"), header(1, "cookie")), (None, Some("__Host-session=1".to_owned())));
    assert_eq!(header(1, "x-tag").as_deref(), Some("7"));
    gateway.stop().await;
}

const SCRIPT: &str = r#"
const said = {};
async function call(name, path, more) {
  const url = "GATEWAY" + path;
  try {
    const answer = await fetch(url, { method: "POST", credentials: "include", ...more });
    const body = await answer.text();
    said[name] = { status: answer.status, body, call: answer.headers.get("latchwork-call-id") };
  } catch (error) {
    said[name] = { error: error.name };
  }
}
const body = JSON.stringify({ a: 1 });
const headers = { "content-type": "application/json", "x-tag": "7" };
await call("first", "/echo", { body, headers: { ...headers, "x-cookie": "COOKIE" } });
await call("again", "/echo", { body, headers });
await call("other header", "/echo", { body, headers: { ...headers, "x-other": "1" } });
await call("other method", "/echo", { body, headers, method: "PUT" });
await call("elsewhere", "/elsewhere", { body, headers });
await call("none", "/none", { body: "plain" });
await call("unknown", "/no-such-function", { body, headers });
said.cookies = document.cookie;
return said;
"#;

#[tokio::test]
async fn cookies_pass_as_they_are() {
    let origin = Origin::start().await;
    let project = Project::new()
        .anonymous()
        .http("shop.echo", "POST /echo", &origin.url, "forward_headers = [\"cookie\"]")
        .http("shop.kept", "POST /kept", &origin.url, "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let set =
        [COOKIE, "__Secure-id=a=b; Secure; Domain=example.com; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Partitioned"];
    for client in [gateway.client(), gateway.client().http2()] {
        let ask = |path| {
            let mut request = Request::json(path, &json!({}));
            for cookie in set {
                request = request.header("x-cookie", cookie);
            }
            // HTTP/2 lets a client split them (RFC 9113 §8.2.3).
            request.header("cookie", "__Host-session=1").header("cookie", "theme=dark; a=b")
        };
        let answer = client.send(ask("/echo")).await;
        let told: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(told, set, "{:?}", answer.headers);
        let seen = origin.seen().pop().expect("the call");
        let cookies: Vec<_> = seen.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["__Host-session=1; theme=dark; a=b"], "one field for a backend of HTTP/1.1");
        assert_eq!(client.send(ask("/kept")).await.status, 200);
        assert!(!origin.seen().pop().expect("the call").headers.contains_key("cookie"), "withheld unless configured");
    }
    gateway.stop().await;
}
