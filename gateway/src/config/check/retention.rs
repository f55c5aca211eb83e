//! `[audit.retention]`: how long records are kept, and where.

use crate::config::{Archive, Retention, raw, value::Desk};
use std::{path::Path, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest that anything is kept: a hundred years.
const AGE_MAX: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);
/// Most bytes that a limit may name.
const BYTES_MAX: u64 = 1 << 50;
/// A limit has room for so many segments: one that is written, one that is packed, and some to keep.
const SEGMENTS_MIN: u64 = 4;

pub(crate) fn retention(
    written: &raw::Retention,
    (log, segment_bytes_max): (&Path, u64),
    desk: &mut Desk<'_>,
) -> Retention {
    let default = Retention::default();
    let least = SEGMENTS_MIN * segment_bytes_max;
    let limit = |written: &Option<raw::At<i64>>, desk: &mut Desk<'_>| {
        let found = written.as_ref().map(|_| desk.number(written.as_ref(), least, 1..=BYTES_MAX))?;
        if found < least {
            let span = written.as_ref().map_or(0..0, |written| written.span.clone());
            let message = format!("{found} bytes are less than {SEGMENTS_MIN} segments of {segment_bytes_max}");
            desk.error_help("out_of_range", &span, message, "make `audit.segment_bytes_max` smaller, or this larger");
        }
        Some(found.max(least))
    };
    let bytes_max = limit(&written.bytes_max, desk);
    let archive_bytes_max = limit(&written.archive_bytes_max, desk);
    let age = desk.duration(written.age.as_ref(), default.age, DAY..=AGE_MAX);
    let pack_after = desk.duration(written.pack_after.as_ref(), default.pack_after, SECOND..=AGE_MAX);
    let after = desk.duration(written.archive_after.as_ref(), 90 * DAY, SECOND..=AGE_MAX);
    let Some(path) = &written.archive else {
        let needs =
            [written.archive_after.as_ref().map(|w| &w.span), written.archive_bytes_max.as_ref().map(|w| &w.span)];
        if let Some(span) = needs.into_iter().flatten().next() {
            desk.error_help("missing_key", span, "there is no archive", "`archive = \"PATH\"` says where it is");
        }
        return Retention { age, bytes_max, pack_after, archive: None };
    };
    if let Some(written) = written.archive_after.as_ref().filter(|_| after >= age) {
        desk.error("out_of_range", &written.span, "what is archived as late as it is removed never is");
    }
    let folder = desk.path(&path.value);
    if folder.starts_with(log) || log.starts_with(&folder) {
        desk.error("same_folder", &path.span, "an archive within the log, or around it, is none");
    }
    let archive = Archive { path: folder, after, bytes_max: archive_bytes_max };
    Retention { age, bytes_max, pack_after, archive: Some(archive) }
}
