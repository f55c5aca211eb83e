//! What `/proc` knows: which processes belong to a run, and whether any is left.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A process that can't be mistaken for a later one with the same id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Process id.
    pub id: i32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Its command line, for messages.
    pub command: String,
}

struct Entry {
    process: Process,
    parent: i32,
    group: i32,
    state: char,
}

/// All descendants of a process, itself excluded.
pub fn descendants(of: i32) -> BTreeSet<Process> {
    let all = entries();
    let mut found = BTreeSet::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for entry in all.iter().filter(|e| e.parent == parent) {
            if found.insert(entry.process.clone()) {
                parents.push(entry.process.id);
            }
        }
    }
    found
}

/// Those of `processes` that still run. A zombie has ended.
pub fn alive(processes: &BTreeSet<Process>) -> Vec<Process> {
    let all = entries();
    let same = |p: &&Process| all.iter().any(|e| e.process.id == p.id && e.process.started == p.started && runs(e));
    processes.iter().filter(same).cloned().collect()
}

/// Whether every thread of a process stands still (`SIGSTOP`).
pub fn is_stopped(id: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let states: Vec<_> = threads
        .map(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
            stat.rsplit_once(')')?.1.trim_start().chars().next()
        })
        .collect();
    !states.is_empty() && states.iter().all(|state| *state == Some('T'))
}

/// Processes of that group that still run.
pub fn of_group(group: i32) -> Vec<Process> {
    entries().into_iter().filter(|e| e.group == group && runs(e)).map(|e| e.process).collect()
}

/// Processes, ourselves excluded, that work in `folder`, run a program of it, or name it on their command line.
pub fn at(folder: &Path) -> Vec<Process> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let name = folder.to_string_lossy().into_owned();
    let inside = |id: i32, link: &str| {
        let link = PathBuf::from(format!("/proc/{id}/{link}"));
        fs::read_link(link).is_ok_and(|target| target.starts_with(folder))
    };
    let here = |e: &Entry| {
        let id = e.process.id;
        inside(id, "cwd") || inside(id, "exe") || e.process.command.contains(&name)
    };
    entries().into_iter().filter(|e| e.process.id != own && runs(e) && here(e)).map(|e| e.process).collect()
}

/// TCP ports on which a process listens.
pub fn listening_ports(id: i32) -> BTreeSet<u16> {
    let links = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    let sockets: BTreeSet<String> =
        links.filter_map(|l| fs::read_link(l.path()).ok()).map(|t| t.to_string_lossy().into_owned()).collect();
    let mut ports = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(state), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9)) else {
                continue;
            };
            let port = local.rsplit(':').next().and_then(|p| u16::from_str_radix(p, 16).ok());
            if *state == LISTEN && sockets.contains(&format!("socket:[{inode}]")) {
                ports.extend(port);
            }
        }
    }
    ports
}

/// The state word of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

fn runs(entry: &Entry) -> bool {
    !matches!(entry.state, 'Z' | 'X')
}

fn entries() -> Vec<Entry> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    folders.filter_map(|f| f.file_name().to_str()?.parse().ok()).filter_map(entry).collect()
}

fn entry(id: i32) -> Option<Entry> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the name in parentheses, which may itself hold spaces and parentheses.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
    Some(Entry {
        process: Process { id, started: fields.get(19)?.parse().ok()?, command },
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        state: fields.first()?.chars().next()?,
    })
}
