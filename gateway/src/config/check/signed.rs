//! `bundle`, `keys`, `threshold` and `expired` of `[policy]`: all, or none.

use crate::config::{SignedBundle, raw, value::Desk};
use policy::bundle::validity::Expired;

/// Most people that may be asked for.
const THRESHOLD_MAX: u64 = 32;

pub(crate) fn signed(written: &raw::Policy, production: bool, desk: &mut Desk<'_>) -> Option<SignedBundle> {
    let Some(bundle) = &written.bundle else {
        let beside = [
            written.keys.as_ref().map(|keys| ("keys", keys.span.clone())),
            written.threshold.as_ref().map(|threshold| ("threshold", threshold.span.clone())),
        ];
        for (key, span) in beside.into_iter().flatten() {
            desk.error_help("without_bundle", &span, format!("`{key}` is of signed bundles"), "set `bundle` too");
        }
        if production {
            let span = written.path.as_ref().map_or(0..0, |path| path.span.clone());
            let message = "in production policies come from a signed bundle";
            desk.error_help("unsigned_policies", &span, message, "set `bundle`, `keys` and `threshold` in `[policy]`");
        }
        return None;
    };
    let keys = desk.required("keys", &written.keys, &bundle.span).map(|keys| desk.path(&keys.value));
    let threshold = desk.required("threshold", &written.threshold, &bundle.span);
    let threshold = threshold.map(|number| desk.number(Some(number), 1, 1..=THRESHOLD_MAX));
    Some(SignedBundle {
        file: desk.path(&bundle.value),
        keys: keys?,
        threshold: usize::try_from(threshold?).unwrap_or(usize::MAX),
        expired: match written.expired {
            None | Some(raw::Expired::Deny) => Expired::Deny,
            Some(raw::Expired::Keep) => Expired::Keep,
        },
    })
}
