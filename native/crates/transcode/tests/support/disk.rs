//! A small file system of its own that a test fills.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

const FILLER: &str = "filler";

/// A tmpfs, unmounted when the test ends.
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
    _place: TempDir,
}

impl Disk {
    /// `None`, with the reason on stderr, where nothing can be mounted: that needs root.
    pub(crate) fn mount(bytes: u64) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={bytes},mode=0777"))
            .arg("reelway-test")
            .arg(&path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self {
                path,
                _place: place,
            }),
            found => {
                let _ = writeln!(
                    io::stderr(),
                    "skipped: a tmpfs cannot be mounted: {found:?}"
                );
                None
            }
        }
    }

    /// Fills it and then gives back that many bytes.
    pub(crate) fn fill_but(&self, bytes: u64) {
        let path = self.path.join(FILLER);
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        let size = file.metadata().unwrap().len();
        file.set_len(size.saturating_sub(bytes)).unwrap();
    }

    /// Gives back all that was filled.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.path.join(FILLER)).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what still uses it ends with the test.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
