//! A function may run while the log can't be written, if its configuration says so: that is recorded, too.

use super::{CALLERS, DISK_MIB, OUTLIVES_LIMIT, RESERVED_MAX, fill, free, kinds_by_call, shop};
use tests::{client::Request, disk::SmallDisk, latchwork, project::Project, records, wait};

#[tokio::test]
async fn only_a_function_that_may_runs_on_a_full_disk_and_the_log_tells_it_afterwards() {
    let project = Project::new();
    std::fs::create_dir(project.audit()).unwrap();
    let disk = SmallDisk::mount(&project.audit(), DISK_MIB);
    let (project, origin) = shop(project, "segment_bytes_max = 1048576").await;
    let project = project.http("shop.alarm", "POST /alarm", &origin.url, "unrecorded = \"run\"");
    let gateway = latchwork::run_under(&OUTLIVES_LIMIT, &project.config(), &project.ca()).await;
    let client = gateway.client();
    assert_eq!(client.send(Request::post("/alarm", "x")).await.status, 200);

    fill(&disk, &gateway);
    // Some calls are taken yet: room for them was reserved before.
    let mut session = client.open().await.unwrap();
    let mut taken = 0;
    while session.send(Request::post("/orders", "x")).await.unwrap().status == 200 {
        taken += 1;
        assert!(taken < RESERVED_MAX, "{taken} calls were taken on a full disk");
    }
    let reached = origin.seen().len();
    let mut ran = Vec::new();
    for _ in 0..CALLERS {
        let answer = client.send(Request::post("/alarm", "x")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        ran.push(answer.call_id());
        assert_eq!(client.send(Request::post("/orders", "x")).await.status, 503);
        assert_eq!(client.send(Request::post("/nowhere", "x")).await.status, 503);
    }
    assert_eq!(origin.seen().len(), reached + ran.len());
    let metrics = gateway.metrics().await;
    let late = format!("latchwork_calls_late_total{{function=\"shop.alarm\"}} {}", ran.len());
    assert!(metrics.contains(&late), "{metrics}");

    free(&disk, &gateway);
    wait::until("the records of what ran", wait::LONG, || async {
        let kinds = kinds_by_call(&project);
        ran.iter().all(|call| kinds.get(call).is_some_and(|kinds| kinds == &["intent", "closed"])).then_some(())
    })
    .await;
    let log = gateway.stop().await;
    assert!(log.contains("the call runs all the same"), "{log}");
    let records = records::read(&project.audit());
    for intent in records.iter().filter(|record| record["kind"] == "intent") {
        let late = ran.iter().any(|call| intent["call"] == call.as_str());
        assert_eq!(intent["late"] == true, late, "{intent}");
    }
    let gaps: Vec<_> = records.iter().filter(|record| record["event"] == "log_recovered").collect();
    assert_eq!(gaps.iter().filter_map(|gap| gap["ran"].as_u64()).sum::<u64>(), ran.len() as u64, "{gaps:?}");
    assert!(gaps.iter().all(|gap| gap["lost"].is_null()), "{gaps:?}");
    drop(disk);
}
