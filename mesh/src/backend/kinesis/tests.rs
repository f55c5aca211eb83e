//! The service's behaviours that no local peer has, from a server that answers as told. Against real signatures:
//! `tests/e2e/kinesis.rs`.

use super::*;
use crate::{
    double::{Double, answer},
    samples::{body, context, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde_json::{Value, json};
use std::{fs, sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration};
use tempfile::TempDir;

/// Where a request differs by run.
const DIFFERS: [(&str, &str); 2] = [("authorization", "SIGNATURE"), ("x-amz-date", "DATE")];

fn config() -> KinesisConfig {
    KinesisConfig {
        stream: "orders".into(),
        region: "eu-west-1".into(),
        partition_key: None,
        explicit_hash_key: None,
        sequence_for_ordering: None,
        batch: None,
        record_bytes_max: RECORD_BYTES_MAX,
        endpoint: None,
        credentials: CredentialsConfig::default(),
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

/// A backend for a double, and the folder with its keys.
fn backend(double: &Double, config: KinesisConfig) -> (Kinesis, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("id"), "AKIDEXAMPLE").unwrap();
    fs::write(folder.path().join("secret"), "hidden").unwrap();
    let keys = serde_json::from_value(json!({ "access_key": "file:id", "secret_key": "file:secret" })).unwrap();
    let config = KinesisConfig { endpoint: Some(double.url()), credentials: keys, ..config };
    (Kinesis::new(&config, folder.path()).unwrap(), folder)
}

/// What a request for several asked, in its order.
fn data(request: &http::Request<Bytes>) -> Vec<String> {
    let said: Value = serde_json::from_slice(request.body()).unwrap();
    let list = said["Records"].as_array().unwrap();
    list.iter().map(|r| String::from_utf8(STANDARD.decode(r["Data"].as_str().unwrap()).unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_record_goes_out_signed_with_its_keys() {
    let said = r#"{"ShardId":"shardId-000000000001","SequenceNumber":"4954","EncryptionType":"KMS"}"#;
    let double = Double::same(200, &[], said).await;
    let config = KinesisConfig {
        partition_key: Some("{body.customer}/{id}".into()),
        explicit_hash_key: Some("{header.x-hash}".into()),
        sequence_for_ordering: Some("{header.x-after}".into()),
        ..config()
    };
    let (backend, _folder) = backend(&double, config);
    let mut outbound = post(r#"{"customer":"żółć"}"#);
    outbound.head.headers.insert("x-hash", HeaderValue::from_static("340282366920938463463374607431768211455"));
    outbound.head.headers.insert("x-after", HeaderValue::from_static("4953"));
    let reply = backend.invoke(outbound).await.unwrap();
    assert_eq!(reply.status(), 202);
    assert_eq!(body(reply).await.unwrap(), r#"{"shard":"shardId-000000000001","sequence":"4954"}"#);
    let authorization = double.asked()[0].headers()["authorization"].to_str().unwrap().to_owned();
    assert!(authorization.contains("/eu-west-1/kinesis/aws4_request"), "{authorization}");
    double.golden("kinesis/put_record.golden", &DIFFERS);
}

#[tokio::test]
async fn several_go_in_one_request() {
    let said = r#"{"FailedRecordCount":0,"Records":[
        {"ShardId":"a","SequenceNumber":"1"},{"ShardId":"b","SequenceNumber":"2"}]}"#;
    let double = Double::same(200, &[], said).await;
    let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
    let key = Some("{body.id}".into());
    let (backend, _folder) = backend(
        &double,
        KinesisConfig { stream: arn.into(), partition_key: key, batch: Some(Batch::Array), ..config() },
    );
    let reply = backend.invoke(post(r#"[{"id":1},{"id":"two"}]"#)).await.unwrap();
    assert_eq!(reply.status(), 202);
    let said: Value = serde_json::from_slice(&body(reply).await.unwrap()).unwrap();
    let records = json!([{ "shard": "a", "sequence": "1" }, { "shard": "b", "sequence": "2" }]);
    assert_eq!(said, json!({ "failed": 0, "records": records }));
    double.golden("kinesis/put_records.golden", &DIFFERS);
}

#[tokio::test]
async fn only_what_failed_is_put_again() {
    let rounds = Arc::new(AtomicUsize::new(0));
    let double = Double::new(move |request| {
        let round = rounds.fetch_add(1, Ordering::SeqCst);
        async move {
            let kept = |data: &String| json!({ "ShardId": "s", "SequenceNumber": data });
            let failed = |code: &str| json!({ "ErrorCode": code, "ErrorMessage": "of account 123456789012" });
            let said: Vec<Value> = data(&request)
                .iter()
                .map(|data| match (data.as_str(), round) {
                    ("never", _) => failed("InternalFailure"),
                    ("later", 0) => failed("ProvisionedThroughputExceededException"),
                    ("last", 0..3) => failed("ProvisionedThroughputExceededException"),
                    _ => kept(data),
                })
                .collect();
            answer(200, &[], json!({ "FailedRecordCount": 1, "Records": said }).to_string())
        }
    })
    .await;
    let (backend, _folder) = backend(&double, KinesisConfig { batch: Some(Batch::Lines), ..config() });
    let reply = backend.invoke(post("first\nlater\nnever\nlast")).await.unwrap();
    assert_eq!(reply.status(), 207);
    let text = body(reply).await.unwrap();
    let said: Value = serde_json::from_slice(&text).unwrap();
    let kept = |sequence: &str| json!({ "shard": "s", "sequence": sequence });
    let records = json!([kept("first"), kept("later"), { "failed": "failed" }, kept("last")]);
    assert_eq!(said, json!({ "failed": 1, "records": records }));
    let asked: Vec<_> = double.asked().iter().map(data).collect();
    let expected = [
        vec!["first", "later", "never", "last"],
        vec!["later", "never", "last"],
        vec!["never", "last"],
        vec!["never", "last"],
    ];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_round_that_breaks_leaves_what_nobody_knows() {
    for (status, word) in [(500, "unknown"), (400, "throttled"), (403, "failed")] {
        let rounds = Arc::new(AtomicUsize::new(0));
        let double = Double::new(move |_| {
            let round = rounds.fetch_add(1, Ordering::SeqCst);
            async move {
                let parts = json!([{ "ErrorCode": "InternalFailure" }, { "ShardId": "s", "SequenceNumber": "1" }]);
                let throttle =
                    if status == 400 { r#"{"__type":"ProvisionedThroughputExceededException"}"# } else { "{}" };
                match round {
                    0 => answer(200, &[], json!({ "Records": parts }).to_string()),
                    _ => answer(status, &[], throttle),
                }
            }
        })
        .await;
        let (backend, _folder) = backend(&double, KinesisConfig { batch: Some(Batch::Lines), ..config() });
        let reply = backend.invoke(post("a\nb")).await.unwrap();
        assert_eq!(reply.status(), 207);
        let said: Value = serde_json::from_slice(&body(reply).await.unwrap()).unwrap();
        assert_eq!(said["records"][0], json!({ "failed": word }), "{status}");
    }
}

#[tokio::test]
async fn failures_are_told_apart() {
    let failure = async |status: u16, said: &'static str, batch: Option<Batch>| {
        let double = Double::same(status, &[("retry-after", "7")], said).await;
        let (backend, _folder) = backend(&double, KinesisConfig { batch, ..config() });
        (backend.invoke(post("x")).await.unwrap_err(), double.asked().len())
    };
    for kind in ["ProvisionedThroughputExceededException", "com.amazonaws.kinesis.v20131202#LimitExceededException"] {
        let said: &'static str = Box::leak(format!(r#"{{"__type":"{kind}"}}"#).into_boxed_str());
        for batch in [None, Some(Batch::Lines)] {
            let (error, asked) = failure(400, said, batch).await;
            assert!(matches!(error, InvokeError::Throttled { retry_after: Some(_) }), "{error}");
            assert_eq!(asked, 1, "a request that failed whole is the caller's to make again");
        }
    }
    for (status, said) in
        [(400, r#"{"__type":"ResourceNotFoundException","message":"inside"}"#), (403, "{}"), (400, "")]
    {
        let (error, _) = failure(status, said, None).await;
        assert!(matches!(&error, InvokeError::Refused(words) if !words.contains("inside")), "{error}");
    }
    assert!(matches!(failure(500, r#"{"__type":"InternalFailure"}"#, None).await.0, InvokeError::FunctionFailed(_)));
    assert!(matches!(failure(503, "", None).await.0, InvokeError::Throttled { .. }));
    for said in ["", "[]", "{}", r#"{"ShardId":"s"}"#] {
        assert!(matches!(failure(200, said, None).await.0, InvokeError::BadAnswer(_)), "{said}");
    }
    let silent = Double::new(|_| std::future::pending::<http::Response<Bytes>>()).await;
    let (silent, _folder) = backend(&silent, config());
    let mut outbound = post("x");
    outbound.context = context(Duration::from_millis(90));
    assert!(matches!(silent.invoke(outbound).await, Err(InvokeError::TimedOut)), "nobody knows whether it is kept");
    let one = r#"{"Records":[]}"#;
    assert!(matches!(failure(200, one, Some(Batch::Lines)).await.0, InvokeError::BadAnswer(_)));
    let all = r#"{"Records":[{"ErrorCode":"ProvisionedThroughputExceededException"}]}"#;
    assert!(matches!(failure(200, all, Some(Batch::Lines)).await.0, InvokeError::Throttled { .. }));
}

#[tokio::test]
async fn what_is_too_large_or_has_no_key_is_not_sent() {
    let double = Double::same(200, &[], "{}").await;
    let (backend, _folder) = backend(
        &double,
        KinesisConfig { partition_key: Some("{header.x-key}".into()), batch: Some(Batch::Lines), ..config() },
    );
    let call = |body: String, key: &str| {
        let mut outbound = post(body);
        outbound.head.headers.insert("x-key", HeaderValue::from_str(key).unwrap());
        backend.invoke(outbound)
    };
    let line = "x".repeat(RECORD_BYTES_MAX - 3);
    for body in [
        "x".repeat(RECORD_BYTES_MAX - 2),
        "x\n".repeat(RECORDS_MAX + 1),
        [line.as_str(); 6].join("\n").split_at(CALL_BYTES_MAX + 6).0.to_owned(),
    ] {
        assert!(matches!(call(body, "key").await, Err(InvokeError::RequestTooLarge { .. })));
    }
    let long = "k".repeat(KEY_CHARS_MAX + 1);
    for (body, key) in [("x", long.as_str()), ("\n", "key"), ("x", "")] {
        assert!(matches!(call(body.into(), key).await, Err(InvokeError::Unsupported(_))), "{key}");
    }
    assert_eq!(double.asked().len(), 0);
    assert!(is_number("0") && is_number("12") && !is_number("-1") && !is_number("01") && !is_number("1e3"));
}

#[test]
fn targets_are_checked() {
    let keys = || serde_json::from_value(json!({ "profile": "latchwork" })).unwrap();
    for good in [
        KinesisConfig { credentials: keys(), ..config() },
        KinesisConfig { stream: "arn:aws:kinesis:eu-west-1:123456789012:stream/orders".into(), ..config() },
        KinesisConfig { endpoint: Some("https://vpce-1.example:8443".into()), ca: Some("ca.pem".into()), ..config() },
        KinesisConfig { record_bytes_max: CALL_BYTES_MAX, batch: Some(Batch::Array), ..config() },
    ] {
        assert_eq!(good.problems(), [], "{good:?}");
    }
    for (field, wrong) in [
        ("stream", KinesisConfig { stream: "a b".into(), ..config() }),
        ("stream", KinesisConfig { stream: "arn:aws:kinesis:us-east-1:1:stream/orders".into(), ..config() }),
        ("stream", KinesisConfig { stream: "arn:aws:kinesis:eu-west-1:1:orders".into(), ..config() }),
        ("region", KinesisConfig { region: "Europe".into(), ..config() }),
        ("endpoint", KinesisConfig { endpoint: Some("http://kinesis.example".into()), ..config() }),
        ("partition_key", KinesisConfig { partition_key: Some("{a b}".into()), ..config() }),
        ("explicit_hash_key", KinesisConfig { explicit_hash_key: Some(String::new()), ..config() }),
        (
            "sequence_for_ordering",
            KinesisConfig { sequence_for_ordering: Some("{id}".into()), batch: Some(Batch::Lines), ..config() },
        ),
        ("record_bytes_max", KinesisConfig { record_bytes_max: 0, ..config() }),
        ("credentials", KinesisConfig { credentials: CredentialsConfig::None, ..config() }),
        ("connect_timeout", KinesisConfig { connect_timeout: "soon".into(), ..config() }),
        ("ca", KinesisConfig { ca: Some("ca.pem".into()), endpoint: Some("http://127.0.0.1:1".into()), ..config() }),
    ] {
        assert_eq!(wrong.problems().iter().map(|problem| problem.field).collect::<Vec<_>>(), [field], "{wrong:?}");
    }
    let named = KinesisConfig { partition_key: Some("{customer}".into()), ..config() };
    assert_eq!(named.parameters(), ["customer"]);
}
