//! Fetches peers from the package registries into `target/peers` on first use: pinned, locked, once.

use crate::{root, scripts, skip};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// The Python interpreter that has `package`; `None` when the peer is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn python(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("python")))
}

/// The folder whose `node_modules` has `package`; `None` when the peer is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn node(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, node_modules("node")))
}

/// The Python interpreter that has `package`, one of those that stand for AWS; `None` when it is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn aws(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("aws")))
}

/// The Python interpreter that has `google-auth`; `None` when it is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn google(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("google")))
}

/// The Python interpreter that has the client of Pub/Sub; `None` when it is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn pubsub(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("pubsub")))
}

/// The Python interpreter that has the runtimes of functions of Fn and Knative; `None` when `package` is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn functions(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("functions")))
}

/// The Python interpreter that has Oracle Cloud's library; `None` when it is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn oracle(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("oracle")))
}

/// The Python interpreter that compiles messages of gRPC and knows `google.api.http`; `None` when it is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn transcode(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("transcode")))
}

/// The Python interpreter that has a server and a client of SOAP; `None` when `package` is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn soap(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("soap")))
}

/// The Python interpreter that has a broker and a client of Kafka; `None` when `package` is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn kafka(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("kafka")))
}

/// The folder whose `node_modules` has npm's `soap`; `None` when it is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn node_soap(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, node_modules("node-soap")))
}

/// The folder whose `node_modules` has serverless-offline; `None` when it is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn serverless(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, node_modules("serverless")))
}

/// The folder whose `node_modules` has runtimes of functions for Node; `None` when `package` is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn node_functions(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, node_modules("runtimes")))
}

/// A program of the system, installed with apt when it is missing and we are root; `None` when skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn program(name: &str) -> Option<PathBuf> {
    program_of(name, name)
}

/// As [`program`], from a package of another name.
pub fn program_of(name: &str, package: &str) -> Option<PathBuf> {
    (!skip::skipped(name)).then(|| {
        let _lock = lock().unwrap_or_else(|why| panic!("{why}"));
        had(name, tool(name, package))
    })
}

/// The Python interpreter that checks bills of materials; `None` when the peer is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn sbom(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("sbom")))
}

/// The root of a Debian package that is unpacked and not installed, so that it starts nothing and root is not needed;
/// `None` when it is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn debian(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, unpacked(package)))
}

/// The Python interpreter that checks exports of the audit log; `None` when the peer is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn export(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("export")))
}

/// The Python interpreter that reads Parquet; `None` when the peer is skipped on request.
///
/// # Panics
/// With the reason, when it can't be had.
pub fn parquet(package: &str) -> Option<PathBuf> {
    (!skip::skipped(package)).then(|| had(package, venv("parquet")))
}

fn had<T>(peer: &str, got: Result<T, String>) -> T {
    got.unwrap_or_else(|why| {
        panic!("the peer `{peer}` can't be had: {why}\n(to go on without it: {}={peer})", skip::VARIABLE)
    })
}

fn venv(set: &str) -> Result<PathBuf, String> {
    let _lock = lock()?;
    let system = tool("python3", "python3")?;
    let list = format!("{set}.txt");
    let pins = pins(&list)?;
    let folder = folder().join(set);
    let version = run(Command::new(&system).arg("--version"))?;
    let interpreter = folder.join("bin/python");
    fetched(&folder, &format!("{version}{pins}"), || {
        let made = run(Command::new(&system).args(["-m", "venv"]).arg(&folder));
        if made.is_err() {
            apt("python3-venv")?;
            run(Command::new(&system).args(["-m", "venv", "--clear"]).arg(&folder))?;
        }
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
        let pinned = ["--no-deps", "--require-hashes", "--requirement"];
        run(Command::new(&interpreter).args(install).args(pinned).arg(root().join(PINS).join(&list)))
    })?;
    Ok(interpreter)
}

fn node_modules(set: &str) -> Result<PathBuf, String> {
    let _lock = lock()?;
    let node = tool("node", "nodejs")?;
    let npm = tool("npm", "npm")?;
    let folder = folder().join(set);
    let lock_file = pins(&format!("{set}/package-lock.json"))?;
    let version = run(Command::new(&node).arg("--version"))?;
    fetched(&folder, &format!("{version}{lock_file}"), || {
        for file in ["package.json", "package-lock.json"] {
            let text = pins(&format!("{set}/{file}"))?;
            fs::write(folder.join(file), text).map_err(|e| format!("`{}`: {e}", folder.display()))?;
        }
        let quiet = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"];
        run(Command::new(&npm).args(quiet).current_dir(&folder))
    })?;
    // Modules are looked up from the script's own folder, so the scripts live beside `node_modules`.
    for script in fs::read_dir(scripts()).map_err(|e| e.to_string())?.flatten() {
        if script.path().extension().is_some_and(|e| e == "mjs") {
            let beside = folder.join(script.file_name());
            fs::copy(script.path(), &beside).map_err(|e| format!("`{}`: {e}", beside.display()))?;
        }
    }
    Ok(folder)
}

fn unpacked(package: &str) -> Result<PathBuf, String> {
    let _lock = lock()?;
    let folder = folder().join(package);
    fetched(&folder, "", || {
        let download = || run(Command::new("apt-get").args(["download", package]).current_dir(&folder));
        download().or_else(|_| run(Command::new("apt-get").arg("update")).and_then(|_| download()))?;
        let files = fs::read_dir(&folder).map_err(|e| e.to_string())?.flatten().map(|file| file.path());
        let is_package = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "deb");
        let file = files.into_iter().find(is_package).ok_or_else(|| format!("`{package}` was not downloaded"))?;
        run(Command::new("dpkg-deb").arg("--extract").arg(file).arg(folder.join("root")))
    })?;
    Ok(folder.join("root"))
}

/// Pinned versions, with hashes.
const PINS: &str = "tests/peers/pins";

/// Written last, so that a folder with it is whole.
const STAMP: &str = "fetched";

fn fetched(folder: &Path, stamp: &str, fetch: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
    let written = folder.join(STAMP);
    // A virtual environment knows its own path, so a folder that was moved is made again.
    let stamp = format!("{}\n{stamp}", folder.display());
    if fs::read_to_string(&written).is_ok_and(|text| text == stamp) {
        return Ok(());
    }
    let at = |e: std::io::Error| format!("`{}`: {e}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(at)?;
    }
    fs::create_dir_all(folder).map_err(at)?;
    fetch()?;
    fs::write(&written, stamp).map_err(at)
}

fn pins(file: &str) -> Result<String, String> {
    let path = root().join(PINS).join(file);
    fs::read_to_string(&path).map_err(|e| format!("`{}`: {e}", path.display()))
}

/// `target/peers`.
pub fn folder() -> PathBuf {
    crate::built::target().join("peers")
}

/// Held while fetching: other test processes, even of another `cargo test`, wait.
fn lock() -> Result<File, String> {
    let folder = folder();
    let at = |e: std::io::Error| format!("`{}`: {e}", folder.display());
    fs::create_dir_all(&folder).map_err(at)?;
    let file = File::create(folder.join("lock")).map_err(at)?;
    file.lock().map_err(at)?;
    Ok(file)
}

fn tool(name: &str, package: &str) -> Result<PathBuf, String> {
    if let Some(found) = on_path(name) {
        return Ok(found);
    }
    apt(package)?;
    on_path(name).ok_or_else(|| format!("`{name}` is still missing after installing `{package}`"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn apt(package: &str) -> Result<String, String> {
    if !rustix::process::geteuid().is_root() {
        return Err(format!("`{package}` is missing, and only root may install it (apt-get install {package})"));
    }
    let install = || {
        let mut command = Command::new("apt-get");
        command.args(["install", "--yes", "--no-install-recommends", package]).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    // A new machine has no package lists yet.
    install().or_else(|_| run(Command::new("apt-get").arg("update")).and_then(|_| install()))
}

fn run(command: &mut Command) -> Result<String, String> {
    let shown = format!("{} {:?}", command.get_program().display(), command.get_args().collect::<Vec<_>>());
    let output = command.output().map_err(|e| format!("`{shown}`: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(LINES_SHOWN).collect();
    Err(format!("`{shown}` failed ({}): {}", output.status, last.into_iter().rev().collect::<Vec<_>>().join("\n")))
}

/// Lines of a failed command's error output that are repeated.
const LINES_SHOWN: usize = 8;
