//! Export: the records of a time, or those of some calls, in the form that somebody else takes.

use super::{
    query::{Line, Problem, Records, What},
    record::Kind,
};
use calls::{Calls, Item};
use filter::Filter;
use std::io;

mod calls;
pub mod cloud_event;
pub mod filter;
pub mod ocsf;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod place;
#[cfg(test)]
mod tests;

/// A form in which records are written.
pub trait Form {
    /// Whether one thing is written of all records of a call.
    fn joins(&self) -> bool {
        false
    }

    /// Writes records that belong together; `false` if this form has no place for them.
    ///
    /// # Errors
    /// When they can't be written.
    fn write(&mut self, records: &[Line]) -> io::Result<bool>;

    /// Writes what is left.
    ///
    /// # Errors
    /// When it can't be written.
    fn finish(&mut self) -> io::Result<()>;
}

/// What an export has in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Records, or calls where they are joined.
    pub written: u64,
    /// Those that the form has no place for.
    pub left_out: u64,
}

/// The records themselves, byte by byte, one per line.
#[derive(Debug)]
pub struct Lines<W>(pub W);

impl<W: io::Write> Form for Lines<W> {
    fn write(&mut self, records: &[Line]) -> io::Result<bool> {
        for record in records {
            self.0.write_all(&record.bytes)?;
            self.0.write_all(b"\n")?;
        }
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes what the filter lets through. Every problem of the log is told; if that fails, so does the export.
///
/// # Errors
/// When it can't be written, or a problem is not to be passed over.
pub fn export(
    records: Records,
    filter: &Filter,
    form: &mut dyn Form,
    problem: &mut dyn FnMut(Problem) -> io::Result<()>,
) -> io::Result<Exported> {
    let mut exported = Exported::default();
    let mut calls = Calls::default();
    let joins = form.joins();
    let mut write = |item: Item| -> io::Result<()> {
        let records = match &item {
            Item::Call(records) if filter.takes_call(records) => records.as_slice(),
            Item::Other(record) if filter.takes(record) => std::slice::from_ref(record),
            Item::Call(_) | Item::Other(_) => return Ok(()),
        };
        let number = if joins { 1 } else { records.len() as u64 };
        if form.write(records)? {
            exported.written += number;
        } else {
            exported.left_out += number;
        }
        Ok(())
    };
    for found in records {
        match found {
            // Where each record goes by itself, none waits for others.
            Ok(line) if !joins && !filter.is_of_calls() => write(Item::Other(line))?,
            Ok(line) => calls.take(line).into_iter().try_for_each(&mut write)?,
            // The writer is in the middle of it.
            Err(Problem { what: What::Torn(_), .. }) => {}
            Err(found) => problem(found)?,
        }
    }
    calls.rest().into_iter().try_for_each(&mut write)?;
    form.finish()?;
    Ok(exported)
}

/// Whether a record is one of those that a call consists of.
fn is_of_call(line: &Line) -> bool {
    line.head.call.is_some() && line.head.kind != Kind::Shadow
}
