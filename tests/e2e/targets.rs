//! A function at two places: a second is asked beside a slow one, or after its time, and never where policy changed its mind.

use serde_json::json;
use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    records, wait,
};

/// A function at a place that never answers, and at one that does.
fn two(project: Project, name: &str, (never, good): (&Origin, &Origin), more: &str) -> Project {
    let targets = format!(
        "region = \"eu\", http = {{ url = \"{}/slow\" }} }}, {{ region = \"us\", http = {{ url = \"{}/good\" }}",
        never.url, good.url
    );
    project.function(&format!("shop.{name}"), &format!("PUT /{name}"), &targets, more)
}

async fn put(gateway: &Running, path: &str, key: Option<&str>) -> Answer {
    let request = Request::put(path, "7");
    gateway.client().send(key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))).await
}

#[tokio::test]
async fn a_second_target_is_asked_when_the_first_is_slow_or_late() {
    let (never, good) = (Origin::start().await, Origin::start().await);
    let mut project = Project::new().anonymous();
    for (name, more) in [
        ("hedged", "idempotent = true\ndispatch = { hedge_after = \"100ms\" }"),
        ("late", "idempotent = true\ndispatch = { attempt_timeout = \"100ms\" }"),
        ("once", "timeout = \"300ms\""),
    ] {
        project = two(project, name, (&never, &good), more);
    }
    let project = project.permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let mut told = Vec::new();
    for (path, failed, key) in [("/hedged", "slow", None), ("/late", "timed_out", Some("\"mine\""))] {
        let said = put(&gateway, path, key).await;
        assert_eq!((said.status, said.text()), (200, "7".to_owned()), "{path}: {}", gateway.stderr());
        let expected = key.map_or_else(|| format!("\"{}\"", said.call_id()), str::to_owned);
        for origin in [&never, &good] {
            let seen = origin.seen().pop().expect("it was asked");
            assert_eq!(
                (seen.headers["idempotency-key"].to_str().expect("text"), &seen.body[..]),
                (&*expected, &b"7"[..])
            );
        }
        told.push((said.call_id(), failed));
    }
    let once = put(&gateway, "/once", None).await;
    assert_eq!(once.status, 504, "{}", once.text());
    assert_eq!((never.seen().len(), good.seen().len()), (3, 2), "what may have had its effect is not asked for again");
    let seen = never.seen().pop().expect("it was asked");
    assert!(!seen.headers.contains_key("idempotency-key"), "nothing promises that a repetition does no harm");
    gateway.stop().await;
    for (id, failed) in told {
        let records = records::of_call(&project.audit(), &id);
        assert_eq!(records::kinds(&records), ["intent", "attempt", "closed"], "{records:?}");
        assert_eq!((&records[0]["target"], &records[0]["chosen"]), (&json!(0), &json!("listed")));
        assert_eq!((&records[1]["target"], &records[1]["failed"]), (&json!(1), &json!(failed)));
        assert_eq!(records[2]["run"], json!({ "target": 1, "provider": "http" }));
        let story = latchwork::command(project.folder(), &["explain", &id]);
        let story = String::from_utf8_lossy(&story.stdout).into_owned();
        for part in ["0 (the first of the list that works) of those allowed: 0, 1", "on target 1 (http)", failed] {
            assert!(story.contains(part), "{part}: {story}");
        }
    }
}

#[tokio::test]
async fn a_target_that_policy_has_come_to_forbid_is_not_asked() {
    let (never, good) = (Origin::start().await, Origin::start().await);
    let more = "idempotent = true\ndispatch = { attempt_timeout = \"6s\" }";
    let project = two(Project::new().anonymous(), "late", (&never, &good), more).permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let changed = async {
        wait::until("the first target is asked", wait::LONG, || async { (never.seen().len() == 1).then_some(()) })
            .await;
        project.write_policies(
            "@id(\"all\")\npermit (principal, action in Action::\"call\", resource);\n\
             @id(\"here\")\nforbid (principal, action == Action::\"run_on\", resource in Region::\"us\");\n",
        );
        let reload = Request::post("/latchwork/v1/reload", "").header("latchwork-admin", "1");
        let said = gateway.admin().send(reload).await;
        assert_eq!(said.status, 200, "{}", said.text());
    };
    let (said, ()) = tokio::join!(put(&gateway, "/late", None), changed);
    assert_eq!(said.status, 403, "{}", said.text());
    assert!(said.json()["type"].as_str().is_some_and(|kind| kind.ends_with("revoked")), "{}", said.text());
    assert!(good.seen().is_empty(), "it may not run there any more");
    gateway.stop().await;
    let records = records::of_call(&project.audit(), &said.call_id());
    assert_eq!(records::kinds(&records), ["intent", "closed"], "{records:?}");
    assert_eq!(records[1]["outcome"], "revoked");
}
