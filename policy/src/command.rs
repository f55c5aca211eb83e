//! Commands over policies. They take iterators and writers; the gateway opens files and prints.

pub mod check;
pub mod decide;
pub mod diff;
mod findings;
pub mod format;
pub mod new;
pub mod replay;
pub mod schema;
pub mod suggest;
pub mod test;
pub mod unused;
pub mod what_if;
pub mod who;

use std::io::{self, Write};

/// How a command writes its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As wished.
    Ok,
    /// It failed.
    Failed,
    /// Policy denied.
    Denied,
    /// What was given is not valid.
    Invalid,
    /// It would grant something new.
    GrantsNew,
}

impl Exit {
    /// The exit code of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Denied => 2,
            Self::Invalid => 3,
            Self::GrantsNew => 4,
        }
    }
}

fn write_json(value: &serde_json::Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{value:#}")
}
