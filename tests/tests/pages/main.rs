// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is written from the daemons' parsers, put to those who read it: man pages to their
//! formatters, completions to their shells, discovery files beside the daemon's own word.

mod completions;
mod discovery;
mod man_pages;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vhost_user_tests::daemon::binary;

/// The daemons that have pages.
const DAEMONS: [&str; 1] = ["vhost-user-blk"];

/// What belongs below /usr/share, written to a folder of its own.
struct Share(TempDir);

impl Share {
    fn written(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("make a directory for pages");
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let mut pages = Command::new(binary("vhost-user-pages"));
        pages.arg("--docs").arg(docs).arg("--out").arg(dir.path()).args(options);
        output(&mut pages);
        Self(dir)
    }

    fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(path)
    }
}

/// What a command says on standard output; nothing on standard error, and it succeeds.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}
