//! The same handlers under the host of processes, unchanged: frameworks of Google, kits of Fn, actions, any server.

use crate::{
    examples::{copy, replace, succeeds},
    functions_framework::{TELLING, tells},
};
use serde_json::json;
use std::{fmt::Write as _, path::Path};
use tests::{
    client::{Answer, Request},
    grpcio,
    latchwork::{self, Running},
    local::{self, Local},
    processes,
    project::Project,
    root, wait,
};

/// A gateway before one function.
struct World {
    gateway: Running,
    project: Project,
    marker: &'static str,
}

impl World {
    async fn start(route: &str, local: &Local, more: &str) -> Self {
        // Also for a start on a machine that is busy.
        let mut table = "timeout = \"15s\"\n".to_owned();
        let _ = write!(table, "{more}");
        let project = Project::new().anonymous();
        let project = project.process("shop.run", route, &local.function, &local.inside, &table).permit_all();
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        Self { gateway, project, marker: local.marker }
    }

    fn instances(&self) -> usize {
        processes::descendants(self.gateway.id()).iter().filter(|p| p.command.contains(self.marker)).count()
    }

    async fn send(&self, request: Request) -> Answer {
        self.gateway.client().send(request).await
    }

    async fn says(&self, words: &str) {
        wait::until(words, wait::LONG, || std::future::ready(self.gateway.stderr().contains(words).then_some(())))
            .await;
    }

    async fn end(self) {
        self.gateway.stop().await;
        drop(self.project);
    }
}

const QUERY: &str = "query = { tag = \"string\", fail = \"string\" }";

/// What every framework for HTTP functions is to be like.
async fn framework(world: World) {
    assert_eq!(world.instances(), 0, "a process is started on demand");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::json("/shop/one?tag=a", &json!({ "count": 1 }))
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
        .header("latchwork-caller", "User::\"corp/root\"");
    let answer = world.send(request.clone()).await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), world.gateway.stderr());
    let seen = answer.json();
    assert_eq!(
        (&seen["method"], &seen["path"], &seen["body"]),
        (&json!("POST"), &json!("/shop/one"), &json!({ "count": 1 }))
    );
    assert!(seen["traceparent"].as_str().is_some_and(|t| t.contains(trace)), "{seen}");
    assert!(seen["caller"].as_str().is_some_and(|c| c.contains("anonymous") && !c.contains("root")), "{seen}");
    let failed = world.send(Request::json("/shop/one?fail=1", &json!({}))).await;
    assert!(failed.status >= 500 && !failed.text().contains("told to fail"), "{}: {}", failed.status, failed.text());
    assert_eq!(world.send(request).await.status, 200, "and goes on");
    assert!(world.instances() >= 1);
    world.end().await;
}

#[tokio::test]
async fn google_functions_in_python_run_unchanged() {
    let Some(local) = local::framework("http") else { return };
    let local = local.handler("describe").with("calls_per_instance = 8, ready = \"/\"");
    framework(World::start("POST /shop/{item}", &local, QUERY).await).await;
}

#[tokio::test]
async fn bytes_and_pieces_of_a_framework_pass() {
    let Some(local) = local::framework("http") else { return };
    let local = local.handler("describe").with("calls_per_instance = 8, ready = \"/\"");
    let project = Project::new().anonymous();
    let project = project.process("shop.tell", "POST /tell", &local.function, &local.inside, TELLING).permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    tells(&gateway, project.folder()).await;
    gateway.stop().await;
}

#[tokio::test]
async fn google_functions_in_node_run_unchanged() {
    let Some(local) = local::framework_node("http") else { return };
    framework(
        World::start("POST /shop/{item}", &local.handler("describe").with("calls_per_instance = 8"), QUERY).await,
    )
    .await;
}

#[tokio::test]
async fn functions_that_take_events_get_them() {
    for local in [local::framework("cloudevent"), local::framework_node("cloudevent")] {
        let Some(local) = local else { continue };
        let event = "event = { type = \"example.shop.ordered\", source = \"/shop\" }";
        let world = World::start("POST /ordered", &local.handler("receive").with(event), "").await;
        let request = Request::json("/ordered", &json!({ "sku": "tea" })).header("ce-type", "example.forged");
        let answer = world.send(request).await;
        assert!(matches!(answer.status, 200 | 204), "{}: {}\n{}", answer.status, answer.text(), world.gateway.stderr());
        world.says("example.shop.ordered").await;
        assert!(!world.gateway.stderr().contains("example.forged"));
        let failed = world.send(Request::json("/ordered", &json!({ "fail": true }))).await;
        assert!(
            failed.status >= 500 && !failed.text().contains("told to fail"),
            "{}: {}",
            failed.status,
            failed.text()
        );
        world.end().await;
    }
}

/// What every kit of Fn is to be like.
async fn kit(world: World) {
    let answer =
        world.send(Request::post("/wrapped/7?tag=a", "tea").header("x-tag", "b").header("fn-call-id", "mine")).await;
    assert_eq!(answer.status, 201, "{}\n{}", answer.text(), world.gateway.stderr());
    let seen = answer.json();
    assert_eq!(
        (&seen["method"], &seen["body"], answer.header("x-mine")),
        (&json!("POST"), &json!("tea"), "1"),
        "{seen}"
    );
    assert!(seen["url"].as_str().is_some_and(|url| url.ends_with("/wrapped/7?tag=a")), "{seen}");
    assert_eq!(seen["call"], answer.call_id(), "the call's id, not the caller's: {seen}");
    let headers = serde_json::to_string(&seen["headers"]).unwrap().to_ascii_lowercase();
    assert!(headers.contains("\"x-tag\"") && headers.contains("\"traceparent\""), "{headers}");
    for (told, status) in [("fail", 502), ("slow", 504)] {
        let failed = world.send(Request::post("/wrapped/7", told)).await;
        assert_eq!(failed.status, status, "{told}: {}", failed.text());
        assert!(!failed.text().contains("inside"), "{}", failed.text());
        let after = world.send(Request::post("/wrapped/7", "tea")).await;
        assert_eq!(after.status, 201, "after {told}: {}\n{}", after.text(), world.gateway.stderr());
    }
    assert_eq!(world.instances(), 1);
    world.end().await;
}

#[tokio::test]
async fn functions_of_fn_in_python_run_unchanged() {
    let Some(local) = local::fdk() else { return };
    let local = local.with("intent = \"httprequest\", instances_max = 1");
    kit(World::start("POST /wrapped/{id}", &local, QUERY).await).await;
}

#[tokio::test]
async fn functions_of_fn_in_node_run_unchanged() {
    let Some(local) = local::fdk_node() else { return };
    let local = local.with("intent = \"httprequest\", instances_max = 1");
    kit(World::start("POST /wrapped/{id}", &local, QUERY).await).await;
}

#[tokio::test]
async fn a_function_of_fn_may_get_the_body_alone() {
    let Some(local) = local::fdk() else { return };
    let world = World::start("POST /raw", &local, "response_bytes_max = 100000").await;
    let binary = world.send(Request::post("/raw", b"\0\x01\xff".to_vec())).await;
    assert_eq!((binary.status, &binary.body[..]), (200, &b"\0\x01\xff"[..]), "{}", world.gateway.stderr());
    assert_eq!(binary.header("content-type"), "application/octet-stream");
    let large = world.send(Request::post("/raw", "large")).await;
    assert_eq!(large.status, 502, "an answer that is too large: {}", large.text());
    world.end().await;
}

#[tokio::test]
async fn actions_are_initialised_once_and_run() {
    let Some(local) = local::whisk() else { return };
    let local = local.with("environment.GREETING = \"hello\"");
    let limits = format!("{QUERY}\nresponse_bytes_max = 100000\nrequest_bytes_max = 2000000");
    let world = World::start("POST /act/{id}", &local, &limits).await;
    let answer = world.send(Request::json("/act/7?tag=a", &json!({ "n": 12_345_678_901_234_567_u64 }))).await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), world.gateway.stderr());
    let seen = answer.json();
    assert_eq!(seen["params"], json!({ "n": 12_345_678_901_234_567_u64, "id": "7", "tag": "a" }), "{seen}");
    assert_eq!((&seen["action"], &seen["greeting"]), (&json!("/_/shop.run"), &json!("hello")), "{seen}");
    assert_eq!(seen["activation"], answer.call_id().replace('-', ""), "{seen}");
    let again = world.send(Request::json("/act/7", &json!({}))).await.json();
    assert_eq!(again["process"], seen["process"], "a container is run again");
    for (told, status, same) in
        [("error", 502, true), ("raise", 502, false), ("list", 502, false), ("sleep", 504, false)]
    {
        let before = world.send(Request::json("/act/7", &json!({}))).await.json();
        let failed = world.send(Request::json("/act/7", &json!({ "tell": told }))).await;
        assert_eq!(failed.status, status, "{told}: {}", failed.text());
        assert!(!failed.text().contains("told to fail"), "{}", failed.text());
        let after = world.send(Request::json("/act/7", &json!({}))).await.json();
        assert_eq!(
            after["process"] == before["process"],
            same,
            "{told}: a container that failed itself is run no more"
        );
    }
    let large = world.send(Request::json("/act/7", &json!({ "tell": "large" }))).await;
    assert_eq!(large.status, 502, "{}", large.text());
    let large = world.send(Request::json("/act/7", &json!({ "text": "x".repeat(1_100_000) }))).await;
    assert_eq!(large.status, 413, "{}", large.text());
    world.says("a line of the action").await;
    let log = world.gateway.stderr();
    assert!(!log.contains("a lie") && !log.contains("THE_END_OF"), "{log}");
    world.end().await;
}

#[tokio::test]
async fn any_server_of_http_runs_unchanged() {
    let Some(local) = local::web() else { return };
    let local = local.with("calls_per_instance = 4, instances_min = 1");
    let world = World::start("/{*path}", &local, "").await;
    wait::until("an instance that is kept ready", wait::LONG, || {
        std::future::ready((world.instances() > 0).then_some(()))
    })
    .await;
    let answer = world.send(Request::get("/things/a%20b?x=1")).await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), world.gateway.stderr());
    let seen = answer.json();
    assert_eq!((&seen["method"], &seen["query"]), (&json!("GET"), &json!("x=1")), "{seen}");
    assert!(seen["headers"]["latchwork-deadline"].is_string(), "{seen}");
    assert_eq!(world.send(Request::get("/busy")).await.status, 503, "its own answer");
    assert_eq!(world.send(Request::get("/stream")).await.text(), "0\n1\n2\n");
    world.end().await;
}

#[tokio::test]
async fn a_service_of_grpc_runs_unchanged_with_its_trailers() {
    let Some(local) = local::grpc() else { return };
    let local = local.with("calls_per_instance = 16");
    let mut project = Project::new().anonymous();
    for method in ["Create", "List", "Upload", "Chat", "Fail", "Short", "Leave"] {
        let (name, route) = (format!("orders.{}", method.to_lowercase()), format!("grpc shop.v1.Orders/{method}"));
        // No call waits for this one to start.
        let (timeout, ready) = if method == "Short" { ("5s", ", instances_min = 1") } else { ("30s", "") };
        let (inside, more) = (format!("{}{ready}", local.inside), format!("timeout = \"{timeout}\""));
        project = project.process(&name, &route, &local.function, &inside, &more);
    }
    let project = project.permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let python = local.function.command[0].as_str().as_ref();
    let step = |method: &str, shape: &str, send: &[&str]| json!({ "kind": "native", "method": format!("/shop.v1.Orders/{method}"), "shape": shape, "send": send, "timeout": 60 });
    let steps = [
        step("Create", "unary", &["hello"]),
        step("List", "server", &["n"]),
        step("Chat", "bidi", &["one", "two"]),
        step("Fail", "unary", &["x"]),
        step("Upload", "client", &["a", "b", "c"]),
        step("Leave", "unary", &["x"]),
        step("Leave", "unary", &["x"]),
        step("Short", "server", &["late"]),
    ];
    let answers = grpcio::client(python, &gateway.url, &gateway.ca, None, &steps).await;
    let log = gateway.stderr();
    assert_eq!(answers[0]["messages"], json!(["hello"]), "{answers:?}\n{log}");
    assert_eq!(answers[0]["trailing"]["x-trailing"], "2", "{answers:?}");
    assert_eq!(
        (&answers[1]["messages"], &answers[1]["trailing"]["x-trailing"]),
        (&json!(["n0", "n1", "n2"]), &json!("listed"))
    );
    assert_eq!(answers[2]["messages"], json!(["re: one", "re: two"]), "{answers:?}");
    assert_eq!(
        (&answers[3]["code"], &answers[3]["trailing"]["x-why"]),
        (&json!("RESOURCE_EXHAUSTED"), &json!("quota"))
    );
    assert_eq!((&answers[4]["code"], &answers[4]["messages"]), (&json!("OK"), &json!(["abc"])), "{answers:?}\n{log}");
    for gone in &answers[5..7] {
        assert_eq!(gone["code"], "UNAVAILABLE", "its process ended, and another was there for the next: {gone}\n{log}");
    }
    assert_eq!((&answers[7]["code"], &answers[7]["messages"]), (&json!("DEADLINE_EXCEEDED"), &json!(["waiting"])));
    gateway.stop().await;
}

/// `deploy/examples/local_host`, with only its addresses and programs made for the test.
#[tokio::test]
async fn the_example_runs_the_functions_of_several_providers() {
    let (Some(framework), Some(fdk), Some(lambda)) = (local::framework("http"), local::fdk(), local::lambda()) else {
        return;
    };
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("local_host");
    copy(&root().join("deploy/examples/local_host"), &folder);
    let beside = |local: &Local, name: &str| {
        let program = Path::new(&local.function.command[0]).with_file_name(name);
        toml::Value::String(program.to_string_lossy().into_owned()).to_string()
    };
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("\"functions-framework\"", &*beside(&framework, "functions-framework")),
            ("\"fdk\"", &*beside(&fdk, "fdk")),
            (
                "\"python3\", \"-m\", \"awslambdaric\"",
                &*format!("{}, \"-m\", \"awslambdaric\"", beside(&lambda, "python")),
            ),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let send = async |request: Request| gateway.client().send(request).await;
    let hello = send(Request::json("/hello", &json!({ "name": "Ada" }))).await;
    assert_eq!((hello.status, hello.json()), (200, json!({ "hello": "Ada" })), "{}", gateway.stderr());
    let order = send(Request::json("/orders/7", &json!({ "sku": "tea" }))).await;
    assert_eq!((order.status, &order.json()["order"]), (201, &json!({ "sku": "tea" })), "{}", gateway.stderr());
    let price = send(Request::json("/price", &json!({ "count": 3 }))).await;
    assert_eq!((price.status, &price.json()["cents"]), (200, &json!(300)), "{}", gateway.stderr());
    let page = send(Request::get("/page")).await;
    assert_eq!((page.status, page.text().as_str()), (200, "<p>Hello.</p>\n"), "{}", gateway.stderr());
    gateway.stop().await;
}
