//! What no local peer has of AWS Lambda, from a double that computes every signature anew with the provider's own library.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::{fs, process::Command};
use tests::{
    aws,
    aws::Api,
    client::{Client, Request},
    fetch, latchwork,
    project::Project,
    raw::Raw,
    records, root, scripts,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/shop-gateway";

/// A project with the gateway's access key, another one, and the token of a web identity.
fn project() -> Project {
    let project = Project::new().anonymous();
    project.write("id", "AKIDOFTHEGATEWAY");
    project.write("secret", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    project.write("wrong", "another+secret");
    project.write("web", "header.web-identity.signature\n");
    project
}

/// The inside of a target; `more` may bring other credentials than the access key.
fn target(api: &Api, function: &str, more: &str) -> String {
    let keys = match more.contains("credentials") {
        true => "",
        false => ", credentials = { access_key = \"file:id\", secret_key = \"file:secret\" }",
    };
    let endpoint = format!("endpoint = \"{}\", function = \"{function}\"", api.url);
    format!("aws_lambda = {{ region = \"eu-central-1\", {endpoint}{keys}{more} }}")
}

#[tokio::test]
async fn calls_are_waited_for_queued_or_tried_and_refused() {
    let Some(api) = aws::service().await else { return };
    let wrong = ", credentials = { access_key = \"file:id\", secret_key = \"file:wrong\" }";
    let mut project = project()
        .function("shop.order", "POST /order", &target(&api, "order:live", ""), "")
        .function(
            "shop.queue",
            "POST /queue",
            &target(&api, "order", ", call = \"async\""),
            "request_bytes_max = 2000000",
        )
        .function("shop.dry", "POST /dry", &target(&api, "order", ", call = \"dry_run\""), "")
        .function("shop.wrong", "POST /wrong", &target(&api, "order", wrong), "");
    for name in ["fail", "binary", "throttled", "cold", "absent"] {
        project = project.function(&format!("shop.{name}"), &format!("POST /{name}"), &target(&api, name, ""), "");
    }
    let absent = target(&api, "absent", ", call = \"async\"");
    let project = project.function("shop.nowhere", "POST /nowhere", &absent, "").permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let send = async |path: &str| gateway.client().send(Request::json(path, &json!({ "count": 1 }))).await;
    let said = send("/order").await;
    assert_eq!((said.status, said.json()), (201, json!({ "ran": "order" })), "{}\n{}", said.text(), api.lies());
    for (path, status, kind) in [("/queue", 202, "Event"), ("/dry", 204, "DryRun")] {
        let taken = send(path).await;
        assert_eq!((taken.status, taken.body.len()), (status, 0), "{}", taken.text());
        assert_eq!(api.ran().pop().expect("it was asked")["kind"], kind);
    }
    let event = &api.ran()[1]["event"];
    assert_eq!((&event["version"], &event["body"]), (&json!("2.0"), &json!("{\"count\":1}")), "{event}");
    assert_eq!(send("/binary").await.body, (0..=255).collect::<Vec<u8>>());
    let asked = api.ran().len();
    let not_run = [
        ("/throttled", 503, "7"),
        ("/cold", 503, "1"),
        ("/absent", 502, ""),
        ("/nowhere", 502, ""),
        ("/wrong", 502, ""),
    ];
    for (path, status, retry_after) in not_run {
        let refused = send(path).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
        assert!(retry_after.is_empty() || refused.header("retry-after") == retry_after, "{:?}", refused.headers);
        assert!(
            !refused.text().contains("secret words") && !refused.text().contains("Exception"),
            "{}",
            refused.text()
        );
    }
    assert_eq!(api.ran().len(), asked, "nothing was run");
    let failed = send("/fail").await;
    assert_eq!(failed.status, 502, "{}", failed.text());
    assert!(!failed.text().contains("secret words") && !failed.text().contains("ValueError"), "{}", failed.text());
    let large = gateway.client().send(Request::post("/queue", vec![b'x'; 1_500_000])).await;
    assert_eq!(large.status, 413, "{}", large.text());
    let log = gateway.stop().await;
    for words in ["Unhandled: ValueError", "404 ResourceNotFoundException", "403 InvalidSignatureException"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(log.contains("ReservedFunctionConcurrentInvocationLimitExceeded"), "which limit it was is logged: {log}");
    assert!(!log.contains("secret words") && !log.contains("another+secret"), "{log}");
    assert_eq!(api.lies(), "", "it was told nothing that is not so");
    let closed = records::of_call(&project.audit(), &said.call_id()).pop().expect("a record");
    let run = json!({ "target": 0, "provider": "aws_lambda", "start": "cold", "init_us": 176_430, "ran_us": 2_950,
        "billed_us": 180_000, "memory_mib": 128 });
    assert_eq!(closed["run"], run, "what the end of the function's log reports");
}

#[tokio::test]
async fn an_answer_in_frames_goes_on_as_it_comes() {
    let Some(api) = aws::service().await else { return };
    let mut project = project();
    for name in ["stream", "early", "broken", "cut", "whole", "throttled"] {
        let target = target(&api, name, ", call = \"stream\"");
        project = project.function(&format!("shop.{name}"), &format!("GET /{name}"), &target, "");
    }
    let project = project.permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let client = gateway.client();
    let ask = async |path: &str| {
        let mut raw = Raw::connect(&client).await.expect("a connection");
        raw.send(format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await;
        raw
    };
    let contains = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let mut raw = ask("stream").await;
    let heard = raw.hear(|bytes| contains(bytes, "first half, ")).await;
    let text = heard.text();
    assert_eq!(heard.status(), Some(202), "{text}\n{}", gateway.stderr());
    assert!(text.contains("x-function: stream\r\n") && text.contains("set-cookie: a=b; Path=/\r\n"), "{text}");
    assert!(!text.contains("second half"), "the function has not written it yet: {text}");
    let seen = Client::new(&api.url, None).send(Request::get("/seen")).await;
    assert_eq!(seen.status, 204);
    let rest = raw.hear(|bytes| bytes.ends_with(b"\r\n0\r\n\r\n")).await;
    assert!(contains(&rest.bytes, "second half \0") && rest.bytes.ends_with(b"\r\n0\r\n\r\n"), "{}", rest.text());
    for path in ["broken", "cut"] {
        let heard = ask(path).await.hear(|_| false).await;
        assert_eq!(heard.status(), Some(200), "{path}");
        assert!(contains(&heard.bytes, "first half") && heard.closed, "{path}: {}", heard.text());
        assert!(!heard.bytes.ends_with(b"0\r\n\r\n"), "{path}: nobody may take it for whole: {}", heard.text());
        assert!(!heard.text().contains("secret words"), "{}", heard.text());
    }
    let send = async |path: &str| client.send(Request::get(path)).await;
    let early = send("/early").await;
    assert_eq!(early.status, 502, "{}", early.text());
    assert!(!early.text().contains("secret words") && !early.text().contains("Unhandled"), "{}", early.text());
    let whole = send("/whole").await;
    assert_eq!((whole.status, whole.text().as_str()), (418, "whole"), "a function that answers at once is understood");
    let throttled = send("/throttled").await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (503, "7"), "{}", throttled.text());
    gateway.stop().await;
    assert_eq!(api.lies(), "");
    let outcomes: Vec<_> = records::read(&project.audit()).into_iter().filter(|r| r["kind"] == "closed").collect();
    let failed = outcomes.iter().filter(|record| record["outcome"] == "failed").count();
    assert!(failed >= 3, "what broke off is recorded so: {outcomes:#?}");
}

#[tokio::test]
async fn what_takes_too_long_or_says_too_much_is_no_answer() {
    let Some(api) = aws::service().await else { return };
    let keys = "credentials = { access_key = \"file:id\", secret_key = \"file:secret\" }";
    let url = format!("aws_lambda = {{ region = \"eu-central-1\", url = \"{}/url/silent\", {keys} }}", api.url);
    let (short, small) = ("timeout = \"2s\"", "response_bytes_max = 100000");
    let project = project()
        .function("shop.silent", "POST /silent", &target(&api, "silent", ""), short)
        .function("shop.queued", "POST /queued", &target(&api, "silent", ", call = \"async\""), short)
        .function("shop.framed", "POST /framed", &target(&api, "silent", ", call = \"stream\""), short)
        .function("shop.url", "POST /url", &url, short)
        .function("shop.large", "POST /large", &target(&api, "large", ""), small)
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for (path, status) in [("/silent", 504), ("/queued", 504), ("/framed", 504), ("/url", 504), ("/large", 502)] {
        let said = gateway.client().send(Request::json(path, &json!({}))).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
    }
    gateway.stop().await;
    assert_eq!(api.lies(), "");
}

#[tokio::test]
async fn the_double_is_understood_by_the_providers_own_client() {
    let (Some(python), Some(api)) = (fetch::aws("boto3"), aws::service().await) else { return };
    let seen = Client::new(&api.url, None).send(Request::get("/seen")).await;
    assert_eq!(seen.status, 204);
    let project = project();
    let calls = json!([["order", {}], ["stream", {}, "stream"], ["broken", {}, "stream"], ["throttled", {}]]);
    let plan = json!({
        "url": api.url, "ca": project.ca(), "certificate": null, "key": null, "region": "eu-central-1", "calls": calls
    });
    project.write("plan.json", &plan.to_string());
    let mut command = Command::new(python);
    command.arg(scripts().join("boto3_invoke.py")).arg(project.folder().join("plan.json"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", project.folder());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("Python starts");
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), api.lies());
    let lines = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let said: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&said[0]["status"], &said[0]["payload"]["statusCode"]), (&json!(200), &json!(201)), "{said:#?}");
    assert_eq!(said[1]["chunks"].as_array().expect("pieces").len(), 3, "{said:#?}");
    assert_eq!(said[2]["end"]["ErrorCode"], "Unhandled", "{said:#?}");
    assert_eq!((&said[3]["status"], &said[3]["headers"]["retry-after"]), (&json!(429), &json!("7")), "{said:#?}");
    assert_eq!(api.lies(), "");
}

#[tokio::test]
async fn a_function_is_called_at_its_own_url() {
    let Some(api) = aws::service().await else { return };
    let at = |path: &str, more: &str| {
        let keys = "credentials = { access_key = \"file:id\", secret_key = \"file:secret\" }";
        let keys = if more.is_empty() { keys } else { more };
        format!("aws_lambda = {{ region = \"eu-central-1\", url = \"{}{path}\", {keys} }}", api.url)
    };
    let project = project()
        .function("shop.order", "POST /orders/{id}", &at("/url/order/{id}?tag={id}", ""), "")
        .function("shop.absent", "GET /absent", &at("/url/absent", ""), "")
        .function("shop.fail", "GET /fail", &at("/url/fail", ""), "")
        .function("shop.throttled", "GET /throttled", &at("/url/throttled", ""), "")
        .function("shop.pieces", "GET /pieces", &at("/url/pieces", ""), "")
        .function("shop.open", "GET /open", &at("/url/order", "credentials = \"none\""), "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let bytes = Request::post("/orders/a%20b", b"\0\xff".to_vec())
        .header("content-type", "image/png")
        .header("x-amz-security-token", "mine")
        .header("x-trace", "of the caller");
    let said = gateway.client().send(bytes).await;
    assert_eq!((said.status, said.header("x-function")), (200, "url"), "{}\n{}", said.text(), api.lies());
    assert!(said.headers.get("x-amzn-requestid").is_none(), "{:?}", said.headers);
    let seen = said.json();
    assert_eq!((&seen["path"], &seen["body"]), (&json!("/url/order/a%20b?tag=a%20b"), &json!("\0\u{ff}")), "{seen}");
    assert_eq!(seen["key"], "AKIDOFTHEGATEWAY", "{seen}");
    assert_eq!(seen["headers"]["x-trace"], "of the caller");
    assert_eq!(seen["headers"]["x-amz-security-token"], Value::Null, "a caller can't sign: {seen}");
    let get = async |path: &str| gateway.client().send(Request::get(path)).await;
    let absent = get("/absent").await;
    assert_eq!(absent.status, 404, "the function's own answer, whatever its status: {}", absent.text());
    assert_eq!(get("/fail").await.status, 502);
    let throttled = get("/throttled").await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (503, "7"), "{}", throttled.text());
    let mut raw = Raw::connect(&gateway.client()).await.expect("a connection");
    raw.send(b"GET /pieces HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let first = raw.hear(|bytes| bytes.ends_with(b"first, \r\n")).await;
    assert!(first.bytes.ends_with(b"first, \r\n"), "{}\n{}", first.text(), gateway.stderr());
    assert_eq!(Client::new(&api.url, None).send(Request::get("/seen")).await.status, 204);
    let rest = raw.hear(|bytes| bytes.ends_with(b"0\r\n\r\n")).await;
    assert!(rest.bytes.ends_with(b"last\0\xff\r\n0\r\n\r\n"), "{}", rest.text());
    let open = get("/open").await;
    assert_eq!(open.status, 502, "this one asks for a signature, and none was made: {}", open.text());
    let log = gateway.stop().await;
    assert!(log.contains("403 MissingAuthenticationTokenException"), "{log}");
    assert_eq!(api.lies(), "");
}

#[tokio::test]
async fn every_source_of_keys_is_used_and_none_stands_in_for_another() {
    let Some(api) = aws::service().await else { return };
    let sts = format!("sts_endpoint = \"{}\"", api.url);
    let keys = "access_key = \"file:id\", secret_key = \"file:secret\"";
    let role = |external: &str| format!("assume = [{{ role = \"{ROLE}\", external_id = \"{external}\" }}]");
    let web = |token: &str| format!("web_identity = {{ role = \"{ROLE}\", token = \"file:{token}\" }}");
    let with = |inside: String| target(&api, "order", &format!(", credentials = {{ {inside} }}"));
    let project = project()
        .function("shop.role", "POST /role", &with(format!("{keys}, {}, {sts}", role("shop-7"))), "")
        .function("shop.denied", "POST /denied", &with(format!("{keys}, {}, {sts}", role("another"))), "")
        .function("shop.web", "POST /web", &with(format!("{}, {sts}", web("web"))), "")
        .function("shop.expired", "POST /expired", &with(format!("{}, {sts}", web("wrong"))), "")
        .function("shop.profile", "POST /profile", &with(format!("profile = \"shop\", {sts}")), "")
        .function("shop.task", "POST /task", &target(&api, "order", ", credentials = \"container\""), "")
        .permit_all();
    project.write("container-token", "container-token\n");
    let base = "[base]\naws_access_key_id = AKIDOFTHEGATEWAY\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n";
    project.write("aws-credentials", base);
    let profile = format!("[profile shop]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = shop-7\n");
    project.write("aws-config", &profile);
    let at = |file: &str| project.folder().join(file).display().to_string();
    let environment = [
        format!("AWS_SHARED_CREDENTIALS_FILE={}", at("aws-credentials")),
        format!("AWS_CONFIG_FILE={}", at("aws-config")),
        format!("AWS_CONTAINER_CREDENTIALS_FULL_URI={}/keys", api.url),
        format!("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={}", at("container-token")),
    ];
    let words: Vec<&str> = std::iter::once("env").chain(environment.iter().map(String::as_str)).collect();
    let gateway = latchwork::run_under(&words, &project.config(), &project.ca()).await;
    let send = async |path: &str| gateway.client().send(Request::json(path, &json!({}))).await;
    for (path, key) in [
        ("/role", "ASIAOFTHEROLE"),
        ("/web", "ASIAOFTHEWEB"),
        ("/profile", "ASIAOFTHEROLE"),
        ("/task", "ASIAOFTHEROLE"),
        ("/role", "ASIAOFTHEROLE"),
    ] {
        let said = send(path).await;
        assert_eq!(said.status, 201, "{path}: {}\n{}\n{}", said.text(), api.lies(), gateway.stderr());
        assert_eq!(api.ran().pop().expect("it ran")["key"], key, "{path}");
    }
    let ran = api.ran().len();
    for path in ["/denied", "/expired"] {
        let refused = send(path).await;
        assert_eq!(refused.status, 502, "{path}: {}", refused.text());
        assert!(!refused.text().contains("AccessDenied"), "{}", refused.text());
    }
    assert_eq!(api.ran().len(), ran, "the keys below a role are not used instead of it");
    let log = gateway.stop().await;
    assert!(log.contains(&format!("role `{ROLE}`: 403 AccessDenied")), "{log}");
    assert!(log.contains(&format!("role `{ROLE}` by web identity: 403 AccessDenied")), "{log}");
    for secret in ["wJalrXUtnFEMI", "role+secret/", "role-token==", "web-identity.signature", "secret words"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    assert_eq!(api.lies(), "");
}

/// `deploy/examples/aws_lambda`, with only addresses and keys made for the test.
#[tokio::test]
async fn the_example() {
    let Some(api) = aws::service().await else { return };
    let seen = Client::new(&api.url, None).send(Request::get("/seen")).await;
    assert_eq!(seen.status, 204);
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("aws_lambda");
    copy(&root().join("deploy/examples/aws_lambda"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    for (file, text) in [("access-key", "AKIDOFTHEGATEWAY"), ("secret-key", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")]
    {
        fs::write(folder.join("secrets").join(file), text).expect("the folder is ours");
    }
    let endpoint = format!("aws_lambda.endpoint = \"{}\"\naws_lambda.function", api.url);
    let sts = format!("sts_endpoint = \"{}\"\naccess_key", api.url);
    let url = format!("{}/url/quote/", api.url);
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("aws_lambda.function", &*endpoint),
            ("access_key", &*sts),
            ("https://abcd.lambda-url.eu-central-1.on.aws/", &*url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let send = async |path: &str| gateway.client().send(Request::json(path, &json!({ "sku": "tea" }))).await;
    let said = send("/orders/7").await;
    assert_eq!((said.status, said.json()), (201, json!({ "ran": "orders" })), "{}\n{}", said.text(), api.lies());
    assert_eq!(api.ran()[0]["key"], "ASIAOFTHEROLE", "with the role's keys");
    assert_eq!(send("/restock").await.status, 202);
    assert_eq!(send("/quotes/tea").await.json()["path"], "/url/quote/quotes/tea");
    let export = gateway.client().send(Request::get("/export")).await;
    assert_eq!((export.status, export.body.len()), (202, 26), "{}", export.text());
    gateway.stop().await;
    assert_eq!(api.lies(), "", "it was told nothing that is not so");
}
