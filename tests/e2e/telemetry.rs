//! Traces, metrics and log lines as a collector gets them, and what becomes of calls when there is none.

use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};
use tests::{
    certificates::Certificates,
    client::Request,
    collector::{Collector, Manner, Taken, number, text},
    latchwork,
    origin::Origin,
    project::Project,
    wait,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
/// What must be in nothing that leaves for the collector.
const CANARY: &str = "canary7f3a";

/// A project whose telemetry goes to `url`; `more` is further TOML of the table.
fn project(origin: &Origin, url: &str, more: &str) -> Project {
    Project::new()
        .anonymous()
        .http("shop.stock", "GET /stock/{sku}", &origin.url, "")
        .http("shop.gone", "POST /gone", &format!("http://127.0.0.1:{}", wait::free_port()), "")
        .permit_all()
        .tables(&format!("[telemetry]\nendpoint = \"{url}\"\ninterval = \"200ms\"\n{more}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The span of a call, once it has arrived.
async fn span(collector: &Collector, call: &str) -> Span {
    wait::until("the call's span", wait::LONG, || {
        let spans = collector.taken().spans;
        std::future::ready(spans.into_iter().find(|span| text(&span.attributes, "latchwork.call_id") == Some(call)))
    })
    .await
}

/// Waits until what was taken is as wanted.
async fn until(what: &str, collector: &Collector, wanted: impl Fn(&Taken) -> bool) -> Taken {
    wait::until(what, wait::LONG, || std::future::ready(Some(collector.taken()).filter(&wanted))).await
}

fn with_secrets(request: Request) -> Request {
    request.header("cookie", &format!("session={CANARY}")).header("x-api-key", CANARY).header("x-anything", CANARY)
}

#[tokio::test]
async fn a_call_is_a_span_a_line_and_a_count() {
    let origin = Origin::start().await;
    let certificates = Certificates::new();
    let collector = Collector::start_tls(&certificates).await;
    let table = "ca = \"collector.pem\"\nheaders = { authorization = \"file:otlp.secret\" }\n\
                 resource = { \"deployment.environment.name\" = \"test\" }";
    let project = project(&origin, &collector.url, table);
    project.write("collector.pem", &certificates.ca);
    project.write("otlp.secret", "Bearer for-the-collector\n");
    let owner_only = fs::Permissions::from_mode(0o600);
    fs::set_permissions(project.folder().join("otlp.secret"), owner_only).expect("the file is ours");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;

    let request = with_secrets(Request::get(&format!("/stock/{CANARY}?q={CANARY}")));
    let answer = gateway.client().send(request.header("traceparent", &format!("00-{TRACE}-{PARENT}-01"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let span = span(&collector, &answer.call_id()).await;
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    let seen = origin.seen().pop().expect("the call reached the service");
    let told = seen.headers["traceparent"].to_str().expect("text").to_owned();
    assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&span.span_id)), "the backend's parent is this span");
    assert_eq!((span.name.as_str(), span.kind), ("GET /stock/{sku}", SpanKind::Server.into()));
    assert_eq!((span.flags, span.status.as_ref().map(|s| s.code)), (0x301, Some(StatusCode::Unset.into())));
    for (name, expected) in [
        ("http.request.method", "GET"),
        ("http.route", "/stock/{sku}"),
        ("url.scheme", "https"),
        ("network.protocol.version", "1.1"),
        ("latchwork.function", "shop.stock"),
        ("latchwork.outcome", "completed"),
    ] {
        assert_eq!(text(&span.attributes, name), Some(expected), "{name}");
    }
    assert_eq!(number(&span.attributes, "http.response.status_code"), Some(200));
    assert_eq!(text(&span.attributes, "error.type"), None);

    let failed = gateway.client().send(with_secrets(Request::post("/gone", CANARY))).await;
    let failed = self::span(&collector, &failed.call_id()).await;
    assert_eq!(failed.status.as_ref().map(|s| s.code), Some(StatusCode::Error.into()));
    assert_eq!(text(&failed.attributes, "error.type"), Some("unreachable"));
    assert_eq!(text(&failed.attributes, "latchwork.outcome"), Some("failed"));
    assert!(failed.parent_span_id.is_empty() && failed.trace_id != span.trace_id, "{failed:?}");

    let stranger = gateway.client().send(with_secrets(Request::get("/stock/7").bearer(CANARY))).await;
    let stranger = self::span(&collector, &stranger.call_id()).await;
    assert_eq!(text(&stranger.attributes, "latchwork.refusal"), Some("unauthenticated"));

    let taken = until("lines and counts", &collector, |taken| {
        let gone = taken.lines.iter().filter(|line| line.trace_id == failed.trace_id).count();
        gone >= 2 && taken.value("latchwork_calls", &[("outcome", "completed"), ("function", "shop.stock")]) == Some(1)
    })
    .await;
    for line in taken.lines.iter().filter(|line| line.trace_id == failed.trace_id) {
        assert_eq!(line.span_id, failed.span_id, "{line:?}");
    }
    let body = |line: &opentelemetry_proto::tonic::logs::v1::LogRecord| match line.body.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    };
    let bodies: BTreeSet<_> = taken.lines.iter().filter(|l| l.trace_id == failed.trace_id).filter_map(body).collect();
    assert_eq!(bodies, ["a run failed", "call"].map(str::to_owned).into());
    for resource in &taken.resources {
        assert_eq!(text(&resource.attributes, "service.name"), Some("latchwork"));
        assert_eq!(text(&resource.attributes, "service.instance.id"), Some("test"));
        assert_eq!(text(&resource.attributes, "deployment.environment.name"), Some("test"));
    }
    assert!(taken.headers.iter().all(|headers| headers["authorization"] == "Bearer for-the-collector"));
    let shown: BTreeSet<String> = families(&gateway.metrics().await);
    let taken = until("every metric", &collector, |t| t.metrics.len() >= shown.len()).await;
    assert_eq!(taken.metrics.iter().map(|metric| metric.name.clone()).collect::<BTreeSet<_>>(), shown);

    let log = gateway.stop().await;
    assert!(!log.contains("for-the-collector"), "the collector's secret is in the log");
    let taken = collector.taken();
    for secret in [CANARY, "for-the-collector"] {
        let held = taken.raw.iter().any(|raw| raw.windows(secret.len()).any(|window| window == secret.as_bytes()));
        assert!(!held, "`{secret}` went to the collector");
    }
    let stopping = taken.lines.iter().filter_map(body).any(|body| body.starts_with("stopping"));
    assert!(stopping, "what waits at the end is sent");
}

/// Names of families in a text of OpenMetrics.
fn families(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned())).collect()
}

#[tokio::test]
async fn refused_unsampled_and_grpc_calls() {
    let origin = Origin::start().await;
    let collector = Collector::start().await;
    let project = project(&origin, &collector.url, "sample_ratio = 1.0");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let unsampled = Request::get("/stock/7").header("traceparent", &format!("00-{TRACE}-{PARENT}-00"));
    let unsampled = gateway.client().send(unsampled).await.call_id();

    let unknown = gateway.client().send(Request::get("/no/such")).await;
    let unknown = span(&collector, &unknown.call_id()).await;
    assert_eq!((unknown.name.as_str(), text(&unknown.attributes, "http.route")), ("GET", None));
    assert_eq!(text(&unknown.attributes, "latchwork.outcome"), Some("refused"));
    assert_eq!(text(&unknown.attributes, "latchwork.refusal"), Some("not_found"));
    assert_eq!(unknown.status.as_ref().map(|s| s.code), Some(StatusCode::Unset.into()), "the caller's own fault");

    let native = Request::post("/shop.v1.Orders/Create", vec![0; 5]).header("content-type", "application/grpc");
    let native = gateway.client().http2().send(native).await;
    let native = span(&collector, &native.call_id()).await;
    assert_eq!(text(&native.attributes, "rpc.system.name"), Some("grpc"));
    assert_eq!(text(&native.attributes, "rpc.response.status_code"), Some("NOT_FOUND"));
    assert_eq!(text(&native.attributes, "network.protocol.version"), Some("2"));

    let lined = |taken: &Taken| taken.lines.iter().any(|l| text(&l.attributes, "call") == Some(&unsampled));
    let taken = until("the line of the unsampled call", &collector, lined).await;
    let line = taken.lines.iter().find(|l| text(&l.attributes, "call") == Some(&unsampled)).expect("its line");
    assert_eq!((hex(&line.trace_id).as_str(), line.flags), (TRACE, 0));
    let spans = taken.spans.iter().filter(|s| text(&s.attributes, "latchwork.call_id") == Some(&unsampled)).count();
    assert_eq!(spans, 0, "its caller did not want a span");
    gateway.stop().await;
}

#[tokio::test]
async fn a_dead_collector_costs_its_data_and_is_found_again() {
    let origin = Origin::start().await;
    let port = wait::free_port();
    let project = project(&origin, &format!("http://127.0.0.1:{port}"), "queue_max = 8");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let mut session = gateway.client().http2().open().await.expect("a connection");
    for _ in 0..200 {
        assert_eq!(session.send(Request::get("/stock/7")).await.expect("an answer").status, 200);
    }
    let metrics = gateway.metrics().await;
    let value = |name: &str| metrics.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u64>().ok());
    let dropped = value("latchwork_telemetry_dropped_total{signal=\"traces\"}").expect("a count of what was dropped");
    assert!((100..=200).contains(&dropped), "{dropped} of 200 spans were dropped");
    let waiting = value("latchwork_telemetry_waiting{signal=\"traces\"}").expect("a count of what waits");
    assert!(waiting <= 8, "{waiting}");
    wait::until("a line that says so", wait::LONG, async || {
        gateway.stderr().contains("the collector does not take telemetry").then_some(())
    })
    .await;

    let collector = Collector::start_at(port).await;
    let again = gateway.client().send(Request::get("/stock/again")).await.call_id();
    let taken = until("telemetry again", &collector, |taken| {
        let counted = taken.value("latchwork_calls", &[("function", "shop.stock")]) == Some(201);
        counted && taken.value("latchwork_telemetry_healthy", &[]) == Some(3)
    })
    .await;
    assert!(taken.spans.len() < 200, "{}", taken.spans.len());
    let mut known = taken.spans.iter().any(|s| text(&s.attributes, "latchwork.call_id") == Some(&again));
    if !known {
        // The queue may still have been full; the next one is taken.
        let next = gateway.client().send(Request::get("/stock/next")).await.call_id();
        known = !span(&collector, &next).await.name.is_empty();
    }
    assert!(known);
    let log = gateway.stop().await;
    for signal in ["traces", "metrics", "logs"] {
        let lines = |words: &str| {
            let of_signal = format!("\"signal\":\"{signal}\"");
            log.lines().filter(|line| line.contains(words) && line.contains(&of_signal)).count()
        };
        assert_eq!(lines("the collector does not take telemetry"), 1, "{signal}: once, not per failure");
        assert_eq!(lines("the collector takes telemetry again"), 1, "{signal}");
    }
}

#[tokio::test]
async fn a_useless_collector_delays_neither_calls_nor_the_end() {
    let origin = Origin::start().await;
    let silent = Collector::start_useless(Manner::Silent).await;
    let refusing = Collector::start_useless(Manner::Refuses).await;
    let strange = Collector::start_tls(&Certificates::new()).await;
    let own = Certificates::new();
    for (collector, more, reason) in [
        (&silent, "timeout = \"300ms\"", "no answer within 300ms"),
        (&refusing, "", "Unavailable"),
        (&strange, "ca = \"own.pem\"", "invalid peer certificate"),
    ] {
        let project = project(&origin, &collector.url, more);
        project.write("own.pem", &own.ca);
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        for _ in 0..20 {
            assert_eq!(gateway.client().send(Request::get("/stock/7")).await.status, 200);
        }
        wait::until(reason, wait::LONG, async || gateway.stderr().contains(reason).then_some(())).await;
        // Which has a bound of its own.
        gateway.stop().await;
        assert!(collector.taken().raw.is_empty(), "{reason}");
    }
}

#[tokio::test]
async fn telemetry_comes_and_goes_with_a_reload() {
    let origin = Origin::start().await;
    let collector = Collector::start().await;
    let project = project(&origin, &collector.url, "signals = [\"traces\"]");
    let config = project.config();
    let with = fs::read_to_string(&config).expect("it was written");
    let without = with.split("[telemetry]").next().expect("what is before").to_owned();
    project.write("latchwork.toml", &without);
    let gateway = latchwork::run(&config, &project.ca()).await;
    gateway.client().send(Request::get("/stock/7")).await;
    assert!(!gateway.metrics().await.contains("telemetry_"), "nothing runs that was not asked for");
    let reload = || Request::post("/latchwork/v1/reload", "").header("latchwork-admin", "1");
    project.write("latchwork.toml", &with);
    assert_eq!(gateway.admin().send(reload()).await.status, 200);
    let call = gateway.client().send(Request::get("/stock/7")).await.call_id();
    span(&collector, &call).await;
    let taken = collector.taken();
    assert_eq!((taken.lines.len(), taken.metrics.len()), (0, 0), "only what was asked for");
    project.write("latchwork.toml", &without);
    assert_eq!(gateway.admin().send(reload()).await.status, 200);
    let (before, _) = (collector.taken().spans.len(), gateway.client().send(Request::get("/stock/7")).await);
    gateway.stop().await;
    assert_eq!(collector.taken().spans.len(), before, "nothing is sent any more");
}
