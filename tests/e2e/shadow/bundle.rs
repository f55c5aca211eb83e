//! A whole bundle in shadow: a folder or a signed file, watched, and never in the way of the one in force.

use super::*;

fn with_shadow(origin: &Origin, shadow: &str) -> Project {
    let project = project(origin, "");
    let path = project.config();
    let config = std::fs::read_to_string(&path).expect("a configuration");
    project.write("latchwork.toml", &config.replace("[policy]\n", &format!("[policy]\n{shadow}\n")));
    project
}

const RUN_ON: &str = "@id(\"run-on.default\")\npermit (principal, action == Action::\"run_on\", resource);\n";

/// The same as in force, but for one function less.
fn narrower() -> String {
    format!("{RUN_ON}{}", ENFORCED.replace("action in Action::\"read\"", "action == Action::\"shop.far\""))
}

async fn told(project: &Project, gateway: &Running, path: &str) -> (u16, String) {
    let answer = gateway.client().send(Request::get(path)).await;
    let record = shadowed(project, &answer.call_id()).await;
    assert_eq!(record["shadow"], "bundle", "{record}");
    let policies: Vec<_> = record["determining"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    (answer.status, format!("{} {} {}", record["would"], record["reason"], policies.join(",")).replace('"', ""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_asked_watched_and_kept_when_it_breaks() {
    let origin = Origin::start().await;
    let project = with_shadow(&origin, "shadow = \"next\"");
    project.write("next/shop.cedar", &narrower());
    run(&project, "check", 0);
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    assert_eq!(told(&project, &gateway, "/stock/7").await, (200, "deny not_permitted ".into()));
    // An implicit denial is nobody's, and counted.
    metric(&gateway, "latchwork_shadow_disagreements_total{policy=\"\",would=\"deny\",shadow=\"bundle\"} 1").await;

    project.write("next/shop.cedar", "broken");
    run(&project, "reload", 0);
    metric(&gateway, "latchwork_shadow_broken 1").await;
    assert_eq!(told(&project, &gateway, "/stock/7").await, (200, "deny not_permitted ".into()), "the last good one");
    assert!(gateway.stderr().contains("the shadow bundle can't be asked"), "{}", gateway.stderr());
    assert!(run(&project, "check", 3).contains("next/shop.cedar:1:"));

    let forbids =
        format!("{RUN_ON}{ENFORCED}\n@id(\"none\")\nforbid (principal, action in Action::\"read\", resource);");
    project.write("next/shop.cedar", &forbids);
    metric(&gateway, "latchwork_shadow_broken 0").await;
    assert_eq!(told(&project, &gateway, "/stock/7").await, (200, "deny forbidden none".into()));
    // An emergency is in force there, too: it is no difference.
    run(&project, "policy emergency forbid --function shop.stock --reason leaks", 0);
    let denied = gateway.client().send(Request::get("/stock/7")).await;
    assert_eq!(denied.status, 403);
    metric(&gateway, "latchwork_shadow_asked_total 4").await;
    assert!(records::of_call(&project.audit(), &denied.call_id()).iter().all(|record| record["kind"] != "shadow"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_bundle_is_asked_only_with_the_signatures_that_count() {
    let origin = Origin::start().await;
    let project = with_shadow(&origin, "shadow = \"next.bundle\"\nkeys = \"trust.toml\"\nthreshold = 2");
    let mut trust = String::new();
    for person in ["alice", "bob"] {
        trust.push_str(&run(&project, &format!("policy key new {person}.pem --person {person}"), 0));
    }
    project.write("trust.toml", &trust);
    project.write("policies/test.cedar", &narrower());
    run(&project, "policy sign next.bundle --key file:alice.pem", 0);
    project.write_policies(ENFORCED);
    assert!(run(&project, "check", 3).contains("1 of 2 people have signed it"));
    // It is missing, and all the rest serves.
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    assert_eq!(gateway.client().send(Request::get("/stock/7")).await.status, 200);
    metric(&gateway, "latchwork_shadow_broken 1").await;
    run(&project, "policy sign next.bundle --key file:bob.pem", 0);
    metric(&gateway, "latchwork_shadow_broken 0").await;
    assert_eq!(told(&project, &gateway, "/stock/7").await, (200, "deny not_permitted ".into()));
    gateway.stop().await;
}
