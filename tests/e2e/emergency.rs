//! An emergency forbid acts on the next call, cuts what is open within a second, and outlives broken saves and restarts.

use std::time::{Duration, Instant};
use tests::{
    client::Request,
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    records, wait,
};

/// From the command's end to the end of an open stream.
const CUT: Duration = Duration::from_secs(1);

const TELL: &str = "@id(\"tell\")\npermit (principal, action == Action::\"describe\", resource);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_forbidden_from_the_next_call_on_until_that_is_lifted() {
    let (project, _origin, gateway) = start().await;
    assert_eq!(status(&gateway, "/stock/7").await, 200);
    let said = run(&project, "policy emergency forbid --function shop.stock --reason leaks", 0);
    assert!(said.starts_with("in force: 1: function `shop.stock`"), "{said}");
    let denied = gateway.client().send(Request::get("/stock/7")).await;
    assert_eq!(denied.status, 403);
    assert_eq!(status(&gateway, "/other").await, 200, "nothing else is forbidden");
    let refused = &records::of_call(&project.audit(), &denied.call_id())[0];
    assert_eq!((&refused["reason"], &refused["determining"][0]), (&"forbidden".into(), &"emergency.1".into()));

    // Neither a good save, nor a broken one, nor a restart lifts it.
    for policies in [format!("{TELL}\n{EVERYONE}\n// saved"), "broken".to_owned()] {
        project.write_policies(&policies);
        latchwork::command(project.folder(), &["reload", "--accept-removals"]);
        assert_eq!(status(&gateway, "/stock/7").await, 403);
    }
    assert!(run(&project, "policy emergency list", 0).contains("leaks"));
    let ready = gateway.admin().send(Request::get("/latchwork/v1/ready")).await.json();
    assert_eq!(ready["emergencies"][0]["function"], "shop.stock", "{ready}");
    assert!(gateway.metrics().await.contains("latchwork_emergencies 1"));
    gateway.stop().await;
    project.write_policies(&format!("{TELL}\n{EVERYONE}"));
    assert!(run(&project, "check", 0).contains("emergency forbid 1 of function `shop.stock` is in force"));
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    assert_eq!(status(&gateway, "/stock/7").await, 403);

    run(&project, "policy emergency lift 9 --reason mended", 1);
    assert!(run(&project, "policy emergency lift 1 --reason mended", 0).starts_with("lifted: 1"));
    assert_eq!(status(&gateway, "/stock/7").await, 200);
    let verbs: Vec<_> = records::read(&project.audit())
        .into_iter()
        .filter(|record| {
            record["kind"] == "admin" && record["verb"].as_str().is_some_and(|v| v.starts_with("emergency"))
        })
        .map(|record| format!("{} {} {}", record["verb"], record["who"], record["detail"]).replace('"', ""))
        .collect();
    let expected = [
        "emergency.forbid admin 1: function `shop.stock`: leaks",
        "emergency.lift admin 1: function `shop.stock`: mended",
    ];
    assert_eq!(verbs, expected);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_call_is_cut_within_a_second() {
    let (project, origin, gateway) = start().await;
    let client = gateway.client();
    let open = tokio::spawn(async move { client.try_send(Request::get("/other/slow")).await });
    wait::until("the open call", wait::LONG, || async { (!origin.seen().is_empty()).then_some(()) }).await;
    // A call is watched for withdrawal once it has been pending for a second.
    let asked = Instant::now();
    run(&project, "policy emergency forbid --caller anonymous --reason storm", 0);
    let forbidden = Instant::now();
    let ended = open.await.expect("the call ends");
    assert!(ended.is_ok_and(|answer| answer.status >= 400), "an open call is refused");
    let took = forbidden.elapsed();
    assert!(took <= CUT, "cut {took:?} after the command, which took {:?}", forbidden - asked);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_in_words() {
    let (project, _origin, gateway) = start().await;
    for (line, expected) in [
        ("forbid --function shop.stok --reason x", "there is no function `shop.stok`"),
        ("forbid --issuer nobody --reason x", "there is no issuer `nobody`"),
        ("forbid --caller nobody --reason x", "`nobody` is no caller"),
        ("forbid --function shop.stock --reason x --until 2020-01-01T00:00:00Z", "`until` has passed"),
    ] {
        let said = run(&project, &format!("policy emergency {line}"), 3);
        assert!(said.contains(expected), "{said}");
    }
    let plain = Request::post("/latchwork/v1/emergency", "{\"function\":\"shop.stock\",\"reason\":\"x\"}");
    assert_eq!(gateway.admin().send(plain).await.status, 403, "a change is meant, and says so");
    assert_eq!(status(&gateway, "/stock/7").await, 200);
    gateway.stop().await;
}

const EVERYONE: &str = "@id(\"everyone\")\npermit (principal, action in Action::\"call\", resource);";

async fn start() -> (Project, Origin, Running) {
    let origin = Origin::start().await;
    let project = Project::new()
        .anonymous()
        .http("shop.stock", "GET /stock/{sku}", &origin.url, "")
        .http("shop.other", "GET /other/{*rest}", &origin.url, "")
        .http("shop.plain", "GET /other", &origin.url, "")
        .policy(TELL)
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (project, origin, gateway)
}

async fn status(gateway: &Running, path: &str) -> u16 {
    gateway.client().send(Request::get(path)).await.status
}

/// What a command prints. It runs beside the gateway, which must not wait for it.
fn run(project: &Project, line: &str, expected: i32) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = tokio::task::block_in_place(|| latchwork::command(project.folder(), &words));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "`{line}`: {said}");
    said
}
