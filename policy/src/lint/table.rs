//! Every lint: its id, its level, and why it is there.

use crate::finding::Severity;

/// A lint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lint {
    /// Its id, as findings and `@lint("allow:…")` name it.
    pub id: &'static str,
    /// Whether it counts as a warning or is only noted.
    pub level: Severity,
    /// What it finds, and why that matters.
    pub doc: &'static str,
}

const fn warns(id: &'static str, doc: &'static str) -> Lint {
    Lint { id, level: Severity::Warning, doc }
}

const fn notes(id: &'static str, doc: &'static str) -> Lint {
    Lint { id, level: Severity::Note, doc }
}

/// Every lint, by id.
pub const LINTS: [Lint; 14] = [
    warns(
        "boundless_permit",
        "A permit without a caller, an action, a resource or a condition lets everybody do everything, now and with \
         every function to come.",
    ),
    warns(
        "confusable_names",
        "Two names that people read as one (`adm1n` and `admin`, `rn` and `m`, `-` and `_`) make a reviewer approve the \
         wrong one, and records hard to read.",
    ),
    warns(
        "duplicate_policy",
        "Two policies that say the same: whoever narrows or removes one of them believes that something changed.",
    ),
    warns(
        "empty_scope",
        "No declared function is within the head, so the policy does nothing yet. It may wait for its functions, or name \
         the wrong group.",
    ),
    warns(
        "forbid_may_error",
        "A sum, product or shifted time in a forbid can leave the range of 64 bits. The call is then denied with an error, \
         which is safe, but callers can bring it about and the record names an error instead of the rule.",
    ),
    notes(
        "in_shadow",
        "A policy with `@mode(\"shadow\")` is asked beside those in force, and what it would have changed is counted and \
         recorded. It guards and grants nothing, and is easily forgotten.",
    ),
    notes(
        "missing_expiry",
        "A permit without `@expires` grants until somebody remembers it. Permits for `run_on` and `describe` are exempt: \
         they grant nobody a call.",
    ),
    warns(
        "missing_owner",
        "Without `@owner` nobody can be asked whether the policy is still needed, and nobody is told before it expires.",
    ),
    warns(
        "never_matches",
        "The conditions contradict each other. A forbid like that guards nothing, a permit grants nothing, and both look \
         as if they did.",
    ),
    warns(
        "overruled_permit",
        "A forbid covers everything that this permit grants, so it never grants. Either one of them is wrong, or the permit \
         is left over.",
    ),
    warns(
        "shadowed_policy",
        "Another policy with the same effect covers everything that this one does, so removing or narrowing this one \
         changes nothing: the wider one is what has to be reviewed.",
    ),
    warns("unknown_lint", "An allowance names no lint that there is, or gives no reason, so it allows nothing."),
    warns(
        "unscoped_permit",
        "A permit that names no action grants administration and every function that is added later, as far as its \
         conditions hold.",
    ),
    warns(
        "useless_allow",
        "An allowance whose lint finds nothing here any more. It would hide the finding when it comes back.",
    ),
];

/// The level of a lint.
pub(super) fn level(id: &str) -> Severity {
    LINTS.iter().find(|lint| lint.id == id).map_or(Severity::Warning, |lint| lint.level)
}
