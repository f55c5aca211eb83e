//! The audit log of the story: a quarter of 100,000 calls in a shop where one permit allows everything.

use crate::history::{self, Decision};
use serde_json::json;
use std::path::Path;

/// Calls of the log.
pub const CALLS: u64 = 100_000;

/// Writes the log into the folder of the story.
///
/// # Panics
/// When it can't be written.
pub fn write(folder: &Path) {
    history::write(&folder.join("audit"), "shop", CALLS, decision);
}

/// Who calls what: numbers below 1,000 by turns, so that every thousand calls are alike.
fn decision(n: u64) -> Decision {
    let turn = n % 1_000;
    let (service, function, amount) = match turn {
        0..600 => ("web", "stock.level", None),
        600..660 => ("warehouse", "stock.level", None),
        660..960 => ("checkout", "orders.create", Some(100 + n * 7_919 % 49_900)),
        960..996 => ("helpdesk", "orders.refund", Some(50 + n * 104_729 % 9_950)),
        996..999 => ("reporting", "customers.export", None),
        // Once in ten thousand calls.
        _ if n / 1_000 % 10 == 3 => ("newsletter", "customers.export", None),
        _ => ("web", "stock.level", None),
    };
    Decision {
        function: function.into(),
        kind: "Client",
        id: format!("services/{service}"),
        groups: vec!["services/all".into()],
        zone: "other",
        input: amount.map(|amount| json!({ "amount": amount })),
        determining: vec!["shop.everything".into()],
        denied: None,
        // 100,000 calls in 92 days.
        seconds: 79,
    }
}
