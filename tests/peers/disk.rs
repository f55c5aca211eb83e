//! A disk that can be filled and freed: a tmpfs mounted for one test, or a limit on file sizes where mounting is not
//! permitted. And one that the kernel takes away: a file system in a file.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
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
        succeeded(&output)?;
        Ok(Self { at: at.to_path_buf() })
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

/// An ext4 in a file, mounted at a folder; unmounted on drop.
#[derive(Debug)]
pub struct ImageDisk {
    image: PathBuf,
    disk: SmallDisk,
}

impl ImageDisk {
    /// Makes a disk of `mebibytes` in the file `image`, and mounts it at a folder that exists.
    ///
    /// # Errors
    /// With the reason, when it can't be made or mounting is not permitted.
    pub fn mount(image: &Path, at: &Path, mebibytes: u32) -> Result<Self, String> {
        let mut command = Command::new("/sbin/mkfs.ext4");
        command.args(["-q"]).arg(image).arg(format!("{mebibytes}M"));
        succeeded(&command.output().map_err(|e| format!("mkfs.ext4: {e}"))?)?;
        let disk = Self { image: image.to_path_buf(), disk: SmallDisk { at: at.to_path_buf() } };
        disk.mount_again()?;
        Ok(disk)
    }

    /// Has the kernel do what it does on an error of the disk: from now on it is read-only, open files included.
    ///
    /// # Errors
    /// With the reason, when the kernel does not.
    pub fn abort(&self) -> Result<(), String> {
        let output = Command::new("mount").args(["-o", "remount,abort"]).arg(&self.disk.at).output();
        succeeded(&output.map_err(|e| format!("mount: {e}"))?)
    }

    /// What an administrator does afterwards. No file on it may be open.
    ///
    /// # Errors
    /// With the reason, when it can't be mounted.
    pub fn repair(&self) -> Result<(), String> {
        let output = Command::new("umount").arg(&self.disk.at).output();
        succeeded(&output.map_err(|e| format!("umount: {e}"))?)?;
        self.mount_again()
    }

    fn mount_again(&self) -> Result<(), String> {
        let output = Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.disk.at).output();
        succeeded(&output.map_err(|e| format!("mount: {e}"))?)
    }
}

fn succeeded(output: &Output) -> Result<(), String> {
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said()) }
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
