//! Keys of subjects: kept wrapped, made once, destroyed for good, also when a crash comes in between.

use super::{
    Auditor, AuditorKey, Subjects,
    hold::{Change, Hold},
    seal::{Sealed, Wrapped, key_of, reveal},
};
use std::{fs, path::Path};
use uuid::Uuid;

const CALL: Uuid = Uuid::from_u128(7);

fn open(folder: &Path, auditor: &Auditor) -> Subjects {
    Subjects::open(folder, Some(auditor.clone())).unwrap()
}

fn auditor(folder: &Path) -> AuditorKey {
    AuditorKey::create(&folder.join("auditor.key")).unwrap()
}

fn revealed(value: &str, at: (Uuid, &str), wrapped: &[Wrapped], key: &AuditorKey) -> Result<String, Sealed> {
    let keys: Vec<_> = wrapped.iter().map(|wrapped| wrapped.unwrapped(key).unwrap()).collect();
    reveal(value, at, &keys)
}

#[test]
fn only_the_auditor_reads_what_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let key = auditor(folder.path());
    let subjects = open(folder.path(), key.public());
    assert!(subjects.used("corp/ada").is_none());
    let ada = subjects.key("corp/ada").unwrap();
    let value = ada.seal(CALL, "/input/iban", "\"DE89\"").unwrap();
    assert!(value.starts_with("encrypted:") && !value.contains("DE89"));
    assert_ne!(value, ada.seal(CALL, "/input/iban", "\"DE89\"").unwrap(), "equal values can't be matched");
    let wrapped = subjects.wrapped("corp/ada").unwrap();
    assert_eq!(wrapped.len(), 1);
    assert_eq!(key_of(&value), Some(wrapped[0].id.as_str()));
    let again = AuditorKey::read(&folder.path().join("auditor.key")).unwrap();
    assert_eq!(revealed(&value, (CALL, "/input/iban"), &wrapped, &again).unwrap(), "\"DE89\"");
    // A value is of its call and place, and a wrapped key of its subject.
    assert_eq!(revealed(&value, (CALL, "/input/name"), &wrapped, &key), Err(Sealed::Changed));
    assert_eq!(revealed(&value, (Uuid::nil(), "/input/iban"), &wrapped, &key), Err(Sealed::Changed));
    assert_eq!(revealed(&value, (CALL, "/input/iban"), &[], &key), Err(Sealed::NoKey));
    let moved = Wrapped { subject: "corp/bob".into(), ..wrapped[0].clone() };
    assert!(moved.unwrapped(&key).is_err());
    let other = tempfile::tempdir().unwrap();
    assert!(wrapped[0].unwrapped(&auditor(other.path())).is_err());
    for broken in [
        "encrypted:",
        "encrypted:x",
        "x",
        &format!("encrypted:{}:AA", wrapped[0].id),
        value.get(..value.len() - 2).unwrap(),
    ] {
        assert!(revealed(broken, (CALL, "/input/iban"), &wrapped, &key).is_err(), "{broken}");
    }
    let said = format!("{key:?} {ada:?}");
    let secret = fs::read_to_string(folder.path().join("auditor.key")).unwrap();
    assert!(!said.contains(secret.trim().rsplit(' ').next().unwrap()));
}

#[test]
fn a_subject_has_one_key_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let key = auditor(folder.path());
    let subjects = open(folder.path(), key.public());
    subjects.key("corp/ada").unwrap();
    subjects.key("corp/ada").unwrap();
    subjects.key("corp/ada2").unwrap();
    assert_eq!(subjects.wrapped("corp/ada").unwrap().len(), 1);
    let restarted = open(folder.path(), key.public());
    restarted.key("corp/ada").unwrap();
    assert_eq!(restarted.wrapped("corp/ada").unwrap().len(), 2, "what was encrypted before stays readable");
}

#[test]
fn erasing_destroys_every_key_of_a_subject_and_of_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let key = auditor(folder.path());
    open(folder.path(), key.public()).key("corp/ada").unwrap();
    let subjects = open(folder.path(), key.public());
    let ada = subjects.key("corp/ada").unwrap();
    let value = ada.seal(CALL, "/input/iban", "1").unwrap();
    subjects.key("corp/bob").unwrap();
    subjects.begin_erasing("corp/ada").unwrap();
    assert_eq!(subjects.erasing().unwrap(), ["corp/ada"]);
    assert_eq!(subjects.erase("corp/ada").unwrap(), Ok(2));
    assert!(subjects.used("corp/ada").is_none() && subjects.erasing().unwrap().is_empty());
    let left = subjects.wrapped("corp/ada").unwrap();
    assert_eq!(revealed(&value, (CALL, "/input/iban"), &left, &key), Err(Sealed::NoKey));
    assert_eq!(subjects.wrapped("corp/bob").unwrap().len(), 1);
    // Again is no failure, and what comes later has a key of its own.
    assert_eq!(subjects.erase("corp/ada").unwrap(), Ok(0));
    let later = subjects.key("corp/ada").unwrap().seal(CALL, "/input/iban", "2").unwrap();
    let wrapped = subjects.wrapped("corp/ada").unwrap();
    assert_eq!(revealed(&later, (CALL, "/input/iban"), &wrapped, &key).unwrap(), "2");
    assert_eq!(revealed(&value, (CALL, "/input/iban"), &wrapped, &key), Err(Sealed::NoKey));
}

#[test]
fn an_erasure_that_a_crash_cut_short_is_known_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let key = auditor(folder.path());
    let subjects = open(folder.path(), key.public());
    subjects.key("corp/ada").unwrap();
    subjects.begin_erasing("corp/ada").unwrap();
    drop(subjects);
    // Left by a writer that was killed, and a key that was being made.
    fs::write(folder.path().join("subjects/erasing/x.1.new"), "corp/b").unwrap();
    let restarted = open(folder.path(), key.public());
    assert_eq!(restarted.erasing().unwrap(), ["corp/ada"]);
    assert_eq!(restarted.erase("corp/ada").unwrap(), Ok(1));
    assert!(open(folder.path(), key.public()).erasing().unwrap().is_empty());
    let ada = restarted.key("corp/ada").unwrap();
    drop(ada);
    let torn = restarted.wrapped("corp/ada").unwrap().len();
    let files = fs::read_dir(folder.path().join("subjects/keys")).unwrap();
    let shard =
        files.flatten().map(|entry| entry.path()).find(|path| path.read_dir().unwrap().next().is_some()).unwrap();
    let whole = fs::read_dir(&shard).unwrap().flatten().next().unwrap().path();
    fs::write(
        whole.with_file_name(format!("{}.key", whole.file_stem().unwrap().to_str().unwrap().replace('-', "-0"))),
        "{",
    )
    .unwrap();
    assert_eq!(restarted.wrapped("corp/ada").unwrap().len(), torn);
}

#[test]
fn a_hold_that_comes_after_an_erasure_was_noted_still_keeps_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let key = auditor(folder.path());
    let subjects = open(folder.path(), key.public());
    subjects.key("corp/ada").unwrap();
    subjects.begin_erasing("corp/ada").unwrap();
    let hold = Hold { who: "uid 1".into(), at: jiff::Timestamp::UNIX_EPOCH, reason: "case 7".into() };
    subjects.hold(&Change::Set(None, hold.clone())).unwrap();
    assert_eq!(subjects.erase("corp/ada").unwrap(), Err(hold));
    assert_eq!(subjects.wrapped("corp/ada").unwrap().len(), 1);
    assert!(subjects.erasing().unwrap().is_empty(), "it is not finished behind the hold's back at the next start");
}

#[test]
fn holds_are_kept_and_lifted_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let subjects = Subjects::open(folder.path(), None).unwrap();
    assert!(!subjects.encrypts() && subjects.key("corp/ada").is_err());
    let hold = Hold { who: "uid 1".into(), at: jiff::Timestamp::UNIX_EPOCH, reason: "case 7".into() };
    let ada = Some("corp/ada".to_owned());
    subjects.hold(&Change::Set(ada.clone(), hold.clone())).unwrap();
    let again = Subjects::open(folder.path(), None).unwrap();
    assert_eq!(again.holds().on("corp/ada"), Some(&hold));
    assert_eq!(again.holds().on("corp/bob"), None);
    again.hold(&Change::Set(None, hold.clone())).unwrap();
    assert_eq!(again.holds().on("corp/bob"), Some(&hold));
    again.hold(&Change::Lift(None)).unwrap();
    assert_eq!(again.holds().on("corp/ada"), Some(&hold));
    again.hold(&Change::Lift(ada.clone())).unwrap();
    assert_eq!(again.holds().on("corp/ada"), None);
    assert_eq!(again.would_hold(&Change::Lift(ada)).unwrap_err().to_string(), "`corp/ada` is not on hold");
}
