//! `[budget.NAME]`: what runs may cost in a period, by function, by caller, or all together.

use mesh::cost::Cost;
use std::sync::Arc;

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Name.
    pub name: Arc<str>,
    /// The functions that it is for: names, of which one may end in `*`; empty means all.
    pub functions: Vec<Arc<str>>,
    /// The callers that it is for, the same way.
    pub callers: Vec<Arc<str>>,
    /// Whether each of them has the whole amount.
    pub each: Each,
    /// How long it is for.
    pub per: Period,
    /// How much.
    pub amount: Cost,
    /// What happens when it is used up.
    pub then: Then,
}

/// Who has the amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Each {
    /// All together.
    #[default]
    All,
    /// Each function.
    Function,
    /// Each caller.
    Caller,
}

/// How long a budget is for (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month of the calendar.
    Month,
}

/// What happens to calls when a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is said once in the log.
    Warn,
    /// Calls that would be refused are counted, and run.
    Shadow,
    /// They are refused (429).
    Refuse,
}

impl Budget {
    /// Whether it is for calls of that function.
    #[must_use]
    pub fn is_for_function(&self, function: &str) -> bool {
        among(&self.functions, function)
    }

    /// Whether it is for such a call.
    #[must_use]
    pub fn is_for(&self, function: &str, caller: &str) -> bool {
        self.is_for_function(function) && among(&self.callers, caller)
    }
}

fn among(patterns: &[Arc<str>], name: &str) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => **pattern == *name,
        })
}
