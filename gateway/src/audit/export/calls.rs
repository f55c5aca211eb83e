//! Joins the records of each call, in bounded memory.

use super::is_of_call;
use crate::audit::{query::Line, record::Kind};
use std::collections::{HashMap, VecDeque};
use uuid::Uuid;

/// Most calls whose end is awaited, and most bytes of their records; beyond that the oldest goes without its end.
const CALLS_MAX: usize = 16 * 1024;
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is written or left out as a whole.
#[derive(Debug)]
pub(super) enum Item {
    /// The records of one call, in order.
    Call(Vec<Line>),
    /// A record of no call, or one that is looked at by itself.
    Other(Line),
}

/// See the file's first line.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<Uuid, Vec<Line>>,
    order: VecDeque<Uuid>,
    bytes: usize,
}

impl Calls {
    /// Takes a record; returns what is complete with it, or has waited too long.
    pub(super) fn take(&mut self, line: Line) -> Vec<Item> {
        let Some(call) = line.head.call.filter(|_| is_of_call(&line)) else { return vec![Item::Other(line)] };
        let ends = matches!(line.head.kind, Kind::Closed | Kind::Refused);
        self.bytes += line.bytes.len();
        let records = self.open.entry(call).or_insert_with(|| {
            self.order.push_back(call);
            Vec::new()
        });
        records.push(line);
        let mut done = Vec::new();
        if ends {
            done.extend(self.end(call));
        }
        while self.open.len() > CALLS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            done.extend(self.end(oldest));
        }
        // Those that ended are forgotten from the front, and now and then from within.
        while self.order.front().is_some_and(|oldest| !self.open.contains_key(oldest)) {
            self.order.pop_front();
        }
        if self.order.len() > 2 * CALLS_MAX {
            self.order.retain(|call| self.open.contains_key(call));
        }
        done
    }

    /// The calls that have no end.
    pub(super) fn rest(&mut self) -> Vec<Item> {
        let order = std::mem::take(&mut self.order);
        order.into_iter().filter_map(|call| self.end(call)).collect()
    }

    fn end(&mut self, call: Uuid) -> Option<Item> {
        let records = self.open.remove(&call)?;
        self.bytes -= records.iter().map(|line| line.bytes.len()).sum::<usize>();
        Some(Item::Call(records))
    }
}
