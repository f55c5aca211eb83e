//! Pages of scenarios: after `$ latchwork …` stands what the command prints. `LATCHWORK_BLESS=1` writes it anew.

use super::catalog::{declared, files, folders};
use jiff::Timestamp;
use policy::{
    bundle::{Source, load},
    cases,
    command::{
        Exit, Format,
        test::{Wanted, test},
        what_if::{Change, what_if},
        who::{can, who_can},
    },
    engine::Snapshot,
    explain::{Decision, explain, hidden::Hidden, human},
    question::{Principal, Question, sketch},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, io::Write, path::Path, sync::Arc};

struct Scenario<'a> {
    folder: &'a Path,
    policies: Vec<Source>,
    cases: Vec<Source>,
    snapshot: Snapshot,
    known: BTreeMap<String, Principal>,
    now: Timestamp,
}

#[test]
fn every_page_shows_what_is_printed() {
    let mut commands = 0;
    // Others are about a command that needs files: the real one runs them, in tests/e2e/scenarios.rs.
    for folder in folders() {
        for page in files(&folder, ".md") {
            let scenario = scenario(&folder);
            let (shown, count) = scenario.page(&page.text);
            commands += count;
            if std::env::var_os("LATCHWORK_BLESS").is_some() {
                fs::write(page.file.as_ref(), &shown).unwrap();
            }
            assert!(*shown == *fs::read_to_string(page.file.as_ref()).unwrap(), "{}:\n{shown}", page.file);
        }
    }
    assert!(commands >= 10, "{commands} commands are shown");
}

fn scenario(folder: &Path) -> Scenario<'_> {
    let short = |sources: Vec<Source>| -> Vec<Source> {
        let name = |file: &str| file.rsplit('/').next().unwrap_or_default().into();
        sources.into_iter().map(|source| Source { file: name(&source.file), ..source }).collect()
    };
    let (policies, cases) = (short(files(&folder.join("policies"), ".cedar")), short(files(folder, ".cases.toml")));
    let now = "2026-11-23T10:30:00Z".parse().unwrap();
    let (snapshot, _) = load(&policies, Arc::new(declared(folder)), now).unwrap();
    let known = cases::principals(&cases);
    Scenario { folder, policies, cases, snapshot, known, now }
}

impl Scenario<'_> {
    /// The page with every output as it is now, and the number of commands.
    fn page(&self, text: &str) -> (String, usize) {
        let (mut shown, mut inside, mut count) = (String::new(), false, 0);
        for line in text.lines() {
            match line.strip_prefix("$ latchwork ").filter(|_| inside) {
                Some(command) => {
                    let mut out = Vec::new();
                    let exit = self.run(command, &mut out);
                    shown.push_str(&format!("{line}\n{}", String::from_utf8(out).unwrap()));
                    if exit != Exit::Ok {
                        shown.push_str(&format!("(exit code {})\n", exit.code()));
                    }
                    count += 1;
                }
                None => {
                    if inside && line != "```" {
                        continue;
                    }
                    inside = line == "```console";
                    shown.push_str(line);
                    shown.push('\n');
                }
            }
        }
        (shown, count)
    }

    fn run(&self, command: &str, out: &mut Vec<u8>) -> Exit {
        let words: Vec<&str> = command.split_whitespace().collect();
        let values =
            |flag: &str| -> Vec<&str> { words.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1]).collect() };
        let value = |flag: &str| values(flag).first().copied();
        let free = |place: usize| words.get(place).copied().filter(|word| !word.starts_with("--"));
        match words.as_slice() {
            ["policy", "test", ..] => {
                let coverage_min = value("--min-coverage").map(|min| min.parse().unwrap());
                let wanted = Wanted { filter: free(2), coverage_min, format: Format::Human };
                let declared = (Arc::new(declared(self.folder)), self.now);
                test(&self.policies, &self.cases, declared, wanted, out, None).unwrap()
            }
            ["explain", ..] => self.with_question(&value, out, |question, out| {
                let explanation = explain(&self.snapshot, question);
                human::write(&explanation, out).unwrap();
                if explanation.decision == Decision::Allow { Exit::Ok } else { Exit::Denied }
            }),
            ["policy", "what-if", ..] => self.with_question(&value, out, |question, out| {
                let set = values("--set").into_iter().map(|text| text.split_once('=').unwrap());
                let set = set.map(|(place, text)| Change::Set(place.to_owned(), text.to_owned()));
                let unset = values("--unset").into_iter().map(|place| Change::Unset(place.to_owned()));
                let changes: Vec<_> = set.chain(unset).collect();
                what_if(&self.snapshot, (question, &Hidden::default()), &changes, Format::Human, out).unwrap()
            }),
            ["policy", "who-can", function] => match sketch::function(function, &self.snapshot) {
                Ok(function) => {
                    let known: Vec<_> = self.known.clone().into_iter().collect();
                    who_can(&self.snapshot, &function, &known, self.now, Format::Human, out).unwrap()
                }
                Err(error) => invalid(&error, out),
            },
            ["policy", "can", name, ..] => {
                let mut caller = sketch::caller(&Value::from(*name), &self.known).unwrap();
                caller.groups =
                    caller.groups.iter().cloned().chain(values("--group").into_iter().map(Arc::from)).collect();
                can(&self.snapshot, (name, &caller), self.now, Format::Human, out).unwrap()
            }
            other => panic!("no page may show {other:?}"),
        }
    }

    fn with_question<'a>(
        &self,
        value: &impl Fn(&str) -> Option<&'a str>,
        out: &mut Vec<u8>,
        then: impl FnOnce(&Question, &mut Vec<u8>) -> Exit,
    ) -> Exit {
        let json: Value = match value("--question") {
            Some(file) => serde_json::from_str(&fs::read_to_string(self.folder.join(file)).unwrap()).unwrap(),
            None => json!({
                "principal": value("--principal"),
                "function": value("--function"),
                "input": value("--input").map(|text| serde_json::from_str::<Value>(text).unwrap()),
            }),
        };
        match sketch::read(&json, &self.snapshot, &self.known, self.now) {
            Ok(question) => then(&question, out),
            Err(error) => invalid(&error, out),
        }
    }
}

fn invalid(error: &str, out: &mut Vec<u8>) -> Exit {
    writeln!(out, "error: {error}").unwrap();
    Exit::Invalid
}
