//! An answer with indexes is the one that the records themselves give, whatever the log went through.

use super::{file, look};
use crate::audit::{
    query,
    search::{self, Call, Field, Filter, Item, Means, Question, View},
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use told::told;
use written::{Ending, Step, Writer, steps};

mod told;
mod written;

fn asked(audit: &Path, question: &Question, index: bool) -> Vec<Item> {
    let mut items = Vec::new();
    let means = Means { index, workers: 2, stop: &|| false };
    let nodes = search::nodes(audit).unwrap();
    search::ask(&nodes, question, means, &mut |item| {
        items.push(item);
        Ok(())
    })
    .unwrap();
    items
}

fn calls(audit: &Path, question: &Question, index: bool) -> Vec<Call> {
    let call = |item| match item {
        Item::Call(call) => *call,
        item => panic!("{item:?}"),
    };
    asked(audit, question, index).into_iter().map(call).collect()
}

/// Questions, and whether a call is meant, told another way.
type Meant = fn(&Call, &[String]) -> bool;

fn questions() -> Vec<(Filter, Meant)> {
    let moment = |second| jiff::Timestamp::from_second(second).unwrap();
    vec![
        (Filter::default(), |_, _| true),
        (Filter { callers: vec!["corp/caller-1".into(), "corp/caller-2".into()], ..Filter::default() }, |call, _| {
            matches!(call.caller.as_deref(), Some("corp/caller-1" | "corp/caller-2"))
        }),
        (Filter { functions: vec!["app1.*".into()], ..Filter::default() }, |call, _| {
            call.function.as_ref().is_some_and(|function| function.starts_with("app1."))
        }),
        (Filter { outcomes: vec!["open".into(), "failed".into()], ..Filter::default() }, |call, _| {
            matches!(&*call.outcome, "open" | "failed")
        }),
        (Filter { policies: vec!["policy-1".into()], statuses: vec!["5xx".parse().unwrap()], ..Filter::default() }, {
            |call, _| {
                call.policies.iter().any(|name| **name == *"policy-1") && call.status.is_some_and(|s| s / 100 == 5)
            }
        }),
        (Filter { reasons: vec!["forbidden".into()], targets: vec![1], ..Filter::default() }, |_, _| false),
        (
            Filter { since: Some(moment(1_790_000_040)), until: Some(moment(1_790_000_130)), ..Filter::default() },
            |call, _| (1_790_000_040..1_790_000_130).contains(&call.at.as_second()),
        ),
        (Filter { texts: vec!["text 3 \"quoted\"".into()], ..Filter::default() }, |_, texts| {
            texts.iter().any(|text| text.contains("text 3 \\\"quoted\\\""))
        }),
        (Filter { texts: vec!["timed_out".into(), "text 2".into()], ..Filter::default() }, |_, texts| {
            ["timed_out", "text 2"].iter().all(|wanted| texts.iter().any(|text| text.contains(wanted)))
        }),
        (Filter { sources: vec!["2001:db8::1".into()], ..Filter::default() }, |call, _| {
            call.source.as_deref() == Some("2001:db8::1")
        }),
        (Filter { nodes: vec!["gw-2".into()], ..Filter::default() }, |call, _| *call.node == *"gw-2"),
    ]
}

/// Every question in every way, and every call by its id.
fn check(audit: &Path) {
    let told = told(audit);
    for (filter, meant) in questions() {
        let meant: Vec<_> = told.iter().filter(|(call, texts)| meant(call, texts)).map(|(call, _)| call).collect();
        for index in [false, true] {
            for (limit, oldest) in [(1000, false), (1000, true), (3, false), (3, true)] {
                let question = Question { filter: filter.clone(), view: View::Calls, limit, oldest };
                let found = calls(audit, &question, index);
                let expected: Vec<&Call> = match oldest {
                    false => meant.iter().copied().take(limit).collect(),
                    true => {
                        let mut all = meant.clone();
                        // Of one moment, the greater id counts as the later one in both orders.
                        all.sort_by_key(|call| (call.at, std::cmp::Reverse(call.call.into_bytes())));
                        all.into_iter().take(limit).collect()
                    }
                };
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?} {index} {limit} {oldest}");
            }
            let view = View::Groups(vec![Field::Outcome]);
            let question = Question { filter: filter.clone(), view, limit: 1000, oldest: false };
            let mut groups: BTreeMap<String, u64> = BTreeMap::new();
            meant.iter().for_each(|call| *groups.entry(call.outcome.to_string()).or_default() += 1);
            let found = asked(audit, &question, index).into_iter().map(|item| match item {
                Item::Group(group) => (group.by[0].1.clone(), group.calls),
                item => panic!("{item:?}"),
            });
            assert_eq!(found.collect::<BTreeMap<_, _>>(), groups, "{filter:?} {index}");
        }
    }
    for (call, texts) in &told {
        let nodes: Vec<_> = search::nodes(audit).unwrap().into_iter().map(|node| node.folder).collect();
        let found = look::in_nodes(&nodes, call.call).unwrap().into_iter().filter_map(Result::ok);
        let found: Vec<_> = found.filter(|line| line.head.kind != crate::audit::record::Kind::Shadow).collect();
        let found: Vec<_> = found.into_iter().map(|line| String::from_utf8(line.bytes).unwrap()).collect();
        assert_eq!(&found, texts);
        let filter = Filter { calls: vec![call.call], ..Filter::default() };
        let question = Question { filter, view: View::Records(Vec::new()), limit: 1000, oldest: false };
        let all = asked(audit, &question, true).into_iter().map(|item| match item {
            Item::Record(line) => String::from_utf8(line.bytes).unwrap(),
            item => panic!("{item:?}"),
        });
        let story: Vec<_> = all.filter(|text| !text.contains("\"kind\":\"shadow\"")).collect();
        assert_eq!(&story, texts);
    }
}

fn indexes(audit: &Path) -> Vec<PathBuf> {
    let nodes = search::nodes(audit).unwrap();
    let sources = nodes.iter().flat_map(|node| query::sources(&node.folder).unwrap());
    sources.filter_map(|source| file::path(&source)).filter(|path| path.exists()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn an_indexed_answer_is_that_of_the_records(logs in prop::collection::vec(steps(), 1..4), damage in any::<u32>()) {
        let audit = tempfile::tempdir().unwrap();
        for (number, log) in logs.iter().enumerate() {
            let node = if number == 2 { "gw-2" } else { "gw-1" };
            Writer::new(audit.path(), node, number as u128).write(log);
        }
        check(audit.path());
        // Whatever becomes of an index, it is not believed.
        for path in indexes(audit.path()) {
            let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let place = u64::from(damage) % file.metadata().unwrap().len();
            let mut byte = [0];
            file.read_exact_at(&mut byte, place).unwrap();
            file.write_all_at(&[byte[0] ^ (1 << (damage % 8))], place).unwrap();
        }
        check(audit.path());
        for path in indexes(audit.path()) {
            let length = path.metadata().unwrap().len();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(u64::from(damage) % length).unwrap();
        }
        check(audit.path());
    }
}

fn example(audit: &Path) -> PathBuf {
    let step = |what| Step { what, who: 1, function: 2, after: 1 };
    let steps = vec![step(9), step(9), step(0), step(5), step(7), step(0), step(9)];
    let mut writer = Writer::new(audit, "gw-1", 1);
    writer.write(&(steps, vec![(4, Ending::Closed), (9, Ending::Closed)]));
    writer.directory
}

#[test]
fn an_index_of_another_content_is_made_anew() {
    let audit = tempfile::tempdir().unwrap();
    let directory = example(audit.path());
    check(audit.path());
    assert_eq!(indexes(audit.path()).len(), 2);
    let segment = directory.join("000000000000-000000000003.jsonl");
    let before = segment.metadata().unwrap();
    let text = fs::read_to_string(&segment).unwrap();
    let changed = text.replace("corp/caller-1", "corp/caller-2");
    assert_eq!((changed.len(), changed == text), (text.len(), false));
    // Of the same length, and with its time put back.
    fs::write(&segment, changed).unwrap();
    let file = fs::File::options().write(true).open(&segment).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    check(audit.path());
    // That of another segment is none of this one.
    let sources = query::sources(&audit.path().join("gw-1")).unwrap();
    let paths: Vec<_> = sources.iter().filter_map(file::path).collect();
    fs::copy(&paths[1], &paths[0]).unwrap();
    assert!(file::reach(&sources[0]).is_none() && file::reach(&sources[1]).is_some());
    check(audit.path());
}

#[test]
fn what_is_kept_is_its_owners_and_goes_with_its_segment() {
    use std::os::unix::fs::PermissionsExt;
    let audit = tempfile::tempdir().unwrap();
    let directory = example(audit.path());
    let keeper = super::keeper::Keeper::start(audit.path().join("gw-1"));
    let begun = std::time::Instant::now();
    while indexes(audit.path()).len() < 2 {
        assert!(begun.elapsed().as_secs() < 30, "the thread indexes nothing");
        std::thread::yield_now();
    }
    keeper.stop();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory.join(file::FOLDER)), 0o700);
    for path in indexes(audit.path()) {
        assert_eq!(mode(&path), 0o600);
    }
    fs::remove_file(directory.join("000000000000-000000000003.jsonl")).unwrap();
    fs::write(directory.join(file::FOLDER).join("000000000000-000000000003.jsonl.7-0.new"), "x").unwrap();
    drop(super::keeper::Keeper::start(audit.path().join("gw-1")));
    let left = || fs::read_dir(directory.join(file::FOLDER)).unwrap().count();
    let keeper = super::keeper::Keeper::start(audit.path().join("gw-1"));
    while left() > 1 {
        assert!(begun.elapsed().as_secs() < 60, "an index without a segment stays");
        std::thread::yield_now();
    }
    keeper.stop();
}

#[test]
fn nobody_is_asked_again_what_can_not_be_kept() {
    let audit = tempfile::tempdir().unwrap();
    let directory = example(audit.path());
    // A file where the folder should be: nothing can be kept, and answers are the same.
    fs::write(directory.join(file::FOLDER), "").unwrap();
    check(audit.path());
    assert!(indexes(audit.path()).is_empty());
}

#[test]
fn what_is_missing_is_said_with_the_answer() {
    let audit = tempfile::tempdir().unwrap();
    let directory = example(audit.path());
    let nodes = search::nodes(audit.path()).unwrap();
    let question = Question { limit: 1000, ..Question::default() };
    let ended = || {
        let means = Means { index: true, workers: 1, stop: &|| false };
        search::ask(&nodes, &question, means, &mut |_| Ok(())).unwrap()
    };
    assert_eq!(ended().problems, Vec::<String>::new());
    fs::remove_file(directory.join("000000000000-000000000003.jsonl")).unwrap();
    let end = ended();
    assert_eq!(end.unreadable, 1);
    assert!(end.problems[0].ends_with("record 4 is where record 0 should be"), "{:?}", end.problems);
}
