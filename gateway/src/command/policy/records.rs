//! The decisions of an audit log, read by one thread and worked on by all others.

use crate::audit::{
    query::{self, Line, Problem, Records, What},
    record::{Body, IntentBody, Kind, RefusedBody, kept::Kept},
};
use policy::{
    question::Verb,
    replay::{Recorded, Why},
};
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    sync::{Mutex, PoisonError, mpsc},
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
/// Members whose loss changes no decision, or of which it is known otherwise that they are lost.
const HARMLESS: [&str; 3] = ["determining", "targets", "input"];

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
    let total: u64 = sources.iter().filter_map(|source| source.bytes().ok()).sum();
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
    let kept = Ok(Kept::of_intent(&intent));
    head(line, kept, &intent.truncated, intent.observed.is_none(), intent.determining)
}

fn denied(line: &Line, refused: RefusedBody) -> Option<Recorded> {
    refused.reason?;
    if refused.verb.as_ref().is_some_and(|verb| *verb != Verb::Call) {
        return None;
    }
    let kept = Kept::of_refused(&refused).ok_or(Why::Truncated);
    Some(head(line, kept, &refused.truncated, false, refused.determining))
}

fn head(
    line: &Line,
    kept: Result<Kept, Why>,
    truncated: &[String],
    allowed: bool,
    determining: Vec<policy::permit::PolicyName>,
) -> Recorded {
    let call = line.head.call.map(|call| call.to_string()).unwrap_or_default().into();
    let cut = truncated.iter().any(|name| !HARMLESS.contains(&name.as_str()));
    let (question, lost, recorded) = match kept.and_then(|kept| if cut { Err(Why::Truncated) } else { Ok(kept) }) {
        Ok(Kept { question, lost, recorded }) => (Ok(question), lost, recorded),
        Err(why) => (Err(why), Vec::new(), None),
    };
    Recorded { call, at: line.head.at, question, lost, recorded, allowed, determining }
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
