//! A function in `observe`: what policy denies runs and is recorded as denied, but not past the day, and not in an emergency.

use tests::{client::Request, latchwork, origin::Origin, project::Project, records};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_recorded_and_not_enforced_until_the_day() {
    let origin = Origin::start().await;
    let project = Project::new()
        .anonymous()
        .http("shop.seen", "GET /seen", &origin.url, "observe = \"2999-12-31\"")
        .http("shop.over", "GET /over", &origin.url, "observe = \"2020-01-01\"")
        .http("shop.plain", "GET /plain", &origin.url, "");
    let config = project.config();
    let checked = latchwork::command(project.folder(), &["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        said.contains("policy is not enforced for this function") && said.contains("the observation is over"),
        "{said}"
    );
    let gateway = latchwork::run(&config, &project.ca()).await;
    let client = gateway.client();
    let seen = client.send(Request::get("/seen")).await;
    assert_eq!(seen.status, 200);
    for path in ["/over", "/plain"] {
        assert_eq!(client.send(Request::get(path)).await.status, 404, "`{path}` is enforced");
    }
    let intent = &records::of_call(&project.audit(), &seen.call_id())[0];
    assert_eq!((&intent["decision"], &intent["observed"]), (&"deny".into(), &"not_permitted".into()), "{intent}");
    let metrics = gateway.metrics().await;
    let counted = "latchwork_denials_observed_total{function=\"shop.seen\",reason=\"not_permitted\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(gateway.stderr().contains("denied, but only observed"));
    let folder = project.folder().to_path_buf();
    let forbid = ["policy", "emergency", "forbid", "--function", "shop.seen", "--reason", "leaks"];
    let done = tokio::task::block_in_place(|| latchwork::command(&folder, &forbid));
    assert!(done.status.success(), "{done:?}");
    assert_eq!(client.send(Request::get("/seen")).await.status, 404, "an emergency is enforced");
    gateway.stop().await;
}
