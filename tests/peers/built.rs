//! What cargo built: the binary `latchwork`, examples, and the libraries that compile-fail tests link.

use crate::root;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// The environment variable that names a binary to test instead of the one that cargo builds.
pub const BINARY_VARIABLE: &str = "LATCHWORK_BIN";

/// Files by target name.
#[derive(Debug, Default)]
struct Built {
    executables: BTreeMap<String, PathBuf>,
    libraries: BTreeMap<String, PathBuf>,
}

/// The binary `latchwork`.
pub fn latchwork() -> PathBuf {
    match env::var_os(BINARY_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => executable("latchwork"),
    }
}

/// A binary or an example.
pub fn executable(name: &str) -> PathBuf {
    BUILT.executables.get(name).unwrap_or_else(|| panic!("cargo built no executable `{name}`")).clone()
}

/// A library of the workspace, as `rustc --extern` takes it.
pub fn library(name: &str) -> PathBuf {
    BUILT.libraries.get(name).unwrap_or_else(|| panic!("cargo built no library `{name}`")).clone()
}

/// Where the libraries' own dependencies lie.
pub fn dependencies() -> PathBuf {
    profile_folder().join("deps")
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    profile_folder().parent().expect("a profile's folder lies in the target folder").to_path_buf()
}

/// `cargo`, the one that built us.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    command.current_dir(root());
    command
}

/// Built once: the selection makes the same features as `cargo test --workspace`, so little is compiled again.
static BUILT: LazyLock<Built> = LazyLock::new(|| {
    let profile = profile_folder();
    let profile = profile.file_name().and_then(|n| n.to_str()).unwrap_or("debug");
    let mut command = cargo();
    command.args([
        "build",
        "--workspace",
        "--lib",
        "--bin",
        "latchwork",
        "--example",
        "lambda_echo",
        "--example",
        "lambda_http_echo",
        "--example",
        "sbom",
    ]);
    for (given, feature) in [(cfg!(feature = "parquet"), "parquet"), (cfg!(feature = "kafka"), "kafka")] {
        if given {
            command.args(["--features", feature]);
        }
    }
    command.args(["--message-format", "json-render-diagnostics", "--profile"]);
    command.arg(if profile == "debug" { "dev" } else { profile }).arg("--target-dir").arg(target());
    let output = command.output().unwrap_or_else(|e| panic!("cargo does not start: {e}"));
    assert!(output.status.success(), "cargo build failed: {}", String::from_utf8_lossy(&output.stderr));
    let mut built = Built::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        built.take(&message);
    }
    built
});

impl Built {
    fn take(&mut self, message: &Value) {
        let Some(name) = message["target"]["name"].as_str() else { return };
        let manifest = message["manifest_path"].as_str().unwrap_or_default();
        if message["reason"] != "compiler-artifact" || !Path::new(manifest).starts_with(root()) {
            return;
        }
        if let Some(file) = message["executable"].as_str() {
            self.executables.insert(name.to_owned(), file.into());
        } else if message["target"]["kind"][0] == "lib" {
            let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let library = files.map(PathBuf::from).find(|f| f.extension().is_some_and(|e| e == "rlib"));
            self.libraries.extend(library.map(|file| (name.to_owned(), file)));
        }
    }
}

/// `target/debug`, `target/release` or another profile's: two above this program in `deps`.
fn profile_folder() -> PathBuf {
    let own = env::current_exe().expect("this program has a path");
    own.parent().and_then(Path::parent).expect("tests run from `target/<profile>/deps`").to_path_buf()
}
