//! Policy over the message of a gRPC method: typed by descriptors, read from what a client of grpcio sends, passed on as
//! it came.

use proto::prost::Message;
use serde_json::{Value, json};
use std::{fs, path::Path};
use tests::{grpcio::Service, latchwork, oidc::Issuer, project::Project};

const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\n\
    service Orders { rpc Create(Order) returns (Order); rpc Upload(stream Order) returns (Order); }\n\
    message Order { int64 amount = 1; string currency = 2; double weight = 3; }\n";

const POLICY: &str = "@id(\"orders.small\")\npermit (principal, action == Action::\"orders.create\", resource)\n\
    when { context.input.amount <= 100 && context.input.currency == \"EUR\" };\n\
    @id(\"seen\")\npermit (principal, action == Action::\"describe\", resource);";

/// Bytes of an order that are text too: field 1 is the amount, field 2 the currency.
fn order(amount: char, currency: &str) -> String {
    let length = char::from(u8::try_from(currency.len()).expect("it is short"));
    format!("\u{8}{amount}\u{12}{length}{currency}")
}

fn create(message: &str) -> Value {
    json!({ "kind": "native", "method": "/shop.v1.Orders/Create", "shape": "unary", "send": [message] })
}

fn descriptors(folder: &Path) {
    fs::write(folder.join("orders.proto"), PROTO).expect("the folder is ours");
    let set = protox::compile(["orders.proto"], [folder]).expect("it is valid");
    fs::write(folder.join("orders.binpb"), set.encode_to_vec()).expect("the folder is ours");
}

#[tokio::test]
async fn policy_sees_the_message_and_the_service_gets_the_same_bytes() {
    let mut project = Project::new();
    descriptors(project.folder());
    let Some(service) = Service::start(project.folder()).await else { return };
    let Some(issuer) = Issuer::start(project.folder()).await else { return };
    let target = format!("grpc = {{ url = \"{}\" }}", service.url);
    project = project
        .issuer("corp", &issuer.url, "groups = { claim = \"groups\", external = true }")
        .function("orders.create", "grpc shop.v1.Orders/Create", &target, "descriptors = \"orders.binpb\"")
        .policy(POLICY);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let token = issuer.token(None).await;
    let small = order('\u{5}', "EUR");
    let steps = [create(&small), create(&order('e', "EUR")), create(&order('\u{5}', "CHF")), create("\u{7f}")];
    let answers = service.client(&gateway.url, &gateway.ca, Some(&token), &steps).await;
    let codes: Vec<_> = answers.iter().map(|answer| answer["code"].as_str().expect("a code")).collect();
    assert_eq!(codes, ["OK", "PERMISSION_DENIED", "PERMISSION_DENIED", "INVALID_ARGUMENT"], "{answers:#?}");
    assert_eq!(answers[0]["messages"], json!([small]));
    gateway.stop().await;
}

#[test]
fn what_policy_cannot_see_of_a_method_is_said() {
    let project = |method: &str, file: &str| {
        let project = Project::new().anonymous().function(
            "orders.create",
            &format!("grpc shop.v1.Orders/{method}"),
            "grpc = { url = \"http://127.0.0.1:9\" }",
            &format!("descriptors = \"{file}\""),
        );
        descriptors(project.folder());
        let config = project.config();
        let output = latchwork::command(project.folder(), &["check", "-c", &config.to_string_lossy()]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let found = project("Create", "orders.binpb");
    assert!(found.contains("`/$defs/shop.v1.Order/properties/weight`"), "{found}");
    assert!(!project("Upload", "orders.binpb").contains("$defs"), "a stream of messages is no input");
    assert!(project("Creat", "orders.binpb").contains("describes no method `shop.v1.Orders/Creat`"));
    assert!(project("Create", "orders.proto").contains("properties/weight"), "its source serves as well");
    assert!(project("Create", "absent.binpb").contains("can't be read"));
}
