//! How an attempt ran, in words.

use crate::{
    audit::record::Run,
    command::audit::line::{duration, printable},
};
use std::fmt::Write as _;

/// Such as `on target 1 (fn), cold start 12 ms, billed 20 ms, 128 MiB, about 0.000000248 USD`.
pub(super) fn line(run: &Run) -> String {
    let mut text = format!("on target {} ({})", run.target.0, printable(&run.provider));
    // Writing to a string can't fail.
    if let Some(start) = &run.start {
        let _ = write!(text, ", {} start", printable(start));
        if let Some(init) = run.init_us {
            let _ = write!(text, " {}", duration(init));
        }
    }
    for (what, time) in [("ran", run.ran_us), ("billed", run.billed_us)] {
        if let Some(time) = time {
            let _ = write!(text, ", {what} {}", duration(time));
        }
    }
    if let Some(memory) = run.memory_mib {
        let _ = write!(text, ", {memory} MiB");
    }
    if let Some(cost) = &run.cost {
        let (whole, rest) = (cost.pico / 1_000_000_000_000, cost.pico % 1_000_000_000_000);
        let _ = write!(text, ", about {whole}.{rest:012} {}", printable(&cost.currency));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::Spent;
    use policy::permit::TargetIndex;

    #[test]
    fn what_is_known_is_said_and_nothing_else() {
        let mut run = Run {
            target: TargetIndex(1),
            provider: "fn".into(),
            start: None,
            init_us: None,
            ran_us: None,
            billed_us: None,
            memory_mib: None,
            cost: None,
        };
        assert_eq!(line(&run), "on target 1 (fn)");
        (run.start, run.init_us, run.billed_us) = (Some("cold".into()), Some(12_000), Some(20_000));
        (run.memory_mib, run.cost) = (Some(128), Some(Spent { pico: 248_000, currency: "USD".into() }));
        let text = line(&run);
        assert!(text.starts_with("on target 1 (fn), cold start 12"), "{text}");
        assert!(text.ends_with("128 MiB, about 0.000000248000 USD"), "{text}");
    }
}
