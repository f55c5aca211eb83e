//! What proves the gateway: never the caller's, read again when it changes, and not shown.

use super::*;
use std::{collections::BTreeMap, fs};

fn with(url: &str, more: impl FnOnce(&mut HttpConfig)) -> HttpConfig {
    let mut config = config(url);
    more(&mut config);
    config
}

/// The lines about headers of these names, as the service saw them.
async fn shown(http: &Http, names: &[&str]) -> Vec<String> {
    let mut outbound = get("/");
    for name in ["authorization", "x-api-key", "X_Api_Key", "x-api-key-id"] {
        outbound
            .head
            .headers
            .append(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_static("the caller's"));
    }
    let seen = text(http, outbound).await;
    let ours = |line: &&str| names.iter().any(|name| line.starts_with(&format!("{name}: ")));
    let mut lines: Vec<String> = seen.lines().filter(ours).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn a_service_sees_the_gateways_credentials_and_never_the_callers() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let url = format!("http://{}", server(echo).await);
    file("password", "open:sesame\n");
    let basic = with(&url, |config| {
        config.user = Some("front door".into());
        config.password = Some("file:password".into());
    });
    let basic = Http::new(&basic, folder.path()).unwrap();
    // RFC 7617: base64 of `front door:open:sesame`.
    let expected = "authorization: Basic ZnJvbnQgZG9vcjpvcGVuOnNlc2FtZQ==";
    assert_eq!(shown(&basic, &["authorization"]).await, [expected]);
    assert!(!format!("{basic:?}").contains("sesame"), "{basic:?}");

    file("token", "first");
    file("key", "one");
    let keyed = with(&url, |config| {
        config.bearer = Some("file:token".into());
        config.secret_headers = BTreeMap::from([("X-Api-Key".into(), "file:key".into())]);
    });
    let keyed = Http::new(&keyed, folder.path()).unwrap();
    let names = ["authorization", "x-api-key", "x_api_key", "x-api-key-id"];
    let seen = |token: &str, key: &str| {
        [format!("authorization: Bearer {token}"), "x-api-key-id: the caller's".into(), format!("x-api-key: {key}")]
    };
    assert_eq!(shown(&keyed, &names).await, seen("first", "one"));
    file("token", "second one that is no word");
    file("key", "another");
    assert_eq!(shown(&keyed, &names).await, seen("first", "another"), "the last good token serves on");
    file("token", "renewed");
    assert_eq!(shown(&keyed, &names).await, seen("renewed", "another"));
    assert_eq!(shown(&backend(&url), &["authorization"]).await, ["authorization: the caller's"]);
}

#[tokio::test]
async fn a_service_that_does_not_take_them_is_not_heard_by_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "old").unwrap();
    let unknown = server(|_| async {
        let mut response = Response::new(Wire::Empty);
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Basic realm=\"inner\""));
        response
    })
    .await;
    let url = format!("http://{unknown}");
    let proved = with(&url, |config| config.bearer = Some("file:token".into()));
    let error = Http::new(&proved, folder.path()).unwrap().invoke(get("/")).await.unwrap_err();
    assert!(matches!(error, InvokeError::Refused(_)), "{error:?}");
    // A caller who shows a credential of its own to the service hears what it says of that.
    assert_eq!(backend(&url).invoke(get("/")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn what_can_be_no_credential_is_refused_by_its_field() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("word"), "secret").unwrap();
    let word = || Some("file:word".to_owned());
    let headers = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    type Change = Box<dyn Fn(&mut HttpConfig)>;
    let cases: Vec<(&str, &str, Change)> = vec![
        ("user", "`password`", Box::new(|c| c.user = Some("a".into()))),
        ("password", "`user`", Box::new(move |c| c.password = word())),
        ("user", "is no user", Box::new(move |c| (c.user, c.password) = (Some("a:b".into()), word()))),
        ("password", "by reference", Box::new(|c| (c.user, c.password) = (Some("a".into()), Some("hunter2".into())))),
        ("bearer", "`nowhere`", Box::new(|c| c.bearer = Some("file:/nowhere".into()))),
        ("bearer", "both", Box::new(move |c| (c.user, c.password, c.bearer) = (Some("a".into()), word(), word()))),
        ("secret_headers", "no header's name", Box::new(move |c| c.secret_headers = headers("a b", "file:word"))),
        ("secret_headers", "something else", Box::new(move |c| c.secret_headers = headers("Host", "file:word"))),
        (
            "secret_headers",
            "something else",
            Box::new(move |c| c.secret_headers = headers("Latchwork-Caller", "file:word")),
        ),
        ("secret_headers", "by reference", Box::new(move |c| c.secret_headers = headers("x-key", "hunter2"))),
        (
            "secret_headers",
            "twice",
            Box::new(|c| {
                c.secret_headers = ["x-key", "x_key"].map(|name| (name.to_owned(), "file:word".to_owned())).into();
            }),
        ),
        (
            "secret_headers",
            "more than 16",
            Box::new(|c| {
                c.secret_headers = (0..17).map(|n| (format!("x-{n}"), "file:word".to_owned())).collect();
            }),
        ),
        ("url", "clear text", Box::new(move |c| (c.url, c.bearer) = ("http://inner.example".into(), word()))),
    ];
    for (field, needle, change) in cases {
        let error = Http::new(&with("https://inner.example", &*change), folder.path()).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        let said = error.message.replace("/nowhere", "nowhere");
        assert!(said.contains(needle) && !said.contains("hunter2"), "{said}");
    }
    let local = with("http://inner.example", |c| (c.unix, c.bearer) = (Some("inner.sock".into()), word()));
    assert!(Http::new(&local, folder.path()).is_ok(), "a socket of this machine is no network");
}
