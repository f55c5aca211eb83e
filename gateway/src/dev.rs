//! What a newcomer would otherwise have to bring: an authority for TLS and an issuer of tokens. For this machine only.

pub mod authority;
mod file;
pub mod inventory;
pub mod issuer;
pub mod legacy;

pub use self::{authority::Authority, issuer::Issuer};

use std::path::PathBuf;

/// Folder of the development issuer, beside `latchwork.toml`.
pub const FOLDER: &str = "dev";
/// Folder of the development authority and its certificates, beside `latchwork.toml`.
pub const TLS_FOLDER: &str = "tls";

/// Why the development authority or issuer can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A file can't be read or written.
    #[error("can't {what} `{}`", path.display())]
    File {
        /// `read`, `write` or `create`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read a secret.
    #[error("`{}` can be read by others (mode {mode:o}); take their rights away: chmod 600", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("`{}` is not what it should be: {problem}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No port of this machine can be had.
    #[error("can't listen on this machine")]
    Listen(#[source] std::io::Error),
    /// Making a key, a certificate or a signature failed.
    #[error("can't {0}")]
    Crypto(&'static str),
    /// A claim that is set by other means, or that is malformed.
    #[error("the claim `{0}` can't be set")]
    Claim(String),
}

#[cfg(test)]
mod tests;
