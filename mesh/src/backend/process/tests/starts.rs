//! Instances that are started before their call may reach them.

use super::*;
use crate::report::{Report, Start};

async fn ready(process: &Process) {
    until("an instance waits for a call", async || process.stats().idle == 1).await;
}

/// How a call ran.
async fn ran(process: &Process, outbound: Outbound) -> Report {
    let reporting = outbound.context.reporting.clone();
    body(process.invoke(outbound).await.unwrap()).await.unwrap();
    reporting.told().unwrap()
}

#[tokio::test]
async fn a_call_that_is_expected_is_cold_though_its_instance_is_ready() {
    let mut world = World::new(BOOTSTRAP);
    world.config.instances_max = 2;
    let process = world.process();
    let expected = post("one");
    process.expect_call();
    process.expect_call();
    ready(&process).await;
    let cold = ran(&process, expected).await;
    assert_eq!((cold.start, process.stats().starts), (Some(Start::Cold), 1));
    assert!(cold.init.unwrap() > Duration::from_millis(1), "{cold:?}");
    ready(&process).await;
    let warm = ran(&process, post("two")).await;
    assert_eq!((warm.start, warm.init, process.stats().starts), (Some(Start::Warm), None, 1));
    world.host.shutdown().await;
}

#[tokio::test]
async fn an_instance_whose_call_never_came_is_warm_for_the_next() {
    let mut world = World::new(BOOTSTRAP);
    let process = world.process();
    process.expect_call();
    ready(&process).await;
    let warm = ran(&process, post("one")).await;
    assert_eq!((warm.start, warm.init, process.stats().starts), (Some(Start::Warm), None, 1));
    // It is stopped like any other.
    world.config.idle_timeout = "100ms".to_owned();
    let process = world.process();
    process.expect_call();
    until("it is gone from the pool", async || (process.stats().starts, process.stats().running) == (1, 0)).await;
    world.host.shutdown().await;
    process.expect_call();
    assert_eq!(process.stats().starts, 1, "none is started any more");
}

#[tokio::test]
async fn none_is_started_beside_one_that_runs_and_one_that_fails_is_told() {
    let mut world = World::new(BOOTSTRAP);
    world.config.instances_max = 2;
    let process = world.process();
    let expecting = async {
        until("it runs", async || process.stats().busy == 1).await;
        process.expect_call();
        assert_eq!(process.stats().starts, 1);
        fs::write(world.directory.path().join("open"), "").unwrap();
    };
    let (answer, ()) = tokio::join!(say(&process, "gate"), expecting);
    answer.unwrap();
    world.host.shutdown().await;
    let world = World::new("exit 7");
    let process = world.process();
    process.expect_call();
    until("the start has failed", async || process.stats().start_failures == 1).await;
    let error = say(&process, "one").await.unwrap_err();
    assert!(matches!(error, InvokeError::Unreachable(_)), "{error}");
    world.host.shutdown().await;
}
