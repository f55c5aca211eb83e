//! Google's functions-framework behind the gateway, as an `http` function that knows nothing of it.

use serde_json::json;
use tests::{client::Request, functions_framework::Framework, latchwork, project::Project};

#[tokio::test]
async fn a_function_behind_http_runs_unchanged() {
    let project = Project::new();
    let Some(framework) = Framework::start(project.folder()).await else { return };
    let project = project
        .anonymous()
        .http(
            "shop.describe",
            "POST /shop/{item}",
            &format!("{}/things/{{item}}", framework.url),
            "query = { fail = \"string\" }",
        )
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for client in [gateway.client(), gateway.client().http2()] {
        let request = Request::json("/shop/box%20one?tag=a&tag=b", &json!({ "count": 1 }))
            .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
            .header("latchwork-caller", "User::\"corp/root\"")
            .header("authorization", "Basic cm9vdDpyb290");
        let answer = client.send(request).await;
        assert_eq!(answer.status, 401, "a credential of a kind that is not taken here is refused: {}", answer.text());
        let request = Request::json("/shop/box%20one?tag=a&tag=b", &json!({ "count": 1 }))
            .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
            .header("latchwork-caller", "User::\"corp/root\"");
        let answer = client.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = answer.json();
        assert_eq!((&seen["method"], &seen["path"]), (&json!("POST"), &json!("/things/box one")), "{seen}");
        assert_eq!(seen["query"], json!({ "tag": ["a", "b"] }), "{seen}");
        assert_eq!(seen["body"], json!({ "count": 1 }), "{seen}");
        assert!(seen["traceparent"].as_str().is_some_and(|t| t.contains(trace)), "{seen}");
        let caller = seen["caller"].as_str().expect("the function is told who calls");
        assert!(caller.contains("anonymous") && !caller.contains("root"), "{caller}");
    }
    let failed = gateway.client().send(Request::json("/shop/a?fail=1", &json!({}))).await;
    assert_eq!(failed.status, 500, "the function's own answer is passed on: {}", failed.text());
    gateway.stop().await;
}
