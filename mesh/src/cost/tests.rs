//! Estimates, against sums done by hand.

use super::*;
use crate::{report::Start, samples::price};

fn usage(ran_us: u64, memory_mib: u32) -> Usage {
    let report = Report { ran: Some(Duration::from_micros(ran_us)), ..Report::default() };
    Usage { report, memory_mib: Some(memory_mib), took: Duration::from_secs(9), bytes_in: 0 }
}

#[test]
fn time_and_memory_are_multiplied_and_rounded_up_as_the_provider_does() {
    // A second of a GiB.
    assert_eq!(price().estimate(&usage(1_000_000, 1024)), Some(200_000 + 16_666_700));
    // A begun millisecond of an eighth of it.
    assert_eq!(price().estimate(&usage(1, 128)), Some(200_000 + 2_083));
    let coarse = Price {
        time_step: Duration::from_millis(100),
        time_min: Duration::from_millis(100),
        memory_step_mib: 128,
        memory_min_mib: 128,
        ..price()
    };
    // 101 ms of 129 MiB count as 200 ms of 256 MiB.
    assert_eq!(coarse.estimate(&usage(101_000, 129)), Some(200_000 + 833_335));
    assert_eq!(coarse.estimate(&usage(1, 1)), Some(200_000 + 208_333));
}

#[test]
fn what_the_provider_says_counts_before_what_was_seen() {
    let billed = Report {
        start: Some(Start::Cold),
        init: Some(Duration::from_secs(1)),
        ran: Some(Duration::from_secs(1)),
        billed: Some(Duration::from_secs(3)),
        memory_mib: Some(1024),
        memory_used_mib: None,
    };
    let usage = Usage { report: billed, took: Duration::from_secs(9), memory_mib: Some(1), bytes_in: 0 };
    assert_eq!(price().estimate(&usage), Some(200_000 + 3 * 16_666_700));
    let unbilled = Usage { report: Report { billed: None, ..billed }, ..usage };
    assert_eq!(price().estimate(&unbilled), Some(200_000 + 2 * 16_666_700), "the start is billed too");
    let free = Price { init_billed: false, ..price() };
    assert_eq!(free.estimate(&unbilled), Some(200_000 + 16_666_700));
    let unknown = Usage { report: Report { memory_mib: Some(1024), ..Report::default() }, ..usage };
    assert_eq!(price().estimate(&unknown), Some(200_000 + 9 * 16_666_700), "as long as it took here");
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let unknown = Usage { memory_mib: None, ..usage(1_000_000, 0) };
    assert_eq!(price().estimate(&unknown), None);
    assert_eq!(Price { gib_second: 0, ..price() }.estimate(&unknown), Some(200_000));
    let huge = Price { gib_second: u64::MAX, second: u64::MAX, ..price() };
    assert_eq!(huge.estimate(&usage(u64::MAX, u32::MAX)), None, "no wrapping");
}

#[test]
fn units_of_the_body_count_once_begun() {
    let stream = Price { call: 0, gib_second: 0, unit: Some((14_000, 25 * 1024)), ..price() };
    for (bytes_in, units) in [(0, 1), (1, 1), (25 * 1024, 1), (25 * 1024 + 1, 2), (1 << 20, 41)] {
        assert_eq!(stream.estimate(&Usage { bytes_in, ..Usage::default() }), Some(14_000 * units), "{bytes_in}");
    }
}
