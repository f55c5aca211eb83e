//! What the end of a function's log says of a call: how long it ran, what is billed, and whether it was a cold start.

use crate::{
    backend::exchange::plain,
    invocation::CallContext,
    report::{Report as Told, Start},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::time::Duration;

/// Longest end of a log that is read, in bytes of base64: the service sends 4 KiB.
const LOG_BYTES_MAX: usize = 16 * 1024;

/// What a report line begins with, before the call's id.
const LINE: &str = "REPORT RequestId: ";

/// A report. What it does not name is absent, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Report {
    /// How long the function ran, in milliseconds.
    pub(super) duration_ms: Option<f64>,
    /// How long it is billed for, in milliseconds.
    pub(super) billed_ms: Option<f64>,
    /// How long it took to start, in milliseconds: of a cold start only.
    pub(super) init_ms: Option<f64>,
    /// The memory that it has, in MiB.
    pub(super) memory_mib: Option<f64>,
    /// The most that it used.
    pub(super) memory_used_mib: Option<f64>,
}

impl Report {
    /// The same as other backends tell it. The service leaves the time to start out of a warm one's.
    fn told(self) -> Told {
        let time = |ms: Option<f64>| ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
        Told {
            start: Some(if self.init_ms.is_some() { Start::Cold } else { Start::Warm }),
            init: time(self.init_ms),
            ran: time(self.duration_ms),
            billed: time(self.billed_ms),
            memory_mib: whole(self.memory_mib),
            memory_used_mib: whole(self.memory_used_mib),
        }
    }
}

/// A number of MiB.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within what is checked")]
fn whole(mib: Option<f64>) -> Option<u32> {
    mib.filter(|mib| (0.0..=f64::from(u32::MAX)).contains(mib)).map(|mib| mib.round() as u32)
}

/// Notes what a report says of a call, for whoever follows it.
pub(super) fn note(log: Option<&str>, request_id: Option<&str>, context: &CallContext) {
    let request = request_id.map(plain);
    let Some(report) = log.and_then(|log| read(log, request_id)) else {
        tracing::debug!(call = %context.call_id, request, "a function was called; its log has no report");
        return;
    };
    context.reporting.tell(report.told());
    let Report { duration_ms, billed_ms, init_ms, memory_mib, memory_used_mib } = report;
    let cold = init_ms.is_some();
    tracing::debug!(
        call = %context.call_id, request, duration_ms, billed_ms, cold, init_ms, memory_mib, memory_used_mib,
        "a function ran"
    );
}

/// The report of this call in the end of a log, as it comes in base64. A function can write such a line itself: the
/// service's is the last.
fn read(log: &str, request_id: Option<&str>) -> Option<Report> {
    let bytes = STANDARD.decode(log.get(..LOG_BYTES_MAX).unwrap_or(log)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().rev().find_map(|line| of_text(line, request_id).or_else(|| of_json(line, request_id)))
}

/// `REPORT RequestId: …\tDuration: 1.23 ms\t…`: members in any order, separated by tabs.
fn of_text(line: &str, request_id: Option<&str>) -> Option<Report> {
    let mut members = line.strip_prefix(LINE)?.split('\t').map(str::trim);
    let id = members.next()?;
    if request_id.is_some_and(|request_id| request_id != id) {
        return None;
    }
    let mut report = Report::default();
    for (name, value) in members.filter_map(|member| member.split_once(": ")) {
        let value = value.split(' ').next().and_then(number);
        match name {
            "Duration" => report.duration_ms = value,
            "Billed Duration" => report.billed_ms = value,
            "Init Duration" => report.init_ms = value,
            "Memory Size" => report.memory_mib = value,
            "Max Memory Used" => report.memory_used_mib = value,
            _ => {}
        }
    }
    Some(report)
}

/// The same of a function whose log is JSON.
fn of_json(line: &str, request_id: Option<&str>) -> Option<Report> {
    let line: Value = serde_json::from_str(line).ok()?;
    let record = line.get("record").filter(|_| line.get("type").is_some_and(|kind| kind == "platform.report"))?;
    let id = record.get("requestId").and_then(Value::as_str);
    if request_id.is_some() && request_id != id {
        return None;
    }
    let metric = |name: &str| record.get("metrics")?.get(name)?.as_f64();
    Some(Report {
        duration_ms: metric("durationMs"),
        billed_ms: metric("billedDurationMs"),
        init_ms: metric("initDurationMs"),
        memory_mib: metric("memorySizeMB"),
        memory_used_mib: metric("maxMemoryUsedMB"),
    })
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(log: &str, request_id: Option<&str>) -> Option<Report> {
        read(&STANDARD.encode(log), request_id)
    }

    #[test]
    fn members_are_found_by_name_in_any_order() {
        let cold = Report {
            duration_ms: Some(2.95),
            billed_ms: Some(180.0),
            init_ms: Some(176.43),
            memory_mib: Some(128.0),
            memory_used_mib: Some(36.0),
        };
        let cloud = "START RequestId: a Version: $LATEST\nhello\nEND RequestId: a\nREPORT RequestId: a\tDuration: 2.95 ms\t\
                     Billed Duration: 180 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 176.43 ms\t\n\
                     XRAY TraceId: 1-2-3\tSegmentId: 4\tSampled: true\n";
        assert_eq!(report(cloud, Some("a")), Some(cold));
        let first = "REPORT RequestId: a\tInit Duration: 176.43 ms\tDuration: 2.95 ms\tBilled Duration: 180 ms\t\
                     Memory Size: 128 MB\tMax Memory Used: 36 MB\t\n";
        assert_eq!(report(first, None), Some(cold));
        let json = r#"{"time":"2026","type":"platform.report","record":{"requestId":"a","status":"success","metrics":
            {"durationMs":2.95,"billedDurationMs":180,"memorySizeMB":128,"maxMemoryUsedMB":36,"initDurationMs":176.43}}}"#;
        assert_eq!(report(&json.replace('\n', ""), Some("a")), Some(cold));
        let told = cold.told();
        assert_eq!((told.start, told.memory_mib), (Some(Start::Cold), Some(128)));
        assert_eq!((told.init, told.billed), (Some(Duration::from_micros(176_430)), Some(Duration::from_millis(180))));
        let warm = report("REPORT RequestId: a\tDuration: 1 ms\tBilled Duration: 1 ms\t", Some("a")).unwrap();
        assert_eq!((warm.init_ms, warm.memory_mib, warm.told().start), (None, None, Some(Start::Warm)));
    }

    #[test]
    fn what_a_function_writes_itself_is_no_report_of_the_call() {
        let forged = "REPORT RequestId: b\tBilled Duration: 1 ms\t\nREPORT RequestId: a\tBilled Duration: 7 ms\t\n\
                      REPORT RequestId: b\tBilled Duration: 2 ms\t\n";
        assert_eq!(report(forged, Some("a")).unwrap().billed_ms, Some(7.0));
        assert_eq!(report("REPORT RequestId: a\tBilled Duration: NaN ms\t", None).unwrap().billed_ms, None);
        assert_eq!((report("hello", None), read("no base64!", None), read("", None)), (None, None, None));
    }
}
