//! What `init` and `quickstart` write: small projects that work as they are.

pub mod calls;
mod write;

use calls::Call;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Marks a folder as written by `init`.
pub const INIT_MARKER: &str = ".latchwork-init";
/// Marks a folder as written by `quickstart`, which may write it again.
pub const QUICKSTART_MARKER: &str = ".latchwork-quickstart";
/// The audience of the quickstart's tokens.
pub const QUICKSTART_AUDIENCE: &str = "shop";

/// Why a project was not written. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The folder has files of somebody else.
    #[error("`{0}` is not empty and was not written by this command")]
    NotEmpty(PathBuf),
    /// There is something else of that name.
    #[error("`{0}` is no folder")]
    NotAFolder(PathBuf),
    /// The system refused.
    #[error("`{path}` can't be written")]
    Io {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The ports of a quickstart, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The gateway; 0 takes any free one.
    pub listener: u16,
    /// The development issuer.
    pub issuer: u16,
    /// The administrative interface; 0 takes any free one.
    pub admin: u16,
    /// The service that was there before.
    pub legacy: u16,
    /// The service that speaks gRPC.
    pub inventory: u16,
}

/// A quickstart project on disk.
#[derive(Debug)]
pub struct QuickstartLayout {
    /// Its folder.
    pub directory: PathBuf,
    /// `latchwork.toml`
    pub config: PathBuf,
    /// Where the configuration expects the listener's certificate chain, for `127.0.0.1` and `localhost`.
    pub certificate: PathBuf,
    /// Where it expects the certificate's key.
    pub key: PathBuf,
    /// Where callers expect the authority that vouches for it.
    pub ca: PathBuf,
    /// Identifier of the development issuer.
    pub issuer: Arc<str>,
    /// Its alias.
    pub alias: &'static str,
    /// The audience that tokens need.
    pub audience: &'static str,
    /// Calls to paste, in telling order.
    pub calls: Vec<Call>,
}

/// A file of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    path: &'static str,
    content: String,
    executable: bool,
}

/// Writes a new project, or what is missing of one that `init` wrote. Returns the files that were written.
///
/// # Errors
/// [`ScaffoldError`].
pub fn init(directory: &Path) -> Result<Vec<PathBuf>, ScaffoldError> {
    write::project(directory, &init_files(), INIT_MARKER)
}

/// Writes the quickstart project, or what is missing of it: what is there may have been changed and is kept.
///
/// # Errors
/// [`ScaffoldError`].
pub fn quickstart(directory: &Path, ports: Ports) -> Result<QuickstartLayout, ScaffoldError> {
    write::project(directory, &quickstart_files(ports), QUICKSTART_MARKER)?;
    Ok(QuickstartLayout {
        directory: directory.to_owned(),
        config: directory.join("latchwork.toml"),
        certificate: directory.join("tls/server.pem"),
        key: directory.join("tls/server.key"),
        ca: directory.join("tls/ca.pem"),
        issuer: format!("http://127.0.0.1:{}", ports.issuer).into(),
        alias: "dev",
        audience: QUICKSTART_AUDIENCE,
        calls: calls::quickstart(),
    })
}

macro_rules! file {
    ($folder:literal, $path:literal) => {
        File {
            path: $path,
            content: include_str!(concat!("scaffold/files/", $folder, "/", $path)).to_owned(),
            executable: false,
        }
    };
}

fn init_files() -> Vec<File> {
    vec![
        file!("init", "latchwork.toml"),
        file!("init", "README.md"),
        file!("init", "catalog/hello.toml"),
        file!("init", "schemas/greet.json"),
        file!("init", "policies/base.cedar"),
        file!("init", "policies/hello.cedar"),
        file!("init", "policies/hello.cases.toml"),
        File { executable: true, ..file!("init", "functions/hello/bootstrap") },
        ignored(),
        marker(INIT_MARKER, "init"),
    ]
}

fn quickstart_files(ports: Ports) -> Vec<File> {
    let ported = |file: File| {
        let content = file
            .content
            .replace("{{listener_port}}", &ports.listener.to_string())
            .replace("{{issuer_port}}", &ports.issuer.to_string())
            .replace("{{admin_port}}", &ports.admin.to_string())
            .replace("{{legacy_port}}", &ports.legacy.to_string())
            .replace("{{inventory_port}}", &ports.inventory.to_string());
        File { content, ..file }
    };
    vec![
        ported(file!("quickstart", "latchwork.toml")),
        file!("quickstart", "README.md"),
        ported(file!("quickstart", "catalog/shop.toml")),
        file!("quickstart", "schemas/order.json"),
        file!("quickstart", "policies/base.cedar"),
        file!("quickstart", "policies/shop.cedar"),
        file!("quickstart", "policies/shop.cases.toml"),
        File { executable: true, ..file!("quickstart", "functions/shop/bootstrap") },
        ignored(),
        marker(QUICKSTART_MARKER, "quickstart"),
    ]
}

/// Keys and records never belong into version control.
fn ignored() -> File {
    let content = include_str!("scaffold/files/gitignore").to_owned();
    File { path: ".gitignore", content, executable: false }
}

fn marker(path: &'static str, command: &str) -> File {
    let content = format!("This folder was written by `latchwork {command}`, which may write into it again.\n");
    File { path, content, executable: false }
}

#[cfg(test)]
mod tests;
