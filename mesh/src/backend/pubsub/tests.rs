//! What goes over the wire, and what the service's answers mean. Against the provider's own library: `tests/e2e/pubsub.rs`.

use super::*;
use crate::{
    double::{Double, answer},
    samples::{body, post},
};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use std::{fs, time::Duration};
use tempfile::TempDir;

fn config() -> PubSubConfig {
    PubSubConfig {
        topic: "projects/shop/topics/orders".into(),
        ordering_key: None,
        attributes: BTreeMap::new(),
        batch: None,
        endpoint: None,
        credentials: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn attributes(name: &str, text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), text.to_owned())])
}

fn backend(double: &Double, config: PubSubConfig) -> PubSub {
    PubSub::new(&PubSubConfig { endpoint: Some(double.url()), ..config }, Path::new("")).unwrap()
}

/// A call whose id does not differ by run.
fn call(body: &str) -> Outbound {
    let mut outbound = post(body.to_owned());
    outbound.context.call_id = "01920000-0000-7000-8000-000000000001".parse().unwrap();
    outbound.head.headers.insert("content-type", HeaderValue::from_static("application/json"));
    outbound
}

#[tokio::test]
async fn a_message_goes_out_with_its_attributes() {
    let double = Double::same(200, &[], r#"{"messageIds":["77"]}"#).await;
    let key = Some("{body.customer}".into());
    let config = PubSubConfig { ordering_key: key, attributes: attributes("order", "no. {id}"), ..config() };
    let mut outbound = call(r#"{"customer":12}"#);
    outbound.head.headers.insert("authorization", HeaderValue::from_static("Bearer of-the-caller"));
    outbound.head.headers.insert("latchwork-caller", HeaderValue::from_static("root"));
    let reply = backend(&double, config).invoke(outbound).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["content-type"].as_bytes()), (202, &b"application/json"[..]));
    assert_eq!(body(reply).await.unwrap(), r#"{"message_id":"77"}"#);
    double.golden("pubsub/publish.golden", &[]);
}

#[tokio::test]
async fn several_go_in_one_request_and_all_are_kept_or_none() {
    let double = Double::same(200, &[], r#"{"messageIds":["1","2"]}"#).await;
    let backend = backend(&double, PubSubConfig { batch: Some(Batch::Array), ..config() });
    let reply = backend.invoke(call(r#"[{"a":1},"two"]"#)).await.unwrap();
    assert_eq!(reply.status(), 202);
    let said = r#"{"failed":0,"records":[{"message_id":"1"},{"message_id":"2"}]}"#;
    assert_eq!(body(reply).await.unwrap(), said);
    double.golden("pubsub/publish_several.golden", &[]);
    let error = backend.invoke(call("[1]")).await.unwrap_err();
    assert!(matches!(error, InvokeError::BadAnswer(_)), "{error}");
    let many = format!("[{}1]", "1,".repeat(MESSAGES_MAX));
    assert!(matches!(backend.invoke(call(&many)).await, Err(InvokeError::RequestTooLarge { .. })));
    assert_eq!(double.asked().len(), 2, "what is too much is not sent");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let failure = async |status: u16, name: &str| {
        let said = json!({ "error": { "code": status, "message": "of project shop", "status": name } });
        let double = Double::same(status, &[], said.to_string()).await;
        let error = backend(&double, config()).invoke(call("x")).await.unwrap_err();
        assert!(!error.to_string().contains("shop"), "{error}");
        assert_eq!(double.asked().len(), 1, "asked once");
        error
    };
    for (status, name) in [(429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")] {
        assert!(matches!(failure(status, name).await, InvokeError::Throttled { .. }), "{name}");
    }
    for (status, name) in
        [(400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND")]
    {
        let error = failure(status, name).await;
        let words = format!("{status} {}", plain(name));
        assert!(matches!(&error, InvokeError::Refused(said) if *said == words), "{error}");
    }
    assert!(matches!(failure(500, "INTERNAL").await, InvokeError::FunctionFailed(_)));
    assert!(matches!(failure(504, "DEADLINE_EXCEEDED").await, InvokeError::TimedOut));
    assert!(matches!(failure(413, "").await, InvokeError::RequestTooLarge { .. }));
    let double = Double::same(200, &[], "{}").await;
    assert!(matches!(backend(&double, config()).invoke(call("x")).await, Err(InvokeError::BadAnswer(_))));
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    for config in [
        PubSubConfig { ordering_key: Some("{header.x-long}".into()), ..config() },
        PubSubConfig { attributes: attributes("a", "{header.x-long}"), ..config() },
        PubSubConfig { attributes: attributes("a", "{header.x-absent}"), ..config() },
    ] {
        let mut outbound = call("x");
        outbound.head.headers.insert("x-long", HeaderValue::from_str(&long).unwrap());
        let error = backend(&double, config).invoke(outbound).await.unwrap_err();
        assert!(matches!(error, InvokeError::Unsupported(_)) && error.had_no_effect(), "{error}");
    }
}

/// A folder with a federation of a workload, for a token service at this address.
fn federation(double: &Double, more: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("subject"), "theirs").unwrap();
    let mut file = json!({
        "type": "external_account", "audience": "//iam/pool", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/sts", double.url()), "credential_source": { "file": "subject" },
    });
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fs::write(folder.path().join("federation.json"), file.to_string()).unwrap();
    folder
}

#[tokio::test]
async fn a_federated_workload_publishes_as_itself_or_as_an_account() {
    let double = Double::new(|request| async move {
        let end = jiff::Timestamp::now() + Duration::from_secs(600);
        let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        match (request.uri().path(), bearer.as_deref()) {
            ("/sts", None) => answer(200, &[], r#"{"access_token":"workload","expires_in":600}"#),
            ("/account:generateAccessToken", Some("Bearer workload")) => {
                assert_eq!(request.body(), r#"{"scope":["https://www.googleapis.com/auth/pubsub"]}"#);
                answer(200, &[], json!({ "accessToken": "account", "expireTime": end.to_string() }).to_string())
            }
            ("/v1/projects/shop/topics/orders:publish", Some(bearer)) => {
                answer(200, &[], json!({ "messageIds": [bearer] }).to_string())
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
    let account =
        json!({ "service_account_impersonation_url": format!("{}/account:generateAccessToken", double.url()) });
    for (more, expected) in [(json!({}), "Bearer workload"), (account, "Bearer account")] {
        let folder = federation(&double, &more);
        let credentials = Some(GoogleCredentials::Federation("file:federation.json".into()));
        let config = PubSubConfig { credentials, endpoint: Some(double.url()), ..config() };
        let backend = PubSub::new(&config, folder.path()).unwrap();
        let reply = backend.invoke(call("x")).await.unwrap();
        assert_eq!(body(reply).await.unwrap(), json!({ "message_id": expected }).to_string());
    }
}

#[tokio::test]
async fn an_account_that_its_issuer_refuses_sends_nothing() {
    let double = Double::same(400, &[], r#"{"error":"invalid_grant"}"#).await;
    let folder = tempfile::tempdir().unwrap();
    let pem = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap().serialize_pem();
    let key = json!({ "client_email": "a@b", "private_key": pem, "token_uri": format!("{}/token", double.url()) });
    fs::write(folder.path().join("account.json"), key.to_string()).unwrap();
    let credentials = Some(GoogleCredentials::ServiceAccount("file:account.json".into()));
    let config = PubSubConfig { credentials, endpoint: Some(double.url()), ..config() };
    let error = PubSub::new(&config, folder.path()).unwrap().invoke(call("x")).await.unwrap_err();
    assert!(matches!(error, InvokeError::NoCredential(_)) && error.had_no_effect(), "{error}");
    assert_eq!(double.asked().len(), 1, "only a token was asked for");
}

#[test]
fn targets_are_checked() {
    let account = || Some(GoogleCredentials::ServiceAccount("file:account.json".into()));
    for good in [
        PubSubConfig { credentials: account(), ..config() },
        PubSubConfig { topic: "projects/example.com:shop/topics/a.b~c+d".into(), ..config() },
        PubSubConfig { endpoint: Some("http://pubsub.internal:8085".into()), ..config() },
        PubSubConfig { attributes: attributes("tenant", "{header.x-tenant}"), batch: Some(Batch::Lines), ..config() },
    ] {
        assert_eq!(good.problems(), [], "{good:?}");
    }
    for (field, wrong) in [
        ("topic", PubSubConfig { topic: "orders".into(), ..config() }),
        ("topic", PubSubConfig { topic: "projects/shop/topics/ab".into(), ..config() }),
        ("topic", PubSubConfig { topic: "projects/shop/topics/goog-orders".into(), ..config() }),
        ("topic", PubSubConfig { topic: "projects/shop/topics/a/../b".into(), ..config() }),
        (
            "endpoint",
            PubSubConfig { endpoint: Some("http://pubsub.internal".into()), credentials: account(), ..config() },
        ),
        ("ordering_key", PubSubConfig { ordering_key: Some("{".into()), ..config() }),
        ("attributes", PubSubConfig { attributes: attributes("googclient_x", "a"), ..config() }),
        ("attributes", PubSubConfig { attributes: attributes("latchwork-caller", "a"), ..config() }),
        ("attributes", PubSubConfig { attributes: attributes("a", "{b.c}"), ..config() }),
        (
            "credentials",
            PubSubConfig { credentials: Some(GoogleCredentials::ServiceAccount("account.json".into())), ..config() },
        ),
        ("connect_timeout", PubSubConfig { connect_timeout: "soon".into(), ..config() }),
        ("ca", PubSubConfig { ca: Some("ca.pem".into()), endpoint: Some("http://127.0.0.1:1".into()), ..config() }),
    ] {
        assert_eq!(wrong.problems().iter().map(|problem| problem.field).collect::<Vec<_>>(), [field], "{wrong:?}");
    }
    assert!(PubSubConfig { endpoint: Some("http://pubsub.internal".into()), ..config() }.is_exposed());
}
