//! An unchanged AWS SDK as a caller: its route is the Invoke API's, its certificate says who it is.

use crate::{
    call::certificate,
    certificates::{svid, table::authority},
};
use serde_json::{Value, json};
use std::process::Command;
use tests::{aws, fetch, latchwork, project::Project, records, scripts};

#[tokio::test]
async fn an_sdk_invokes_functions_through_the_gateway() {
    let (Some(python), Some(api)) = (fetch::aws("boto3"), aws::emulator().await) else { return };
    // The emulator does not say that a function failed; this one does, as the real service.
    let Some(failing) = aws::serverless().await else { return };
    let mut project = Project::new();
    let root = authority("clients");
    let (chain, key) = svid("checkout", &root);
    for (file, text) in [
        ("clients.pem", root.pem()),
        ("client.pem", certificate(&chain[0])),
        ("client.key", key.serialize_pem()),
        ("id", "AKIDOFTHEGATEWAY".to_owned()),
        ("secret", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
    ] {
        project.write(file, &text);
    }
    let target = |url: &str, function: &str| {
        format!(
            "aws_lambda = {{ function = \"{function}\", region = \"us-east-1\", endpoint = \"{url}\", event = \"body\", \
             credentials = {{ access_key = \"file:id\", secret_key = \"file:secret\" }} }}"
        )
    };
    for (name, target) in [
        ("order", target(&api.url, "function")),
        ("closed", target(&api.url, "function")),
        ("fail", target(&failing.url, "shop-dev-fail")),
    ] {
        let route = format!("POST /2015-03-31/functions/{name}/invocations");
        // The emulator breaks when it is called twice at once.
        project = project.function(&format!("shop.{name}"), &route, &target, "concurrency_max = 1");
    }
    let project = project
        .client_ca("clients.pem", ", client_auth = \"optional\"")
        .identify("\"workloads\"")
        .tables("[identity.mtls.workloads]\ntrust_domain = \"prod.test\"")
        .policy(
            "@id(\"order\")\npermit (principal == Workload::\"spiffe://prod.test/checkout\", \
             action in [Action::\"shop.order\", Action::\"shop.fail\"], resource);\n\
             @id(\"know\")\npermit (principal, action == Action::\"describe\", resource == Function::\"shop.closed\");",
        );
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let calls = json!([
        ["order", { "sku": "tea", "count": 2 }],
        ["fail", {}],
        ["closed", {}],
        ["absent", {}]
    ]);
    let invoke = |certificate: Option<&str>, calls: &Value| {
        let at = |file: &str| project.folder().join(file);
        let plan = json!({
            "url": gateway.url, "ca": project.ca(), "certificate": certificate.map(at), "key": at("client.key"),
            "calls": calls
        });
        project.write("plan.json", &plan.to_string());
        let mut command = Command::new(&python);
        command.arg(scripts().join("boto3_invoke.py")).arg(at("plan.json"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", at("."));
        async move {
            let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
            let output = output.expect("Python starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let lines = String::from_utf8(output.stdout).expect("JSON is UTF-8");
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
        }
    };
    let said = invoke(Some("client.pem"), &calls).await;
    let statuses: Vec<_> = said.iter().map(|answer| answer["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 502, 403, 404], "{said:#?}\n{}", api.log());
    assert_eq!(said[0]["payload"]["event"], json!({ "sku": "tea", "count": 2 }));
    assert!(!said[1].to_string().contains("TypeError"), "what went wrong inside stays inside: {}", said[1]);
    let id = said[2]["headers"]["latchwork-call-id"].as_str().expect("the SDK has the call's id");
    let record = records::of_call(&project.audit(), id).pop().expect("the refusal");
    assert_eq!(record["principal"]["id"], "spiffe://prod.test/checkout", "{record}");

    let strangers = invoke(None, &json!([["order", {}]])).await;
    assert_eq!(strangers[0]["status"], 401, "a signature of AWS's says nothing here: {strangers:?}");
    for text in [api.log(), gateway.stderr(), String::from_utf8_lossy(&records::bytes(&project.audit())).into()] {
        assert!(!text.contains("AKIDOFTHESDK"), "the SDK's own signature went further: {text}");
    }
    gateway.stop().await;
}
