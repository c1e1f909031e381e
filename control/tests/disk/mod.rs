//! A disk that is soon full.

use std::path::Path;
use std::process::Command;

/// A small disk of its own, for as long as it is held.
pub(crate) struct Disk<'n>(&'n Path);

impl<'n> Disk<'n> {
    /// Of a size as `mount` reads it. `None`, loudly: only root may mount one.
    pub(crate) fn mount(at: &'n Path, size: &str) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED: a full disk needs the right to mount one");
        None
    }

    pub(crate) fn fill(&self) {
        let filler = std::fs::File::create(self.0.join("filler")).unwrap();
        for bytes in [64 << 10, 4 << 10, 1] {
            while std::io::Write::write_all(&mut &filler, &vec![1; bytes]).is_ok() {}
        }
    }

    pub(crate) fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}
