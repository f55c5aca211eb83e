//! Metrics for the collector: the text of `/metrics`, read back. One registry is the source of both, so that a dashboard
//! finds the same names whichever way they came.

use super::attribute;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric::Data,
        number_data_point::Value,
    },
};

/// Since when counters count, and when they were read, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) since: u64,
    pub(super) until: u64,
}

/// A family of metrics as the text has it.
#[derive(Debug, Default)]
struct Family<'t> {
    name: &'t str,
    help: &'t str,
    kind: &'t str,
    samples: Vec<Sample<'t>>,
}

/// One line of it.
#[derive(Debug)]
struct Sample<'t> {
    suffix: &'t str,
    labels: Vec<(&'t str, String)>,
    value: &'t str,
}

/// Every metric in a text of OpenMetrics that this gateway wrote, and the number of their points.
pub(super) fn read(text: &str, period: Period) -> (Vec<Metric>, u64) {
    let metrics: Vec<Metric> = families(text).into_iter().filter_map(|family| family.into_metric(period)).collect();
    let points = |metric: &Metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(_) | Data::Summary(_)) | None => 0,
    };
    let points = metrics.iter().map(points).sum::<usize>();
    (metrics, points as u64)
}

fn families(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.push(Family { name, help, ..Family::default() });
        } else if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            if let Some(family) = families.last_mut() {
                family.kind = kind;
            }
        } else if !line.starts_with('#')
            && let Some(family) = families.last_mut()
        {
            family.samples.extend(sample(family.name, line));
        }
    }
    families
}

fn sample<'t>(family: &str, line: &'t str) -> Option<Sample<'t>> {
    let rest = line.strip_prefix(family)?;
    let end = rest.find(['{', ' '])?;
    let (suffix, rest) = rest.split_at_checked(end)?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next()?;
    Some(Sample { suffix, labels, value })
}

/// `a="b",c="d"}` and what follows.
fn labels(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    plain => plain,
                }),
                (_, plain) => value.push(plain),
            }
        };
        labels.push((name, value));
        rest = quoted.get(end + 1..)?;
    }
}

impl Family<'_> {
    fn into_metric(self, period: Period) -> Option<Metric> {
        let Self { name, help, kind, samples } = self;
        let cumulative = AggregationTemporality::Cumulative.into();
        let data = match kind {
            "counter" => Data::Sum(Sum {
                data_points: samples.iter().filter_map(|sample| sample.point(period)).collect(),
                aggregation_temporality: cumulative,
                is_monotonic: true,
            }),
            "gauge" => Data::Gauge(Gauge { data_points: samples.iter().filter_map(|s| s.point(period)).collect() }),
            "histogram" => Data::Histogram(Histogram {
                data_points: histograms(&samples, period),
                aggregation_temporality: cumulative,
            }),
            _ => return None,
        };
        // Prometheus puts a unit behind a name that does not end with it, and `_total` behind a counter's.
        let unit = if name.ends_with("_seconds") {
            "s"
        } else if name.ends_with("_bytes") {
            "By"
        } else {
            ""
        };
        let description = help.to_owned();
        Some(Metric {
            name: name.to_owned(),
            description,
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        })
    }
}

impl Sample<'_> {
    fn attributes(&self) -> Vec<KeyValue> {
        let own = self.labels.iter().filter(|(name, _)| *name != "le");
        own.map(|(name, value)| attribute::text(name, value.as_str())).collect()
    }

    fn point(&self, period: Period) -> Option<NumberDataPoint> {
        let whole = self.value.parse().map(Value::AsInt);
        let value = whole.or_else(|_| self.value.parse().map(Value::AsDouble)).ok()?;
        Some(NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: period.since,
            time_unix_nano: period.until,
            value: Some(value),
            ..NumberDataPoint::default()
        })
    }
}

/// One point per set of labels. The text counts buckets up, OTLP counts each for itself.
fn histograms(samples: &[Sample<'_>], period: Period) -> Vec<HistogramDataPoint> {
    let mut points: Vec<HistogramDataPoint> = Vec::new();
    for sample in samples {
        let attributes = sample.attributes();
        let at = points.iter().position(|point| point.attributes == attributes).unwrap_or_else(|| {
            points.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: period.since,
                time_unix_nano: period.until,
                ..HistogramDataPoint::default()
            });
            points.len() - 1
        });
        let Some(point) = points.get_mut(at) else { continue };
        match sample.suffix {
            "_sum" => point.sum = sample.value.parse().ok(),
            "_count" => point.count = sample.value.parse().unwrap_or_default(),
            "_bucket" => {
                let below: u64 = point.bucket_counts.iter().sum();
                let upto: u64 = sample.value.parse().unwrap_or_default();
                point.bucket_counts.push(upto.saturating_sub(below));
                let bound = sample.labels.iter().find(|(name, _)| *name == "le").and_then(|(_, le)| le.parse().ok());
                point.explicit_bounds.extend(bound.filter(|bound: &f64| bound.is_finite()));
            }
            _ => {}
        }
    }
    points
}

#[cfg(test)]
mod tests;
