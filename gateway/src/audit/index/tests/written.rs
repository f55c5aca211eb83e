//! Logs as gateways leave them: closed, killed, torn, gone back over, damaged.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// A segment's end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
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
pub(super) struct Step {
    pub(super) what: u8,
    pub(super) who: u8,
    pub(super) function: u8,
    /// After so many seconds; a clock may be set back.
    pub(super) after: i8,
}

pub(super) type Incarnation = (Vec<Step>, Vec<(usize, Ending)>);

pub(super) fn steps() -> impl Strategy<Value = Incarnation> {
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
pub(super) struct Writer {
    node: &'static str,
    incarnation: Uuid,
    pub(super) directory: PathBuf,
    at: i64,
    open: Vec<Uuid>,
    number: u128,
}

impl Writer {
    pub(super) fn new(audit: &Path, node: &'static str, number: u128) -> Self {
        let incarnation = Uuid::from_u128(0x0191_e0a4_0000_7000_8000_0000_0000_0000 + number);
        let directory = audit.join(node).join(incarnation.to_string());
        fs::create_dir_all(&directory).unwrap();
        let at = 1_790_000_000 + i64::try_from(number).unwrap() * 100;
        Self { node, incarnation, directory, at, open: Vec::new(), number: number << 32 }
    }

    pub(super) fn write(&mut self, (steps, endings): &Incarnation) {
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
            let text = include_str!("../../record/golden.jsonl").lines().nth(number).unwrap();
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
                let mut body = golden(if step.who.is_multiple_of(2) { 5 } else { 6 });
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
