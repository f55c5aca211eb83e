//! Mutations of a log, each of which must be caught; and, given a checkpoint, every loss of an end.

use super::*;
use crate::audit::checkpoint::ALL;

type Mutation = (&'static str, fn(&Rig));

/// Each by itself, on a log of two incarnations that ended, known by nothing but its key.
const CAUGHT: [Mutation; 30] = [
    ("a word in a record changed", |rig| edit(&rig.segments(0)[0], |l| l[1] = l[1].replace("dev/alice", "dev/mallo"))),
    ("a status changed", |rig| edit(&rig.segments(1)[1], |l| flip(l, "\"bytes_out\":5", "\"bytes_out\":6"))),
    ("a time changed", |rig| edit(&rig.segments(0)[0], |l| l[2] = l[2].replacen("\"at\":\"20", "\"at\":\"19", 1))),
    ("a space added", |rig| edit(&rig.segments(0)[0], |l| l[3].push(' '))),
    ("members in another order", |rig| edit(&rig.segments(0)[0], |l| l[2] = swapped(&l[2]))),
    ("a carriage return added", |rig| edit(&rig.segments(0)[1], |l| l[0].push('\r'))),
    ("a record removed", |rig| edit(&rig.segments(0)[0], |l| drop(l.remove(2)))),
    ("a record removed, and the others renumbered", |rig| {
        edit(&rig.segments(1)[0], |l| drop(l.remove(2)));
        renumber(rig, 1);
    }),
    ("the last record of a segment removed", |rig| edit(&rig.segments(0)[0], |l| drop(l.pop()))),
    ("a record twice", |rig| edit(&rig.segments(0)[0], |l| l.insert(2, l[2].clone()))),
    ("a record added, and the others renumbered", |rig| {
        edit(&rig.segments(0)[0], |l| l.insert(2, l[2].clone()));
        renumber(rig, 0);
    }),
    ("an empty line added", |rig| edit(&rig.segments(0)[0], |l| l.insert(2, String::new()))),
    ("two records swapped", |rig| edit(&rig.segments(0)[0], |l| l.swap(1, 2))),
    ("two records swapped and renumbered", |rig| {
        edit(&rig.segments(0)[0], |l| l.swap(1, 2));
        renumber(rig, 0);
    }),
    ("two records' contents swapped", |rig| edit(&rig.segments(0)[0], |l| swap_contents(l))),
    ("a first segment missing", |rig| fs::remove_file(&rig.segments(0)[0]).unwrap()),
    ("a middle segment missing", |rig| fs::remove_file(&rig.segments(0)[1]).unwrap()),
    ("a last segment missing", |rig| fs::remove_file(rig.segments(0).pop().unwrap()).unwrap()),
    ("segments' names swapped", |rig| swap_files(&rig.segments(0)[0], &rig.segments(0)[1])),
    ("a segment under an open name", |rig| {
        let path = &rig.segments(0)[1];
        let name = path.file_name().unwrap().to_str().unwrap().get(..12).unwrap().to_owned() + ".jsonl";
        fs::rename(path, path.with_file_name(name)).unwrap();
        edit(&rig.segments(0)[1], |l| l.push(l[0].clone()));
    }),
    ("a segment of the other incarnation", |rig| replace(&rig.segments(0)[0], &rig.segments(1)[0])),
    ("an incarnation missing", |rig| fs::remove_dir_all(&rig.directories()[0]).unwrap()),
    ("the end of an incarnation cut, with its last record", |rig| {
        edit(&rig.segments(1).pop().unwrap(), |l| drop(l.pop()));
    }),
    ("records after the end", |rig| append_after_end(rig)),
    ("the newest checkpoint and all others missing", |rig| {
        fs::remove_file(rig.directories()[1].join(NEWEST)).unwrap();
        fs::remove_file(rig.directories()[1].join(ALL)).unwrap();
    }),
    ("a checkpoint's root changed", |rig| {
        edit(&rig.directories()[0].join(NEWEST), |l| l[2] = Hash::of_nothing().to_string())
    }),
    ("a checkpoint of the other incarnation", |rig| {
        replace(&rig.directories()[0].join(NEWEST), &rig.directories()[1].join(NEWEST));
    }),
    ("a chain forged without the key", |rig| forge(rig)),
    ("an incarnation added without the key", |rig| forge_another(rig)),
    ("bytes torn off a segment that was closed", |rig| {
        let path = &rig.segments(0)[1];
        let length = fs::metadata(path).unwrap().len();
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length - 3).unwrap();
    }),
];

fn replace(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

fn flip(lines: &mut [String], from: &str, to: &str) {
    let line = lines.iter_mut().find(|line| line.contains(from)).unwrap();
    *line = line.replace(from, to);
}

fn swapped(line: &str) -> String {
    let (first, second) = ("\"v\":1,", "\"kind\":\"closed\",");
    assert!(line.contains(&format!("{first}{second}")), "{line}");
    line.replace(&format!("{first}{second}"), &format!("{second}{first}"))
}

fn seq(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    format!("\"seq\":{},", value["seq"])
}

fn swap_contents(lines: &mut [String]) {
    let (one, two) = (seq(&lines[1]), seq(&lines[3]));
    let (first, second) = (lines[3].replace(&two, &one), lines[1].replace(&one, &two));
    (lines[1], lines[3]) = (first, second);
}

fn swap_files(one: &Path, two: &Path) {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside).unwrap();
    fs::rename(two, one).unwrap();
    fs::rename(aside, two).unwrap();
}

/// Numbers all records of an incarnation anew and names its segments accordingly.
fn renumber(rig: &Rig, incarnation: usize) {
    let mut next = 0;
    for path in rig.segments(incarnation) {
        let first = next;
        edit(&path, |lines| {
            for line in lines {
                *line = line.replacen(&seq(line), &format!("\"seq\":{next},"), 1);
                next += 1;
            }
        });
        let name = segment::Name { first, again: 0, last: Some(next - 1), packed: false };
        fs::rename(&path, path.with_file_name(name.file())).unwrap();
    }
}

fn append_after_end(rig: &Rig) {
    let path = rig.segments(1).pop().unwrap();
    let name = segment::Name::parse(path.file_name().unwrap().to_str().unwrap()).unwrap();
    let last = name.last.unwrap();
    edit(&path, |lines| {
        let forged = lines[0].replacen(&seq(&lines[0]), &format!("\"seq\":{},", last + 1), 1);
        let at = |line: &str| line.split("\"at\":\"").nth(1).and_then(|rest| rest.get(..27)).unwrap().to_owned();
        let (from, to) = (at(&forged), at(lines.last().unwrap()));
        lines.push(forged.replace(&from, &to));
    });
    let renamed = segment::Name { last: Some(last + 1), ..name }.file();
    fs::rename(&path, path.with_file_name(renamed)).unwrap();
}

/// Signs the changed log of the last incarnation anew, with another key of the same name.
fn forge(rig: &Rig) {
    edit(&rig.segments(1)[0], |l| l[1] = l[1].replace("dev/alice", "dev/mallo"));
    sign(rig, 1);
}

fn sign(rig: &Rig, incarnation: usize) {
    let directory = &rig.directories()[incarnation];
    let id: Uuid = directory.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let mut tree = crate::audit::tree::Frontier::default();
    for line in Records::of_incarnation(id, directory).unwrap() {
        tree.push(Hash::of_leaf(&line.unwrap().bytes));
    }
    let head = Head { origin: checkpoint::origin(NODE, id), size: tree.size(), root: tree.root() };
    let thief = FileKey::generate(rig.key.name()).unwrap();
    let text = head.to_string();
    let note = Note { signatures: vec![thief.sign(text.as_bytes()).unwrap()], text };
    fs::write(directory.join(NEWEST), note.to_string()).unwrap();
    fs::write(directory.join(ALL), note.to_string()).unwrap();
}

/// An incarnation that looks as if it came after the last.
fn forge_another(rig: &Rig) {
    let from = rig.directories()[1].clone();
    let (old, new) = (from.file_name().unwrap().to_str().unwrap().to_owned(), Uuid::now_v7().to_string());
    let to = from.with_file_name(&new);
    copy(&from, &to);
    for (_, path) in segment::list(&to).unwrap() {
        edit(&path, |lines| lines.iter_mut().for_each(|line| *line = line.replace(&old, &new)));
    }
    let newest = rig.directories().iter().position(|directory| *directory == to).unwrap();
    sign(rig, newest);
}

#[tokio::test]
async fn every_mutation_is_caught() {
    let rig = Rig::new().await;
    for (name, mutate) in CAUGHT {
        let copy = rig.copy();
        mutate(&copy);
        let report = copy.verify();
        assert!(!report.ok && !report.problems.is_empty(), "{name}: {report:#?}");
        let said: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
        println!("{name}: {}", said.join("\n    "));
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place() {
    let rig = Rig::new().await;
    let copy = rig.copy();
    edit(&copy.segments(0)[1], |lines| lines[2] = "nonsense".to_owned());
    let trouble = &copy.verify().problems[0];
    let first = segment::Name::parse(copy.segments(0)[1].file_name().unwrap().to_str().unwrap()).unwrap().first;
    assert_eq!((trouble.line, trouble.index), (Some(3), Some(first + 2)), "{trouble}");
    assert!(trouble.file.ends_with(copy.segments(0)[1].strip_prefix(copy.folder.path()).unwrap()));
}

/// The last incarnation as it was after its second checkpoint: older, and in itself whole.
fn rolled_back(rig: &Rig, newer: &Rig) {
    let newest = newer.directories().pop().unwrap();
    fs::remove_dir_all(&newest).unwrap();
    copy(&rig.directories().pop().unwrap(), &newest);
}

#[tokio::test]
async fn a_lost_end_is_caught_given_a_checkpoint_that_covers_it() {
    let rig = Rig::new().await;
    let log = rig.open();
    call(&log).await;
    let older = rig.copy();
    for _ in 0..10 {
        call(&log).await;
    }
    log.shutdown().await;
    let held = rig.held(2);
    assert!(rig.verify_with(std::slice::from_ref(&held)).ok);
    let report = older.verify();
    assert!(report.ok, "without a checkpoint it can't be known: {report:#?}");
    assert!(report.logs[2].proved < held.head.size, "and it says how far it is proved");
    let copy = rig.copy();
    rolled_back(&older, &copy);
    for rig in [&older, &copy] {
        let report = rig.verify_with(std::slice::from_ref(&held));
        let missing = |what: &What| matches!(what, What::Truncated { size, .. } if *size == held.head.size);
        assert!(report.problems.iter().any(|problem| missing(&problem.what)), "{report:#?}");
    }
    fs::remove_dir_all(&copy.directories()[2]).unwrap();
    let report = copy.verify_with(std::slice::from_ref(&held));
    assert!(matches!(report.problems[0].what, What::HeldElsewhere { .. }), "{report:#?}");
}

#[tokio::test]
async fn a_checkpoint_of_another_history_is_caught() {
    let rig = Rig::new().await;
    let mut held = rig.held(1);
    held.head.root = Hash::of_nothing();
    let report = rig.verify_with(&[held]);
    assert!(matches!(report.problems[0].what, What::Changed { .. }), "{report:#?}");
}
