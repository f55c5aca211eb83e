//! What tables become, what they grant, and which slips in them are found where.

use crate::{
    bundle::{Source, load},
    engine::Snapshot,
    finding::Finding,
    fixture::{RUN_ON, alice, checkout, declared, now, question, sources},
    permit::{DenialReason, PolicyName},
};
use std::sync::Arc;

fn try_grants(text: &str) -> Result<(Snapshot, Vec<Finding>), Vec<Finding>> {
    let mut all = sources(RUN_ON);
    all.push(Source { file: "shop.grants.toml".into(), text: text.into() });
    load(&all, Arc::new(declared()), now())
}

#[track_caller]
fn refused(text: &str, code: &str, line: usize) -> Finding {
    let finding = try_grants(text).unwrap_err().remove(0);
    assert_eq!((finding.code, finding.file.as_str(), finding.line), (code, "shop.grants.toml", line), "{finding}");
    finding
}

#[test]
fn a_grant_in_shadow_grants_nothing() {
    let grant = |mode: &str| format!("[grant.staff]\ngroup = \"corp/staff\"\naction_group = \"read\"\n{mode}");
    let shop = |mode: &str| try_grants(&grant(mode)).unwrap().0;
    assert!(shop("").decide(question(alice(), "stock.level")).is_ok());
    assert!(shop("mode = \"enforce\"").decide(question(alice(), "stock.level")).is_ok());
    let shadowed = shop("mode = \"shadow\"");
    assert!(shadowed.decide(question(alice(), "stock.level")).is_err());
    assert_eq!(shadowed.shadowed().next().unwrap().name, PolicyName("grants.staff".into()));
    refused(&grant("mode = \"shade\""), "grant_syntax", 4);
}

const TABLE: &str = r#"
[grant.checkout-small]
caller = "spiffe://prod.acme/ns/shop/sa/checkout"
function = "orders.create"
owner = "corp/team-shop"
expires = 2027-03-31
[grant.checkout-small.limit]
"input.amount_cents" = { min = 1, max = 500 }
"input.currency" = { in = ["EUR", "CHF"] }

[grant.staff-reads]
group = "corp/staff"
action_group = "read"
app = "shop"
expires = "2026-11-22"
"#;

#[test]
fn a_table_grants_within_its_limits() {
    let (shop, warnings) = try_grants(TABLE).unwrap();
    let listed: Vec<_> = shop.policies().map(|p| (p.name.0.as_ref(), p.file.as_ref(), p.line)).collect();
    let expected = [
        ("run-on.default", "shop.cedar", 1),
        ("grants.checkout-small", "shop.grants.toml", 2),
        ("grants.staff-reads", "shop.grants.toml", 11),
    ];
    assert_eq!(listed, expected);
    assert!(warnings.iter().any(|w| w.code == "expires_soon" && w.line == 11), "{warnings:#?}");
    let ask = |amount: i64, currency: Option<&str>| {
        let mut question = question(checkout(), "orders.create");
        let mut input = serde_json::json!({ "amount_cents": amount });
        if let Some(currency) = currency {
            input["currency"] = currency.into();
        }
        question.input = Some(Arc::new(input));
        shop.decide(question).map(|permit| permit.terms().determining().to_vec()).map_err(|denial| denial.reason)
    };
    assert_eq!(ask(500, Some("EUR")), Ok(vec![PolicyName("grants.checkout-small".into())]));
    for (amount, currency) in [(501, Some("EUR")), (0, Some("EUR")), (5, Some("USD")), (5, None)] {
        assert_eq!(ask(amount, currency), Err(DenialReason::NotPermitted), "{amount} {currency:?}");
    }
    let denial = shop.decide(question(alice(), "stock.level")).unwrap_err();
    assert_eq!(denial.reason, DenialReason::NotPermitted, "the grant of staff has ended");
    let open = TABLE.replace("2026-11-22", "2027-11-22");
    assert!(try_grants(&open).unwrap().0.decide(question(alice(), "stock.level")).is_ok());
}

#[test]
fn every_kind_of_limit_makes_a_valid_policy() {
    let mut declared = declared();
    declared.functions[0].input = crate::fixture::input(
        r#"{ "type": "object", "properties": { "price": { "type": "number", "multipleOf": 0.01 }, "n": { "type": "integer" },
        "at": { "type": "string", "format": "date-time" }, "day": { "type": "string", "format": "date" }, "ok": { "type": "boolean" },
        "from": { "type": "string", "format": "ipv4" }, "odd name": { "type": "object", "properties": { "x": { "type": "string" } } } } }"#,
    );
    let limits = r#"
        "input.price" = { max = 10, min = 0.05 }
        "input.n" = { min = -5 }
        "input.at" = { after = 2026-01-01T00:00:00Z, before = "2027-01-01T00:00:00Z" }
        "input.day" = { max = 2027-01-01 }
        "input.ok" = true
        "input.from" = "192.0.2.7"
        "input.odd name.x" = { like = "a\"*" }"#;
    let table = format!("[grant.g]\ncaller = \"corp/ada\"\nfunction = \"orders.create\"\n[grant.g.limit]{limits}");
    let all = [sources(RUN_ON), vec![Source { file: "g.grants.toml".into(), text: table.into() }]].concat();
    let declared = Arc::new(declared);
    let (shop, _) = load(&all, declared, now()).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert!(shop.policy(&PolicyName("grants.g".into())).is_some());
}

#[test]
fn slips_are_found_where_they_are() {
    let grant = |line: &str| format!("[grant.g]\n{line}\n");
    let help = |finding: Finding| finding.help.unwrap_or_default().to_string();
    let both = "caller = \"corp/ada\"\nfunction = \"orders.create\"";
    assert!(help(refused(&grant("caler = \"x\""), "unknown_key", 2)).contains("`caller`"));
    refused(&grant("caller = \"corp/ada\""), "missing_key", 1);
    refused(&grant("function = \"orders.create\""), "missing_key", 1);
    refused(&grant(&format!("{both}\ngroup = \"corp/staff\"")), "contradiction", 1);
    refused(&grant(&format!("{both}\naction_group = \"read\"")), "contradiction", 1);
    refused(&grant("caller = \"corp/ada\"\nfunction = \"orders.creat\""), "unknown_function", 3);
    refused(&grant("group = \"corp/stff\"\nfunction = \"orders.create\""), "unknown_group", 1);
    refused(&grant("group = \"corp/staff\"\naction_group = \"raed\""), "unknown_action", 1);
    refused(&grant("group = \"corp/staff\"\naction_group = \"read\"\napp = \"shpo\""), "unknown_app", 1);
    refused(&grant(&format!("{both}\nexpires = \"soon\"")), "invalid_expires", 1);
    refused("[grant.\"a b\"]\ncaller = \"corp/ada\"\nfunction = \"orders.create\"", "invalid_id", 1);
    let limit = |limit: &str| grant(&format!("{both}\n[grant.g.limit]\n{limit}"));
    assert!(help(refused(&limit("\"input.amount_cent\" = 5"), "unknown_field", 5)).contains("amount_cents"));
    refused(&limit("\"facts.x\" = 5"), "unknown_field", 5);
    refused(&limit("\"input.amount_cents\" = { mx = 5 }"), "invalid_limit", 5);
    refused(&limit("\"input.amount_cents\" = {}"), "invalid_limit", 5);
    refused(&limit("\"input.amount_cents\" = \"5\""), "type_mismatch", 1);
    refused("[grant", "grant_syntax", 1);
}

#[test]
fn three_thousand_grants_are_one_table() {
    let table: String = (0..3_000)
        .map(|i| format!("[grant.g{i}]\ncaller = \"corp/p{i}\"\nfunction = \"stock.level\"\nexpires = 2027-03-31\n"))
        .collect();
    let (shop, _) = try_grants(&table).unwrap();
    assert_eq!(shop.policies().count(), 3_001);
}
