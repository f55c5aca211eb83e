//! What is in shadow is asked, counted, recorded and told of, and changes no answer: not its status, not a header, not a byte.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    records, wait,
};

mod bundle;
mod input;

/// In force: everybody may know of all but the hidden function, and call what has no secret.
const ENFORCED: &str = "@id(\"tell\")\npermit (principal, action == Action::\"describe\", resource);\n\
    @id(\"read\")\npermit (principal, action in Action::\"read\", resource);";

/// In shadow: a forbid, a permit, a condition that fails, and one more forbid of what is denied anyway.
const SHADOW: &str = "@id(\"stop\") @mode(\"shadow\")\nforbid (principal, action == Action::\"shop.stock\", resource)\n\
    when { context.path.sku like \"9*\" };\n\
    @id(\"open\") @mode(\"shadow\")\npermit (principal, action == Action::\"shop.new\", resource);\n\
    @id(\"far\") @mode(\"shadow\")\nforbid (principal, action == Action::\"shop.far\", resource)\n\
    when { resource.class + 9223372036854775807 > 1 };\n\
    @id(\"also\") @mode(\"shadow\")\nforbid (principal, action == Action::\"shop.shut\", resource);";

fn project(origin: &Origin, policies: &str) -> Project {
    let read = "action_groups = [\"read\"]";
    Project::new()
        .anonymous()
        .http("shop.stock", "GET /stock/{sku}", &origin.url, read)
        .http("shop.far", "GET /far", &origin.url, read)
        .http("shop.new", "POST /new", &origin.url, "")
        .http("shop.shut", "GET /shut", &origin.url, "")
        .policy(ENFORCED)
        .policy(policies)
}

/// Everything of an answer that is not of one call alone. Whether a connection stays open under a body that a denied call
/// leaves unread depends on how much of it has come by then, with a shadow or without.
fn seen(answer: &Answer) -> (u16, BTreeMap<String, Vec<u8>>, String) {
    let of_one_call = ["latchwork-call-id", "date", "connection"];
    let headers = answer.headers.iter().filter(|(name, _)| !of_one_call.contains(&name.as_str()));
    let body = answer.text().replace(&answer.call_id(), "(id)");
    (answer.status, headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(), body)
}

/// The shadow's record of a call, which nobody waits for.
async fn shadowed(project: &Project, call: &str) -> Value {
    let found = || async { records::of_call(&project.audit(), call).into_iter().find(|r| r["kind"] == "shadow") };
    wait::until("the shadow's record", wait::LONG, found).await
}

fn run(project: &Project, line: &str, expected: i32) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = tokio::task::block_in_place(|| latchwork::command(project.folder(), &words));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "`{line}`: {said}");
    said
}

async fn metric(gateway: &Running, line: &str) {
    let found = || async { gateway.metrics().await.lines().any(|found| found == line).then_some(()) };
    wait::until(line, wait::LONG, found).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_directions_are_counted_recorded_and_told_and_no_answer_is_another() {
    let origin = Origin::start().await;
    let (plain, watched) = (project(&origin, ""), project(&origin, SHADOW));
    let without = latchwork::run(&plain.config(), &plain.ca()).await;
    let with = latchwork::run(&watched.config(), &watched.ca()).await;
    let mut calls = BTreeMap::new();
    for (name, request) in [
        ("fine", Request::get("/stock/7")),
        ("stop", Request::get("/stock/99")),
        ("far", Request::get("/far")),
        ("open", Request::post("/new", "body")),
        ("also", Request::get("/shut")),
        ("none", Request::get("/nowhere")),
    ] {
        let expected = without.client().send(request.clone()).await;
        let answer = with.client().send(request).await;
        assert_eq!(seen(&answer), seen(&expected), "`{name}`");
        calls.insert(name, answer.call_id());
    }
    assert_eq!(origin.seen().len(), 6, "three calls ran, with a shadow and without");

    for (name, enforced, would, reason) in [
        ("stop", "allow", "deny", json!("forbidden")),
        ("far", "allow", "deny", json!("policy_error")),
        ("open", "deny", "allow", Value::Null),
        ("also", "deny", "otherwise", json!("forbidden")),
    ] {
        let record = shadowed(&watched, &calls[name]).await;
        let got = [&record["enforced"], &record["would"], &record["reason"], &record["determining"]];
        assert_eq!(got, [&json!(enforced), &json!(would), &reason, &json!([name])], "{record}");
        assert_eq!(record["shadow"], "policies", "{record}");
        metric(
            &with,
            &format!(
                "latchwork_shadow_disagreements_total{{policy=\"{name}\",would=\"{would}\",shadow=\"policies\"}} 1"
            ),
        )
        .await;
        let told = run(&watched, &format!("explain {}", calls[name]), 0);
        assert!(told.contains("the policies in shadow would") && told.contains(name), "{told}");
    }
    metric(&with, "latchwork_policies_shadowed 4").await;
    metric(&with, "latchwork_shadow_asked_total 5").await;
    assert!(records::of_call(&watched.audit(), &calls["fine"]).iter().all(|record| record["kind"] != "shadow"));
    let tail = run(&watched, "audit tail", 0);
    assert!(tail.contains("shadow shop.stock  the policies in shadow would deny, forbidden by stop"), "{tail}");
    assert!(run(&watched, "explain --last", 0).contains("decision"));
    assert!(run(&watched, "audit verify audit --key audit/test/vkey", 0).contains("ok"));
    without.stop().await;
    let log = with.stop().await;
    let line =
        log.lines().find(|line| line.contains("the shadow would decide otherwise") && line.contains(&calls["stop"]));
    assert!(line.is_some_and(|line| line.contains("INFO") && line.contains("stop")), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbid_goes_into_shadow_only_if_that_is_accepted_and_comes_out_with_a_save() {
    let origin = Origin::start().await;
    let forbid = "@id(\"shut\")\nforbid (principal, action == Action::\"shop.stock\", resource);";
    let project = project(&origin, forbid);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let status = async || gateway.client().send(Request::get("/stock/7")).await.status;
    assert_eq!(status().await, 403);
    project.write_policies(&format!("{ENFORCED}\n{}", forbid.replace("@id", "@mode(\"shadow\") @id")));
    let held = run(&project, "reload", 3);
    assert!(held.contains("forbid `shut` is only in shadow"), "{held}");
    assert_eq!(status().await, 403);
    run(&project, "reload --accept-removals", 0);
    assert_eq!(status().await, 200);
    project.write_policies(&format!("{ENFORCED}\n{forbid}"));
    run(&project, "reload --wait", 0);
    assert_eq!(status().await, 403);
    project.write_policies(&format!("{ENFORCED}\n{}", forbid.replace("@id", "@mode(\"shade\") @id")));
    assert!(run(&project, "reload", 3).contains("test.cedar:8:7: error: `shade` is no mode"));
    assert_eq!(status().await, 403);
    gateway.stop().await;
}
