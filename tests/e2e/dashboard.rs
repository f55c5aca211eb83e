//! The dashboard asks for what a gateway has: every metric and label of every query, against a running one.

use promql::{Selector, selectors};
use serde_json::Value;
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};
use tests::{
    client::{Client, Request},
    collector::Collector,
    lambda, latchwork,
    origin::Origin,
    project::Project,
    root, wait,
};

mod promql;

/// Labels that Prometheus puts on everything that it scrapes.
const SCRAPED: [&str; 2] = ["instance", "job"];

/// One family of metrics.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

/// Every family of a gateway that has had something of everything.
async fn families() -> BTreeMap<String, Family> {
    let origin = Origin::start().await;
    let collector = Collector::start().await;
    let issuer = format!("http://127.0.0.1:{}", wait::free_port());
    let nowhere =
        lambda::Function { command: vec!["/bin/false".into()], directory: root().into(), handler: "x".into() };
    // A shell function, which tells how it was started, and another place for it.
    let shop = root().join("deploy/examples/quickstart/functions/shop");
    let cheap = format!(
        "process = {{ command = [\"./bootstrap\"], directory = \"{}\", handler = \"reports.revenue\" }}, price = \"cheap\" }}, \
         {{ http = {{ url = \"{}\" }}, price = \"cheap\"",
        shop.display(),
        origin.url
    );
    let project = Project::new()
        .issuer("corp", &issuer, "")
        .anonymous()
        .http("shop.stock", "GET /stock/{sku}", &origin.url, "")
        .http("shop.hidden", "GET /hidden", &origin.url, "")
        .process("shop.process", "GET /process", &nowhere, "", "")
        .function("shop.cheap", "GET /cheap", &cheap, "")
        .http("shop.warm", "GET /warm", &origin.url, "warm = { every = \"100ms\", cold_over = \"10s\" }")
        .tables("[price.cheap]\ncurrency = \"EUR\"\nsource = \"this test\"\ndate = \"2026-11-28\"\nper_second = 1")
        .tables("[budget.none]\nfunctions = [\"shop.cheap\"]\nper = \"month\"\namount = 0.000001")
        .policy("@id(\"cheap\")\npermit (principal, action == Action::\"shop.cheap\", resource);")
        .policy("@id(\"warm\")\npermit (principal, action == Action::\"shop.warm\", resource);")
        .policy("@id(\"stock\")\npermit (principal, action == Action::\"shop.stock\", resource);")
        .policy("@id(\"less\") @mode(\"shadow\")\nforbid (principal, action == Action::\"shop.stock\", resource);")
        .audited("[audit.ship.copy]\nfile = { path = \"shipped.jsonl\" }")
        .tables(&format!("[telemetry]\nendpoint = \"{}\"", collector.url));
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for path in ["/stock/7", "/hidden", "/cheap", "/cheap"] {
        gateway.client().send(Request::get(path)).await;
    }
    let looks = Cell::new(0);
    wait::until("a pause between callers", wait::LONG, async || {
        // A call ends a pause only now and then, so that it was long enough.
        if looks.replace(looks.get() + 1) % 10 == 0 {
            gateway.client().send(Request::get("/warm")).await;
        }
        gateway.metrics().await.contains("latchwork_warm_pauses_total{").then_some(())
    })
    .await;
    gateway.admin().send(Request::post("/latchwork/v1/reload", "").header("latchwork-admin", "1")).await;
    let plain = Client::new(&gateway.url.replace("https", "http"), None);
    assert!(plain.try_send(Request::get("/")).await.is_err(), "no clear text here");
    let text = wait::until("the failed handshake", wait::LONG, async || {
        let wanted = ["latchwork_handshakes_failed_total{", "latchwork_shadow_disagreements_total{"];
        Some(gateway.metrics().await).filter(|text| wanted.iter().all(|wanted| text.contains(wanted)))
    })
    .await;
    gateway.stop().await;
    read(&text)
}

fn read(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            last = name.to_owned();
            families.entry(last.clone()).or_default().help = help.trim_end_matches('.').to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if !line.starts_with('#') {
            let Selector { metric, labels } = selectors(line.rsplit_once(' ').expect("a sample").0).remove(0);
            assert!(metric.starts_with(&last), "`{metric}` is under `{last}`");
            let own = labels.into_iter().filter(|label| label != "le");
            families.get_mut(&last).expect("help comes first").labels.extend(own);
        }
    }
    families
}

/// What a query may name: every series, with its labels.
fn series(families: &BTreeMap<String, Family>) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for (name, family) in families {
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("`{name}` is a `{other}`, which this test does not know"),
        };
        for suffix in suffixes {
            let mut labels = family.labels.clone();
            labels.extend(SCRAPED.map(str::to_owned));
            labels.extend((*suffix == "_bucket").then(|| "le".to_owned()));
            all.insert(format!("{name}{suffix}"), labels);
        }
    }
    all
}

/// Every text under a key of queries, wherever it is.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(query) if ["expr", "definition"].contains(&name.as_str()) => {
                        found.push(query.clone())
                    }
                    other => queries(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn metrics_are_as_documented_and_the_dashboard_asks_for_nothing_else() {
    let families = families().await;
    let mut table = String::from("| metric | type | labels | what |\n|---|---|---|---|\n");
    for (name, Family { kind, help, labels }) in &families {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    crate::goldens::golden("metrics.md", &table);

    let series = series(&families);
    let folder = root().join("deploy/grafana");
    let mut asked = BTreeSet::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("there are dashboards") {
        let path = entry.expect("a folder can be read").path();
        let text = fs::read_to_string(&path).expect("a dashboard is text");
        let dashboard: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
        let mut found = Vec::new();
        queries(&dashboard, &mut found);
        count += found.len();
        for query in found {
            let selectors = selectors(&query);
            assert!(!selectors.is_empty(), "`{query}` asks for nothing");
            for Selector { metric, labels } in selectors {
                let known = series.get(&metric).unwrap_or_else(|| panic!("`{query}`: there is no `{metric}`"));
                let odd: Vec<_> = labels.iter().filter(|label| !known.contains(*label)).collect();
                assert!(odd.is_empty(), "`{query}`: `{metric}` has no {odd:?}, but {known:?}");
                asked.insert(metric);
            }
        }
    }
    assert!(count >= 45, "{count} queries were found");
    let shown = |name: &String| asked.iter().any(|metric| metric.starts_with(name.as_str()));
    let unseen: Vec<_> = families.keys().filter(|name| !shown(name)).collect();
    assert!(unseen.is_empty(), "the dashboard shows nothing of {unseen:?}");
}
