//! The text of OpenMetrics, as the client library writes it, and the OTLP that is made of it.

use super::*;
use crate::telemetry::{Metrics, ResultLabels, state::State};
use policy::question::FunctionName;
use std::time::Duration;

const PERIOD: Period = Period { since: 1, until: 2 };

fn metric<'m>(metrics: &'m [Metric], name: &str) -> &'m Data {
    let found = metrics.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no `{name}`"));
    found.data.as_ref().unwrap()
}

#[test]
fn what_the_registry_writes_is_read_back() {
    let metrics = Metrics::new(State::default());
    let meters = metrics.function(&FunctionName::parse("shop.stock").unwrap());
    meters.ended("completed", Duration::from_micros(700));
    meters.ended("denied", Duration::from_secs(3600));
    metrics.reloads.get_or_create(&ResultLabels { result: "ok" }).inc();
    let (read, points) = read(&metrics.text().unwrap(), PERIOD);
    assert!(points >= 4, "{points}");

    let Data::Sum(calls) = metric(&read, "latchwork_calls") else { panic!("not a sum") };
    assert!(calls.is_monotonic && calls.data_points.iter().all(|p| p.value == Some(Value::AsInt(1))), "{calls:?}");
    let expected = [attribute::text("function", "shop.stock"), attribute::text("outcome", "denied")];
    assert!(calls.data_points.iter().any(|point| point.attributes == expected), "{calls:?}");

    let Data::Histogram(took) = metric(&read, "latchwork_call_duration_seconds") else { panic!("not a histogram") };
    let point = &took.data_points[0];
    assert_eq!((point.count, point.bucket_counts.len()), (2, point.explicit_bounds.len() + 1), "{point:?}");
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), 2);
    assert_eq!((point.bucket_counts[1], point.bucket_counts.last()), (1, Some(&1)), "{point:?}");
    assert!((point.sum.unwrap() - 3600.0007).abs() < 1e-6, "{point:?}");
}

#[test]
fn labels_are_unescaped() {
    let text = "# HELP a A.\n# TYPE a gauge\na{x=\"q\\\"u,o}te\",y=\"l\\\\i\\nne\"} 2.5\n# EOF\n";
    let (read, points) = read(text, PERIOD);
    assert_eq!(points, 1);
    let Data::Gauge(gauge) = metric(&read, "a") else { panic!("not a gauge") };
    let point = &gauge.data_points[0];
    assert_eq!(point.attributes, [attribute::text("x", "q\"u,o}te"), attribute::text("y", "l\\i\nne")]);
    assert_eq!(point.value, Some(Value::AsDouble(2.5)));
}

#[test]
fn what_is_not_understood_is_left_out() {
    let text =
        "stray 1\n# HELP a A.\n# TYPE a counter\na_total{x=\"unended 3\na_total nonsense\na_total 3\n# TYPE b info\n";
    let (read, points) = read(text, PERIOD);
    assert_eq!((read.len(), points), (0, 0), "the last type counts: {read:?}");
}
