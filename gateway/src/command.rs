//! The commands of the binary: one file each.

pub mod audit;
pub mod explain;

/// Exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It did not work.
    Failed = 1,
    /// Policy denied.
    Denied = 2,
    /// Input or usage is invalid.
    Invalid = 3,
    /// The change would grant something new.
    Widens = 4,
}

/// How a command writes its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs: one JSON object per line.
    Json,
}
