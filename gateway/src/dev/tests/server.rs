//! The issuer over HTTP: discovery, keys, and every way to ask for a token.

use super::issuer::part;
use crate::dev::Issuer;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{fs, net::SocketAddr};
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};

const PEOPLE: &str = r#"
audiences = ["https://api.test", "https://jobs.test"]

[[person]]
subject = "alice"
secret = "a:l i+c%e"
groups = ["buyers"]
scopes = ["read", "write"]
claims = { clearance = 2 }

[[person]]
subject = "empty"
secret = ""
"#;

struct Running {
    address: SocketAddr,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), crate::dev::DevError>>,
}

impl Running {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("people.toml"), PEOPLE).unwrap();
        let server = Issuer::load_or_create(folder.path()).unwrap().bind().unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(async { drop(stopped.await) }));
        Self { address, folder, stop, serving }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        assert!(TcpStream::connect(self.address).await.is_err());
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> (Response<()>, Value) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = request.body(Full::<bytes::Bytes>::from(body.to_owned())).unwrap();
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, self.address.to_string().parse().unwrap());
        }
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        (Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap())
    }

    async fn ask(&self, basic: Option<&str>, form: &str) -> (StatusCode, Value) {
        let mut request = Request::post("/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(basic) = basic {
            request = request.header(header::AUTHORIZATION, basic);
        }
        let (response, body) = self.send(request, form).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(challenged, response.status() == StatusCode::UNAUTHORIZED);
        (response.status(), body)
    }
}

fn basic(id: &str, secret: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

const GRANT: &str = "grant_type=client_credentials";
const FORM_CLIENT: &str = "client_id=alice&client_secret=a%3Al+i%2Bc%25e";

#[tokio::test]
async fn discovery_leads_to_the_keys() {
    let server = Running::start().await;
    let (_, found) = server.send(Request::get("/.well-known/openid-configuration"), "").await;
    let own = format!("http://{}", server.address);
    assert_eq!(found["issuer"], own);
    assert_eq!(found["jwks_uri"], format!("{own}/jwks"));
    let (_, keys) = server.send(Request::get("/jwks"), "").await;
    assert_eq!(keys, Issuer::load(server.folder.path()).unwrap().unwrap().jwks());
    server.stop().await;
}

#[tokio::test]
async fn a_client_gets_its_token_by_either_way() {
    let server = Running::start().await;
    let encoded = basic("alice", "a%3Al+i%2Bc%25e");
    for (basic, form) in [(Some(&*encoded), GRANT.to_owned()), (None, format!("{GRANT}&{FORM_CLIENT}"))] {
        let (status, granted) = server.ask(basic, &form).await;
        assert_eq!(status, StatusCode::OK, "{granted}");
        assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("Bearer"), &json!(3600)));
        let claims = part(granted["access_token"].as_str().unwrap(), 1);
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!("alice"), &json!("https://api.test")));
        assert_eq!((&claims["groups"], &claims["scope"]), (&json!(["buyers"]), &json!("read write")));
        assert_eq!((&claims["clearance"], &claims["client_id"]), (&json!(2), &json!("alice")));
    }
    let form = format!("{GRANT}&{FORM_CLIENT}&scope=read&resource=https://jobs.test");
    let (_, granted) = server.ask(None, &form).await;
    let claims = part(granted["access_token"].as_str().unwrap(), 1);
    assert_eq!((&claims["scope"], &claims["aud"]), (&json!("read"), &json!("https://jobs.test")));
    server.stop().await;
}

#[tokio::test]
async fn everyone_else_gets_the_error_of_the_standard() {
    let server = Running::start().await;
    let good = basic("alice", "a%3Al+i%2Bc%25e");
    let wrong = basic("alice", "wrong");
    let cases: Vec<(Option<&str>, String, u16, &str)> = vec![
        (None, GRANT.to_owned(), 401, "invalid_client"),
        (Some(&wrong), GRANT.to_owned(), 401, "invalid_client"),
        (Some("Bearer x"), GRANT.to_owned(), 401, "invalid_client"),
        (Some("Basic !"), GRANT.to_owned(), 401, "invalid_client"),
        (Some("Basic"), GRANT.to_owned(), 401, "invalid_client"),
        (None, format!("{GRANT}&client_id=alice"), 401, "invalid_client"),
        (None, format!("{GRANT}&client_id=alice&client_secret="), 401, "invalid_client"),
        (None, format!("{GRANT}&client_id=empty&client_secret="), 401, "invalid_client"),
        (None, format!("{GRANT}&client_id=nobody&client_secret=x"), 401, "invalid_client"),
        (Some(&good), format!("{GRANT}&client_id=bob"), 401, "invalid_client"),
        (Some(&good), format!("{GRANT}&{FORM_CLIENT}"), 400, "invalid_request"),
        (Some(&good), String::new(), 400, "invalid_request"),
        (Some(&good), format!("{GRANT}&{GRANT}"), 400, "invalid_request"),
        (Some(&good), "x=".repeat(10_000), 400, "invalid_request"),
        (Some(&good), "grant_type=password&username=a&password=b".to_owned(), 400, "unsupported_grant_type"),
        (Some(&good), "grant_type=authorization_code&code=a".to_owned(), 400, "unsupported_grant_type"),
        (Some(&good), format!("{GRANT}&scope=read+admin"), 400, "invalid_scope"),
        (Some(&good), format!("{GRANT}&resource=https://evil.test"), 400, "invalid_target"),
        (Some(&good), format!("{GRANT}&audience=https://evil.test"), 400, "invalid_target"),
    ];
    for (basic, form, status, error) in cases {
        let (got, body) = server.ask(basic, &form).await;
        assert_eq!((got.as_u16(), &body["error"]), (status, &json!(error)), "{basic:?} {form}");
        assert!(body.get("access_token").is_none());
    }
    let json = Request::post("/token").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(server.send(json, "{}").await.1["error"], "invalid_request");
    for request in [Request::get("/token"), Request::post("/jwks"), Request::get("/"), Request::get("/jwks/")] {
        assert!(server.send(request, "").await.0.status().is_client_error());
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_in_a_browser_can_not_reach_it_under_another_name() {
    let server = Running::start().await;
    for host in ["evil.test", "127.0.0.1", "127.0.0.1:1", "localhost.evil.test"] {
        let (response, _) = server.send(Request::get("/jwks").header(header::HOST, host), "").await;
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    let host = format!("localhost:{}", server.address.port());
    assert_eq!(server.send(Request::get("/jwks").header(header::HOST, host), "").await.0.status(), StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn an_edit_of_people_counts_at_once_and_a_broken_one_says_so() {
    let server = Running::start().await;
    let people = server.folder.path().join("people.toml");
    let form = format!("{GRANT}&client_id=bob&client_secret=b");
    assert_eq!(server.ask(None, &form).await.0, StatusCode::UNAUTHORIZED);
    fs::write(&people, format!("{PEOPLE}\n[[person]]\nsubject = \"bob\"\nsecret = \"b\"\n")).unwrap();
    assert_eq!(server.ask(None, &form).await.0, StatusCode::OK);
    fs::write(&people, "[[person]]\nsubject = \"bob\"\nsecret = \"b\"\nsurprise = 1\n").unwrap();
    let (status, body) = server.ask(None, &form).await;
    assert_eq!((status, &body["error"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("server_error")));
    assert!(!body.to_string().contains("surprise"));
    fs::remove_file(&people).unwrap();
    assert_eq!(server.ask(None, &form).await.0, StatusCode::UNAUTHORIZED);
    server.stop().await;
}
