//! One unchanged function of the crate `lambda_http` under every form of event, on this machine and behind `aws_lambda`.

use serde_json::{Value, json};
use tests::{
    aws,
    client::{Answer, Request},
    lambda,
    latchwork::{self, Running},
    project::Project,
};

/// The forms that are requests.
const FORMS: [&str; 5] = ["api_gateway_v2", "api_gateway_v1", "alb", "alb_multi_value", "function_url"];

#[tokio::test]
async fn a_function_here_understands_every_form() {
    let Some(function) = lambda::http() else { return };
    let mut project = Project::new().anonymous();
    for form in FORMS {
        let (name, route) = (format!("shop.{form}"), format!("POST /{form}/{{id}}"));
        let inside = format!("event = \"{form}\"");
        project = project.process(&name, &route, &function, &inside, "forward_headers = [\"cookie\"]");
    }
    let project = project.permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for form in FORMS {
        understood(&gateway, form).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_function_behind_the_invoke_api_understands_every_form() {
    let Some(function) = lambda::http() else { return };
    let Some(api) = aws::emulator_of(&function.command).await else { return };
    let mut project = Project::new().anonymous();
    project.write("id", "AKIDEXAMPLE");
    project.write("secret", "any");
    for form in FORMS {
        let target = format!(
            "aws_lambda = {{ function = \"function\", region = \"us-east-1\", endpoint = \"{}\", event = \"{form}\", \
             credentials = {{ access_key = \"file:id\", secret_key = \"file:secret\" }} }}",
            api.url
        );
        let more = "concurrency_max = 1\nforward_headers = [\"cookie\"]";
        project = project.function(&format!("shop.{form}"), &format!("POST /{form}/{{id}}"), &target, more);
    }
    let project = project.permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for form in FORMS {
        understood(&gateway, form).await;
    }
    gateway.stop().await;
}

async fn understood(gateway: &Running, form: &str) {
    let answer = send(gateway, form, "text").await;
    assert_eq!(answer.status, 203, "{form}: {}\n{}", answer.text(), gateway.stderr());
    let said = answer.json();
    let path = format!("/{form}/7");
    assert_eq!((&said["method"], &said["path"]), (&json!("POST"), &json!(path)), "{form}: {said}");
    // Of several values of one name, a load balancer that was not told otherwise passes on the last.
    let tags = if form == "alb" { json!(["b"]) } else { json!(["a", "b"]) };
    assert_eq!(said["query"], json!({ "tag": tags, "q": ["x y"] }), "{form}: {said}");
    let routes = form.starts_with("api_gateway");
    assert_eq!(said["parameter"], if routes { json!("7") } else { Value::Null }, "{form}: {said}");
    let cookie = said["cookie"][0].as_str().expect("cookies");
    assert_eq!(cookie, "a=b; c=d", "{form}: {said}");
    assert_eq!(said["bytes"], json!([255, 0, 1]), "{form}: {said}");
    assert_eq!(said["caller"], json!(["anonymous"]), "{form}: {said}");
    let multi = said["multi"].as_array().expect("values");
    let joined = multi.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
    match form {
        // The crate itself keeps the last value where an event has both.
        "api_gateway_v1" | "alb" => assert_eq!(joined, "2", "{form}: {said}"),
        _ => assert_eq!(joined, "1,2", "{form}: {said}"),
    }
    heads(form, &answer);
    let binary = send(gateway, form, "binary").await;
    assert_eq!(binary.body, (0..=255).collect::<Vec<u8>>(), "{form}");
    heads(form, &binary);
}

/// What the function said twice comes twice.
fn heads(form: &str, answer: &Answer) {
    let all = |name: &str| answer.headers.get_all(name).iter().map(|v| v.to_str().expect("text")).collect::<Vec<_>>();
    assert_eq!(all("set-cookie"), ["a=b; Path=/; Secure", "c=d; Expires=Wed, 21 Oct 2026 07:28:00 GMT"], "{form}");
    // Payload format 2.0 has no place for further values of a header, so the crate writes the first.
    let multi = if form.starts_with("alb") || form == "api_gateway_v1" { &["1", "2"][..] } else { &["1"] };
    assert_eq!(all("x-multi"), multi, "{form}");
}

async fn send(gateway: &Running, form: &str, kind: &str) -> Answer {
    let request = Request::post(&format!("/{form}/7?tag=a&tag=b&q=x%20y"), vec![255, 0, 1])
        .header("content-type", "application/octet-stream")
        .header("x-answer", kind)
        .header("x-multi", "1")
        .header("x-multi", "2")
        .header("cookie", "a=b; c=d");
    gateway.client().send(request).await
}
