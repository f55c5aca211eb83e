//! One readable line per call, from its records.

use crate::audit::record::{
    Body, Head, IntentBody, Outcome, Predecessor, RefusedBody, Ruling, Shadow, Summary, System, Tally, Warming,
};
use jiff::{Timestamp, tz::TimeZone};
use policy::{
    permit::DenialReason,
    shadow::{Kind, Would},
};
use std::{
    collections::{HashMap, VecDeque},
    fmt::Write,
};
use uuid::Uuid;

/// Most calls whose end is awaited; the oldest is forgotten.
const OPEN_MAX: usize = 16 * 1024;

/// Makes lines of records; remembers who began what until it is closed.
#[derive(Debug)]
pub struct Lines {
    zone: TimeZone,
    open: HashMap<Uuid, Begun>,
    order: VecDeque<Uuid>,
}

#[derive(Debug)]
struct Begun {
    at: Timestamp,
    what: String,
}

impl Lines {
    /// Times are shown in this zone.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, open: HashMap::new(), order: VecDeque::new() }
    }

    /// The line that a record completes, if any.
    pub fn line(&mut self, head: &Head, body: Body) -> Option<String> {
        let (word, text) = match body {
            Body::Intent(intent) => {
                self.begin(head, &intent);
                return None;
            }
            Body::Answered(_) => return None,
            Body::Attempt(attempt) => {
                let target = attempt.target.0;
                ("retry", format!("target {target}, after {}  {}", printable(&attempt.failed), call(head)))
            }
            Body::Closed(closed) => {
                let begun = head.call.and_then(|call| self.open.remove(&call));
                let mut text = begun.map_or_else(|| "? → ?".to_owned(), |begun| begun.what);
                let status = closed.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
                // Writing to a string can't fail.
                let _ = write!(text, "  {status} {}", duration(closed.duration_us));
                if closed.outcome != Outcome::Completed {
                    let _ = write!(text, "  {}", closed.outcome.as_str());
                }
                if let Some(error) = &closed.error {
                    let _ = write!(text, " ({})", printable(error));
                }
                let _ = write!(text, "  {}", call(head));
                ("allow", text)
            }
            Body::Refused(refused) => refusal(head, &refused),
            Body::Shadow(shadow) => ("shadow", in_shadow(head, &shadow)),
            Body::Summary(summary) => ("count", counted(&summary)),
            Body::Admin(admin) => {
                let mut text = format!("{} {}", printable(&admin.who), printable(&admin.verb));
                if let Some(bundle) = &admin.bundle_after {
                    let _ = write!(text, "  bundle {}", printable(&bundle.0));
                }
                if let Some(detail) = &admin.detail {
                    let _ = write!(text, "  {}", printable(detail));
                }
                let ruling = admin.authority.map(|authority| authority.ruling);
                text.push_str(match ruling {
                    None | Some(Ruling::Permitted) => "",
                    Some(Ruling::Denied) => " (policy does not permit it)",
                    Some(Ruling::Unidentified) => " (nobody knows who)",
                    Some(Ruling::BreakGlass) => " (break glass: the gateway's own user)",
                });
                ("admin", text)
            }
            Body::System(system) => ("system", of_system(&system)),
        };
        Some(format!("{} {word:<6} {text}", self.time(head.at)))
    }

    /// Lines of the calls that have no end yet.
    #[must_use]
    pub fn open(&mut self) -> Vec<String> {
        let order: Vec<_> = self.order.drain(..).collect();
        let begun = order.iter().filter_map(|call| self.open.remove(call).map(|begun| (call, begun)));
        let begun: Vec<_> = begun.collect();
        begun
            .into_iter()
            .map(|(call, begun)| format!("{} {:<6} {}  call {call}", self.time(begun.at), "open", begun.what))
            .collect()
    }

    fn begin(&mut self, head: &Head, intent: &IntentBody) {
        let Some(call) = head.call else { return };
        let what = format!("{} → {}", printable(&intent.principal.id), intent.function);
        if self.order.len() >= OPEN_MAX {
            self.order.retain(|call| self.open.contains_key(call));
        }
        if self.order.len() >= OPEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
        self.order.push_back(call);
        self.open.insert(call, Begun { at: head.at, what });
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%H:%M:%S%.3f").to_string()
    }
}

fn refusal(head: &Head, refused: &RefusedBody) -> (&'static str, String) {
    let who = refused.principal.as_ref().map_or_else(
        || refused.source.map_or_else(|| "?".to_owned(), |source| source.to_string()),
        |principal| printable(&principal.id),
    );
    let what = match (&refused.function, &refused.request) {
        (Some(function), _) => function.to_string(),
        (None, Some(request)) => format!("{} {}", printable(&request.method), printable(&request.path)),
        (None, None) => "?".to_owned(),
    };
    let why = refused.reason.map_or_else(|| printable(&refused.refusal), |reason| reason_words(reason).to_owned());
    let policies = if refused.determining.is_empty() { String::new() } else { format!(" by {}", names(refused)) };
    let (status, took, call) = (refused.status, duration(refused.duration_us), call(head));
    let word = if refused.reason.is_some() { "deny" } else { "refuse" };
    (word, format!("{who} → {what}  {status} {took}  {why}{policies}  {call}"))
}

fn names(refused: &RefusedBody) -> String {
    refused.determining.iter().map(|name| printable(&name.0)).collect::<Vec<_>>().join(", ")
}

fn in_shadow(head: &Head, shadow: &Shadow) -> String {
    format!("{}  {}  {}", shadow.function, shadow_words(shadow), call(head))
}

/// What would have been answered, in words.
pub(crate) fn shadow_words(shadow: &Shadow) -> String {
    let which = match shadow.shadow {
        Kind::Policies => "the policies in shadow",
        Kind::Bundle => "the shadow bundle",
    };
    let names: Vec<_> = shadow.determining.iter().map(|name| printable(&name.0)).collect();
    let by = if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) };
    let reason = shadow.reason.map(|reason| format!(", {}", reason_words(reason))).unwrap_or_default();
    let why = shadow.not_judged.as_deref().map_or_else(|| "unknown".to_owned(), printable);
    match shadow.would {
        Some(Would::Allow) => format!("{which} would allow{by}"),
        Some(Would::Deny) => format!("{which} would deny{reason}{by}"),
        Some(Would::Otherwise) => format!("{which} would {} otherwise{reason}{by}", printable(&shadow.enforced)),
        None => format!("{which} could not be asked: {why}"),
    }
}

/// Why policy said no, in words.
#[must_use]
pub fn reason_words(reason: DenialReason) -> &'static str {
    match reason {
        DenialReason::NotPermitted => "not permitted",
        DenialReason::Forbidden => "forbidden",
        DenialReason::PolicyError => "policy error",
        DenialReason::AbsentEntity => "absent entity",
        DenialReason::NoTarget => "no target",
        DenialReason::BundleExpired => "bundle expired",
    }
}

fn counted(summary: &Summary) -> String {
    let words: Vec<_> = summary.counts.iter().map(|(word, number)| format!("{} {number}", printable(word))).collect();
    format!("{}  {}", printable(&summary.network), words.join(", "))
}

fn of_system(system: &System) -> String {
    match system {
        System::Started { version, predecessor, .. } => {
            let after = predecessor.as_ref().map(after).unwrap_or_default();
            format!("started {}{after}", printable(version))
        }
        System::Stopped { calls_open: 0 } => "stopped".to_owned(),
        System::Stopped { calls_open } => format!("stopped with {calls_open} calls open"),
        System::Retired { log, first, last, rule, .. } => {
            format!("retired records {first} to {last} of {log}  {}", printable(rule))
        }
        System::ClockSetBack { by_ms } => format!("clock set back by {by_ms} ms"),
        System::LogRecovered { since, error, refused, ran, lost } => {
            let ran = match (ran, lost) {
                (0, _) => String::new(),
                (ran, 0) => format!(", {ran} calls ran all the same"),
                (ran, lost) => format!(", {ran} calls ran all the same, {lost} of them without a record"),
            };
            format!("log recovered; since {since:.3} {refused} records were refused{ran}: {}", printable(error))
        }
        System::Finding(finding) => {
            let call = finding.of_call.map(|call| format!("  call {call}")).unwrap_or_default();
            format!("{}: {}{call}", finding.detector.as_str(), printable(&finding.to_string()))
        }
        System::FindingsCounted(counted) => {
            format!("{}: {} more findings since {:.3}", counted.detector.as_str(), counted.count, counted.from)
        }
        System::Warming(Warming { function, target, verdict, warmed, alone, .. }) => {
            let cold = |of: &Tally| format!("{} of {}", of.cold, of.pauses);
            let (warmed, alone) = (cold(warmed), cold(alone));
            let of = format!("{}#{}", function.as_str(), target.0);
            format!("warming {of} {}: cold starts after {warmed} pauses with it, {alone} without", verdict.as_str())
        }
    }
}

fn after(predecessor: &Predecessor) -> String {
    let Predecessor { incarnation, torn_bytes, running, .. } = predecessor;
    let state = match (running, torn_bytes) {
        (true, _) => ", which still runs".to_owned(),
        (false, 0) => String::new(),
        (false, bytes) => format!(", whose last {bytes} bytes were torn and set aside"),
    };
    format!(" after {incarnation}{state}")
}

fn call(head: &Head) -> String {
    head.call.map_or_else(String::new, |call| format!("call {call}"))
}

/// A duration as people read it.
#[must_use]
pub fn duration(us: u64) -> String {
    // The numbers are small enough for a float, or so large that nobody minds.
    #[expect(clippy::cast_precision_loss, reason = "it is shown with one decimal")]
    let ms = us as f64 / 1000.0;
    if ms < 1000.0 { format!("{ms:.1} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

/// A text from a record without what a terminal would obey or hide.
#[must_use]
pub fn printable(text: &str) -> String {
    let hides =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || hides(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}
