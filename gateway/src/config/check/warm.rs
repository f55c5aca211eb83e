//! `warm = { … }`: calls that the gateway may make by itself, of functions where that can help and be measured.

use super::route;
use crate::{
    config::{
        Route, Target, Warm, raw,
        raw::At,
        value::{Desk, shorten},
    },
    front::hygiene,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use mesh::{bind::protobuf::Method, report::Starts};
use serde::de::IgnoredAny;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

/// Shortest and longest time between two calls.
const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
const EVERY_DEFAULT: Duration = Duration::from_secs(300);
/// Longest time without a caller through which a function is kept warm.
const IDLE_MAX: Duration = Duration::from_secs(30 * 86_400);
const IDLE_DEFAULT: Duration = Duration::from_secs(86_400);
/// Most calls at once.
const INSTANCES_MAX: u64 = 100;
/// Longest body, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
const COLD_OVER: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

pub(crate) fn warm(
    table: &raw::Function,
    (route, method): (Option<&Route>, Option<&Method>),
    targets: &[Target],
    concurrency_max: u64,
    desk: &mut Desk<'_>,
) -> Option<Arc<Warm>> {
    let At { value: written, span } = table.warm.as_ref()?;
    fits((written, span), (route, method), targets, desk);
    let every = desk.duration(written.every.as_ref(), EVERY_DEFAULT, EVERY);
    let most = INSTANCES_MAX.min(concurrency_max);
    let instances = desk.number(written.instances.as_ref(), 1, 1..=most);
    let mut headers = headers(&written.headers, desk);
    let body = written.body.as_ref().map(|body| self::body(body, desk)).unwrap_or_default();
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Some(Arc::new(Warm {
        every,
        instances: usize::try_from(instances).unwrap_or(1),
        idle_max: desk.duration(written.idle_max.as_ref(), IDLE_DEFAULT.max(every), every..=IDLE_MAX),
        cold_over: written.cold_over.as_ref().map(|over| desk.duration(Some(over), *COLD_OVER.start(), COLD_OVER)),
        body,
        path: path(written, span, route, desk),
        query: query(&written.query),
        headers,
    }))
}

/// Sees that warming can help there, and that it can be seen whether it does.
fn fits(
    (written, span): (&raw::Warm, &Range<usize>),
    (route, method): (Option<&Route>, Option<&Method>),
    targets: &[Target],
    desk: &mut Desk<'_>,
) {
    let grpc = route.is_some_and(|route| route.grpc);
    if let (true, None, Some(body)) = (grpc, method, &written.body) {
        let message = "a message can't be made of JSON without `descriptors`";
        desk.error_help("warm_mismatch", &body.span, message, "name them, or leave `body` out");
    }
    if method.is_some_and(|method| method.takes_stream() || method.answers_stream()) {
        let message = "a method of streams can't be called to keep it warm";
        desk.error_help("warm_mismatch", span, message, "remove `warm`");
    }
    if route.is_some_and(|route| route.soap.is_some()) {
        let message = "a message of SOAP can't be written as `body`, which is JSON";
        desk.error_help("warm_mismatch", span, message, "remove `warm`");
    }
    for (place, target) in targets.iter().enumerate() {
        let kind = target.backend.kind();
        match target.backend.starts() {
            Starts::Told => {}
            Starts::Untold if written.cold_over.is_some() => {}
            Starts::Untold => {
                let message = format!("target {place} (`{kind}`) does not tell whether a call met a cold start");
                let help = "`cold_over = \"500ms\"`: answers that take longer count as cold starts";
                desk.error_help("warm_unmeasured", span, message, help);
            }
            Starts::Unmet => {
                let message = format!("no caller waits for a cold start of target {place} (`{kind}`)");
                desk.error_help("warm_mismatch", span, message, "remove `warm`");
            }
        }
    }
}

fn path(
    written: &raw::Warm,
    span: &Range<usize>,
    route: Option<&Route>,
    desk: &mut Desk<'_>,
) -> BTreeMap<Arc<str>, Arc<str>> {
    let wanted: BTreeSet<Arc<str>> =
        route.map(|route| route::parameters(&route.pattern)).unwrap_or_default().into_iter().collect();
    for (name, _) in written.path.iter().filter(|(name, _)| !wanted.contains(name.value.as_str())) {
        desk.unknown("unknown_parameter", "path parameter", name, wanted.iter().map(AsRef::as_ref));
    }
    let given = |name: &str| written.path.keys().any(|given| given.value == name);
    for missing in wanted.iter().filter(|name| !given(name)) {
        let message = format!("the path parameter `{missing}` has no value");
        desk.error_help("missing_parameter", span, message, format!("`path = {{ {missing} = \"…\" }}`"));
    }
    if let Some((name, _)) = written.path.iter().find(|(_, value)| value.value.is_empty()) {
        desk.error("empty_parameter", &name.span, "a path parameter is never empty");
    }
    written.path.iter().map(|(name, value)| (name.value.as_str().into(), value.value.as_str().into())).collect()
}

fn query(written: &BTreeMap<At<String>, At<String>>) -> Option<Arc<str>> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(written.iter().map(|(name, value)| (&name.value, &value.value)));
    let text = text.finish();
    (!text.is_empty()).then(|| text.into())
}

fn headers(written: &BTreeMap<At<String>, At<String>>, desk: &mut Desk<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let parsed = HeaderName::try_from(&name.value).ok().filter(|parsed| parsed.as_str() == name.value);
        let Some(parsed) = parsed.filter(hygiene::may_be_given) else {
            let message = format!("`{}` can't be a header of a call to keep warm", shorten(&name.value));
            desk.error_help(
                "bad_header",
                &name.span,
                message,
                "a lowercase name of the function's own, such as `x-warm`",
            );
            continue;
        };
        match HeaderValue::try_from(&value.value) {
            Ok(value) => drop(headers.insert(parsed, value)),
            Err(_) => desk.error("bad_header", &value.span, format!("`{parsed}` can't have this value")),
        }
    }
    headers
}

fn body(written: &At<String>, desk: &mut Desk<'_>) -> Bytes {
    let text = &written.value;
    if text.len() > BODY_BYTES_MAX {
        desk.error("too_long", &written.span, format!("the body is longer than {BODY_BYTES_MAX} bytes"));
    } else if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        desk.error("bad_body", &written.span, format!("the body is no JSON: {error}"));
    }
    text.clone().into()
}
