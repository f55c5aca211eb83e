//! `deploy/examples/two_clouds`: a function at two providers, of which one goes away while calls come.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tests::{aws, client::Request, functions_framework::Framework, google::Front, latchwork, records, root, wait};

/// Calls, and how many come at once.
const CALLS: usize = 240;
const AT_ONCE: usize = 8;

/// The example, with only addresses and keys made for the test.
fn example(parent: &Path, lambda: &str, front: &Front) -> PathBuf {
    let folder = parent.join("two_clouds");
    copy(&root().join("deploy/examples/two_clouds"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    for (file, text) in [("access-key", "AKIDOFTHEGATEWAY"), ("secret-key", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")]
    {
        fs::write(folder.join("secrets").join(file), text).expect("the folder is ours");
    }
    fs::copy(front.account(), folder.join("secrets/account.json")).expect("the folder is ours");
    let endpoint = format!("aws_lambda.endpoint = \"{lambda}\"\naws_lambda.function = \"quote");
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("aws_lambda.function = \"quote", &*endpoint),
            ("https://quote-abc123-ey.a.run.app/quotes", &format!("{}/things", front.url)),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    folder
}

#[tokio::test]
async fn a_provider_goes_away_while_calls_come_and_none_fails() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let Some(api) = aws::service().await else { return };
    let Some(framework) = Framework::start(parent.path()).await else { return };
    let Some(front) = Front::start(&framework.url).await else { return };
    let folder = example(parent.path(), &api.url, &front);
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let (asked, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut api = Some(api);
    let caller = async || {
        let client = gateway.client();
        let mut ids = Vec::new();
        while asked.fetch_add(1, Relaxed) < CALLS {
            let said = client.send(Request::json("/quotes/tea", &json!({ "count": 1 }))).await;
            let body = said.json();
            let at = if body["ran"] == "quote" { 0 } else { 1 };
            assert!(matches!(said.status, 200 | 201), "{} {}", said.status, said.text());
            assert!(at == 0 || body["path"] == "/things/tea", "{}", said.text());
            ids.push((said.call_id(), at));
            answered.fetch_add(1, Relaxed);
        }
        ids
    };
    let killer = async {
        let enough = || async { (answered.load(Relaxed) >= CALLS / 3).then_some(()) };
        wait::until("a third of the answers", wait::LONG, enough).await;
        // Its process is killed with calls under way.
        drop(api.take());
    };
    let callers = futures_util::future::join_all((0..AT_ONCE).map(|_| caller()));
    let (told, ()) = tokio::join!(callers, killer);
    let told: Vec<_> = told.into_iter().flatten().collect();
    assert_eq!(told.len(), CALLS);
    assert_eq!(front.lies(), "");
    gateway.stop().await;
    of_records(&folder.join("audit"), &told);
    of_cost(&folder);
}

/// The log names for every call where it ran and why, and no call was tried where policy does not let it run.
fn of_records(audit: &Path, told: &[(String, u64)]) {
    let all = records::read(audit);
    let of = |id: &str, kind: &str| -> Vec<&Value> {
        all.iter().filter(|record| record["call"] == id && record["kind"] == kind).collect()
    };
    let (mut failed_over, mut rested) = (0, 0);
    for (id, at) in told {
        let (intent, closed) = (of(id, "intent")[0], of(id, "closed")[0]);
        assert_eq!(intent["targets"], json!([0, 1]), "{intent}");
        assert_eq!(&closed["run"]["target"], at, "{closed}");
        let provider = ["aws_lambda", "google_functions"][usize::try_from(*at).expect("0 or 1")];
        assert_eq!(closed["run"]["provider"], provider);
        assert!(closed["run"]["cost"]["pico"].as_u64().is_some_and(|pico| pico > 200_000), "{closed}");
        let attempts = of(id, "attempt");
        match (intent["target"].as_u64(), at) {
            (Some(0), 0) => assert!(attempts.is_empty()),
            (Some(0), 1) => {
                let failed = attempts[0]["failed"].as_str().expect("why");
                assert!(matches!(failed, "unreachable" | "broken"), "{}", attempts[0]);
                failed_over += 1;
            }
            (Some(1), 1) => {
                assert_eq!(intent["resting"], json!([0]), "{intent}");
                rested += 1;
            }
            other => panic!("{other:?}: {intent}"),
        }
        assert!(["listed", "resting"].contains(&intent["chosen"].as_str().expect("why")), "{intent}");
    }
    assert!(failed_over > 0 && rested > 0, "{failed_over} failed over, {rested} went elsewhere at once");
    assert!(told.iter().filter(|(_, at)| *at == 0).count() >= CALLS / 3);
}

/// What it cost, by what was asked.
fn of_cost(folder: &Path) {
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let text = succeeds(folder, &[&["cost", "--format", "json"], arguments].concat());
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    };
    let sums = lines(&[]);
    let providers: BTreeSet<_> = sums.iter().map(|sum| sum["provider"].as_str().expect("a provider")).collect();
    assert_eq!(providers, BTreeSet::from(["aws_lambda", "google_functions"]));
    let runs: u64 = sums.iter().map(|sum| sum["runs"].as_u64().expect("a number")).sum();
    assert!(runs >= CALLS as u64, "{sums:?}");
    let days = lines(&["--by", "caller,day", "--since", "1d"]);
    let total = |sums: &[Value]| -> f64 { sums.iter().map(|sum| sum["cost"].as_f64().expect("an amount")).sum() };
    assert!((total(&days) - total(&sums)).abs() < 1e-9 && total(&sums) > 0.0, "{days:?} {sums:?}");
    assert!(days.iter().all(|day| day["caller"] == "anonymous" && day["currency"] == "USD"), "{days:?}");
    assert!(lines(&["--until", "1d"]).is_empty() && lines(&["--function", "other.one"]).is_empty());
    let compared = lines(&["--compare"]);
    assert_eq!(compared.len(), 3, "every target, also one where nothing ran: {compared:?}");
    for line in &compared {
        assert_eq!((&line["calls"], &line["unknown"]), (&json!(CALLS), &json!(0)));
        assert!(line["estimate"].as_f64().is_some_and(|estimate| estimate > 0.0), "{line}");
    }
    let shown = succeeds(folder, &["cost"]);
    assert!(shown.starts_with("FUNCTION") && shown.contains("google_functions") && shown.contains("USD"), "{shown}");
    let shown = succeeds(folder, &["cost", "--compare"]);
    assert!(shown.contains("2 in us-east-1"), "{shown}");
}
