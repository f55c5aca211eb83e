//! What a Kafka target may say, in every build. Against a real broker: `tests/e2e/kafka.rs`.

use super::*;

fn config() -> KafkaConfig {
    KafkaConfig {
        brokers: vec!["tls://kafka-1.example:9093".into(), "tls://kafka-2.example:9093".into()],
        topic: "orders".into(),
        key: None,
        headers: BTreeMap::new(),
        batch: None,
        batch_bytes_max: BATCH_BYTES_MAX,
        ca: None,
        client_certificate: None,
        client_key: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn headers(name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), "{tenant}".to_owned())])
}

fn brokers(text: &str) -> KafkaConfig {
    KafkaConfig { brokers: text.split(' ').map(str::to_owned).collect(), ..config() }
}

#[test]
fn targets_are_checked() {
    let pem = || Some(PathBuf::from("a.pem"));
    for good in [
        config(),
        brokers("tcp://kafka.example:9092"),
        brokers("tcp://[::1]:9092 tcp://127.0.0.1:9092"),
        KafkaConfig { key: Some("{id}".into()), headers: headers("X-Tenant"), batch: Some(Batch::Array), ..config() },
        KafkaConfig { ca: pem(), client_certificate: pem(), client_key: Some("file:a.key".into()), ..config() },
    ] {
        assert_eq!(good.written_problems(), [], "{good:?}");
    }
    for (field, wrong) in [
        ("brokers", KafkaConfig { brokers: Vec::new(), ..config() }),
        ("brokers", brokers("kafka.example:9092")),
        ("brokers", brokers("tls://kafka.example")),
        ("brokers", brokers("tls://user:pass@kafka.example:9093")),
        ("brokers", brokers("tls://kafka.example:9093/orders")),
        ("brokers", brokers("tls://a.example:9093 tcp://b.example:9092")),
        ("topic", KafkaConfig { topic: "a/b".into(), ..config() }),
        ("topic", KafkaConfig { topic: "..".into(), ..config() }),
        ("key", KafkaConfig { key: Some("{id".into()), ..config() }),
        ("headers", KafkaConfig { headers: headers("latchwork-caller"), ..config() }),
        ("headers", KafkaConfig { headers: headers("a b"), ..config() }),
        ("batch_bytes_max", KafkaConfig { batch_bytes_max: 0, ..config() }),
        ("ca", KafkaConfig { ca: pem(), ..brokers("tcp://kafka.example:9092") }),
        ("connect_timeout", KafkaConfig { connect_timeout: "soon".into(), ..config() }),
    ] {
        let problems = wrong.written_problems();
        assert_eq!(problems.iter().map(|problem| problem.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].message.contains("pass@"), "{problems:?}");
    }
    assert!(brokers("tcp://kafka.example:9092").is_exposed() && !config().is_exposed());
    assert!(!brokers("tcp://127.0.0.1:9092").is_exposed());
    let names = KafkaConfig { key: Some("{id}".into()), headers: headers("x"), ..config() };
    assert_eq!(names.parameters(), ["id", "tenant"]);
}

#[test]
fn a_build_without_kafka_says_so_once() {
    let problems = config().problems();
    match cfg!(feature = "kafka") {
        true => assert_eq!(problems, []),
        false => assert!(matches!(&*problems, [one] if one.message.contains("--features kafka")), "{problems:?}"),
    }
}

#[cfg(feature = "kafka")]
mod sent {
    use super::*;
    use crate::{
        backend::{
            http::{
                connect::Connector,
                trust::{Trust, Written},
            },
            kafka::{
                answer::*,
                cluster::{Cluster, Record},
                link::Links,
            },
        },
        dial::Dial,
        invocation::InvokeError,
        samples::{body, post},
    };
    use rskafka::protocol::{
        error::Error as Code,
        messages::{ProduceRequest, RequestBody, WriteVersionedType},
    };
    use std::time::Duration;
    use tokio::{net::TcpListener, time::Instant};

    fn connector() -> Connector {
        let trust = Trust::read(Written::default(), false, Path::new("")).unwrap();
        Connector::new(trust.client(false).unwrap(), false, Dial::new(None), false, Duration::from_secs(1))
    }

    fn kept(offset: i64) -> Said {
        Ok(Place { partition: 2, offset })
    }

    fn failed(code: Code) -> Said {
        Err(Trouble::of(code))
    }

    #[test]
    fn codes_are_told_apart() {
        let error = |code: Code| of_one(Some(failed(code))).unwrap_err();
        for code in [Code::NotLeaderOrFollower, Code::LeaderNotAvailable, Code::UnknownTopicOrPartition] {
            assert!(matches!(error(code), InvokeError::Unreachable(_)), "{code:?}");
        }
        for code in [Code::NotEnoughReplicas, Code::ThrottlingQuotaExceeded] {
            assert!(matches!(error(code), InvokeError::Throttled { .. }), "{code:?}");
        }
        for code in [Code::TopicAuthorizationFailed, Code::InvalidRecord, Code::PolicyViolation] {
            assert!(matches!(error(code), InvokeError::Refused(_)), "{code:?}");
        }
        assert!(matches!(error(Code::MessageTooLarge), InvokeError::RequestTooLarge { bytes_max: None }));
        // The leader has these, or may have.
        assert!(matches!(error(Code::RequestTimedOut), InvokeError::TimedOut));
        for code in [Code::NotEnoughReplicasAfterAppend, Code::KafkaStorageError, Code::Unknown(999)] {
            assert!(matches!(error(code), InvokeError::FunctionFailed(_)) && !error(code).had_no_effect(), "{code:?}");
        }
    }

    #[tokio::test]
    async fn what_became_of_each_is_said() {
        let all = of_all(&[kept(7), kept(8)]).unwrap();
        assert_eq!(all.status(), 202);
        let expected = r#"{"failed":0,"records":[{"partition":2,"offset":7},{"partition":2,"offset":8}]}"#;
        assert_eq!(body(all).await.unwrap(), expected);
        let some = of_all(&[
            kept(7),
            failed(Code::NotEnoughReplicas),
            failed(Code::RequestTimedOut),
            failed(Code::InvalidRecord),
        ]);
        let some = some.unwrap();
        assert_eq!(some.status(), 207);
        let expected = r#"{"failed":3,"records":[{"partition":2,"offset":7},{"failed":"throttled"},{"failed":"unknown"},{"failed":"failed"}]}"#;
        assert_eq!(body(some).await.unwrap(), expected);
        let none = |codes: [Code; 2]| of_all(&codes.map(failed)).unwrap_err();
        assert!(matches!(none([Code::InvalidRecord, Code::NotEnoughReplicas]), InvokeError::Throttled { .. }));
        assert!(matches!(none([Code::InvalidRecord, Code::RequestTimedOut]), InvokeError::TimedOut));
        assert!(matches!(none([Code::InvalidRecord, Code::InvalidRecord]), InvokeError::Refused(_)));
    }

    /// The body of a request to keep two records, as the version has it that brokers are asked in; of them all differs the
    /// time that is left.
    #[tokio::test]
    async fn what_goes_over_the_wire_is_known_to_the_byte() {
        let links = Links::new(connector(), false, Duration::from_secs(1));
        let cluster = Cluster::new("orders", BATCH_BYTES_MAX, Vec::new(), links);
        let record = |key: Option<&[u8]>, value: &[u8]| Record {
            key: key.map(<[u8]>::to_vec),
            value: value.to_vec(),
            headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        };
        let records = [record(Some(b"7"), br#"{"sku":"tea"}"#), record(None, b"\0\xff")];
        let mut request = cluster.request(&[(2, vec![0, 1])], &records, 1_795_861_230_000, Instant::now());
        request.timeout_ms.0 = 10_000;
        let mut bytes = Vec::new();
        request.write_versioned(&mut bytes, ProduceRequest::API_VERSION_RANGE.max()).unwrap();
        crate::double::golden("kafka/produce.golden", &format!("{}\n", bytes.escape_ascii()));
    }

    #[tokio::test]
    async fn nobody_there_and_somebody_silent_have_seen_nothing() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for address in [closed, silent.local_addr().unwrap()] {
            let config = KafkaConfig { connect_timeout: "100ms".into(), ..brokers(&format!("tcp://{address}")) };
            let backend = Kafka::new(&config, Path::new("")).unwrap();
            for _ in 0..2 {
                let error = backend.invoke(post("x")).await.unwrap_err();
                assert!(matches!(error, InvokeError::Unreachable(_)) && error.had_no_effect(), "{error}");
            }
            assert!(config.made(&Backend::Kafka(backend.clone()), Path::new("")));
            let other = KafkaConfig { topic: "others".into(), ..config };
            assert!(!other.made(&Backend::Kafka(backend), Path::new("")));
        }
    }
}
