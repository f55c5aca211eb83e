//! Functions behind `aws_lambda`: AWS's own runtime emulator, serverless-offline, and moto, which verifies signatures.

use serde_json::{Value, json};
use tests::{
    aws,
    client::{Answer, Client, Request},
    latchwork::{self, Running},
    project::Project,
};

#[tokio::test]
async fn a_function_under_the_runtime_emulator_is_called() {
    let project = signed(Project::new(), "AKIDEXAMPLE", "any");
    let Some(api) = aws::emulator().await else { return };
    // The emulator breaks when it is called twice at once.
    let one = "concurrency_max = 1";
    let project = project
        .anonymous()
        .function("shop.body", "POST /body", &target(&api.url, "function", "event = \"body\""), one)
        .function("shop.event", "POST /event/{id}", &target(&api.url, "function", ""), one)
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let said = call(&gateway, "/body", &json!({ "count": 1 })).await;
    assert_eq!((said.status, &said.json()["event"]), (200, &json!({ "count": 1 })), "{}", said.text());
    assert!(said.json()["remaining_ms"].as_i64().is_some_and(|ms| ms > 0), "{}", said.text());
    let said = call(&gateway, "/event/7?tag=a&tag=b", &json!({ "count": 2 })).await;
    assert_eq!(said.status, 200, "{}", said.text());
    let event = &said.json()["event"];
    assert_eq!((&event["version"], &event["routeKey"]), (&json!("2.0"), &json!("POST /event/{id}")), "{event}");
    assert_eq!(event["pathParameters"], json!({ "id": "7" }), "{event}");
    assert_eq!(event["queryStringParameters"], json!({ "tag": "a,b" }), "{event}");
    gateway.stop().await;
}

#[tokio::test]
async fn functions_of_serverless_offline_answer_and_fail() {
    let project = signed(Project::new(), "AKIDEXAMPLE", "any");
    let Some(api) = aws::serverless().await else { return };
    let at = |function: &str| target(&api.url, &format!("shop-dev-{function}"), "");
    let project = project
        .anonymous()
        .function("shop.echo", "POST /echo", &at("echo"), "")
        .function("shop.cookies", "POST /cookies", &at("echo"), "forward_headers = [\"cookie\"]")
        .function("shop.fail", "POST /fail", &at("fail"), "")
        .function("shop.slow", "POST /slow", &at("slow"), "")
        .function("shop.absent", "POST /absent", &at("absent"), "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let request = |path| Request::json(path, &json!({ "count": 1 })).header("cookie", "__Host-session=1; theme=dark");
    let said = gateway.client().send(request("/echo")).await;
    assert_eq!((said.status, said.header("x-function")), (201, "shop-dev-echo"), "{}", said.text());
    let cookies: Vec<_> = said.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["__Host-session=1; Secure; HttpOnly; Path=/", "theme=dark"]);
    let event = said.json();
    assert_eq!((&event["cookies"], &event["headers"]["cookie"]), (&Value::Null, &Value::Null), "{event}");
    assert!(!event.to_string().contains("AWS4-HMAC"), "the gateway's own signature is not for the function: {event}");
    let event = gateway.client().send(request("/cookies")).await.json();
    assert_eq!(event["cookies"], json!(["__Host-session=1", "theme=dark"]), "{event}");
    for path in ["/fail", "/slow", "/absent"] {
        let failed = gateway.client().send(request(path)).await;
        assert_eq!(failed.status, 502, "{path}: {}", failed.text());
        assert!(!failed.text().contains("inside") && !failed.text().contains("TypeError"), "{}", failed.text());
    }
    let log = gateway.stop().await;
    assert!(log.contains("Unhandled"), "the kind of failure is logged: {log}");
    assert!(log.contains("404 ResourceNotFound"), "so is what is set up wrongly: {log}");
}

#[tokio::test]
async fn somebody_else_verifies_the_signature() {
    let Some((api, key)) = aws::moto().await else { return };
    let project = signed(Project::new(), &key.id, &key.secret);
    project.write("wrong", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let right = |function: &str, more: &str| target(&api.url, function, &format!("event = \"body\"{more}"));
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:order";
    let wrong = right("order", "").replace("file:secret", "file:wrong");
    let role = "arn:aws:iam::123456789012:role/role";
    let assume = format!("\"file:secret\", assume = [{{ role = \"{role}\" }}], sts_endpoint = \"{}\" }}", api.url);
    let assumed = right("order", "").replace("\"file:secret\" }", &assume);
    let unknown = right("order", "").replace("file:id", "file:wrong");
    // The service says that it did not run the call, so that another target may.
    let twice = format!("{wrong} }}, {{ {}", right("order", ""));
    let project = project
        .anonymous()
        .function("shop.name", "POST /name", &right("order", ""), "")
        .function("shop.latest", "POST /latest", &right("order", ", qualifier = \"$LATEST\""), "")
        .function("shop.alias", "POST /alias", &right("order:$LATEST", ""), "")
        .function("shop.arn", "POST /arn", &right(arn, ""), "")
        .function("shop.role", "POST /role", &assumed, "")
        .function("shop.wrong", "POST /wrong", &twice, "")
        .function("shop.unknown", "POST /unknown", &unknown, "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for path in ["/name", "/latest", "/alias", "/arn"] {
        let said = call(&gateway, path, &json!({ "k": "żółć" })).await;
        assert_eq!(said.status, 200, "{path}: {}\n{}", said.text(), api.log());
    }
    // It breaks down over a signed request for a session, its own client's too, so it lets this one pass unsigned; it verifies
    // what is then signed with the session's keys.
    let unsigned = Client::new(&api.url, None)
        .send(Request::post("/moto-api/reset-auth", "1").header("content-type", "text/plain"))
        .await;
    assert_eq!(unsigned.status, 200, "{}", unsigned.text());
    let said = call(&gateway, "/role", &json!({})).await;
    assert_eq!(said.status, 200, "{}\n{}\n{}", said.text(), api.log(), gateway.stderr());
    for (path, status, asked) in [("/wrong", 200, 2), ("/unknown", 502, 1)] {
        let calls = || api.log().matches("/invocations").count();
        let before = calls();
        let refused = call(&gateway, path, &json!({})).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
        assert_eq!(calls() - before, asked, "{path}: each target once\n{}", api.log());
    }
    let said = gateway.stderr();
    assert!(said.contains("refused the call: 403"), "{said}");
    assert!(!said.contains(&key.secret), "no secret is in the log");
    gateway.stop().await;
}

/// A project with an access key in files.
fn signed(project: Project, id: &str, secret: &str) -> Project {
    project.write("id", id);
    project.write("secret", secret);
    project
}

/// The inside of a target that signs with those files.
fn target(url: &str, function: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!(
        "aws_lambda = {{ function = \"{function}\", region = \"us-east-1\", endpoint = \"{url}\", \
         credentials = {{ access_key = \"file:id\", secret_key = \"file:secret\" }}{comma}{more} }}"
    )
}

async fn call(gateway: &Running, path: &str, event: &Value) -> Answer {
    gateway.client().send(Request::json(path, event)).await
}
