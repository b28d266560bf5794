//! The part of storage that this actor uses: files below the root of a `file://` storage. A key is a
//! relative path of safe segments, as `actors/storage/keys.py` defines it.

use std::{
    io,
    path::{Path, PathBuf},
};

const LONGEST_SEGMENT: usize = 200;

/// A key that could leave the storage's root.
#[derive(Debug, thiserror::Error)]
#[error("not a storage key: {0:?}")]
pub(crate) struct NotAKey(String);

/// The file of a key.
pub(crate) fn local_path(root: &Path, key: &str) -> Result<PathBuf, NotAKey> {
    if key.split('/').all(is_segment) {
        Ok(root.join(key))
    } else {
        Err(NotAKey(key.to_owned()))
    }
}

fn is_segment(segment: &str) -> bool {
    let starts_well =
        segment.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    starts_well
        && segment.len() <= LONGEST_SEGMENT
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Where one lease writes the outputs of its stage.
pub(crate) fn work_folder(job: &str, fence: &str) -> String {
    format!("work/{job}/{fence}")
}

/// Bytes that this process may still write to the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_below_the_root() {
        let root = Path::new("/root");
        let path = local_path(root, "work/j00-01hx/1.af09/output.mp3").unwrap();
        assert_eq!(path, Path::new("/root/work/j00-01hx/1.af09/output.mp3"));
        for wrong in [
            "",
            "/etc/passwd",
            "work/../x",
            "work//x",
            "work/.x",
            "a b",
            "x\n",
        ] {
            assert!(local_path(root, wrong).is_err(), "{wrong:?}");
        }
    }
}
