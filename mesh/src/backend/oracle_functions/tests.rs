//! Calls that a double verifies by the key's public half, and refusals as the provider words them.

use super::*;
use crate::{
    double::{Double, answer},
    payload::Reply,
    samples::{body, post},
};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use std::{fs, sync::LazyLock, time::Duration};

/// The user's keys: making one takes a while.
static KEYS: LazyLock<[String; 2]> = LazyLock::new(|| {
    [0, 1].map(|_| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap().serialize_pem())
});

fn config(endpoint: &str) -> OracleFunctionsConfig {
    OracleFunctionsConfig {
        endpoint: endpoint.to_owned(),
        function: "ocid1.fnfunc.oc1.iad.xyz".to_owned(),
        base_path: base_path(),
        call: FnCall::Sync,
        intent: None,
        event: None,
        credentials: OracleCredentials {
            tenancy: "ocid1.tenancy.oc1..bbb".to_owned(),
            user: "ocid1.user.oc1..aaa".to_owned(),
            fingerprint: "20:3b:97".to_owned(),
            key: "file:key.pem".to_owned(),
        },
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key.pem"), &KEYS[0]).unwrap();
    folder
}

async fn call(config: &OracleFunctionsConfig, outbound: Outbound) -> Result<Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    OracleFunctions::new(config, folder().path()).unwrap().invoke(outbound).await
}

/// What is in the signature's header under a name.
fn part<'a>(authorization: &'a str, name: &str) -> &'a str {
    let (_, rest) = authorization.split_once(&format!("{name}=\"")).unwrap();
    rest.split('"').next().unwrap()
}

/// Refuses whom the provider would refuse.
async fn service(key: usize) -> Double {
    Double::new(move |request: Request<Bytes>| async move {
        let headers = request.headers();
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let authorization = text("authorization");
        assert_eq!(part(&authorization, "keyId"), "ocid1.tenancy.oc1..bbb/ocid1.user.oc1..aaa/20:3b:97");
        assert_eq!((part(&authorization, "algorithm"), part(&authorization, "version")), ("rsa-sha256", "1"));
        let names = part(&authorization, "headers");
        assert_eq!(names, "date (request-target) host content-length content-type x-content-sha256");
        assert_eq!(STANDARD.encode(digest(&SHA256, request.body())), text("x-content-sha256"));
        let date = jiff::fmt::rfc2822::parse(&text("date")).unwrap().timestamp();
        assert!(date.duration_until(Timestamp::now()).abs() < jiff::SignedDuration::from_mins(5));
        let line = |name: &str| match name {
            "(request-target)" => format!("(request-target): post {}", request.uri()),
            name => format!("{name}: {}", text(name)),
        };
        let lines = names.split(' ').map(line).collect::<Vec<_>>().join("\n");
        let public = private_key(&KEYS[key].clone().into()).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.public_key().as_ref().to_vec());
        let signature = STANDARD.decode(part(&authorization, "signature")).unwrap();
        if public.verify(lines.as_bytes(), &signature).is_err() {
            return answer(
                401,
                &[("opc-request-id", "REQ/1")],
                "{\"code\":\"NotAuthenticated\",\"message\":\"secret\"}",
            );
        }
        let detached = text("fn-invoke-type") == "detached";
        let said: &[(&str, &str)] = &[
            ("content-type", "text/plain"),
            ("fn-call-id", "01"),
            ("opc-request-id", "REQ/1"),
            ("fn-http-status", "418"),
            ("fn-http-h-x-own", "1"),
        ];
        answer(if detached { 202 } else { 200 }, said, if detached { "" } else { "made" })
    })
    .await
}

const DIFFERS: [(&str, &str); 4] =
    [("authorization", "SIGNATURE"), ("date", "DATE"), ("opc-request-id", "ID"), ("fn-http-h-latchwork-call-id", "ID")];

#[tokio::test]
async fn a_signed_call_is_taken_and_its_answer_is_the_functions() {
    let double = service(0).await;
    let reply = call(&config(&double.url()), post("{\"sku\":\"tea\"}")).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers().len()), (200, 1), "{:?}", reply.headers());
    assert_eq!(body(reply).await.unwrap(), "made");
    double.golden("oracle_functions/body.golden", &DIFFERS);

    let double = service(0).await;
    let wrapped = OracleFunctionsConfig { intent: Some(FnIntent::HttpRequest), ..config(&double.url()) };
    let mut outbound = post("é");
    for name in ["opc-request-id", "fn-invoke-type", "oci-subject-id"] {
        outbound.head.headers.insert(name, HeaderValue::from_static("a-callers-own"));
    }
    let reply = call(&wrapped, outbound).await.unwrap();
    assert_eq!((reply.status().as_u16(), &reply.headers()["x-own"]), (418, &HeaderValue::from_static("1")));
    double.golden("oracle_functions/wrapped.golden", &DIFFERS);
}

#[tokio::test]
async fn a_function_is_only_started_under_another_version_of_the_interface() {
    let double = service(0).await;
    let detached =
        OracleFunctionsConfig { call: FnCall::Detached, base_path: "/20181201".to_owned(), ..config(&double.url()) };
    assert_eq!(call(&detached, post("")).await.unwrap().status(), 202);
    let asked = double.asked().pop().unwrap();
    assert_eq!(asked.uri(), "/20181201/functions/ocid1.fnfunc.oc1.iad.xyz/actions/invoke");
    let id = asked.headers()["opc-request-id"].to_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()), "{id}");
    double.golden("oracle_functions/detached.golden", &DIFFERS);
}

#[tokio::test]
async fn a_key_that_is_not_the_users_is_refused_and_a_renewed_one_is_read() {
    let double = service(1).await;
    let folder = folder();
    let function = OracleFunctions::new(&config(&double.url()), folder.path()).unwrap();
    let error = function.invoke(post("{}")).await.unwrap_err().to_string();
    assert!(error.contains("401 NotAuthenticated REQ1") && !error.contains("secret"), "{error}");
    fs::write(folder.path().join("key.new"), &KEYS[1]).unwrap();
    fs::rename(folder.path().join("key.new"), folder.path().join("key.pem")).unwrap();
    assert_eq!(function.invoke(post("{}")).await.unwrap().status(), 200);
    fs::write(folder.path().join("key.pem"), "no key").unwrap();
    assert_eq!(function.invoke(post("{}")).await.unwrap().status(), 200, "the last good one serves");
    assert!(!format!("{function:?}").contains("PRIVATE"), "no key is shown");
}

#[tokio::test]
async fn failures_are_told_apart() {
    for (status, code, expected) in [
        (429, "TooManyRequests", "no more calls for now"),
        (502, "FunctionInvokeExecutionFailed", "the function failed: 502 FunctionInvokeExecutionFailed"),
        (504, "FunctionInvokeExecutionTimeout", "did not answer in time"),
        (413, "RequestEntityTooLarge", "the request is larger than"),
        (404, "NotAuthorizedOrNotFound", "refused the call: 404 NotAuthorizedOrNotFound"),
        (500, "InternalServerError", "the function failed: 500 InternalServerError"),
        (503, "ServiceUnavailable", "no more calls for now"),
    ] {
        let said = format!("{{\"code\":\"{code}\",\"message\":\"secret words\"}}");
        let double = Double::same(status, &[("retry-after", "7")], said).await;
        let error = call(&config(&double.url()), post("{}")).await.unwrap_err();
        assert!(error.to_string().contains(expected) && !error.to_string().contains("secret"), "{status}: {error}");
        assert_eq!(double.asked().len(), 1, "{error}: asked once");
        if let InvokeError::Throttled { retry_after } = error {
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
    }
}

#[test]
fn slips_are_found() {
    let sound = config("https://abcd.eu-frankfurt-1.functions.oci.oraclecloud.com");
    let with = |change: fn(&mut OracleCredentials)| {
        let mut wrong = sound.clone();
        change(&mut wrong.credentials);
        wrong
    };
    for (field, wrong) in [
        ("endpoint", config("http://functions.example")),
        ("function", OracleFunctionsConfig { function: "a/b".into(), ..sound.clone() }),
        ("base_path", OracleFunctionsConfig { base_path: "/a/../b".into(), ..sound.clone() }),
        ("base_path", OracleFunctionsConfig { base_path: "20181201".into(), ..sound.clone() }),
        ("tenancy", with(|c| c.tenancy = "a\"b".to_owned())),
        ("user", with(|c| c.user = String::new())),
        ("fingerprint", with(|c| c.fingerprint = "20 3b".to_owned())),
        ("key", with(|c| c.key = "hunter2".to_owned())),
    ] {
        let problems = wrong.problems();
        assert_eq!(problems.iter().map(|p| p.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].message.contains("hunter2"), "{problems:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key.pem"), "no key").unwrap();
    let problem = OracleFunctions::new(&sound, folder.path()).unwrap_err();
    assert!(problem.field == "key" && problem.message.contains("no RSA key"), "{problem}");
}
