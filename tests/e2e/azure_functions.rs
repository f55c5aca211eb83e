//! Functions behind `azure_functions`: tokens of an issuer that we did not write, and what the gateway alone may set.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::fs;
use tests::{
    client::Request,
    latchwork,
    oidc::{self, Issuer},
    origin::Origin,
    project::Project,
    root,
};

/// Another gateway stands for the platform's sign-in: it verifies the token as any resource server would.
#[tokio::test]
async fn a_token_of_a_real_issuer_is_taken_by_who_verifies_it() {
    let app = Project::new();
    let Some(issuer) = Issuer::start(app.folder()).await else { return };
    let origin = Origin::start().await;
    let app = app
        .issuer("entra", &issuer.url, "")
        .http("app.orders", "POST /api/orders", &origin.url, "forward_headers = [\"authorization\"]")
        .policy(&format!(
            "@id(\"gateway\")\npermit (principal == Client::\"entra/{}\", action == Action::\"app.orders\", resource);",
            oidc::CLIENT
        ));
    let platform = latchwork::run(&app.config(), &app.ca()).await;

    let project = Project::new();
    project.write("secret", oidc::SECRET);
    project.write("wrong", "another-secret");
    let target = |secret: &str| {
        format!(
            "azure_functions = {{ url = \"{}/api/orders\", ca = \"{}\", entra = {{ tenant = \"contoso.example\", \
             client_id = \"{}\", client_secret = \"file:{secret}\", scope = \"invoke\", token_endpoint = \"{}/token\" }} }}",
            platform.url,
            app.ca().display(),
            oidc::CLIENT,
            issuer.url
        )
    };
    let project = project
        .anonymous()
        .function("shop.orders", "POST /orders", &target("secret"), "")
        .function("shop.wrong", "POST /wrong", &target("wrong"), "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for _ in 0..3 {
        let said = gateway.client().send(Request::json("/orders", &json!({ "sku": "tea" }))).await;
        assert_eq!(said.status, 200, "{}\n{}", said.text(), gateway.stderr());
    }
    let tokens: Vec<_> = origin.seen().iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert!(tokens.len() == 3 && tokens.iter().all(|token| *token == tokens[0]), "one token for all calls");
    let refused = gateway.client().send(Request::json("/wrong", &json!({}))).await;
    assert_eq!(refused.status, 502, "{}", refused.text());
    let stderr = gateway.stop().await;
    assert!(stderr.contains("no credential for the backend") && stderr.contains("invalid_client"), "{stderr}");
    assert!(!stderr.contains("another-secret"), "no secret is in the log: {stderr}");
    platform.stop().await;
}

/// `deploy/examples/azure_functions`, with only its addresses and keys made for the test.
#[tokio::test]
async fn the_example_calls_a_function_and_starts_another() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("azure_functions");
    copy(&root().join("deploy/examples/azure_functions"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    for key in ["function", "master"] {
        fs::write(folder.join("secrets").join(format!("{key}.key")), format!("{key}-key\n")).expect("it is ours");
    }
    let origin = Origin::start().await;
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://shop.azurewebsites.net", &origin.url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let order = Request::json("/orders/7?code=a-callers-own", &json!({ "sku": "tea" }));
    let said = gateway.client().send(order.header("x-functions-key", "a-callers-own")).await;
    assert_eq!(said.status, 200, "{}", said.text());
    // This service answers 200 where the platform's admin interface answers 202: that is no acceptance.
    let started = gateway.client().send(Request::json("/restock", &json!({ "sku": "tea" }))).await;
    assert_eq!(started.status, 502, "{}", started.text());
    let seen = origin.seen();
    let keys: Vec<_> = seen.iter().map(|s| s.headers.get_all("x-functions-key").iter().collect::<Vec<_>>()).collect();
    assert_eq!(keys, [["function-key"], ["master-key"]]);
    assert_eq!((&*seen[0].path, &*seen[1].path), ("/api/orders/7?code=a-callers-own", "/admin/functions/restock"));
    let input: Value = serde_json::from_slice(&seen[1].body).expect("JSON");
    assert_eq!(input, json!({ "input": "{\"sku\":\"tea\"}" }));
    gateway.stop().await;
}
