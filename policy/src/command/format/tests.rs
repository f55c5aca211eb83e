//! Formatting keeps comments, annotations and meaning, and can be repeated.

use super::*;
use crate::fixture::sources;

fn formatted(given: &str) -> String {
    text(&sources(given)[0]).unwrap()
}

const UGLY: &str = "// head; note\n@id(\"p\")   @owner(\"x; y\")\npermit(principal is User,action==Action::\"stock.level\",// the level\nresource)\n  \
    when{resource.class<2// small\n&&!(principal in Group::\"corp/suspended\")};\n\n// tail\n";

#[test]
fn comments_and_annotations_stay() {
    let pretty = formatted(UGLY);
    for kept in ["// head; note", "@id(\"p\")", "@owner(\"x; y\")", "// the level", "// small", "// tail"] {
        assert!(pretty.contains(kept), "{kept}: {pretty}");
    }
    assert!(pretty.contains("principal is User,\n"), "{pretty}");
    assert_eq!(formatted(&pretty), pretty, "once is enough");
}

#[test]
fn the_meaning_stays() {
    assert_eq!(meaning(UGLY), meaning(&formatted(UGLY)));
    assert_ne!(meaning(UGLY), meaning(&UGLY.replace("class<2", "class<3")));
    assert_ne!(meaning(UGLY), meaning(&UGLY.replace("x; y", "x")));
    assert_ne!(split::comments(UGLY), split::comments(&UGLY.replace("// small", "")));
}

#[test]
fn files_without_policies_stay_as_they_are() {
    for text in ["", "\n\n", "// nothing yet\n"] {
        assert_eq!(formatted(text), text);
    }
}

#[test]
fn what_is_no_policy_is_shown_with_its_place() {
    let mut out = Vec::new();
    let (exit, changed) = format(sources("permit(principal, action);"), false, Format::Human, &mut out).unwrap();
    assert_eq!((exit, changed), (Exit::Invalid, Vec::new()));
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("shop.cedar:1:") && text.ends_with("1 file: 0 formatted, 1 faults\n"), "{text}");
    let nested = format!("permit(principal, action, resource) when {{ {} }};", "(".repeat(100_000));
    assert_eq!(text_codes(&nested), ["too_nested"]);
}

fn text_codes(given: &str) -> Vec<&'static str> {
    text(&sources(given)[0]).unwrap_err().into_iter().map(|finding| finding.code).collect()
}

#[test]
fn checking_changes_nothing_and_fails_when_something_would() {
    let run = |text: &str, only_check| {
        let mut out = Vec::new();
        let (exit, changed) = format(sources(text), only_check, Format::Json, &mut out).unwrap();
        (exit, changed.len(), serde_json::from_slice::<serde_json::Value>(&out).unwrap())
    };
    let (exit, changed, json) = run(UGLY, true);
    assert_eq!((exit, changed, json["changed"][0].as_str()), (Exit::Failed, 0, Some("shop.cedar")));
    let (exit, changed, json) = run(UGLY, false);
    assert_eq!((exit, changed, json["ok"].as_bool()), (Exit::Ok, 1, Some(true)));
    assert_eq!(run(&formatted(UGLY), true).0, Exit::Ok);
}
