//! A small disk that can be filled and freed: a tmpfs mounted for one test.

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

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is being ended may still hold a file.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
