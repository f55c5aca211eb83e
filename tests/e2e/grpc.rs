//! gRPC through the gateway: a service and a client of grpcio between which nothing is lost.

use serde_json::{Value, json};
use tests::{
    client::Request,
    grpcio::Service,
    latchwork::{self, Running},
    oidc::Issuer,
    project::Project,
    records, wait,
};

const METHODS: [&str; 8] = ["Create", "List", "Upload", "Chat", "Fail", "Wait", "Short", "WhoLeft"];

/// The service, an issuer, and a gateway before it that permits every method but one.
struct World {
    service: Service,
    issuer: Issuer,
    project: Project,
    gateway: Running,
}

impl World {
    async fn start() -> Option<Self> {
        let mut project = Project::new();
        let service = Service::start(project.folder()).await?;
        let issuer = Issuer::start(project.folder()).await?;
        project = project.issuer("corp", &issuer.url, "groups = { claim = \"groups\", external = true }");
        let target = format!("grpc = {{ url = \"{}\" }}", service.url);
        for method in METHODS {
            let (name, route) = (format!("orders.{}", method.to_lowercase()), format!("grpc shop.v1.Orders/{method}"));
            let more = if method == "Short" { "timeout = \"1s\"" } else { "" };
            project = project.function(&name, &route, &target, more);
        }
        project = project.function("orders.hidden", "grpc shop.v1.Orders/Hidden", &target, "").policy(
            "@id(\"orders\")\npermit (principal, action in Action::\"call\", resource) \
             unless { action == Action::\"orders.hidden\" };",
        );
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        Some(Self { service, issuer, project, gateway })
    }

    async fn client(&self, token: Option<&str>, steps: &[Value]) -> Vec<Value> {
        self.service.client(&self.gateway.url, &self.gateway.ca, token, steps).await
    }

    /// The calls's records, once it is closed.
    async fn closed(&self, answer: &Value) -> Value {
        let id = answer["initial"]["latchwork-call-id"].as_str().expect("every answer has its call's id");
        let audit = self.project.audit();
        wait::until("the call's record", wait::LONG, || {
            let found = records::of_call(&audit, id).into_iter().find(|record| record["kind"] == "closed");
            std::future::ready(found)
        })
        .await
    }
}

fn native(method: &str, shape: &str, send: &[&str]) -> Value {
    json!({ "kind": "native", "method": format!("/shop.v1.Orders/{method}"), "shape": shape, "send": send })
}

fn with(mut step: Value, key: &str, value: Value) -> Value {
    step[key] = value;
    step
}

#[tokio::test]
async fn all_four_shapes_pass_with_metadata_and_trailers() {
    let Some(world) = World::start().await else { return };
    let token = world.issuer.token(None).await;
    let metadata = json!({
        "x-tag": "a", "x-tag-bin": "00ff", "latchwork-caller": "User::\"corp/root\"", "x-forwarded-for": "192.0.2.1"
    });
    let steps = [
        native("Create", "unary", &["hello"]),
        with(with(native("Create", "unary", &["tell"]), "metadata", metadata), "timeout", 5.into()),
        native("List", "server", &["n"]),
        native("Upload", "client", &["a", "b", "c"]),
        native("Chat", "bidi", &["one", "two", "three"]),
        native("Create", "unary", &["a".repeat(300_000).as_str()]),
    ];
    let answers = world.client(Some(&token), &steps).await;
    for answer in &answers {
        assert_eq!(answer["code"], "OK", "{answer}");
    }
    let told = &answers[0];
    assert_eq!((&told["messages"], &told["initial"]["x-initial"]), (&json!(["hello"]), &json!("1")), "{told}");
    assert_eq!(
        (&told["initial"]["x-initial-bin"], &told["trailing"]["x-trailing-bin"]),
        (&json!("00ff"), &json!("ff00"))
    );
    assert_eq!(told["trailing"]["x-trailing"], "2");
    assert_eq!(answers[2]["messages"], json!(["n0", "n1", "n2"]));
    assert_eq!(answers[2]["trailing"]["x-trailing"], "listed");
    assert_eq!(answers[3]["messages"], json!(["abc"]));
    assert_eq!(answers[4]["messages"], json!(["re: one", "re: two", "re: three"]));
    assert_eq!(answers[5]["messages"][0].as_str().map(str::len), Some(300_000));

    let seen: Value = serde_json::from_str(answers[1]["messages"][0].as_str().unwrap()).unwrap();
    let remaining = seen["remaining"].as_f64().expect("the deadline was passed on");
    // The client itself rounds up what it sends.
    assert!((0.5..5.2).contains(&remaining), "passed on: {remaining}");
    let given = |name: &str| {
        let pairs = seen["metadata"].as_array().unwrap().iter();
        pairs.filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((given("x-tag"), given("x-tag-bin")), (vec!["a".to_owned()], vec!["00ff".to_owned()]));
    assert_eq!(given("latchwork-caller"), ["corp/checkout"]);
    assert_eq!(given("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(given("authorization"), Vec::<String>::new(), "the caller's token stays here");
    for answer in &answers {
        let closed = world.closed(answer).await;
        assert_eq!(closed["outcome"], "completed", "{closed}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn failures_deadlines_and_cancels_are_told_as_they_are() {
    let Some(world) = World::start().await else { return };
    let token = world.issuer.token(None).await;
    let steps = [
        native("Fail", "unary", &["x"]),
        with(native("Wait", "server", &["late"]), "timeout", 0.7.into()),
        native("Short", "server", &["short"]),
        with(native("Wait", "server", &["cancelled"]), "cancel", true.into()),
    ];
    let answers = world.client(Some(&token), &steps).await;
    let failed = &answers[0];
    assert_eq!((&failed["code"], &failed["details"]), (&json!("RESOURCE_EXHAUSTED"), &json!("quota: 100 % used")));
    assert_eq!(failed["trailing"]["grpc-status-details-bin"], "0808120571756f7461", "{failed}");
    assert_eq!(failed["trailing"]["x-why"], "quota");

    assert_eq!((&answers[1]["code"], &answers[1]["messages"]), (&json!("DEADLINE_EXCEEDED"), &json!(["waiting"])));
    let short = &answers[2];
    assert_eq!(short["code"], "DEADLINE_EXCEEDED", "{short}");
    let seconds = short["seconds"].as_f64().unwrap();
    assert!((0.9..5.0).contains(&seconds), "the function's own time-out holds: {short}");
    assert_eq!(world.closed(short).await["outcome"], "timed_out");

    let cancelled = &answers[3];
    assert_eq!((&cancelled["code"], &cancelled["messages"]), (&json!("CANCELLED"), &json!(["waiting"])));
    assert_eq!(world.closed(cancelled).await["outcome"], "abandoned");
    wait::until("the service hears of it", wait::LONG, async || {
        let told = world.client(Some(&token), &[native("WhoLeft", "unary", &[""])]).await;
        let left: Vec<String> = serde_json::from_str(told[0]["messages"][0].as_str()?).ok()?;
        ["late", "short", "cancelled"].iter().all(|name| left.iter().any(|l| l == name)).then_some(())
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_no_is_a_status_with_details() {
    let Some(world) = World::start().await else { return };
    let steps = [
        native("Create", "unary", &["x"]),
        native("Nothing", "unary", &["x"]),
        native("Hidden", "unary", &["x"]),
        native("create", "unary", &["x"]),
        json!({ "kind": "native", "method": "/nowhere.Service/Method", "shape": "unary", "send": ["x"] }),
    ];
    let strangers = world.client(None, &steps).await;
    for stranger in &strangers {
        assert_eq!(visible(stranger), visible(&strangers[0]), "known and unknown methods answer alike");
        assert_eq!(stranger["code"], "UNAUTHENTICATED");
    }
    let token = world.issuer.token(None).await;
    let known = world.client(Some(&token), &steps).await;
    assert_eq!(known[0]["code"], "OK");
    for other in &known[1..] {
        assert_eq!(visible(other), visible(&known[1]), "denied unseen and unknown answer alike");
        assert_eq!(other["code"], "NOT_FOUND", "{other}");
        let details = details(other["trailing"]["grpc-status-details-bin"].as_str().unwrap());
        assert_eq!(details, ["google.rpc.ErrorInfo", "not_found", "latchwork"]);
    }
    let id = known[2]["initial"]["latchwork-call-id"].as_str().or(known[2]["trailing"]["latchwork-call-id"].as_str());
    let refused = records::of_call(&world.project.audit(), id.expect("refusals have an id too"));
    assert_eq!((&refused[0]["refusal"], &refused[0]["function"]), (&json!("denied_unseen"), &json!("orders.hidden")));
    world.gateway.stop().await;
}

#[tokio::test]
async fn what_is_not_quite_grpc_is_refused() {
    let Some(world) = World::start().await else { return };
    let token = world.issuer.token(None).await;
    let grpc =
        |path: &str| Request::post(path, vec![0, 0, 0, 0, 0]).header("content-type", "application/grpc").bearer(&token);
    let client = world.gateway.client();
    for timeout in ["", "1", "1s", "123456789S", "-1S"] {
        let answer = client.http2().send(grpc("/shop.v1.Orders/Create").header("grpc-timeout", timeout)).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, "3"), "`{timeout}`");
    }
    let late = client.http2().send(grpc("/shop.v1.Orders/Create").header("grpc-timeout", "0n")).await;
    assert_eq!((late.status, late.header("grpc-status")), (200, "4"));
    for (path, code) in [
        ("/shop.v1.Orders/create", "5"),
        ("/shop.v1.Orders/Create/", "5"),
        ("/shop.v1.Orders//Create", "3"),
        ("/x/../shop.v1.Orders/Create", "3"),
        ("/shop.v1.Orders%2FCreate", "3"),
        ("/SHOP.V1.ORDERS/CREATE", "5"),
        ("/shop.v1.Orders/Hidden", "5"),
        ("/shop.v1.Orders/%48idden", "5"),
    ] {
        let answer = client.http2().send(grpc(path)).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, code), "`{path}`");
    }
    let old = client.send(grpc("/shop.v1.Orders/Create")).await;
    assert_eq!(old.status, 400, "trailers get lost in HTTP/1.1: {}", old.text());
    let plain = Request::json("/shop.v1.Orders/Create", &json!({})).bearer(&token);
    assert_eq!(client.http2().send(plain).await.status, 400, "a message of another kind reaches no service");
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_service_that_is_gone_is_unavailable() {
    let project = Project::new();
    let Some(service) = Service::start(project.folder()).await else { return };
    let port = wait::free_port();
    let project = project
        .anonymous()
        .function(
            "orders.create",
            "grpc shop.v1.Orders/Create",
            &format!("grpc = {{ url = \"http://127.0.0.1:{port}\" }}"),
            "",
        )
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let answers = service.client(&gateway.url, &gateway.ca, None, &[native("Create", "unary", &["x"])]).await;
    assert_eq!(answers[0]["code"], "UNAVAILABLE", "{}", answers[0]);
    gateway.stop().await;
}

/// All that a caller can see, without what differs between any two calls.
fn visible(answer: &Value) -> Value {
    let mut answer = answer.clone();
    answer["seconds"] = Value::Null;
    for place in ["initial", "trailing"] {
        let fields = answer[place].as_object_mut().expect("metadata");
        for own in ["date", "latchwork-call-id", "grpc-status-details-bin"] {
            fields.remove(own);
        }
    }
    answer
}

/// The texts in the details of a status: type, reason and domain of its error.
fn details(hex: &str) -> Vec<String> {
    let bytes: Vec<u8> = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    let text = String::from_utf8_lossy(&bytes);
    let expected = ["google.rpc.ErrorInfo", "not_found", "latchwork"];
    expected.into_iter().filter(|word| text.contains(word)).map(str::to_owned).collect()
}
