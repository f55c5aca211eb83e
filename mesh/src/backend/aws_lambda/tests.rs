//! The Invoke API's behaviours that no local peer has, from a server that answers as told.

use super::*;
use crate::{
    double::Double,
    payload::{Answer, Reply},
    samples::{body, post},
};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, fs, net::SocketAddr, sync::Mutex, time::Duration};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// A request as the server saw it.
type Seen = (String, HeaderMap, Bytes);

/// A server that always answers the same, and remembers what it was asked.
struct Service {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    folder: TempDir,
}

impl Service {
    async fn new(status: u16, headers: &'static [(&str, &str)], answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = log.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let log = log.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        log.lock().unwrap().push((head.uri.to_string(), head.headers, body));
                        let mut response = Response::new(Full::new(Bytes::from_static(answer)));
                        *response.status_mut() = status.try_into().unwrap();
                        for (name, value) in headers {
                            response.headers_mut().insert(*name, HeaderValue::from_static(value));
                        }
                        Ok::<_, Infallible>(response)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("id"), "AKIDEXAMPLE").unwrap();
        fs::write(folder.path().join("secret"), "hidden").unwrap();
        Self { address, seen, folder }
    }

    fn backend(&self, function: &str, event: EventForm) -> AwsLambda {
        let given =
            Given { access_key: Some("file:id".into()), secret_key: Some("file:secret".into()), ..Given::default() };
        let endpoint = Some(format!("http://{}", self.address));
        let credentials = CredentialsConfig::Given(Box::new(given));
        let config = AwsLambdaConfig { endpoint, credentials, event, ..config(function) };
        AwsLambda::new(&config, self.folder.path()).unwrap()
    }
}

fn at(url: &str) -> AwsLambdaConfig {
    AwsLambdaConfig { function: None, url: Some(url.into()), ..config("") }
}

fn config(function: &str) -> AwsLambdaConfig {
    AwsLambdaConfig {
        function: Some(function.into()),
        url: None,
        region: "eu-west-1".into(),
        qualifier: None,
        call: LambdaCall::Sync,
        endpoint: None,
        credentials: CredentialsConfig::default(),
        event: EventForm::default(),
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

async fn failure(status: u16, headers: &'static [(&str, &str)], answer: &'static [u8]) -> InvokeError {
    let service = Service::new(status, headers, answer).await;
    let error = service.backend("f", EventForm::Body).invoke(post("{}")).await.unwrap_err();
    assert_eq!(service.seen.lock().unwrap().len(), 1, "{error}: asked once");
    error
}

#[tokio::test]
async fn an_event_goes_out_signed_and_the_answer_comes_back() {
    let answer = br#"{"statusCode":201,"headers":{"x-a":"1"},"body":"made","cookies":["__Host-s=1; Secure; Path=/"]}"#;
    let service = Service::new(200, &[], answer).await;
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:f";
    let mut outbound = post("{\"a\":1}");
    outbound.head.headers.insert("x-kept", HeaderValue::from_static("yes"));
    let reply = service.backend(arn, EventForm::ApiGatewayV2).invoke(outbound).await.unwrap();
    assert_eq!((reply.status().as_u16(), &reply.headers()["x-a"]), (201, &HeaderValue::from_static("1")));
    assert_eq!(reply.headers()["set-cookie"], "__Host-s=1; Secure; Path=/");
    assert_eq!(body(reply).await.unwrap(), "made");
    let seen = service.seen.lock().unwrap();
    let (uri, headers, event) = &seen[0];
    let encoded = "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af";
    assert_eq!(uri, &format!("/2015-03-31/functions/{encoded}/invocations"));
    let event: serde_json::Value = serde_json::from_slice(event).unwrap();
    assert_eq!((&event["version"], &event["body"]), (&"2.0".into(), &"{\"a\":1}".into()));
    assert_eq!(event["headers"]["x-kept"], "yes");
    assert!(!headers.contains_key("x-kept"), "the caller's headers are in the event only");
    let authorization = headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/lambda/aws4_request"), "{authorization}");
    assert_eq!(headers["x-amz-invocation-type"], "RequestResponse");
    assert!(headers["x-amzn-trace-id"].to_str().unwrap().starts_with("Root=1-0af76519-"));
}

#[tokio::test]
async fn a_body_goes_alone_with_the_caller_beside_it() {
    let service = Service::new(200, &[], b"[1]").await;
    let backend = service.backend("f:live", EventForm::Body);
    let reply = backend.invoke(post("{\"a\":1}")).await.unwrap();
    assert_eq!(body(reply).await.unwrap(), "[1]");
    {
        let seen = service.seen.lock().unwrap();
        assert_eq!(
            (seen[0].0.as_str(), &seen[0].2[..]),
            ("/2015-03-31/functions/f%3Alive/invocations", &b"{\"a\":1}"[..])
        );
        let context = STANDARD.decode(seen[0].1["x-amz-client-context"].as_bytes()).unwrap();
        let context: serde_json::Value = serde_json::from_slice(&context).unwrap();
        assert_eq!(context["custom"]["caller"], "corp/ada");
    }
    let error = backend.invoke(post("not json")).await.unwrap_err();
    assert!(matches!(error, InvokeError::Unsupported(_)) && error.had_no_effect(), "{error}");
    let large = format!("\"{}\"", "x".repeat(REQUEST_BYTES_MAX));
    assert!(matches!(backend.invoke(post(large)).await, Err(InvokeError::RequestTooLarge { .. })));
    assert_eq!(service.seen.lock().unwrap().len(), 1, "what the service would refuse is not sent");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let boom = br#"{"errorType":"ValueError","errorMessage":"secret words","stackTrace":["secret"]}"#;
    for kind in ["Unhandled", "Handled", "something new"] {
        let headers: &'static [(&str, &str)] = Box::leak(Box::new([("x-amz-function-error", kind)]));
        let error = failure(200, headers, boom).await;
        assert!(matches!(&error, InvokeError::FunctionFailed(why) if why == &format!("{kind}: ValueError")), "{error}");
    }
    let throttled =
        |error, expected| matches!(error, InvokeError::Throttled { retry_after } if retry_after == expected);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert!(throttled(failure(429, &[("retry-after", "7")], b"{}").await, seconds(7)));
    assert!(throttled(failure(429, &[("retry-after", "99999999")], b"{}").await, seconds(3600)));
    assert!(throttled(failure(429, &[], b"{}").await, None));
    // Whatever the status: who throttles says so by name, in the header or in the body.
    for (status, headers, body) in [
        (502, &[("x-amzn-errortype", "EC2ThrottledException:http://x/")][..], &b"{}"[..]),
        (400, &[("x-amzn-errortype", "ThrottlingException")], b"{}"),
        (503, &[("x-amzn-errortype", "SlowDown"), ("retry-after", "7")], b"{}"),
        (400, &[], br#"{"__type":"com.amazonaws#RequestLimitExceeded"}"#),
        (429, &[], br#"{"Type":"User","Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}"#),
        (509, &[], b""),
    ] {
        let after = headers.iter().find(|(name, _)| *name == "retry-after").and_then(|_| seconds(7));
        assert!(throttled(failure(status, headers, body).await, after), "{status} {headers:?}");
    }
    assert!(matches!(failure(413, &[], b"").await, InvokeError::RequestTooLarge { bytes_max: Some(6_291_456) }));
    for status in [302, 400, 403, 404, 409, 415, 502] {
        let error = failure(status, &[("x-amzn-errortype", "AnException:http://x/")], b"{}").await;
        assert_eq!(error.to_string(), format!("the backend's service refused the call: {status} AnException"));
    }
    for status in [500, 503, 504] {
        assert!(matches!(failure(status, &[], b"{}").await, InvokeError::FunctionFailed(_)), "{status}");
    }
    let error = Service::new(200, &[], b"no json").await.backend("f", EventForm::ApiGatewayV2).invoke(post("{}")).await;
    assert!(matches!(error, Err(InvokeError::BadAnswer(_))), "{error:?}");
    for form in [EventForm::Body, EventForm::ApiGatewayV2] {
        let mut outbound = post("{}");
        outbound.context.response_bytes_max = 8;
        let error = Service::new(200, &[], br#"{"body":"nine bytes"}"#).await.backend("f", form).invoke(outbound).await;
        assert!(matches!(error, Err(InvokeError::AnswerTooLarge { bytes_max: 8 })), "{error:?}");
    }
}

/// What a call of this kind comes to when the service answers so, and what it was asked.
async fn called(call: LambdaCall, status: u16, answer: &'static [u8]) -> (Result<Reply, InvokeError>, Vec<Seen>) {
    let service = Service::new(status, &[], answer).await;
    let made = service.backend("f", EventForm::Body).0;
    let config = AwsLambdaConfig { call, ..made.config.clone() };
    let reply = AwsLambda::new(&config, service.folder.path()).unwrap().invoke(post("{}")).await;
    let seen = service.seen.lock().unwrap().clone();
    (reply, seen)
}

#[tokio::test]
async fn a_call_that_is_not_waited_for_is_taken_or_refused() {
    for (call, status, kind) in [(LambdaCall::Async, 202, "Event"), (LambdaCall::DryRun, 204, "DryRun")] {
        let (reply, seen) = called(call, status, b"").await;
        let reply = reply.unwrap();
        assert_eq!((reply.status().as_u16(), reply.headers().len()), (status, 0));
        assert!(matches!(reply.into_body(), Answer::Empty));
        assert_eq!(seen[0].0, "/2015-03-31/functions/f/invocations");
        assert_eq!(seen[0].1["x-amz-invocation-type"], kind);
        assert!(!seen[0].1.contains_key("x-amz-log-type"), "nothing is logged yet");
        for other in [200, 204, 202].into_iter().filter(|other| *other != status) {
            let (reply, _) = called(call, other, b"{}").await;
            assert!(matches!(reply, Err(InvokeError::BadAnswer(_))), "{call:?} {other}: {reply:?}");
        }
        assert!(matches!(called(call, 403, b"{}").await.0, Err(InvokeError::Refused(_))));
        assert!(matches!(called(call, 429, b"{}").await.0, Err(InvokeError::Throttled { .. })));
    }
    let large = format!("\"{}\"", "x".repeat(ASYNC_BYTES_MAX));
    let service = Service::new(202, &[], b"").await;
    let config = AwsLambdaConfig { call: LambdaCall::Async, ..service.backend("f", EventForm::Body).0.config.clone() };
    let error = AwsLambda::new(&config, service.folder.path()).unwrap().invoke(post(large)).await.unwrap_err();
    assert!(matches!(error, InvokeError::RequestTooLarge { bytes_max: Some(1_048_576) }), "{error}");
}

#[tokio::test]
async fn an_answer_in_frames_is_asked_for_at_its_own_address() {
    let (reply, seen) = called(LambdaCall::Stream, 200, b"not in frames").await;
    assert!(matches!(reply, Err(InvokeError::BadAnswer(_))), "{reply:?}");
    assert_eq!(seen[0].0, "/2021-11-15/functions/f/response-streaming-invocations");
    assert_eq!([&seen[0].1["x-amz-invocation-type"], &seen[0].1["x-amz-log-type"]], ["RequestResponse", "Tail"]);
    let (reply, _) = called(LambdaCall::Stream, 429, b"{}").await;
    assert!(matches!(reply, Err(InvokeError::Throttled { .. })), "{reply:?}");
}

/// What differs by run.
const DIFFERS: [(&str, &str); 3] =
    [("authorization", "SIGNATURE"), ("x-amz-date", "DATE"), ("x-amz-client-context", "CONTEXT")];

#[tokio::test]
async fn what_goes_over_the_wire_is_known_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("id"), "AKIDEXAMPLE").and_then(|()| fs::write(folder.path().join("s"), "s")).unwrap();
    let keys = Given { access_key: Some("file:id".into()), secret_key: Some("file:s".into()), ..Given::default() };
    let keys = CredentialsConfig::Given(Box::new(keys));
    for (call, file) in [
        (LambdaCall::Sync, "aws_lambda/sync.golden"),
        (LambdaCall::Async, "aws_lambda/async.golden"),
        (LambdaCall::DryRun, "aws_lambda/dry_run.golden"),
        (LambdaCall::Stream, "aws_lambda/stream.golden"),
    ] {
        let double = Double::same(500, &[], "").await;
        let config = AwsLambdaConfig {
            endpoint: Some(double.url()),
            credentials: keys.clone(),
            qualifier: Some("live".into()),
            event: EventForm::Body,
            call,
            ..config("arn:aws:lambda:eu-west-1:123456789012:function:f")
        };
        AwsLambda::new(&config, folder.path()).unwrap().invoke(post("{\"a\":1}")).await.unwrap_err();
        double.golden(file, &DIFFERS);
    }
    let double = Double::same(200, &[], "").await;
    let config = AwsLambdaConfig { credentials: keys, ..at(&format!("{}/{{id}}", double.url())) };
    AwsLambda::new(&config, folder.path()).unwrap().invoke(post("{\"a\":1}")).await.unwrap();
    double.golden("aws_lambda/url.golden", &DIFFERS);
}

#[tokio::test]
async fn nobody_there_is_told_apart_from_somebody_who_is_silent() {
    let mut service = Service::new(200, &[], b"{}").await;
    service.address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = service.backend("f", EventForm::Body).invoke(post("{}")).await.unwrap_err();
    assert!(matches!(error, InvokeError::Unreachable(_)) && error.had_no_effect(), "{error}");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    service.address = silent.local_addr().unwrap();
    let mut outbound = post("{}");
    outbound.context = crate::samples::context(Duration::from_millis(50));
    let error = service.backend("f", EventForm::Body).invoke(outbound).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut) && !error.had_no_effect(), "{error}");
}

#[test]
fn places_are_checked() {
    for good in [
        config("create-order"),
        config("create-order:live"),
        config("123456789012:function:f"),
        config("arn:aws:lambda:eu-west-1:123456789012:function:f:3"),
        AwsLambdaConfig { qualifier: Some("$LATEST".into()), ..config("f") },
        AwsLambdaConfig { endpoint: Some("https://vpce-1.example:8443/".into()), ..config("f") },
        AwsLambdaConfig { endpoint: Some("http://[::1]:3002".into()), ..config("f") },
        AwsLambdaConfig { call: LambdaCall::Stream, ..config("f") },
        at("https://abc.lambda-url.eu-west-1.on.aws/orders/{id}"),
        at("https://orders.example/"),
        AwsLambdaConfig { credentials: CredentialsConfig::None, ..at("http://orders.example/") },
    ] {
        assert_eq!(good.problems(), [], "{good:?}");
    }
    for (field, wrong) in [
        ("function", config("")),
        ("function", config("a/b")),
        ("function", config("a:b:c:d:e")),
        ("function", config("arn:aws:lambda:us-east-1:1:function:f")),
        ("function", config("arn:aws:s3:::bucket")),
        ("function", AwsLambdaConfig { function: None, ..config("f") }),
        ("url", AwsLambdaConfig { url: Some("https://x.example".into()), ..config("f") }),
        ("url", at("https://abc.lambda-url.us-east-1.on.aws/")),
        ("url", at("http://orders.example/")),
        ("url", at("https://orders.example/{id")),
        ("qualifier", AwsLambdaConfig { qualifier: Some("live".into()), ..at("https://x.example") }),
        ("endpoint", AwsLambdaConfig { endpoint: Some("https://x.example".into()), ..at("https://x.example") }),
        ("call", AwsLambdaConfig { call: LambdaCall::Async, ..at("https://x.example") }),
        ("event", AwsLambdaConfig { event: EventForm::Body, ..at("https://x.example") }),
        ("credentials", AwsLambdaConfig { credentials: CredentialsConfig::None, ..config("f") }),
        ("region", AwsLambdaConfig { region: "Europe".into(), ..config("f") }),
        ("region", AwsLambdaConfig { region: "eu-west-1.evil.example/".into(), ..config("f") }),
        ("qualifier", AwsLambdaConfig { qualifier: Some("live".into()), ..config("f:live") }),
        ("qualifier", AwsLambdaConfig { qualifier: Some("a b".into()), ..config("f") }),
        ("endpoint", AwsLambdaConfig { endpoint: Some("http://lambda.example".into()), ..config("f") }),
        ("endpoint", AwsLambdaConfig { endpoint: Some("https://u:p@x.example".into()), ..config("f") }),
        ("endpoint", AwsLambdaConfig { endpoint: Some("https://x.example/path".into()), ..config("f") }),
        ("endpoint", AwsLambdaConfig { endpoint: Some("ftp://x.example".into()), ..config("f") }),
        ("connect_timeout", AwsLambdaConfig { connect_timeout: "soon".into(), ..config("f") }),
    ] {
        let fields: Vec<_> = wrong.problems().iter().map(|problem| problem.field).collect();
        assert_eq!(fields, [field], "{wrong:?}");
    }
}
