//! `bundle`, `shadow`, `keys`, `threshold` and `expired` of `[policy]`: what is signed says by whom.

use crate::config::{ShadowBundle, SignedBundle, raw, value::Desk};
use policy::bundle::validity::Expired;
use std::ops::Range;

/// Most people that may be asked for.
const THRESHOLD_MAX: u64 = 32;

pub(crate) fn signed(written: &raw::Policy, production: bool, desk: &mut Desk<'_>) -> Option<SignedBundle> {
    let Some(bundle) = &written.bundle else {
        let beside = [
            written.keys.as_ref().map(|keys| ("keys", keys.span.clone())),
            written.threshold.as_ref().map(|threshold| ("threshold", threshold.span.clone())),
        ];
        for (key, span) in beside.into_iter().flatten().filter(|_| written.shadow.is_none()) {
            desk.error_help("without_bundle", &span, format!("`{key}` is of signed bundles"), "set `bundle` too");
        }
        if production {
            let span = written.path.as_ref().map_or(0..0, |path| path.span.clone());
            let message = "in production policies come from a signed bundle";
            desk.error_help("unsigned_policies", &span, message, "set `bundle`, `keys` and `threshold` in `[policy]`");
        }
        return None;
    };
    named(&bundle.value, &bundle.span, written, desk)
}

/// A folder is one that is there, or, outside production, whatever has no keys: a bundle without keys is nobody's word.
pub(crate) fn shadow(written: &raw::Policy, production: bool, desk: &mut Desk<'_>) -> Option<ShadowBundle> {
    let shadow = written.shadow.as_ref()?;
    let path = desk.path(&shadow.value);
    let signs = written.keys.is_some() || written.threshold.is_some();
    if production && path.is_dir() {
        let message = "in production policies in shadow come from a signed bundle, too";
        desk.error_help("unsigned_policies", &shadow.span, message, "`latchwork policy sign` makes one");
        return None;
    }
    if production || path.is_file() || (signs && !path.is_dir()) {
        return named(&shadow.value, &shadow.span, written, desk).map(ShadowBundle::Signed);
    }
    Some(ShadowBundle::Folder(path))
}

fn named(file: &str, span: &Range<usize>, written: &raw::Policy, desk: &mut Desk<'_>) -> Option<SignedBundle> {
    let keys = desk.required("keys", &written.keys, span).map(|keys| desk.path(&keys.value));
    let threshold = desk.required("threshold", &written.threshold, span);
    let threshold = threshold.map(|number| desk.number(Some(number), 1, 1..=THRESHOLD_MAX));
    Some(SignedBundle {
        file: desk.path(file),
        keys: keys?,
        threshold: usize::try_from(threshold?).unwrap_or(usize::MAX),
        expired: match written.expired {
            None | Some(raw::Expired::Deny) => Expired::Deny,
            Some(raw::Expired::Keep) => Expired::Keep,
        },
    })
}
