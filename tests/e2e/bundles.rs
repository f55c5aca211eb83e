//! Signed bundles: only what enough people signed decides, nothing older comes back, and a rollback is a new version.

use serde_json::Value;
use tests::{
    client::Request,
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    records,
};

const TELL: &str = "@id(\"tell\")\npermit (principal, action == Action::\"describe\", resource);";
const OPEN: &str = "@id(\"open\")\npermit (principal, action in Action::\"call\", resource);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_published_replaced_and_rolled_back() {
    let (project, _origin) = project().await;
    // One signature of two people is not enough, and both of one person are not either.
    run(&project, "policy sign one.bundle --key file:alice.pem --note first", 0);
    assert!(run(&project, "policy publish one.bundle --offline", 3).contains("1 of 2 people have signed"));
    run(&project, "policy sign one.bundle --key file:spare.pem", 0);
    assert!(run(&project, "policy verify one.bundle --keys trust.toml --threshold 2", 1).contains("1 of 2 people"));
    run(&project, "policy sign one.bundle --key file:bob.pem", 0);
    assert!(
        run(&project, "policy verify one.bundle --keys trust.toml --threshold 2", 0)
            .contains("key `bob` of bob is good")
    );
    run(&project, "policy publish one.bundle --offline", 0);
    let gateway = latchwork::run(&project.folder().join("latchwork.toml"), &project.ca()).await;
    assert_eq!(status(&gateway).await, 200);

    // What is saved in the folder decides nothing; a newer bundle does, also one that takes away.
    project
        .write_policies(&format!("{TELL}\n@id(\"shut\")\nforbid (principal, action in Action::\"call\", resource);"));
    sign(&project, "two.bundle", "");
    assert_eq!(status(&gateway).await, 200);
    assert!(run(&project, "policy publish two.bundle", 0).starts_with("in force: version 2"));
    assert_eq!(status(&gateway).await, 403);

    // The older one is refused as news, over the interface and from the disk.
    assert!(run(&project, "policy publish one.bundle", 3).contains("version 1 is older than 2"));
    assert!(run(&project, "policy publish one.bundle --offline", 3).contains("version 1 is older than 2"));
    assert_eq!(status(&gateway).await, 403);
    std::fs::copy(project.folder().join("one.bundle"), project.folder().join("current.bundle")).expect("ours");
    assert!(run(&project, "reload", 3).contains("version 1 is older than 2"));
    assert_eq!(status(&gateway).await, 403);

    run(&project, "policy rollback 1 three.bundle --key file:alice.pem --note back", 0);
    run(&project, "policy sign three.bundle --key file:bob.pem", 0);
    assert!(run(&project, "policy publish three.bundle", 0).starts_with("in force: version 3"));
    assert_eq!(status(&gateway).await, 200);
    let history = run(&project, "policy history", 0);
    let versions: Vec<&str> = history.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(versions, ["1", "2", "3,"], "{history}");
    assert!(history.contains("brings back 1 by admin, signed by alice, bob"), "{history}");
    let shown = gateway.admin().send(Request::get("/latchwork/v1/bundle")).await.json();
    assert_eq!(shown["signed"]["version"], 3, "{shown}");
    let published =
        |record: &Value| record["verb"].as_str().filter(|verb| verb.starts_with("bundle.")).map(str::to_owned);
    let verbs: Vec<String> = records::read(&project.audit()).iter().filter_map(published).collect();
    assert_eq!(verbs, ["bundle.activate", "bundle.rollback"]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_it_was_approved_does_not_decide() {
    let (project, _origin) = project().await;
    sign(&project, "current.bundle", "");
    run(&project, "check", 0);
    let text = std::fs::read_to_string(project.folder().join("current.bundle")).expect("a bundle");
    project.write("current.bundle", &text.replace("permit (principal, action in", "permit(principal, action in"));
    assert!(run(&project, "check", 3).contains("`test.cedar` is not what the manifest says"));
    project.write("current.bundle", &text);
    let trust = std::fs::read_to_string(project.folder().join("trust.toml")).expect("keys");
    project.write(
        "trust.toml",
        &trust.replace("person = \"bob\"", "person = \"bob\"\nrevoked = \"2020-01-01T00:00:00Z\""),
    );
    assert!(run(&project, "check", 3).contains("key `bob` of bob is revoked"));
    project.write("trust.toml", &trust);
    let config = std::fs::read_to_string(project.folder().join("latchwork.toml")).expect("a configuration");
    project.write(
        "latchwork.toml",
        &config
            .replace("[app.shop]\n", "[app.shop]\nzone = \"UTC\"\n")
            .replace("environment = \"test\"", "environment = \"prod\""),
    );
    assert!(run(&project, "check", 3).contains("approved for another catalog"));
    // In production there is no other way to bring policies.
    project.write(
        "latchwork.toml",
        &config
            .replace("bundle = \"current.bundle\"\nkeys = \"trust.toml\"\nthreshold = 2\n", "")
            .replace("[node]\n", "[node]\nproduction = true\n"),
    );
    assert!(run(&project, "check", 3).contains("in production policies come from a signed bundle"));
}

async fn project() -> (Project, Origin) {
    let origin = Origin::start().await;
    let project =
        Project::new().anonymous().http("shop.stock", "GET /stock/{sku}", &origin.url, "").policy(TELL).policy(OPEN);
    let path = project.config();
    let config = std::fs::read_to_string(&path).expect("a configuration");
    let signed = "[policy]\nbundle = \"current.bundle\"\nkeys = \"trust.toml\"\nthreshold = 2\n";
    project.write("latchwork.toml", &config.replace("[policy]\n", signed));
    let mut trust = String::new();
    for (key, person) in [("alice", "alice"), ("spare", "alice"), ("bob", "bob")] {
        trust.push_str(&run(&project, &format!("policy key new {key}.pem --person {person}"), 0));
    }
    project.write("trust.toml", &trust);
    (project, origin)
}

/// A bundle that two people signed.
fn sign(project: &Project, bundle: &str, more: &str) {
    run(project, &format!("policy sign {bundle} --key file:alice.pem {more}"), 0);
    run(project, &format!("policy sign {bundle} --key file:bob.pem"), 0);
}

async fn status(gateway: &Running) -> u16 {
    gateway.client().send(Request::get("/stock/7")).await.status
}

fn run(project: &Project, line: &str, expected: i32) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = tokio::task::block_in_place(|| latchwork::command(project.folder(), &words));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "`{line}`: {said}");
    said
}
