//! `deploy/examples/warm`: a function is kept warm while that helps, and is left alone where it does not.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::path::Path;
use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    local,
    origin::Origin,
    project::Project,
    records, root, wait,
};

/// Most pauses until it is known of both functions what calls are worth: seven times what is expected.
const PAUSES_MAX: usize = 300;
/// How many pauses of each kind there are before anything is known.
const LEAST: usize = 20;

fn count(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

async fn quoted(gateway: &Running) -> Answer {
    let answer = gateway.client().send(Request::json("/quotes/tea", &json!({ "count": 1 }))).await;
    assert_eq!((answer.status, &answer.json()["sku"]), (200, &json!("tea")), "{}", answer.text());
    answer
}

/// Waits until the gateway has called twice in the pause, or the instance is gone that nobody calls.
async fn pause(gateway: &Running) {
    const CALLS: &str = "latchwork_warm_calls_total{function=\"shop.quote\",result=\"answered\"}";
    let before = count(&gateway.metrics().await, CALLS);
    wait::until("a pause is over", wait::LONG, || async {
        let metrics = gateway.metrics().await;
        let states = ["idle", "busy", "starting"];
        let instances = states.map(|state| {
            count(&metrics, &format!("latchwork_process_instances{{function=\"shop.quote\",state=\"{state}\"}}"))
        });
        (count(&metrics, CALLS) >= before + 2 || instances == [0, 0, 0]).then_some(())
    })
    .await;
}

fn of_warmer(records: &[Value], function: &str, kind: &str) -> Vec<Value> {
    let of = |record: &&Value| record["function"] == function && record["principal"]["kind"] == "System";
    records.iter().filter(of).filter(|record| record["kind"] == kind).cloned().collect()
}

/// What was found of a function, once it is.
fn verdict(audit: &Path, function: &str) -> Option<Value> {
    let records = records::read(audit);
    records.into_iter().find(|record| record["event"] == "warming" && record["function"] == function)
}

/// Whether the gateway knows what helps and what does not.
async fn knows(gateway: &Running) -> bool {
    let metrics = gateway.metrics().await;
    let active = |function, is| format!("latchwork_warm_active{{function=\"{function}\",target=\"0\"}} {is}");
    [active("shop.quote", 1), active("shop.stock", 0)].iter().all(|line| metrics.contains(line))
}

#[tokio::test]
async fn what_helps_goes_on_and_what_does_not_is_stopped() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("warm");
    copy(&root().join("deploy/examples/warm"), &folder);
    let config = folder.join("latchwork.toml");
    let times = [("\"10s\"", "\"100ms\""), ("\"20s\"", "\"400ms\""), (":8080", ":0"), (":9443", ":0")];
    replace(&config, &times);
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let audit = folder.join("audit");
    let gateway = latchwork::run(&config, &folder.join("no-certificate.pem")).await;

    let first = wait::until("a call that nobody asked for", wait::LONG, || async {
        of_warmer(&records::read(&audit), "shop.quote", "intent").pop()
    })
    .await;
    assert_eq!(first["principal"]["id"], "warmer");
    assert_eq!(first["determining"], json!(["shop.warm"]));
    assert_eq!((&first["listener"], &first["source"]), (&Value::Null, &Value::Null), "it came from nowhere: {first}");
    assert_eq!(first["facts"]["network"]["provenance"], "gateway");

    let mut known = (None, None);
    for pauses in 0..PAUSES_MAX {
        quoted(&gateway).await;
        let stock = gateway.client().send(Request::get("/stock/tea")).await;
        assert_eq!(stock.status, 200, "{}", stock.text());
        if pauses >= 2 * LEAST {
            known = (verdict(&audit, "shop.quote"), verdict(&audit, "shop.stock"));
        }
        if known.0.is_some() && known.1.is_some() {
            break;
        }
        pause(&gateway).await;
    }
    let (quote, stock) = (known.0.expect("a verdict"), known.1.expect("a verdict"));
    assert_eq!((&quote["verdict"], &stock["verdict"]), (&json!("helps"), &json!("stopped")), "{quote} {stock}");
    let share = |verdict: &Value, arm: &str| {
        verdict[arm]["cold"].as_f64().expect("a number") / verdict[arm]["pauses"].as_f64().expect("a number")
    };
    assert!(share(&quote, "alone") > 0.9, "its instance is gone by then: {quote}");
    assert!(share(&quote, "warmed") < share(&quote, "alone"), "{quote}");
    assert_eq!((share(&stock, "warmed"), share(&stock, "alone")), (0.0, 0.0), "{stock}");
    assert!(knows(&gateway).await);
    let made = of_warmer(&records::read(&audit), "shop.stock", "intent").len();
    for _ in 0..3 {
        quoted(&gateway).await;
        pause(&gateway).await;
    }
    gateway.stop().await;
    let records = records::read(&audit);
    assert_eq!(of_warmer(&records, "shop.stock", "intent").len(), made, "it is left alone");
    let closed = records.iter().filter(|record| record["kind"] == "closed").count();
    let intents = records.iter().filter(|record| record["kind"] == "intent").count();
    assert_eq!(closed, intents, "the gateway's calls end before the log does");
    let gateway = latchwork::run(&config, &folder.join("no-certificate.pem")).await;
    wait::until("it is known after a restart", wait::LONG, async || knows(&gateway).await.then_some(())).await;
    gateway.stop().await;
}

#[tokio::test]
async fn what_policy_does_not_permit_the_gateway_does_not_do() {
    let origin = Origin::start().await;
    let warm = "warm = { every = \"100ms\", cold_over = \"10s\" }";
    let project = Project::new()
        .anonymous()
        .http("shop.stock", "GET /stock", &origin.url, warm)
        .policy("@id(\"callers\")\npermit (principal is Anonymous, action in Action::\"call\", resource);");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let refused = wait::until("a refusal", wait::LONG, || async {
        of_warmer(&records::read(&project.audit()), "shop.stock", "refused").pop()
    })
    .await;
    assert_eq!((&refused["stage"], &refused["reason"]), (&json!("authorize"), &json!("not_permitted")), "{refused}");
    assert_eq!(gateway.client().send(Request::get("/stock")).await.status, 200);
    assert_eq!(origin.seen().len(), 1, "only the caller's call arrived");
    let metrics = gateway.metrics().await;
    let failed = "latchwork_warm_calls_total{function=\"shop.stock\",result=\"failed\"} ";
    assert!(count(&metrics, failed) >= 1, "{metrics}");
    let log = gateway.stop().await;
    assert_eq!(log.matches("a call to keep it warm failed").count(), 1, "it is said once: {log}");
}

#[tokio::test]
async fn a_method_of_grpc_is_called_with_a_message_of_its_own() {
    let Some(local) = local::grpc() else { return };
    let (route, warm) = ("grpc shop.v1.Orders/Create", "warm = { every = \"100ms\", instances = 2 }");
    let project = Project::new().anonymous();
    let project = project.process("orders.create", route, &local.function, &local.inside, warm).permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let closed = wait::until("the ends of two calls", wait::LONG, || async {
        let records = records::read(&project.audit());
        let calls: Vec<Value> = of_warmer(&records, "orders.create", "intent");
        let ids: Vec<&Value> = calls.iter().map(|intent| &intent["call"]).collect();
        let of = |record: &&Value| record["kind"] == "closed" && ids.contains(&&record["call"]);
        let closed: Vec<Value> = records.iter().filter(of).cloned().collect();
        (closed.len() == 2).then_some(closed)
    })
    .await;
    for closed in &closed {
        assert_eq!((&closed["outcome"], &closed["run"]["start"]), (&json!("completed"), &json!("cold")), "{closed}");
    }
    gateway.stop().await;
}
