//! Until when a bundle may decide, and what happens then: old policies are a revocation that never came.

use crate::{bundle::EXPIRES_SOON_DAYS, engine::PolicyInfo};
use jiff::{SignedDuration, Timestamp};

/// How many days a signed bundle is valid unless its manifest says otherwise.
pub const BUNDLE_DAYS: i64 = 7;
/// How many days before its end a bundle is warned of.
pub const BUNDLE_ENDS_SOON_DAYS: i64 = 1;

/// What an expired bundle does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expired {
    /// It denies every call.
    #[default]
    Deny,
    /// It goes on deciding, loudly.
    Keep,
}

/// The time for which a bundle was signed. Policies from a folder are not signed and have no end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    until: Option<Timestamp>,
    expired: Expired,
}

/// How a bundle stands at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It decides.
    Valid,
    /// It decides, and ends within a day.
    EndsSoon(SignedDuration),
    /// It has ended and goes on deciding, as configured.
    Kept,
    /// It has ended and denies.
    Ended,
}

impl Validity {
    /// A bundle that was signed at a moment for a time: seven days unless its manifest says otherwise.
    ///
    /// A time that can't be counted has passed.
    #[must_use]
    pub fn signed(at: Timestamp, lasts: Option<SignedDuration>, expired: Expired) -> Self {
        let lasts = lasts.unwrap_or(SignedDuration::from_hours(24 * BUNDLE_DAYS));
        Self { until: Some(at.checked_add(lasts).unwrap_or(at)), expired }
    }

    /// When it ends, if it does.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        let Some(until) = self.until else { return Standing::Valid };
        let left = until.duration_since(now);
        match self.expired {
            Expired::Keep if left <= SignedDuration::ZERO => Standing::Kept,
            Expired::Deny if left <= SignedDuration::ZERO => Standing::Ended,
            _ if left <= SignedDuration::from_hours(24 * BUNDLE_ENDS_SOON_DAYS) => Standing::EndsSoon(left),
            _ => Standing::Valid,
        }
    }
}

/// How many permits have ended, and how many end within 30 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiries {
    /// End within 30 days.
    pub soon: usize,
    /// Grant nothing any more.
    pub expired: usize,
}

impl Expiries {
    /// Counts at one moment.
    pub fn of<'a>(policies: impl IntoIterator<Item = &'a PolicyInfo>, now: Timestamp) -> Self {
        let mut counted = Self::default();
        for left in policies.into_iter().filter_map(|policy| policy.expires).map(|end| end.duration_since(now)) {
            if left <= SignedDuration::ZERO {
                counted.expired += 1;
            } else if left <= SignedDuration::from_hours(24 * EXPIRES_SOON_DAYS) {
                counted.soon += 1;
            }
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{RUN_ON, alice, now, question, snapshot},
        permit::{DenialReason, TargetIndex},
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_bundle_lasts_seven_days_unless_it_says_otherwise() {
        let validity = Validity::signed(now(), None, Expired::Deny);
        assert_eq!(validity.until(), Some(at("2026-11-30T10:30:00Z")));
        assert_eq!(validity.standing(now()), Standing::Valid);
        assert!(
            matches!(validity.standing(at("2026-11-30T10:29:59Z")), Standing::EndsSoon(left) if left.as_secs() == 1)
        );
        assert_eq!(validity.standing(at("2026-11-30T10:30:00Z")), Standing::Ended);
        let day = Validity::signed(now(), Some(SignedDuration::from_hours(24)), Expired::Keep);
        assert_eq!(day.standing(at("2026-11-24T10:30:00Z")), Standing::Kept);
        assert_eq!(Validity::default().standing(at("9000-01-01T00:00:00Z")), Standing::Valid);
        let never = Validity::signed(now(), Some(SignedDuration::MAX), Expired::Deny);
        assert_eq!(never.standing(now()), Standing::Ended, "a time that can't be counted has passed");
    }

    #[test]
    fn an_ended_bundle_denies_everything_or_is_kept_as_configured() {
        let open = format!(
            "@id(\"p\") permit(principal, action in Action::\"call\", resource);\n\
            @id(\"d\") permit(principal, action == Action::\"describe\", resource);\n{RUN_ON}"
        );
        let signed =
            |expired| snapshot(&open).with_validity(Validity::signed(at("2026-11-01T00:00:00Z"), None, expired));
        let denial = signed(Expired::Deny).decide(question(alice(), "stock.level")).unwrap_err();
        assert_eq!((denial.reason, denial.may_describe), (DenialReason::BundleExpired, false));
        assert_eq!(denial.errors, ["the bundle expired at 2026-11-08T00:00:00Z"]);
        assert!(!signed(Expired::Deny).may_describe(&question(alice(), "stock.level")));
        assert!(signed(Expired::Keep).decide(question(alice(), "stock.level")).is_ok());
    }

    #[test]
    fn an_open_call_ends_with_its_bundle() {
        let open = format!("@id(\"p\") permit(principal, action in Action::\"call\", resource);\n{RUN_ON}");
        let shop = snapshot(&open).with_validity(Validity::signed(now(), None, Expired::Deny));
        let terms = shop.decide(question(alice(), "stock.level")).unwrap().spend(now()).unwrap();
        assert!(shop.still(&terms, TargetIndex(0), at("2026-11-30T10:29:59Z")));
        assert!(!shop.still(&terms, TargetIndex(0), at("2026-11-30T10:30:00Z")));
    }

    #[test]
    fn expiries_are_counted_at_the_moment_they_are_asked_for() {
        let permit = |id: &str, date: &str| {
            format!("@id(\"{id}\") @expires(\"{date}\") permit(principal, action == Action::\"describe\", resource);")
        };
        let text = [permit("a", "2026-11-22"), permit("b", "2026-12-01"), permit("c", "2027-12-01"), RUN_ON.to_owned()]
            .concat();
        let shop = snapshot(&text);
        assert_eq!(Expiries::of(shop.policies(), now()), Expiries { soon: 1, expired: 1 });
        assert_eq!(Expiries::of(shop.policies(), at("2026-12-02T00:00:00Z")), Expiries { soon: 0, expired: 2 });
    }
}
