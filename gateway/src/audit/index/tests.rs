//! An answer with indexes is the one that the records themselves give, whatever the log went through.

use super::{file, look};
use crate::audit::{
    query::{self, Records},
    record::Body,
    search::{self, Call, Field, Filter, Item, Means, Question, View},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// A segment's end.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Closed,
    /// The writer was killed, and nothing closed it.
    Open,
    /// The next segment begins before its end, where a writer had to go back.
    Void,
    Torn,
    /// With a line that is no record.
    Damaged,
}

#[derive(Clone, Debug)]
struct Step {
    what: u8,
    who: u8,
    function: u8,
    /// After so many seconds; a clock may be set back.
    after: i8,
}

type Incarnation = (Vec<Step>, Vec<(usize, Ending)>);

fn steps() -> impl Strategy<Value = Incarnation> {
    let step = (any::<u8>(), 0..6_u8, 0..4_u8, -2..9_i8);
    let step = step.prop_map(|(what, who, function, after)| Step { what, who, function, after });
    let ending = prop_oneof![
        6 => Just(Ending::Closed),
        1 => Just(Ending::Open),
        1 => Just(Ending::Void),
        1 => Just(Ending::Torn),
        1 => Just(Ending::Damaged),
    ];
    (prop::collection::vec(step, 0..60), prop::collection::vec((1..20_usize, ending), 1..6))
}

/// Writes records as a gateway would have, in segments that end so.
struct Writer {
    node: &'static str,
    incarnation: Uuid,
    directory: PathBuf,
    at: i64,
    open: Vec<Uuid>,
    number: u128,
}

impl Writer {
    fn new(audit: &Path, node: &'static str, number: u128) -> Self {
        let incarnation = Uuid::from_u128(0x0191_e0a4_0000_7000_8000_0000_0000_0000 + number);
        let directory = audit.join(node).join(incarnation.to_string());
        fs::create_dir_all(&directory).unwrap();
        let at = 1_790_000_000 + i64::try_from(number).unwrap() * 100;
        Self { node, incarnation, directory, at, open: Vec::new(), number: number << 32 }
    }

    fn write(&mut self, (steps, endings): &Incarnation) {
        let mut records: Vec<Value> = vec![self.record("system", None, json!({"event": "started", "version": "1"}))];
        for step in steps {
            self.at += i64::from(step.after);
            records.push(self.step(step));
        }
        let (mut seq, mut rest) = (0, records.as_slice());
        for (size, ending) in endings {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            if now.is_empty() {
                break;
            }
            let first = seq;
            let mut lines = String::new();
            for record in now {
                lines.push_str(&line(record, seq));
                seq += 1;
            }
            let closed = format!("{first:012}-{:012}.jsonl", seq - 1);
            let name = if matches!(ending, Ending::Closed) { closed } else { format!("{first:012}.jsonl") };
            match ending {
                Ending::Void => later.iter().take(2).zip(seq..).for_each(|(record, seq)| lines += &line(record, seq)),
                Ending::Torn => lines += "{\"v\":1,\"kind\":\"clo",
                Ending::Damaged => lines.insert_str(0, "{\"v\":1,\"kind\":\"closed\"}\n"),
                Ending::Closed | Ending::Open => {}
            }
            fs::write(self.directory.join(name), lines).unwrap();
            rest = later;
        }
    }

    fn record(&self, kind: &str, call: Option<Uuid>, body: Value) -> Value {
        let at = jiff::Timestamp::from_second(self.at).unwrap();
        let mut record = json!({
            "v": 1, "kind": kind, "seq": 0, "at": format!("{at:.6}"), "node": self.node,
            "incarnation": self.incarnation,
        });
        let members = record.as_object_mut().unwrap();
        members.extend(call.map(|call| ("call".to_owned(), json!(call))));
        members.extend(body.as_object().unwrap().clone());
        record
    }

    fn step(&mut self, step: &Step) -> Value {
        let golden = |number: usize| -> Value {
            let text = include_str!("../record/golden.jsonl").lines().nth(number).unwrap();
            let mut record: Value = serde_json::from_str(text).unwrap();
            let members = record.as_object_mut().unwrap();
            for head in ["v", "kind", "seq", "at", "node", "incarnation", "call"] {
                members.remove(head);
            }
            record
        };
        let caller = format!("corp/caller-{}", step.who);
        let function = format!("app{}.function{}", step.function / 2, step.function);
        let open = (!self.open.is_empty()).then(|| usize::from(step.who) % self.open.len());
        match (step.what % 10, open) {
            (0..3, Some(open)) => {
                let call = self.open.remove(open);
                let mut body = golden(4);
                body["outcome"] = ["completed", "failed", "timed_out"][usize::from(step.function) % 3].into();
                body["status"] = [200, 502, 504][usize::from(step.function) % 3].into();
                body["error"] = ["", "unreachable", "timeout"][usize::from(step.function) % 3].into();
                self.record("closed", Some(call), body)
            }
            (3, Some(open)) => self.record("answered", Some(self.open[open]), golden(3)),
            (4, Some(open)) => self.record("attempt", Some(self.open[open]), golden(2)),
            (5, _) => {
                let mut body = golden(if step.who % 2 == 0 { 5 } else { 6 });
                body["function"] = function.into();
                let call = self.call();
                self.record("refused", Some(call), body)
            }
            (6, Some(open)) => self.record("shadow", Some(self.open[open]), golden(12)),
            (7, _) => self.record("admin", None, json!({"verb": "reload", "who": caller})),
            (8, _) if step.who == 0 => self.record("summary", None, golden(7)),
            _ => {
                let call = self.call();
                self.open.push(call);
                let mut body = golden(1);
                body["function"] = function.into();
                body["principal"]["id"] = caller.into();
                body["determining"] = json!((0..step.function).map(|n| format!("policy-{n}")).collect::<Vec<_>>());
                body["input"] = json!({"name": format!("text {} \"quoted\"", step.who)});
                self.record("intent", Some(call), body)
            }
        }
    }

    fn call(&mut self) -> Uuid {
        self.number += 1;
        Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + self.number)
    }
}

fn line(record: &Value, seq: u64) -> String {
    let mut record = record.clone();
    record["seq"] = seq.into();
    format!("{record}\n")
}

/// What the records themselves say, read by the log's own reader and types.
fn told(audit: &Path) -> Vec<(Call, Vec<String>)> {
    let mut calls: BTreeMap<(String, Uuid, Uuid), (Call, Vec<String>)> = BTreeMap::new();
    for node in search::nodes(audit).unwrap() {
        for line in Records::of_node(&node.folder).unwrap().filter_map(Result::ok) {
            let (Some(call), body) = (line.head.call, line.body().unwrap()) else { continue };
            if matches!(body, Body::Shadow(_)) {
                continue;
            }
            let key = (line.head.node.clone(), line.head.incarnation, call);
            let none = || {
                let call: Call = Call { call, at: line.head.at, ..nothing(&line.head.node, line.head.incarnation) };
                (call, Vec::new())
            };
            let (call, texts) = calls.entry(key).or_insert_with(none);
            tell(call, body);
            call.records += 1;
            texts.push(String::from_utf8(line.bytes).unwrap());
        }
    }
    let mut calls: Vec<_> = calls.into_values().collect();
    calls.sort_by_key(|(call, _)| std::cmp::Reverse((call.at, call.call.into_bytes())));
    calls
}

fn nothing(node: &str, incarnation: Uuid) -> Call {
    Call {
        call: Uuid::nil(),
        at: jiff::Timestamp::UNIX_EPOCH,
        node: node.into(),
        incarnation,
        outcome: "open".into(),
        caller: None,
        principal: None,
        function: None,
        tenant: None,
        status: None,
        refusal: None,
        stage: None,
        reason: None,
        policies: Vec::new(),
        target: None,
        attempts: 0,
        error: None,
        listener: None,
        source: None,
        bundle: None,
        duration_us: None,
        bytes_in: None,
        bytes_out: None,
        records: 0,
    }
}

fn tell(call: &mut Call, body: Body) {
    let text = |value: Value| value.as_str().map(Arc::from);
    match body {
        Body::Intent(intent) => {
            call.caller = Some(intent.principal.id.clone());
            call.principal = Some(intent.principal.kind.as_str().into());
            call.function = Some(intent.function.to_string().into());
            call.tenant = intent.tenant.map(Into::into);
            call.policies = intent.determining.iter().map(|name| name.0.to_string().into()).collect();
            call.target = Some(intent.target.0);
            call.listener = intent.listener.map(Into::into);
            call.source = intent.facts.network.source.map(|source| source.to_string().into());
            call.bundle = Some(intent.bundle.0.to_string().into());
        }
        Body::Attempt(attempt) => {
            call.attempts += 1;
            call.target = Some(attempt.target.0);
        }
        Body::Answered(answered) => {
            call.status = Some(answered.status);
            call.target = Some(answered.target.0);
        }
        Body::Closed(closed) => {
            call.outcome = closed.outcome.as_str().into();
            call.status = closed.status.or(call.status);
            call.error = closed.error.filter(|error| !error.is_empty()).map(Into::into);
            call.duration_us = Some(closed.duration_us);
            call.bytes_in = Some(closed.bytes_in);
            call.bytes_out = Some(closed.bytes_out);
        }
        Body::Refused(refused) => {
            call.outcome = if refused.reason.is_some() { "denied" } else { "refused" }.into();
            call.caller = refused.principal.as_ref().map(|principal| principal.id.clone());
            call.principal = refused.principal.as_ref().map(|principal| principal.kind.as_str().into());
            call.function = refused.function.map(|function| function.to_string().into());
            call.tenant = refused.tenant.map(Into::into);
            call.status = Some(refused.status);
            call.refusal = Some(refused.refusal.into());
            call.stage = text(json!(refused.stage));
            call.reason = refused.reason.and_then(|reason| text(json!(reason)));
            call.policies = refused.determining.iter().map(|name| name.0.to_string().into()).collect();
            call.listener = refused.listener.map(Into::into);
            call.source = refused.source.map(|source| source.to_string().into());
            call.bundle = refused.bundle.map(|bundle| bundle.0.to_string().into());
            call.duration_us = Some(refused.duration_us);
            call.bytes_in = Some(refused.bytes_in);
            call.bytes_out = Some(0);
        }
        body => panic!("{body:?} tells no story"),
    }
}

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
