//! Questions that do not fit the vocabulary are denied with words, never mended.

use crate::{
    fixture::{alice, checkout, question, snapshot},
    permit::DenialReason,
    question::Question,
};
use serde_json::json;
use std::sync::Arc;

#[track_caller]
fn check(question: Question, expected: &str) {
    let shop = snapshot("@id(\"open\") permit(principal, action, resource);");
    let denial = shop.decide(question).unwrap_err();
    assert_eq!((denial.reason, denial.errors), (DenialReason::PolicyError, vec![expected.to_owned()]));
    assert!(denial.may_describe, "who may describe is answered all the same");
}

#[test]
fn inputs() {
    let with = |input| Question { input: Some(Arc::new(input)), ..question(checkout(), "orders.create") };
    check(with(json!({})), "`input.amount_cents` is missing");
    check(with(json!([])), "`input` is not an object");
    check(with(json!({ "amount_cents": 1.5 })), "`input.amount_cents` is not a whole number of 64 bits");
    check(with(json!({ "amount_cents": u64::MAX })), "`input.amount_cents` is not a whole number of 64 bits");
    check(with(json!({ "amount_cents": 1, "currency": null })), "`input.currency` is not text");
    let input = Some(Arc::new(json!({})));
    check(Question { input, ..question(alice(), "stock.level") }, "`stock.level` has no input that policy can see");
}

#[test]
fn parameters() {
    let query = |name: &str, values: &[&str]| {
        let mut question = question(alice(), "stock.level");
        question.query.insert(name.into(), values.iter().map(|v| Arc::from(*v)).collect());
        question
    };
    check(query("limit", &["1", "2"]), "the query parameter `limit` must be given once");
    check(query("limit", &[]), "the query parameter `limit` must be given once");
    check(query("limit", &["+1"]), "the query parameter `limit` is not a whole number of 64 bits");
    check(query("limit", &["9223372036854775808"]), "the query parameter `limit` is not a whole number of 64 bits");
    check(query("all", &["yes"]), "the query parameter `all` is not `true` or `false`");
    check(query("other", &["1"]), "the query parameter `other` is not declared");
    let mut missing = question(alice(), "stock.level");
    missing.path.clear();
    check(missing, "the path parameter `sku` is missing");
    let mut more = question(alice(), "stock.level");
    more.path.insert("x".into(), "1".into());
    check(more, "the path parameter `x` is not declared");
}

#[test]
fn what_fits_is_seen() {
    let shop = snapshot(
        "@id(\"run\") permit(principal, action == Action::\"run_on\", resource);\n\
         @id(\"p\") permit(principal, action == Action::\"stock.level\", resource)\n\
         when { context.path.sku like \"a-*\" && context.query has limit && context.query.limit <= 10 };",
    );
    let mut ask = question(alice(), "stock.level");
    assert!(shop.decide(ask.clone()).is_err());
    ask.query.insert("limit".into(), vec!["10".into()]);
    assert!(shop.decide(ask).is_ok());
}
