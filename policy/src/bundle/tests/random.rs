//! Random and mutilated texts: whatever comes, loading answers, with places inside the text.

use crate::{
    bundle::Source,
    cases,
    engine::Snapshot,
    fixture::{RUN_ON, now, snapshot, try_load},
};
use proptest::{prelude::*, sample::select};
use std::sync::LazyLock;

const WORDS: [&str; 40] = [
    "@id(\"a\")",
    "@id",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    ",",
    "permit",
    "forbid",
    "principal",
    "action",
    "resource",
    "context",
    "when",
    "unless",
    "==",
    "!=",
    "in",
    "is",
    "has",
    "like",
    "&&",
    "||",
    "!",
    "if",
    "then",
    "else",
    ".input",
    "Action::\"call\"",
    "Group::\"corp/staff\"",
    "User",
    "\"text\"",
    "\"",
    "1",
    "?principal",
    "// c\n",
    "é\u{202e}",
];

const GOOD: &str = "@id(\"a\") @owner(\"o\") permit(principal in Group::\"corp/staff\", action == Action::\"orders.create\", resource)\n\
    when { context.input.amount_cents <= 5 && context.facts.network.zone == \"office\" };\n// end\n\
    @id(\"b\") forbid(principal, action in Action::\"call\", resource) unless { context.facts.transport.mtls };\n";

fn loads_or_says_why(text: &str) {
    let findings = match try_load(text) {
        Ok((_, warnings)) => warnings,
        Err(errors) => errors,
    };
    for finding in findings.iter().filter(|finding| finding.file == "shop.cedar") {
        assert!(finding.line >= 1 && finding.line <= text.split('\n').count(), "{finding}\n{text}");
        assert!(finding.column >= 1, "{finding}");
    }
}

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| snapshot(RUN_ON));

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_in_any_order(words in prop::collection::vec(select(&WORDS), 0..40)) {
        loads_or_says_why(&words.join(" "));
    }

    #[test]
    fn a_good_text_with_one_piece_cut_or_put_in(start in 0..GOOD.len(), length in 0_usize..30, word in select(&WORDS)) {
        let end = (start + length).min(GOOD.len());
        let text = [&GOOD.as_bytes()[..start], word.as_bytes(), &GOOD.as_bytes()[end..]].concat();
        loads_or_says_why(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn random_cases_never_panic(text in "[\\[\\]a-z=\"'{}\n .0-9]{0,120}") {
        let source = Source { file: "x.cases.toml".into(), text: text.into() };
        let report = cases::run(&[source], &SNAPSHOT, now());
        prop_assert!(report.findings.iter().all(|finding| finding.line >= 1));
    }
}
