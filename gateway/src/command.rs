//! The commands of `latchwork`, and how they end.

pub mod check;
pub mod init;

/// How a command ends: the exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something went wrong.
    Failed = 1,
    /// Policy said no.
    Denied = 2,
    /// Invalid input or usage.
    Invalid = 3,
    /// A change would grant something new.
    Widens = 4,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How a command writes its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}
