//! A budget that is used up refuses calls, also after a restart; one that is only watched refuses none.

use serde_json::json;
use tests::{client::Request, latchwork, origin::Origin, project::Project, records, wait};

/// One unit of money for each call.
const PRICE: &str = "[price.dear]\ncurrency = \"EUR\"\nsource = \"this test\"\ndate = \"2026-11-28\"\n\
                     per_million_calls = 1000000\n";

#[tokio::test]
async fn calls_are_refused_once_a_budget_is_used_up_also_after_a_restart() {
    let origin = Origin::start().await;
    let target = format!("http = {{ url = \"{}\" }}, price = \"dear\"", origin.url);
    let project = Project::new()
        .anonymous()
        .function("shop.dear", "GET /dear", &target, "")
        .function("shop.watched", "GET /watched", &target, "")
        .tables(PRICE)
        .tables("[budget.few]\nfunctions = [\"shop.dear\"]\nper = \"month\"\namount = 3\nthen = \"refuse\"\n")
        .tables("[budget.seen]\nfunctions = [\"shop.watched\"]\nper = \"day\"\namount = 1\nthen = \"shadow\"\n")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let get = async |gateway: &latchwork::Running, path: &str| gateway.client().send(Request::get(path)).await;
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/dear").await.status, 200);
        assert_eq!(get(&gateway, "/watched").await.status, 200);
    }
    let refused = get(&gateway, "/dear").await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    let problem = refused.json();
    assert_eq!(problem["detail"], "the budget `few` is used up until its next period", "{problem}");
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=31 * 86_400).contains(&seconds), "{seconds} s");
    assert_eq!(origin.seen().len(), 6, "what is refused does not run");
    let metrics = gateway.admin().send(Request::get("/metrics")).await.text();
    for line in [
        "latchwork_budget_over_total{budget=\"few\",result=\"refused\"} 1",
        "latchwork_budget_over_total{budget=\"seen\",result=\"shadowed\"} 2",
        "latchwork_budget_spent_total{budget=\"few\"} 3",
        "latchwork_cost_total{function=\"shop.watched\",target=\"0\",currency=\"EUR\"} 3",
        "latchwork_caller_cost_total{caller=\"anonymous\",currency=\"EUR\"} 6",
    ] {
        assert!(metrics.contains(line), "`{line}`: {metrics}");
    }
    let log = gateway.stop().await;
    assert!(log.contains("a budget is used up"), "{log}");
    let record = records::of_call(&project.audit(), &refused.call_id()).pop().expect("a record");
    assert_eq!(
        (&record["kind"], &record["refusal"], &record["stage"]),
        (&json!("refused"), &json!("over_budget"), &json!("admit"))
    );

    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    wait::until("what was spent before is known", wait::LONG, || async {
        (get(&gateway, "/dear").await.status == 429).then_some(())
    })
    .await;
    gateway.stop().await;
}
