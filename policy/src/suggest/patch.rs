//! A unified diff of changed policy files, as `patch` and `git apply` read it.

use crate::bundle::Source;
use std::fmt::Write as _;

/// Lines around a change.
const CONTEXT: usize = 3;
/// Most lines of which the longest common part is looked for; a longer middle counts as changed whole.
const LINES_MAX: usize = 2_000;

/// The diff between files of the same names.
#[must_use]
pub fn unified(old: &[Source], new: &[Source]) -> String {
    let mut text = String::new();
    for (before, after) in old.iter().zip(new).filter(|(before, after)| before.text != after.text) {
        let file = &before.file;
        let _ = write!(text, "--- {file}\n+++ {file}\n");
        let steps = steps(&before.text, &after.text);
        for hunk in hunks(&steps) {
            print(steps.get(hunk.clone()).unwrap_or_default(), before_of(&steps, hunk.start), &mut text);
        }
    }
    text
}

/// One line, kept, removed or added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'a> {
    Keep(&'a str),
    Remove(&'a str),
    Add(&'a str),
}

fn steps<'a>(old: &'a str, new: &'a str) -> Vec<Step<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let start = old.iter().zip(&new).take_while(same).count();
    let rest = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take_while(same).count().min(rest);
    let middle = |lines: &[&'a str]| lines.get(start..lines.len() - end).unwrap_or_default().to_vec();
    let mut steps: Vec<_> = old.iter().take(start).map(|line| Step::Keep(line)).collect();
    steps.extend(between(&middle(&old), &middle(&new)));
    steps.extend(old.iter().skip(old.len() - end).map(|line| Step::Keep(line)));
    steps
}

/// By the longest common subsequence.
fn between<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Step<'a>> {
    let all =
        |lines: &[&'a str], step: fn(&'a str) -> Step<'a>| lines.iter().map(|line| step(line)).collect::<Vec<_>>();
    if old.len() > LINES_MAX || new.len() > LINES_MAX {
        return [all(old, Step::Remove), all(new, Step::Add)].concat();
    }
    let width = new.len() + 1;
    let mut longest = vec![0_u32; (old.len() + 1) * width];
    let at = |longest: &[u32], i: usize, j: usize| longest.get(i * width + j).copied().unwrap_or_default();
    for (i, line) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let best = match line == other {
                true => at(&longest, i + 1, j + 1) + 1,
                false => at(&longest, i + 1, j).max(at(&longest, i, j + 1)),
            };
            if let Some(cell) = longest.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j, mut steps) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(line), Some(other)) if line == other => {
                steps.push(Step::Keep(line));
                (i, j) = (i + 1, j + 1);
            }
            (Some(line), other) if other.is_none() || at(&longest, i + 1, j) >= at(&longest, i, j + 1) => {
                steps.push(Step::Remove(line));
                i += 1;
            }
            (_, Some(other)) => {
                steps.push(Step::Add(other));
                j += 1;
            }
            _ => return steps,
        }
    }
}

/// Changes with the lines around them, joined where they touch.
fn hunks(steps: &[Step<'_>]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        if matches!(step, Step::Keep(_)) {
            continue;
        }
        let (start, end) = (place.saturating_sub(CONTEXT), (place + CONTEXT + 1).min(steps.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

/// How many lines of both files come before a step.
fn before_of(steps: &[Step<'_>], place: usize) -> (usize, usize) {
    let before = steps.get(..place).unwrap_or_default();
    let count = |not: fn(&Step<'_>) -> bool| before.iter().filter(|step| !not(step)).count();
    (count(|step| matches!(step, Step::Add(_))), count(|step| matches!(step, Step::Remove(_))))
}

fn print(steps: &[Step<'_>], (old, new): (usize, usize), text: &mut String) {
    let removed = steps.iter().filter(|step| !matches!(step, Step::Add(_))).count();
    let added = steps.iter().filter(|step| !matches!(step, Step::Remove(_))).count();
    let first = |before: usize, lines: usize| if lines == 0 { before } else { before + 1 };
    let _ = writeln!(text, "@@ -{},{removed} +{},{added} @@", first(old, removed), first(new, added));
    for step in steps {
        let (sign, line) = match step {
            Step::Keep(line) => (' ', line),
            Step::Remove(line) => ('-', line),
            Step::Add(line) => ('+', line),
        };
        let _ = write!(text, "{sign}{line}");
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}
