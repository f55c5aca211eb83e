//! A port of the loopback for an instance that listens, and whether it is really that instance who does.

use rustix::process::Pid;
use std::{
    collections::BTreeSet,
    fs, io,
    net::{Ipv4Addr, TcpListener},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};
use uuid::Uuid;

/// Ports below this belong to services that people know by number.
const LOWEST: u16 = 16_384;

/// Fewer ports than this are not worth choosing among.
const ROOM_MIN: u16 = 1_000;

/// Ports that are tried.
const TRIES: usize = 64;

/// Where the kernel says from which ports it takes those that nobody names.
const KERNEL_TAKES: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Ports that the kernel gives to nobody by itself: between our look and the instance's, only a program that names the very
/// same port can take it.
static UNTAKEN: LazyLock<(u16, u16)> = LazyLock::new(|| untaken(&fs::read_to_string(KERNEL_TAKES).unwrap_or_default()));

/// Where this gateway looks next; another one on this machine begins elsewhere.
static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(Uuid::new_v4().as_fields().0));

/// A port that is free.
pub(super) fn free() -> io::Result<u16> {
    let (first, room) = *UNTAKEN;
    for _ in 0..TRIES {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % u32::from(room);
        let port = first.saturating_add(u16::try_from(step).unwrap_or_default());
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port was found"))
}

/// Whether nobody listens there, on any address.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// The first such port, and how many follow.
fn untaken(range: &str) -> (u16, u16) {
    let mut numbers = range.split_whitespace().filter_map(|number| number.parse::<u16>().ok());
    let (low, high) = (numbers.next().unwrap_or(32_768), numbers.next().unwrap_or(60_999));
    let below = low.saturating_sub(LOWEST);
    let above = u16::MAX.saturating_sub(high);
    match () {
        () if below >= ROOM_MIN => (LOWEST, below),
        () if above >= ROOM_MIN => (high.saturating_add(1), above),
        () => (LOWEST, u16::MAX - LOWEST),
    }
}

/// Who listens on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A process of the group.
    Group,
    /// Somebody else: calls must not go there.
    Other,
    /// This can't be seen here.
    Unknown,
}

/// Who listens on this port of the loopback or of every address.
pub(super) fn holder(port: u16, group: Pid) -> Holder {
    let sockets = listening(port);
    if sockets.is_empty() {
        return Holder::Unknown;
    }
    let (mut seen_all, mut found) = (true, false);
    for member in members(group) {
        match fs::read_dir(format!("/proc/{member}/fd")) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => seen_all = false,
            Err(_) => {}
            Ok(links) => {
                let names = links.flatten().filter_map(|link| fs::read_link(link.path()).ok());
                found |= names.filter_map(|name| name.to_str().map(str::to_owned)).any(|name| sockets.contains(&name));
            }
        }
    }
    match (found, seen_all) {
        (true, _) => Holder::Group,
        (false, true) => Holder::Other,
        (false, false) => Holder::Unknown,
    }
}

/// Sockets that listen there, as links to them are named.
fn listening(port: u16) -> BTreeSet<String> {
    // The state word of a socket that listens.
    const LISTEN: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let found = lines.filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next()?.rsplit(':').next()?;
        let at = u16::from_str_radix(local, 16).ok()?;
        (at == port && fields.nth(1)? == LISTEN).then_some(())?;
        fields.nth(5).map(|inode| format!("socket:[{inode}]"))
    });
    found.collect()
}

/// The processes of a group.
fn members(group: Pid) -> Vec<i32> {
    let group = group.as_raw_nonzero().get();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_group = |id: &i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything; state, parent and group follow it.
        let field = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(2));
        field.and_then(|field| field.parse::<i32>().ok()) == Some(group)
    };
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of_group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_taken_where_the_kernel_takes_none() {
        assert_eq!(untaken("32768\t60999\n"), (16_384, 16_384));
        assert_eq!(untaken("1024\t60999\n"), (61_000, 4_536));
        assert_eq!(untaken("1024\t65535\n"), (16_384, 49_151));
        assert_eq!(untaken(""), (16_384, 16_384));
        let (first, second) = (free().unwrap(), free().unwrap());
        assert_ne!(first, second);
    }

    #[test]
    fn who_listens_is_seen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        assert_eq!(holder(port, rustix::process::getpgrp()), Holder::Group);
        assert_eq!(holder(port, Pid::INIT), Holder::Other);
        drop(listener);
        assert_eq!(holder(port, rustix::process::getpgrp()), Holder::Unknown);
    }
}
