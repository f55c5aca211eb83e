//! A saved policy is in force within a second; a broken one changes nothing and says so.

use std::time::{Duration, Instant};
use tests::{
    client::Request,
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    wait,
};

/// From the save to the first call that obeys it.
const IN_FORCE: Duration = Duration::from_secs(1);

const ALLOW: &str = "@id(\"allow\")\npermit (principal, action == Action::\"shop.stock\", resource);\n\
    @id(\"tell\")\npermit (principal, action == Action::\"describe\", resource);";

const DENY: &str = "@id(\"allow\")\npermit (principal, action == Action::\"shop.stock\", resource);\n\
    @id(\"tell\")\npermit (principal, action == Action::\"describe\", resource);\n\
    @id(\"deny\")\nforbid (principal, action == Action::\"shop.stock\", resource);";

#[tokio::test]
async fn a_saved_policy_is_in_force_within_a_second() {
    let (project, _origin, gateway) = start().await;
    assert_eq!(status(&gateway).await, 200);
    let saved = Instant::now();
    project.write_policies(DENY);
    wait::until("the denial", wait::LONG, || async { (status(&gateway).await == 403).then_some(()) }).await;
    let took = saved.elapsed();
    assert!(took <= IN_FORCE, "in force after {took:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn reload_returns_once_it_is_in_force() {
    let (project, _origin, gateway) = start().await;
    for (policies, expected) in [(DENY, 403), (ALLOW, 200), (DENY, 403)] {
        project.write_policies(policies);
        let words = ["reload", "--wait", "--accept-removals", "-c", "latchwork.toml"];
        let output = latchwork::command(project.folder(), &words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", output.status);
        assert_eq!(status(&gateway).await, expected);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_forbid_vanishes_only_if_that_is_accepted() {
    let (project, _origin, gateway) = start().await;
    project.write_policies(DENY);
    wait::until("the denial", wait::LONG, || async { (status(&gateway).await == 403).then_some(()) }).await;
    project.write_policies(ALLOW);
    let output = latchwork::command(project.folder(), &["reload"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("forbid `deny` vanished") && said.contains("--accept-removals"), "{said}");
    assert_eq!(status(&gateway).await, 403);
    assert!(latchwork::command(project.folder(), &["reload", "--accept-removals"]).status.success());
    assert_eq!(status(&gateway).await, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn a_broken_policy_keeps_the_old_one_and_says_so() {
    let (project, _origin, gateway) = start().await;
    let broken = DENY.replace("shop.stock", "shop.stok");
    project.write_policies(&broken);
    let output = latchwork::command(project.folder(), &["reload", "--wait", "-c", "latchwork.toml"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("test.cedar:") && said.contains("shop.stok"), "{said}");
    assert_eq!(status(&gateway).await, 200, "the old policies are in force");
    let ready = gateway.admin().send(Request::get("/latchwork/v1/ready")).await;
    assert!(ready.text().contains("shop.stok") || ready.text().contains("test.cedar"), "{}", ready.text());
    project.write_policies(DENY);
    wait::until("the mended policy", wait::LONG, || async { (status(&gateway).await == 403).then_some(()) }).await;
    gateway.stop().await;
}

async fn status(gateway: &Running) -> u16 {
    gateway.client().send(Request::get("/stock/7")).await.status
}

async fn start() -> (Project, Origin, Running) {
    let origin = Origin::start().await;
    let project = Project::new().anonymous().http("shop.stock", "GET /stock/{sku}", &origin.url, "").policy(ALLOW);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (project, origin, gateway)
}

#[tokio::test]
async fn a_permit_that_has_ended_grants_nothing_and_is_counted() {
    let (project, _origin, gateway) = start().await;
    assert!(gateway.metrics().await.contains("latchwork_policies_expired 0\n"));
    project.write_policies(&ALLOW.replace("@id(\"allow\")", "@id(\"allow\")\n@expires(\"2020-12-31\")"));
    wait::until("the denial", wait::LONG, || async { (status(&gateway).await == 403).then_some(()) }).await;
    let metrics = gateway.metrics().await;
    for line in ["latchwork_policies_expired 1\n", "latchwork_policies_expiring 0\n"] {
        assert!(metrics.contains(line), "`{line}` is not in:\n{metrics}");
    }
    gateway.stop().await;
}
