//! Budgets: whose, how long, and what becomes of calls when they are used up.

use super::*;
use crate::{
    audit::{
        log::Log,
        record::{Closed, Run, Spent as Charged},
        tests::{completed, config, intent},
    },
    config::Durability,
};
use policy::permit::TargetIndex;
use uuid::Uuid;

fn budget(each: Each, per: Period, then: Then) -> Budget {
    Budget {
        name: "shop".into(),
        functions: vec!["orders.*".into()],
        callers: vec!["corp/ada".into(), "corp/team-*".into()],
        each,
        per,
        amount: 100,
        then,
    }
}

fn budgets(budget: Budget) -> Budgets {
    Budgets::new(&[Arc::new(budget)], BudgetMeters::default(), None)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn function(name: &str) -> FunctionName {
    FunctionName::parse(name).unwrap()
}

#[test]
fn calls_are_refused_from_the_amount_on_until_the_next_period() {
    for (per, next, left) in [
        (Period::Hour, "2026-11-28T11:00:00Z", 1_800),
        (Period::Day, "2026-11-29T00:00:00Z", 48_600),
        (Period::Month, "2026-12-01T00:00:00Z", 221_400),
    ] {
        let budgets = budgets(budget(Each::All, per, Then::Refuse));
        let (create, ada, now) = (function("orders.create"), "corp/ada".into(), at("2026-11-28T10:30:00Z"));
        budgets.spend(&create, &ada, 99, now);
        budgets.admit(&create, &ada, now).unwrap();
        budgets.spend(&create, &ada, 1, now);
        for (name, caller) in [("orders.create", "corp/ada"), ("orders.list", "corp/team-a")] {
            let refused = budgets.admit(&function(name), &caller.into(), now).unwrap_err();
            let Refusal::OverBudget { budget, retry_after } = &refused else { panic!("{refused:?}") };
            assert_eq!((&**budget, retry_after.as_secs()), ("shop", left), "{per:?}");
            assert_eq!(refused.row().status, 429);
        }
        for (name, caller) in [("stock.list", "corp/ada"), ("orders.create", "corp/eve")] {
            budgets.admit(&function(name), &caller.into(), now).unwrap();
        }
        budgets.admit(&create, &ada, at(next)).unwrap();
    }
}

#[test]
fn each_function_or_caller_can_have_the_amount() {
    let (create, list, now) = (function("orders.create"), function("orders.list"), at("2026-11-28T10:30:00Z"));
    let (ada, team): (Arc<str>, Arc<str>) = ("corp/ada".into(), "corp/team-a".into());
    for (each, create_by_team, list_by_ada) in [(Each::Function, false, true), (Each::Caller, true, false)] {
        let budgets = budgets(budget(each, Period::Day, Then::Refuse));
        budgets.spend(&create, &ada, 100, now);
        assert!(budgets.admit(&create, &ada, now).is_err());
        assert_eq!(budgets.admit(&create, &team, now).is_ok(), create_by_team, "{each:?}");
        assert_eq!(budgets.admit(&list, &ada, now).is_ok(), list_by_ada, "{each:?}");
    }
}

#[test]
fn others_only_warn_or_count() {
    let (create, ada, now) = (function("orders.create"), "corp/ada".into(), at("2026-11-28T10:30:00Z"));
    for then in [Then::Warn, Then::Shadow] {
        let budgets = budgets(budget(Each::All, Period::Day, then));
        budgets.spend(&create, &ada, 1_000, now);
        budgets.admit(&create, &ada, now).unwrap();
    }
}

#[test]
fn a_reload_keeps_what_was_spent_unless_the_budget_is_another() {
    let (create, ada, now) = (function("orders.create"), Arc::from("corp/ada"), at("2026-11-28T10:30:00Z"));
    let before = budgets(budget(Each::All, Period::Day, Then::Refuse));
    before.spend(&create, &ada, 150, now);
    let after = |changed: Budget| {
        let after = Budgets::new(&[Arc::new(changed)], BudgetMeters::default(), Some(&before));
        after.admit(&create, &ada, now).is_ok()
    };
    let same = || budget(Each::All, Period::Day, Then::Refuse);
    assert!(!after(same()));
    assert!(after(Budget { amount: 200, ..same() }), "a larger amount counts at once");
    assert!(!after(Budget { amount: 150, ..same() }));
    assert!(after(Budget { per: Period::Hour, ..same() }), "another period is another budget");
}

#[tokio::test]
async fn what_was_spent_before_a_restart_is_read_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&config(folder.path(), Durability::Write), &"gw".into(), Uuid::now_v7()).unwrap();
    for pico in [40, 70] {
        let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
        guard.intent(&intent(None)).await.unwrap();
        let cost = Some(Charged { pico, currency: "USD".into() });
        let run = Run {
            target: TargetIndex(0),
            provider: "http".into(),
            start: None,
            init_us: None,
            ran_us: None,
            billed_us: None,
            memory_mib: None,
            cost,
        };
        guard.closed(&Closed { run: Some(run), ..completed() }).await.unwrap();
    }
    log.shutdown().await;
    let (question, now) = (intent(None).question, Timestamp::now());
    let all = Budget { functions: Vec::new(), callers: Vec::new(), ..budget(Each::All, Period::Month, Then::Refuse) };
    let budgets = budgets(all);
    budgets.admit(&question.function, &question.principal.id, now).unwrap();
    budgets.recall(&folder.path().join("gw"), now).unwrap();
    assert!(budgets.admit(&question.function, &question.principal.id, now).is_err(), "110 of 100 are spent");
}
