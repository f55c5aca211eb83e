//! Loading again says and decides what loading anew would.

use super::*;
use crate::{
    fixture::{RUN_ON, alice, checkout, declared, function, now, question},
    question::Principal,
};

const PERMIT: &str = "@id(\"p\") permit(principal, action == Action::\"stock.level\", resource);\n";
const FORBID: &str = "@id(\"f\") forbid(principal in Group::\"corp/staff\", action, resource);\n";
/// Warned of: nobody knows the annotation.
const NOTED: &str = "@id(\"n\") @color(\"red\") permit(principal, action == Action::\"orders.create\", resource)\n\
                     when { context.input.amount_cents < 1000 };\n";

fn sources(texts: &[&str]) -> Vec<Source> {
    let file = |(i, text): (usize, &&str)| Source { file: format!("{i}.cedar").into(), text: (*text).into() };
    texts.iter().enumerate().map(file).collect()
}

/// Loads `after` again upon `before`, and anew, and sees that both are the same.
#[track_caller]
fn check(before: &[&str], after: &[&str]) -> Loaded {
    let declared = Arc::new(declared());
    let (earlier, _) = load(&sources(before), Arc::clone(&declared), now()).unwrap();
    let again = reload(&sources(after), Arc::clone(&declared), now(), &earlier);
    match (&again, load(&sources(after), declared, now())) {
        (Ok((again, said)), Ok((anew, expected))) => {
            assert_eq!((again.id(), said), (anew.id(), &expected));
            let lines = |snapshot: &Snapshot| -> Vec<_> {
                snapshot.policies().map(|p| (p.name.clone(), Arc::clone(&p.file), p.line)).collect()
            };
            assert_eq!(lines(again), lines(&anew));
            for caller in [alice(), checkout(), Principal::anonymous()] {
                for name in ["stock.level", "orders.create"] {
                    let ask = || question(caller.clone(), name);
                    let said = |snapshot: &Snapshot| match snapshot.decide(ask()) {
                        Ok(permit) => (None, permit.terms().determining().to_vec(), permit.terms().targets().to_vec()),
                        Err(denial) => (Some(denial.reason), denial.determining.to_vec(), Vec::new()),
                    };
                    assert_eq!(said(again), said(&anew), "{name}");
                }
            }
        }
        (Err(said), Err(expected)) => assert_eq!(said, &expected),
        (again, anew) => panic!("{again:?}\n{anew:?}"),
    }
    again
}

#[test]
fn what_changes_takes_effect_and_the_rest_stays() {
    let all = [PERMIT, FORBID, RUN_ON];
    check(&all, &all).unwrap();
    check(&all, &[PERMIT, &FORBID.replace("staff", "suspended"), RUN_ON]).unwrap();
    check(&all, &[&format!("{NOTED}{PERMIT}"), RUN_ON]).unwrap();
    check(&all, &[RUN_ON, PERMIT, FORBID]).unwrap();
    check(&all, &[&format!("// moved\n\n{PERMIT}"), &PERMIT.replace("\"p\"", "\"q\""), RUN_ON]).unwrap();
    check(&all, &["", RUN_ON]).unwrap();
}

#[test]
fn what_was_said_is_said_again() {
    let (_, findings) = check(&[NOTED, RUN_ON], &[NOTED, RUN_ON, PERMIT]).unwrap();
    assert!(findings.iter().any(|finding| finding.code == "unknown_annotation"), "{findings:?}");
    let findings = check(&[PERMIT, RUN_ON], &[PERMIT, RUN_ON, PERMIT]).unwrap_err();
    assert!(findings.iter().any(|finding| finding.code == "duplicate_id"), "{findings:?}");
    check(
        &[PERMIT, RUN_ON],
        &[PERMIT, RUN_ON, "@id(\"x\") permit(principal, action == Action::\"stock.levl\", resource);"],
    )
    .unwrap_err();
}

#[test]
fn many_files_are_read_in_order() {
    let texts: Vec<String> = (0..40).map(|i| PERMIT.replace("\"p\"", &format!("\"p{i}\""))).collect();
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (snapshot, _) = check(&[RUN_ON], &[&texts[..], &[RUN_ON]].concat()).unwrap();
    let names: Vec<_> = snapshot.policies().take(40).map(|policy| policy.name.to_string()).collect();
    assert_eq!(names, (0..40).map(|i| format!("p{i}")).collect::<Vec<_>>());
    texts[3] = "permit(principal, action, resource);";
    texts[30] = "permit(";
    let findings = check(&[RUN_ON], &texts).unwrap_err();
    let files: Vec<&str> = findings.iter().map(|finding| finding.file.as_ref()).collect();
    assert_eq!(files, ["3.cedar", "30.cedar"]);
}

#[test]
fn other_declarations_check_everything_anew() {
    let (earlier, _) = load(&sources(&[PERMIT, RUN_ON]), Arc::new(declared()), now()).unwrap();
    let mut other = declared();
    other.functions.retain(|function| function.name.as_str() != "stock.level");
    let findings = reload(&sources(&[PERMIT, RUN_ON]), Arc::new(other), now(), &earlier).unwrap_err();
    assert_eq!(findings[0].code, "unknown_action");
    let mut more = declared();
    more.functions.push(function("stock.count", &["read"]));
    let (snapshot, _) = reload(&sources(&[PERMIT, RUN_ON]), Arc::new(more), now(), &earlier).unwrap();
    assert_ne!(snapshot.id(), earlier.id());
}

#[test]
fn what_is_in_shadow_stays_there_until_it_says_otherwise() {
    let shadowed = FORBID.replace("\"f\")", "\"f\") @mode(\"shadow\")");
    let names = |loaded: Loaded| -> Vec<String> {
        let (snapshot, _) = loaded.unwrap();
        snapshot.shadowed().map(|policy| policy.name.to_string()).collect()
    };
    assert_eq!(names(check(&[&shadowed, PERMIT, RUN_ON], &[&shadowed, PERMIT, RUN_ON])), ["f"]);
    assert_eq!(names(check(&[&shadowed, PERMIT, RUN_ON], &[&shadowed, "", &format!("{RUN_ON}{PERMIT}")])), ["f"]);
    assert_eq!(names(check(&[&shadowed, PERMIT, RUN_ON], &[FORBID, PERMIT, RUN_ON])), [""; 0]);
    assert_eq!(names(check(&[FORBID, PERMIT, RUN_ON], &[&shadowed, PERMIT, RUN_ON])), ["f"]);
}
