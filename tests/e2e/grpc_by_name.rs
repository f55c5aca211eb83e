//! Any function by its name, over gRPC: the same pipeline, input and policy as over HTTP; reflection and health.

use serde_json::{Value, json};
use tests::{
    client::Request,
    grpcio::Service,
    latchwork::{self, Running},
    oidc::{CLIENT, Issuer},
    origin::Origin,
    project::Project,
    records,
};

/// The largest order that policy lets pass.
const SMALL: &str = r#"{"amount":10}"#;
const LARGE: &str = r#"{"amount":1000}"#;

struct World {
    service: Service,
    issuer: Issuer,
    origin: Origin,
    project: Project,
    gateway: Running,
}

impl World {
    async fn start() -> Option<Self> {
        let project = Project::new();
        let service = Service::start(project.folder()).await?;
        let issuer = Issuer::start(project.folder()).await?;
        let origin = Origin::start().await;
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["amount"],
            "properties": { "amount": { "type": "integer", "minimum": 0, "maximum": 100_000 } }
        });
        let (url, of_item) = (&origin.url, format!("{}/things/{{item}}", origin.url));
        let project = project
            .issuer("corp", &issuer.url, "groups = { claim = \"groups\", external = true }")
            .schema("order.json", &schema)
            .http("orders.create", "POST /orders", url, "input = \"schemas/order.json\"")
            .http("stock.level", "GET /stock/{item}", &of_item, "query = { depth = \"integer\" }")
            .http("stock.blob", "/blob", url, "request_bytes_max = 1000")
            .http("stock.slow", "POST /slow", url, "timeout = \"1s\"")
            .http("stock.hidden", "POST /hidden", url, "")
            .policy(&format!(
                "@id(\"orders\")\npermit (principal == Client::\"corp/{CLIENT}\", action == Action::\"orders.create\", \
                 resource) when {{ context.input.amount < 100 }};\n\
                 @id(\"know\")\npermit (principal, action == Action::\"describe\", resource == Function::\"orders.create\");\n\
                 @id(\"stock\")\npermit (principal, action == Action::\"stock.level\", resource) \
                 when {{ context.path.item == \"tea 1\" && context.query has depth && context.query.depth == 2 }};\n\
                 @id(\"blob\")\npermit (principal, action in [Action::\"stock.blob\", Action::\"stock.slow\"], resource);"
            ));
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        Some(Self { service, issuer, origin, project, gateway })
    }

    async fn client(&self, token: Option<&str>, steps: &[Value]) -> Vec<Value> {
        self.service.client(&self.gateway.url, &self.gateway.ca, token, steps).await
    }
}

fn invoke(request: Value) -> Value {
    json!({ "kind": "by_name", "method": "Invoke", "request": request })
}

fn order(body: &str) -> Value {
    invoke(json!({ "function": "orders.create", "input": { "json": body } }))
}

#[tokio::test]
async fn a_function_is_one_function_whichever_front_it_is_called_through() {
    let Some(world) = World::start().await else { return };
    let token = world.issuer.token(None).await;
    let stock = json!({
        "function": "stock.level", "path": { "item": "tea 1" }, "query": [{ "name": "depth", "value": "2" }],
        "headers": [{ "name": "x-tag", "value": "a" }]
    });
    let mut bound = stock.clone();
    bound["query"][0]["value"] = "3".into();
    let steps = [
        order(SMALL),
        order(LARGE),
        order(r#"{"amount":10,"amount":1000}"#),
        order(r#"{"amount":"ten"}"#),
        invoke(stock),
        invoke(bound),
        invoke(json!({ "function": "stock.blob", "input": { "binary": "AP8=", "content_type": "x/y" } })),
        invoke(json!({ "function": "stock.blob", "input": { "binary": "A".repeat(4000) } })),
        json!({ "kind": "by_name", "method": "Invoke", "request": { "function": "stock.slow" }, "timeout": 10 }),
    ];
    let answers = world.client(Some(&token), &steps).await;
    let codes: Vec<&str> = answers.iter().map(|a| a["code"].as_str().unwrap()).collect();
    let expected = [
        "OK",
        "PERMISSION_DENIED",
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "OK",
        "NOT_FOUND",
        "OK",
        "RESOURCE_EXHAUSTED",
        "DEADLINE_EXCEEDED",
    ];
    assert_eq!(codes, expected, "{answers:#?}");
    let answer = &answers[0]["answers"][0];
    assert_eq!(answer["http_status"], 200);
    assert_eq!(answer["call_id"], answers[0]["initial"]["latchwork-call-id"]);
    let seen = world.origin.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str(), &seen[0].body[..]),
        ("POST", "/orders", SMALL.as_bytes())
    );
    assert_eq!((seen[1].method.as_str(), seen[1].path.as_str()), ("GET", "/things/tea%201?depth=2"));
    assert_eq!(
        (&seen[1].headers["x-tag"], &seen[1].headers["latchwork-caller"]),
        (&"a".parse().unwrap(), &"corp/checkout".parse().unwrap())
    );
    assert!(!seen.iter().any(|s| s.headers.contains_key("authorization") || s.headers.contains_key("grpc-timeout")));
    assert_eq!((&seen[2].body[..], &seen[2].headers["content-type"]), (&[0, 255][..], &"x/y".parse().unwrap()));

    let http = Request::json("/orders", &json!({ "amount": 10 })).bearer(&token);
    let http = world.gateway.client().send(http).await;
    let intent = |id: &str| {
        let record = records::of_call(&world.project.audit(), id).into_iter().find(|r| r["kind"] == "intent").unwrap();
        [record["input"].clone(), record["function"].clone(), record["principal"].clone()]
    };
    assert_eq!(intent(&http.call_id())[0], json!({ "amount": 10 }));
    assert_eq!(intent(answer["call_id"].as_str().unwrap()), intent(&http.call_id()), "the same question");
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_streamed_answer_has_a_head_data_and_an_end() {
    let Some(world) = World::start().await else { return };
    let token = world.issuer.token(None).await;
    let step = |request: Value| json!({ "kind": "by_name", "method": "InvokeStream", "request": request });
    let steps = [
        step(json!({ "function": "orders.create", "input": { "json": SMALL } })),
        step(json!({ "function": "orders.create", "input": { "json": LARGE } })),
    ];
    let answers = world.client(Some(&token), &steps).await;
    let chunks = answers[0]["answers"].as_array().unwrap();
    assert_eq!(chunks[0]["head"]["http_status"], 200, "{answers:#?}");
    assert_eq!(chunks[1]["data"], "eyJhbW91bnQiOjEwfQ==");
    assert_eq!((&chunks[2]["end"]["data_bytes"], chunks.len(), &answers[0]["code"]), (&json!("13"), 3, &json!("OK")));
    assert_eq!((&answers[1]["code"], &answers[1]["answers"]), (&json!("PERMISSION_DENIED"), &json!([])));
    world.gateway.stop().await;
}

#[tokio::test]
async fn who_is_not_known_learns_nothing_but_health() {
    let Some(world) = World::start().await else { return };
    let health = |service: &str| json!({ "kind": "health", "service": service });
    let reflection = json!({ "kind": "reflection" });
    let strangers = world.client(None, &[health(""), health("orders.create"), reflection.clone()]).await;
    assert_eq!((&strangers[0]["code"], &strangers[0]["status"]), (&json!("OK"), &json!("SERVING")), "{strangers:?}");
    assert_eq!(strangers[1]["code"], "NOT_FOUND");
    assert_eq!(strangers[2]["code"], "UNAUTHENTICATED", "{}", strangers[2]);
    let client = world.gateway.client().http2();
    let raw = |body: Vec<u8>| {
        Request::post("/latchwork.invoke.v1.Invoke/Invoke", body).header("content-type", "application/grpc")
    };
    for body in [vec![], vec![0, 0, 0, 0, 0], vec![0, 0, 0, 0, 2, 10, 0], vec![255; 40]] {
        assert_eq!(client.send(raw(body)).await.header("grpc-status"), "16", "nobody's message is read");
    }
    let token = world.issuer.token(None).await;
    for (body, code) in [
        (vec![], "3"),
        (vec![0, 0, 0], "3"),
        (vec![0, 0, 0, 0, 9, 1], "3"),
        (vec![0, 0, 0, 0, 1, 255], "3"),
        (vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "3"),
        (vec![1, 0, 0, 0, 0], "12"),
        (vec![0, 255, 255, 255, 255], "8"),
        (vec![0, 0, 0, 0, 0], "5"),
    ] {
        let answer = client.send(raw(body.clone()).bearer(&token)).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, code), "{body:?}");
    }
    let unknown = |name: &str| invoke(json!({ "function": name, "input": { "json": "{}" } }));
    let asked = [reflection, unknown("stock.hidden"), unknown("no.such"), invoke(json!({ "function": "stock.level" }))];
    let known = world.client(Some(&token), &asked).await;
    let services = known[0]["services"].as_object().unwrap_or_else(|| panic!("{}", known[0]));
    assert_eq!(services["latchwork.invoke.v1.Invoke"], json!(["Invoke", "InvokeStream"]));
    assert_eq!(services.len(), 4);
    for answer in &known[1..] {
        assert_eq!((&answer["code"], &answer["details"]), (&json!("NOT_FOUND"), &known[1]["details"]));
    }
    assert_eq!(world.origin.seen().len(), 0);
    world.gateway.stop().await;
}
