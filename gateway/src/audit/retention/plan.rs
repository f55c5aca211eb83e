//! What is due: which segments are packed, moved to the archive, or retired, given what is there and what the limits are.

use super::stock::Stored;
use crate::config;
use jiff::Timestamp;
use std::{
    collections::{HashSet, VecDeque},
    fmt, io,
    path::Path,
    time::Duration,
};

/// Unless told otherwise, the log takes this part of its disk at most …
const DISK_PART: u64 = 4;
/// … and no more than this …
const BYTES_MAX: u64 = 64 << 30;
/// … and leaves this part of the disk free.
const FREE_PART: u64 = 20;
/// Most segments that are packed before the limits are looked at again: packing must not keep the log over its limits.
const PACKS_MAX: usize = 8;
/// No segment packs to less than this part of itself: what would not fit even then is retired as it is.
const PACKED_PART: u64 = 20;

/// Where a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Log,
    Archive,
}

/// Something to do with a segment, by its place in the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Pack(usize),
    Move(usize),
    Retire(usize, Rule),
    /// It was retired, and is still there.
    Remove(usize),
}

/// By which rule a segment is retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Age(Duration),
    Bytes(u64),
    ArchiveBytes(u64),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(age) => write!(f, "age: older than {} s", age.as_secs()),
            Self::Bytes(most) => write!(f, "bytes_max: the log takes more than {most} bytes"),
            Self::ArchiveBytes(most) => write!(f, "archive_bytes_max: the archive takes more than {most} bytes"),
        }
    }
}

/// The limits, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) age: Duration,
    pub(crate) bytes_max: u64,
    pub(crate) pack_after: Duration,
    /// Whether segments can be packed.
    pub(crate) packs: bool,
    /// After how long segments are archived, and how many bytes may be there.
    pub(crate) archive: Option<(Duration, Option<u64>)>,
}

impl Limits {
    /// The limits of a log that takes so many bytes now.
    pub(crate) fn of(retention: &config::Retention, folder: &Path, stored: u64) -> io::Result<Self> {
        let bytes_max = match retention.bytes_max {
            Some(most) => most,
            None => {
                let disk = rustix::fs::statvfs(folder)?;
                let (all, free) = (disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize);
                let left = (stored + free).saturating_sub(all / FREE_PART);
                (all / DISK_PART).min(BYTES_MAX).min(left)
            }
        };
        let archive = retention.archive.as_ref().map(|archive| (archive.after, archive.bytes_max));
        Ok(Self { age: retention.age, bytes_max, pack_after: retention.pack_after, packs: true, archive })
    }
}

/// Plans what to do with these closed segments, oldest first. `kept` says whether one must stay, even if there is no room
/// for it (`true`) or otherwise.
pub(crate) fn plan(
    segments: &[Stored],
    open_bytes: u64,
    limits: &Limits,
    now: Timestamp,
    mut kept: impl FnMut(&Stored, bool) -> bool,
) -> Vec<Action> {
    let older = |segment: &Stored, than: Duration| {
        now.duration_since(segment.newest).try_into().is_ok_and(|age: Duration| age > than)
    };
    let (mut actions, mut staying) = (Vec::new(), Vec::new());
    for (at, segment) in segments.iter().enumerate() {
        if segment.retired {
            if !kept(segment, true) {
                actions.push(Action::Remove(at));
            }
        } else if older(segment, limits.age) && !kept(segment, false) {
            actions.push(Action::Retire(at, Rule::Age(limits.age)));
        } else {
            staying.push((at, segment));
        }
    }
    let online: Vec<_> = staying.iter().filter(|(_, segment)| segment.place == Place::Log).collect();
    let mut bytes = open_bytes + online.iter().map(|(_, segment)| segment.bytes).sum::<u64>();
    let tight = bytes > limits.bytes_max;
    let (mut unpacked, mut moved) = (VecDeque::new(), HashSet::new());
    for (at, segment) in &online {
        let archived = limits.archive.filter(|(after, _)| older(segment, *after)).is_some();
        if !segment.name.packed && limits.packs && (archived || tight || older(segment, limits.pack_after)) {
            unpacked.push_back((*at, segment.bytes));
        } else if archived {
            actions.push(Action::Move(*at));
            moved.insert(*at);
            bytes -= segment.bytes;
        }
    }
    // They are looked at again once they are smaller.
    let packing_gains = |bytes: u64| bytes - bytes / PACKED_PART;
    bytes -= unpacked.iter().take(PACKS_MAX).map(|(_, bytes)| packing_gains(*bytes)).sum::<u64>();
    for (at, segment) in online.iter().filter(|(at, _)| !moved.contains(at)) {
        if bytes <= limits.bytes_max {
            break;
        }
        if limits.archive.is_some() {
            actions.push(Action::Move(*at));
        } else if !kept(segment, true) {
            actions.push(Action::Retire(*at, Rule::Bytes(limits.bytes_max)));
        } else {
            continue;
        }
        if let Some(place) = unpacked.iter().position(|(unpacked, _)| unpacked == at) {
            if place < PACKS_MAX {
                // The next one is packed in its place.
                bytes += packing_gains(segment.bytes);
                bytes -= unpacked.get(PACKS_MAX).map_or(0, |(_, bytes)| packing_gains(*bytes));
            }
            unpacked.remove(place);
        }
        bytes -= segment.bytes;
    }
    actions.extend(unpacked.iter().take(PACKS_MAX).map(|(at, _)| Action::Pack(*at)));
    if let Some((_, Some(most))) = limits.archive {
        let archived = || staying.iter().filter(|(_, segment)| segment.place == Place::Archive);
        let mut bytes: u64 = archived().map(|(_, segment)| segment.bytes).sum();
        for (at, segment) in archived() {
            if bytes > most && !kept(segment, true) {
                actions.push(Action::Retire(*at, Rule::ArchiveBytes(most)));
                bytes -= segment.bytes;
            }
        }
    }
    actions
}
