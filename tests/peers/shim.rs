//! A disk whose syncs are slow or fail: a library, built here, that stands between a process and `fdatasync`.

use crate::{built, fetch};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Syncs take `SHIM_MS` milliseconds, and fail with `EIO` while the file `SHIM_FAIL` exists.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static int held(const char *name, int fd) {
    const char *ms = getenv("SHIM_MS"), *fail = getenv("SHIM_FAIL");
    if (ms) poll(NULL, 0, atoi(ms));
    if (fail && access(fail, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fdatasync(int fd) { return held("fdatasync", fd); }
int fsync(int fd) { return held("fsync", fd); }
"#;

/// Builds the library; `None` when the compiler is skipped on request.
///
/// # Panics
/// When it can't be built.
pub fn library() -> Option<PathBuf> {
    let compiler = fetch::program_of("cc", "gcc")?;
    let folder = built::target().join("peers/shim");
    fs::create_dir_all(&folder).expect("the folder is ours");
    // Built under a name of its own, then moved: other tests may build or load it meanwhile.
    let own = tempfile::tempdir_in(&folder).expect("the folder is ours");
    let (source, library) = (own.path().join("sync.c"), folder.join("sync.so"));
    let fresh = source.with_extension("so");
    fs::write(&source, SOURCE).expect("the folder is ours");
    let built =
        Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).args([&fresh, &source]).arg("-ldl").output();
    let built = built.expect("the compiler starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::rename(fresh, &library).expect("the folder is ours");
    Some(library)
}

/// Words before a command that put the library before it.
pub fn words(library: &Path, takes_ms: u32, fails: Option<&Path>) -> Vec<String> {
    let mut words = vec!["env".to_owned(), format!("LD_PRELOAD={}", library.display()), format!("SHIM_MS={takes_ms}")];
    words.extend(fails.map(|path| format!("SHIM_FAIL={}", path.display())));
    words
}
