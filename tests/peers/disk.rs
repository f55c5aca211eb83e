//! A disk that can be filled and freed: a tmpfs mounted for one test, or a limit on file sizes where mounting is not
//! permitted.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted tmpfs, unmounted on drop.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of `mebibytes` at a folder that exists.
    ///
    /// # Errors
    /// With the reason, when mounting is not permitted.
    pub fn mount(at: &Path, mebibytes: u32) -> Result<Self, String> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0700"), "tmpfs"]).arg(at);
        let output = command.output().map_err(|e| format!("mount: {e}"))?;
        if output.status.success() {
            return Ok(Self { at: at.to_path_buf() });
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Writes until the kernel says that no space is left.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("the disk is ours");
        // Large pieces first; then single bytes, so that nothing at all fits any more.
        for piece in [vec![0; 65_536], vec![0; 512], vec![0; 1]] {
            loop {
                match file.write_all(&piece) {
                    Ok(()) => {}
                    Err(e) if e.kind() == ErrorKind::StorageFull => break,
                    Err(e) => panic!("`{}`: {e}", self.at.display()),
                }
            }
        }
    }

    /// Frees what [`SmallDisk::fill`] took.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("the disk was filled");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

/// Words before a command whose process outlives a write beyond its limit, as it outlives one to a full disk.
pub const OUTLIVES_LIMIT: [&str; 2] = ["env", "--ignore-signal=XFSZ"];

/// Lets the process write no file beyond `bytes`; `None` lifts the limit. The stand-in of a full disk for those who
/// may not mount one: the kernel answers `EFBIG` instead of `ENOSPC`.
///
/// # Panics
/// When `prlimit` fails.
pub fn limit_files(process: i32, bytes: Option<u64>) {
    let soft = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.to_string(), &format!("--fsize={soft}:unlimited")]);
    let output = command.output().unwrap_or_else(|e| panic!("prlimit: {e}"));
    assert!(output.status.success(), "prlimit: {}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is being ended may still hold a file.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
