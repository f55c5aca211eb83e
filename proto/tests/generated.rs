//! Generates the wire types again and compares them with the committed ones. `LATCHWORK_BLESS=1` writes them anew.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The environment variable that writes instead of comparing.
const BLESS: &str = "LATCHWORK_BLESS";

/// Folders of `.proto` files: our own protocols, those of others that we speak, and the sample service.
const FOLDERS: [&str; 4] = ["google", "grpc", "latchwork", "shop"];

/// The file that holds every description, for reflection.
const DESCRIPTORS: &str = "descriptors.bin";

/// How the line of a service begins.
const SERVICE: &str = "service ";

#[test]
fn committed_types_are_those_of_the_proto_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/gen");
    let fresh = tempfile::tempdir().expect("a temporary folder");
    let files: Vec<PathBuf> = FOLDERS.iter().flat_map(|folder| proto_files(&root.join(folder))).collect();
    assert!(files.len() >= FOLDERS.len(), "a folder has no `.proto` file");
    let descriptors = protox::compile(&files, [root]).expect("the files are valid");
    let mut config = prost_build::Config::new();
    config.out_dir(fresh.path()).bytes(["."]).compile_fds(descriptors).expect("Rust is generated");
    // Reflection tells of files with services and of what they import, without comments.
    let served = files.iter().filter(|file| {
        let text = fs::read_to_string(file).expect("a file that was listed");
        text.lines().any(|line| line.starts_with(SERVICE))
    });
    let mut compiler = protox::Compiler::new([root]).expect("the folder exists");
    compiler.include_imports(true).open_files(served).expect("the files are valid");
    let described = compiler.encode_file_descriptor_set();
    fs::write(fresh.path().join(DESCRIPTORS), described).expect("the folder is ours");
    let names = names(fresh.path());
    for name in &names {
        let bytes = fs::read(fresh.path().join(name)).expect("what was generated");
        let path = committed.join(name);
        if env::var_os(BLESS).is_some_and(|value| value == "1") {
            fs::write(&path, bytes).expect("the folder is ours");
            continue;
        }
        let old = fs::read(&path).unwrap_or_default();
        assert!(old == bytes, "`{}` is not what the proto files say: {BLESS}=1 writes it", path.display());
    }
    assert_eq!(self::names(&committed), names, "a committed file has no proto file any more");
}

fn proto_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(proto_files(&path));
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    entries(folder).iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
}

/// What lies in a folder; nothing when there is none, which the test would notice.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths
}
