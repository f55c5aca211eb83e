//! A function of gRPC called by name and natively: bytes and JSON, one input for policy, its own statuses, and health.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{
    grpcio::{self, Service},
    latchwork::{self, Running},
    project::Project,
    records, wait,
};

const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\nmessage Order { string sku = 1; int64 amount = 2; }\n\
    service Orders {\n  rpc Create(Order) returns (Order);\n  rpc Each(Order) returns (stream Order);\n\
    \x20 rpc Upload(stream Order) returns (Order);\n  rpc Fail(Order) returns (Order);\n  rpc Torn(Order) returns (Order);\n}\n";
const METHODS: [&str; 5] = ["Create", "Each", "Upload", "Fail", "Torn"];

/// `{ sku: "tea", amount: 7 }` and the same with 120, which policy denies, as the wire has them: text by chance.
const SMALL: &str = "\n\u{3}tea\u{10}\u{7}";
const LARGE: &str = "\n\u{3}tea\u{10}\u{78}";
/// Field 15, which nobody described.
const UNKNOWN: &str = "\u{78}\u{1}";

struct World {
    service: Service,
    project: Project,
    gateway: Running,
}

impl World {
    async fn start() -> Option<Self> {
        let project = Project::new();
        let service = Service::start(project.folder()).await?;
        project.write("api/shop/v1/orders.proto", PROTO);
        let schema = json!({
            "type": "object", "required": ["sku", "amount"],
            "properties": { "sku": { "type": "string", "maxLength": 9 }, "amount": { "type": "integer" } }
        });
        let mut project = project.anonymous().schema("order.json", &schema);
        let target = format!("grpc = {{ url = \"{}\" }}", service.url);
        for method in METHODS {
            let input = if method == "Create" { "\ninput = \"schemas/order.json\"" } else { "" };
            let more = format!("descriptors = \"api/shop/v1/orders.proto\"{input}");
            let (name, route) = (format!("orders.{}", method.to_lowercase()), format!("grpc shop.v1.Orders/{method}"));
            project = project.function(&name, &route, &target, &more);
        }
        for method in ["Plain", "List"] {
            let (name, route) = (format!("orders.{}", method.to_lowercase()), format!("grpc shop.v1.Orders/{method}"));
            project = project.function(&name, &route, &target, "");
        }
        let project = project.policy(
            "@id(\"orders\")\npermit (principal, action in Action::\"call\", resource);\n\
             @id(\"know\")\npermit (principal, action == Action::\"describe\", resource);\n\
             @id(\"small\")\nforbid (principal, action == Action::\"orders.create\", resource) \
             when { context.input.amount >= 100 };",
        );
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        Some(Self { service, project, gateway })
    }

    async fn client(&self, steps: &[Value]) -> Vec<Value> {
        self.service.client(&self.gateway.url, &self.gateway.ca, None, steps).await
    }
}

fn by_name(method: &str, function: &str, input: Value) -> Value {
    json!({ "kind": "by_name", "method": method, "request": { "function": function, "input": input } })
}

fn text(json: &str) -> Value {
    json!({ "json": json })
}

fn bytes(message: &str) -> Value {
    json!({ "binary": STANDARD.encode(message), "content_type": "application/protobuf" })
}

fn native(message: &str) -> Value {
    json!({ "kind": "native", "method": "/shop.v1.Orders/Create", "shape": "unary", "send": [message] })
}

fn codes(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|answer| answer["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn one_input_whatever_form_it_comes_in() {
    let Some(world) = World::start().await else { return };
    let invoke = |input| by_name("Invoke", "orders.create", input);
    let allowed = [
        invoke(text(r#"{"amount":"7","sku":"tea"}"#)),
        invoke(bytes(SMALL)),
        native(SMALL),
        invoke(text(r#"{"sku":"tea"}"#)),
    ];
    let answers = world.client(&allowed).await;
    assert_eq!(codes(&answers), ["OK"; 4], "{answers:#?}");
    let output = |index: usize| answers[index]["answers"][0]["output"].clone();
    let told: Value = serde_json::from_str(output(0)["json"].as_str().unwrap()).unwrap();
    assert_eq!(told, json!({ "sku": "tea", "amount": "7" }), "as JSON, since it was asked as JSON");
    assert_eq!(output(1), bytes(SMALL), "as bytes, since it was asked as bytes");
    assert_eq!(answers[0]["answers"][0]["http_status"], 200);
    let headers = answers[0]["answers"][0]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!({ "name": "x-initial", "value": "1" })), "{headers:?}");
    assert_eq!(answers[0]["trailing"]["x-trailing"], "2");
    assert_eq!(answers[2]["messages"], json!([SMALL]));
    let input = |index: usize| {
        let id = answers[index]["initial"]["latchwork-call-id"].as_str().unwrap();
        let found = records::of_call(&world.project.audit(), id).into_iter().find(|r| r["kind"] == "intent").unwrap();
        found["input"].clone()
    };
    assert!(!input(0).is_null());
    assert!((1..3).all(|index| input(index) == input(0)), "{} {} {}", input(0), input(1), input(2));

    let refused = [
        invoke(text(r#"{"amount":120,"sku":"tea"}"#)),
        invoke(bytes(LARGE)),
        native(LARGE),
        invoke(text(r#"{"amount":7,"sku":"tea","more":1}"#)),
        invoke(bytes(UNKNOWN)),
        native(UNKNOWN),
        invoke(text(r#"{"amount":7,"sku":"much too long"}"#)),
        invoke(json!({ "binary": "", "content_type": "text/html" })),
    ];
    let answers = world.client(&refused).await;
    let (denied, invalid) = (["PERMISSION_DENIED"; 3], ["INVALID_ARGUMENT"; 5]);
    assert_eq!(codes(&answers), [&denied[..], &invalid[..]].concat(), "{answers:#?}");
    world.gateway.stop().await;
}

#[tokio::test]
async fn statuses_are_the_functions_own_and_shapes_are_told() {
    let Some(world) = World::start().await else { return };
    let steps = [
        by_name("Invoke", "orders.fail", text("{}")),
        by_name("InvokeStream", "orders.fail", bytes(SMALL)),
        by_name("InvokeStream", "orders.each", text(r#"{"sku":"tea"}"#)),
        by_name("InvokeStream", "orders.list", bytes("n")),
        by_name("Invoke", "orders.each", text("{}")),
        by_name("Invoke", "orders.list", bytes("n")),
        by_name("Invoke", "orders.upload", text("{}")),
        by_name("Invoke", "orders.plain", text("{}")),
        by_name("Invoke", "orders.plain", bytes("any bytes")),
        by_name("Invoke", "orders.torn", text("{}")),
        by_name("Invoke", "orders.torn", bytes("")),
    ];
    let answers = world.client(&steps).await;
    for failed in &answers[..2] {
        assert_eq!((&failed["code"], &failed["details"]), (&json!("RESOURCE_EXHAUSTED"), &json!("quota: 100 % used")));
        assert_eq!(failed["trailing"]["grpc-status-details-bin"], "0808120571756f7461", "{failed}");
        assert_eq!(failed["trailing"]["x-why"], "quota");
    }
    let pieces = |index: usize| answers[index]["answers"].as_array().unwrap();
    let data = |piece: &Value| String::from_utf8(STANDARD.decode(piece["data"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(
        (pieces(2).len(), &pieces(2)[0]["head"]["content_type"]),
        (5, &json!("application/json")),
        "{answers:#?}"
    );
    assert_eq!(data(&pieces(2)[1]), r#"{"sku":"tea"}"#);
    assert_eq!(pieces(3)[1..4].iter().map(data).collect::<Vec<_>>(), ["n0", "n1", "n2"], "one message, one piece");
    let end = &pieces(3)[4]["end"];
    assert_eq!(
        (&end["data_bytes"], &end["trailers"]),
        (&json!("6"), &json!([{ "name": "x-trailing", "value": "listed" }]))
    );
    for (index, part) in [(4, "InvokeStream"), (5, "InvokeStream"), (6, "stream of messages"), (7, "descriptors")] {
        let refused = &answers[index];
        assert_eq!(refused["code"], "INVALID_ARGUMENT", "{refused}");
        assert!(refused["details"].as_str().unwrap().contains(part), "{refused}");
    }
    assert_eq!(answers[8]["answers"][0]["output"], bytes("any bytes"));
    assert_eq!((&answers[9]["code"], &answers[10]["code"]), (&json!("UNAVAILABLE"), &json!("OK")), "{answers:#?}");
    assert_eq!(answers[10]["answers"][0]["output"]["binary"], "/w==", "bytes are nobody's to check");

    let call = |words: &'static [&'static str]| {
        let (folder, url) = (world.project.folder().to_path_buf(), world.gateway.url.clone());
        let call = move || {
            let words = [&["call"], words, &["--grpc", "--format", "json", "--url", &url, "--ca", "ca.pem"]].concat();
            latchwork::command(&folder, &words)
        };
        async { tokio::task::spawn_blocking(call).await.expect("the command ends") }
    };
    let output = call(&["orders.create", "--data", r#"{"sku":"tea","amount":7}"#]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["body"], json!({ "sku": "tea", "amount": "7" }), "{said}");
    let output = call(&["orders.create", "--data", r#"{"sku":"tea","amount":700}"#]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = call(&["orders.fail"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    world.gateway.stop().await;
}

#[tokio::test]
async fn watchers_of_health_hear_of_the_end() {
    let project = Project::new();
    let Some(service) = Service::start(project.folder()).await else { return };
    let project = project.anonymous().http("shop.echo", "POST /echo", "http://127.0.0.1:9/", "").permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let (url, ca) = (gateway.url.clone(), gateway.ca.clone());
    let unknown = json!({ "kind": "watch", "service": "shop.v1.Orders", "most": 1 });
    let answers = grpcio::client(service.python(), &url, &ca, None, &[unknown]).await;
    assert_eq!(answers[0]["statuses"], json!(["SERVICE_UNKNOWN"]), "{answers:?}");
    let heard = project.folder().join("heard");
    let watch = json!({ "kind": "watch", "marker": heard });
    let python = service.python().to_path_buf();
    let watching = tokio::spawn(async move { grpcio::client(&python, &url, &ca, None, &[watch]).await });
    wait::until("the first answer", wait::LONG, || std::future::ready(heard.exists().then_some(()))).await;
    gateway.stop().await;
    let watched = watching.await.expect("the client ends");
    assert_eq!((&watched[0]["code"], &watched[0]["statuses"]), (&json!("OK"), &json!(["SERVING", "NOT_SERVING"])));
    let seconds = watched[0]["seconds"].as_f64().unwrap();
    assert!(seconds < 20.0, "it ends with the gateway, not when its patience does: {seconds}");
}
