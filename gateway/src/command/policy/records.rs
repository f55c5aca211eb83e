//! The decisions of an audit log, read by one thread and worked on by all others.

use crate::audit::{
    query::{self, Line, Problem, Records, What},
    record::{Body, IntentBody, Kind, RefusedBody},
    redact::REDACTED,
};
use policy::{
    question::{Facts, FunctionName, Principal, Question, Verb},
    replay::{Recorded, Why},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Records that go from the reader to a worker at once.
const CHUNK: usize = 256;
/// Chunks that wait for a worker at most.
const WAITING_MAX: usize = 16;
/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Most problems of a log that are told one by one.
const PROBLEMS_MAX: usize = 10;
/// Members whose loss changes no decision.
const HARMLESS: [&str; 2] = ["determining", "targets"];

/// Gives every decision of a node's log to `add`, on several threads, and joins what they made.
///
/// The second part is how many decisions could not be read.
///
/// # Errors
/// When the folder of the log can't be read.
pub(super) fn fold<T: Default + Send>(
    folder: &Path,
    talk: &mut dyn Write,
    add: impl Fn(&mut T, Recorded) + Sync,
    merge: impl Fn(&mut T, T),
) -> io::Result<(T, u64)> {
    let sources = query::sources(folder)?;
    let total: u64 = sources.iter().filter_map(|source| source.path.metadata().ok()).map(|meta| meta.len()).sum();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = mpsc::sync_channel::<Vec<Line>>(WAITING_MAX);
    let receiver = Mutex::new(receiver);
    let mut progress = Progress::new(total);
    thread::scope(|scope| {
        let (receiver, add) = (&receiver, &add);
        let work = move || {
            let (mut made, mut unreadable) = (T::default(), 0);
            loop {
                let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(lines) = next else { return (made, unreadable) };
                for line in lines {
                    match recorded(&line) {
                        Ok(Some(recorded)) => add(&mut made, recorded),
                        Ok(None) => {}
                        Err(_) => unreadable += 1,
                    }
                }
            }
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut unreadable = send(Records::of_sources(sources), &sender, &mut progress, talk);
        drop(sender);
        progress.end(talk);
        let mut made = T::default();
        for handle in handles {
            let (part, more) = handle.join().map_err(|_| io::Error::other("a thread that read the log ended early"))?;
            merge(&mut made, part);
            unreadable += more;
        }
        Ok((made, unreadable))
    })
}

fn send(records: Records, sender: &mpsc::SyncSender<Vec<Line>>, progress: &mut Progress, talk: &mut dyn Write) -> u64 {
    let (mut chunk, mut unreadable, mut problems) = (Vec::with_capacity(CHUNK), 0, 0);
    for found in records {
        match found {
            Ok(line) => {
                progress.read(line.bytes.len(), talk);
                if matches!(line.head.kind, Kind::Intent | Kind::Refused) {
                    chunk.push(line);
                }
            }
            Err(problem) => {
                unreadable += u64::from(is_record(&problem));
                problems += 1;
                if problems <= PROBLEMS_MAX {
                    // What can't be told is still counted.
                    let _ = writeln!(talk, "warning: {problem}");
                }
            }
        }
        if chunk.len() == CHUNK && sender.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).is_err() {
            break;
        }
    }
    let _ = sender.send(chunk);
    unreadable
}

/// A gap between records is no decision that is missing here.
fn is_record(problem: &Problem) -> bool {
    matches!(problem.what, What::Version(_) | What::Malformed(_) | What::TooLong)
}

/// The decision of a record, if it is one of policy.
fn recorded(line: &Line) -> Result<Option<Recorded>, Problem> {
    Ok(match line.body()? {
        Body::Intent(intent) => Some(intended(line, *intent)),
        Body::Refused(refused) => denied(line, *refused),
        _ => None,
    })
}

fn intended(line: &Line, intent: IntentBody) -> Recorded {
    let allowed = intent.observed.is_none();
    let parts = Parts {
        principal: intent.principal,
        verb: intent.verb,
        function: intent.function,
        facts: intent.facts,
        path: intent.path,
        query: intent.query,
        input: intent.input,
    };
    let (question, input_lost) = parts.question(&intent.truncated);
    head(line, question, input_lost, allowed, intent.determining)
}

fn denied(line: &Line, refused: RefusedBody) -> Option<Recorded> {
    refused.reason?;
    let parts = match (refused.principal, refused.verb, refused.function, refused.facts) {
        (Some(principal), Some(verb), Some(function), Some(facts)) => {
            Parts { principal, verb, function, facts, path: refused.path, query: refused.query, input: refused.input }
        }
        _ => return Some(head(line, Err(Why::Truncated), None, false, refused.determining)),
    };
    if parts.verb != Verb::Call {
        return None;
    }
    let (question, input_lost) = parts.question(&refused.truncated);
    Some(head(line, question, input_lost, false, refused.determining))
}

fn head(
    line: &Line,
    question: Result<Question, Why>,
    input_lost: Option<Why>,
    allowed: bool,
    determining: Vec<policy::permit::PolicyName>,
) -> Recorded {
    let call = line.head.call.map(|call| call.to_string()).unwrap_or_default().into();
    Recorded { call, at: line.head.at, question, input_lost, allowed, determining }
}

/// What a record keeps of a question.
struct Parts {
    principal: Principal,
    verb: Verb,
    function: FunctionName,
    facts: Facts,
    path: BTreeMap<String, String>,
    query: BTreeMap<String, Vec<String>>,
    input: Option<Value>,
}

impl Parts {
    /// The question, and why its input is not whole.
    fn question(self, truncated: &[String]) -> (Result<Question, Why>, Option<Why>) {
        let cut = |name: &String| !HARMLESS.contains(&name.as_str()) && name != "input";
        if truncated.iter().any(cut) {
            return (Err(Why::Truncated), None);
        }
        let texts = self.path.values().chain(self.query.values().flatten());
        if texts.into_iter().any(|text| text.contains(REDACTED)) {
            return (Err(Why::Redacted), None);
        }
        let input_lost = match &self.input {
            _ if truncated.iter().any(|name| name == "input") => Some(Why::Truncated),
            Some(input) if redacted(input) => Some(Why::Redacted),
            _ => None,
        };
        let question = Question {
            principal: self.principal,
            verb: self.verb,
            function: self.function,
            facts: self.facts,
            path: self.path.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            query: self
                .query
                .into_iter()
                .map(|(name, values)| (name.into(), values.into_iter().map(Arc::from).collect()))
                .collect(),
            input: self.input.map(Arc::new),
        };
        (Ok(question), input_lost)
    }
}

fn redacted(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(REDACTED),
        Value::Array(items) => items.iter().any(redacted),
        Value::Object(members) => members.values().any(redacted),
        _ => false,
    }
}

/// A line on the terminal that says how far reading is.
struct Progress {
    total: u64,
    read: u64,
    records: u64,
    shown: Option<Instant>,
}

/// How wide the bar is.
const BAR: usize = 30;

impl Progress {
    fn new(total: u64) -> Self {
        // Nobody looks at a bar in a file.
        let shown = io::stderr().is_terminal().then(Instant::now);
        Self { total, read: 0, records: 0, shown }
    }

    fn read(&mut self, bytes: usize, talk: &mut dyn Write) {
        self.read += bytes as u64 + 1;
        self.records += 1;
        if self.records.is_multiple_of(1024)
            && let Some(shown) = &mut self.shown
            && shown.elapsed() >= PROGRESS_EVERY
        {
            *shown = Instant::now();
            let percent = (self.read * 100).checked_div(self.total).unwrap_or(100).min(100);
            let full = usize::try_from(percent).unwrap_or(0) * BAR / 100;
            let bar = format!("{}{}", "=".repeat(full), " ".repeat(BAR - full.min(BAR)));
            // A bar that can't be drawn is no failure.
            let _ = write!(talk, "\r[{bar}] {percent:>3} %  {} records", self.records);
            let _ = talk.flush();
        }
    }

    fn end(&self, talk: &mut dyn Write) {
        if self.shown.is_some() {
            let _ = write!(talk, "\r{:width$}\r", "", width = BAR + 40);
            let _ = talk.flush();
        }
    }
}
