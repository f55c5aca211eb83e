//! A disk whose syncs are slow or fail, or that is read-only for a while: a library, built here, that stands between a
//! process and its system calls.

use crate::{built, fetch};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Syncs take `SHIM_MS` milliseconds, and fail with `EIO` while the file `SHIM_FAIL` exists. While the file
/// `SHIM_READ_ONLY` exists, no file is written or made.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
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

static int read_only(void) {
    const char *path = getenv("SHIM_READ_ONLY");
    if (!path || access(path, F_OK) != 0) return 0;
    errno = EROFS;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct stat about;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && read_only()) return -1;
    ssize_t (*real)(int, const void *, size_t) = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return real(fd, bytes, length);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    if (flags & (O_CREAT | O_WRONLY | O_RDWR) && read_only()) return -1;
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    return real(path, flags, mode);
}
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
    let mut words = preloaded(library);
    words.push(format!("SHIM_MS={takes_ms}"));
    words.extend(fails.map(|path| format!("SHIM_FAIL={}", path.display())));
    words
}

/// Likewise, for a disk that is read-only while the file `while_there` exists.
pub fn read_only(library: &Path, while_there: &Path) -> Vec<String> {
    let mut words = preloaded(library);
    words.push(format!("SHIM_READ_ONLY={}", while_there.display()));
    words
}

fn preloaded(library: &Path) -> Vec<String> {
    vec!["env".to_owned(), format!("LD_PRELOAD={}", library.display())]
}
