//! `[budget.NAME]` as written.

use super::At;
use schemars::JsonSchema;
use serde::Deserialize;

/// `[budget.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Budget {
    /// The functions that it is for, such as `"orders.create"` or `"orders.*"`. Default all.
    pub(crate) functions: Vec<At<String>>,
    /// The callers that it is for, such as `"corp/ada"` or `"corp/*"`. Default all.
    pub(crate) callers: Vec<At<String>>,
    /// Who has the amount: `"all"` together (default), each `"function"`, or each `"caller"`.
    pub(crate) each: Option<Each>,
    /// How long it is for, in UTC: `"hour"`, `"day"` or `"month"`.
    #[schemars(required)]
    pub(crate) per: Option<At<Period>>,
    /// How much, in the currency of the prices.
    #[schemars(required)]
    pub(crate) amount: Option<At<f64>>,
    /// What happens when it is used up: `"warn"` (default) in the log, `"shadow"` counts the calls that would be refused,
    /// `"refuse"` refuses them (429).
    pub(crate) then: Option<Then>,
}

/// Who has the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BudgetEach")]
pub(crate) enum Each {
    All,
    Function,
    Caller,
}

/// How long a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BudgetPeriod")]
pub(crate) enum Period {
    Hour,
    Day,
    Month,
}

/// What happens when a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BudgetThen")]
pub(crate) enum Then {
    Warn,
    Shadow,
    Refuse,
}
