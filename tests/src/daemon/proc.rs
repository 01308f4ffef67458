// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the kernel tells of a daemon under /proc.

use std::fs;
use std::path::{Path, PathBuf};

use super::running::Process;

impl Process {
    /// What its file `file` says, such as `limits` or `task/7/status`.
    #[track_caller]
    pub fn text(&self, file: &str) -> String {
        let file = self.place(file);
        fs::read_to_string(&file).unwrap_or_else(|e| panic!("read {}: {e}", file.display()))
    }

    /// Where its link `link` leads, such as `ns/mnt` or `fd/2`, as the kernel names it.
    #[track_caller]
    pub fn link(&self, link: &str) -> PathBuf {
        let link = self.place(link);
        fs::read_link(&link).unwrap_or_else(|e| panic!("follow {}: {e}", link.display()))
    }

    /// The path of its file `file`, be it a link or a folder.
    pub fn place(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string()).join(file)
    }
}
