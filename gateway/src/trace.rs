//! W3C Trace Context (Recommendation of 2021): read from the caller, a new span id for the backend.

use crate::config::Sampling;
use http::{HeaderMap, HeaderValue};

/// Longest `tracestate` that is passed on, in bytes (§3.3.1.5 asks for at least 512).
const TRACESTATE_BYTES_MAX: usize = 512;

/// The trace that a call belongs to.
#[derive(Clone, Debug)]
pub struct Trace {
    id: u128,
    span: u64,
    parent: Option<u64>,
    flags: u8,
    state: Option<HeaderValue>,
}

/// What names a call's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The trace.
    pub trace: u128,
    /// The span in it.
    pub span: u64,
    /// Whether the span is recorded.
    pub sampled: bool,
}

impl Trace {
    /// Continues the caller's trace, or begins one. An unreadable `traceparent` begins a new trace, as §3.2 asks.
    /// Without spans of its own (`sampling` is `None`) the gateway passes on what the caller decided.
    #[must_use]
    pub fn of(headers: &HeaderMap, sampling: Option<Sampling>) -> Self {
        let mut values = headers.get_all("traceparent").iter();
        let given = match (values.next(), values.next()) {
            (Some(one), None) => one.to_str().ok().and_then(parse),
            _ => None,
        };
        let span = fresh() as u64;
        let decided = |id| sampling.map_or(1, |sampling| u8::from(sampled(id, sampling.ratio)));
        match given {
            Some((id, parent, flags)) => {
                let flags = if sampling.is_none_or(|s| s.parent_based) { flags } else { decided(id) };
                Self { id, span, parent: Some(parent), flags, state: state(headers) }
            }
            None => {
                let id = fresh();
                Self { id, span, parent: None, flags: decided(id), state: None }
            }
        }
    }

    /// What names the call's span.
    #[must_use]
    pub fn ids(&self) -> Ids {
        Ids { trace: self.id, span: self.span, sampled: self.flags & 1 == 1 }
    }

    /// The caller's span.
    #[must_use]
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// The trace id: 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// `traceparent` for the backend.
    #[must_use]
    pub fn traceparent(&self) -> HeaderValue {
        let text = format!("00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }

    /// `tracestate` for the backend.
    #[must_use]
    pub fn tracestate(&self) -> Option<HeaderValue> {
        self.state.clone()
    }
}

/// Version, trace id, parent id, flags; later versions may have more fields.
fn parse(text: &str) -> Option<(u128, u64, u8)> {
    let mut fields = text.split('-');
    let (version, id, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let lower = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let shaped = lower(version, 2) && lower(id, 32) && lower(parent, 16) && lower(flags, 2);
    if !shaped || version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
    // Only the sampled flag is defined in version 00; others must not be passed on.
    Some((id, parent, u8::from_str_radix(flags, 16).ok()? & 1))
}

fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all("tracestate").iter();
    let one = values.next().filter(|v| v.len() <= TRACESTATE_BYTES_MAX)?;
    values.next().is_none().then(|| one.clone())
}

/// OpenTelemetry's `TraceIdRatioBased`: every gateway decides alike for one trace.
fn sampled(id: u128, ratio: f64) -> bool {
    let bound = (ratio * (1_u64 << 63) as f64) as u64;
    ratio >= 1.0 || ((id as u64) >> 1) < bound
}

/// A new id. Samplers look at the low half, so the bits of a UUID that are always the same go to the high one, or low in
/// the low one.
fn fresh() -> u128 {
    uuid::Uuid::new_v4().as_u128().rotate_left(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Trace {
        with(value, None)
    }

    fn with(value: &str, sampling: Option<Sampling>) -> Trace {
        let headers = [(http::HeaderName::from_static("traceparent"), value.parse().unwrap())].into_iter().collect();
        Trace::of(&headers, sampling)
    }

    #[test]
    fn a_part_of_traces_is_sampled() {
        let part = |ratio, parent_based, value: &str| {
            let sampling = Some(Sampling { ratio, parent_based });
            (0..1000).filter(|_| with(value, sampling).ids().sampled).count()
        };
        assert_eq!((part(0.0, true, ""), part(1.0, true, "")), (0, 1000));
        assert!((150..350).contains(&part(0.25, true, "")), "{}", part(0.25, true, ""));
        let parent = "00-0af7651916cd43ddffffffffffffffff-b7ad6b7169203331-01";
        assert_eq!((part(0.25, true, parent), part(0.25, false, parent)), (1000, 0), "its caller's word, or its id's");
        assert_eq!(part(1.0, true, &parent.replace("-01", "-00")), 0);
    }

    #[test]
    fn continues_a_trace_with_a_new_span() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let trace = of(&format!("00-{id}-b7ad6b7169203331-03"));
        let out = trace.traceparent();
        let out = out.to_str().unwrap();
        assert!(
            out.starts_with(&format!("00-{id}-")) && out.ends_with("-01") && !out.contains("b7ad6b7169203331"),
            "{out}"
        );
    }

    #[test]
    fn begins_anew_when_unreadable() {
        for bad in [
            "",
            "x",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
        ] {
            assert_ne!(of(bad).id(), "0af7651916cd43dd8448eb211c80319c", "{bad}");
        }
    }
}
