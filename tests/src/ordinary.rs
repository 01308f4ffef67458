// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A user who is not root: one of no name, or whoever runs the tests.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// The number of that user, and of the group, where the tests are root's.
pub const USER: u32 = 4711;

/// Whether the tests are root's, so that it takes another user to be an ordinary one.
///
/// The owner of /proc/self is the effective user.
pub(crate) fn tests_are_roots() -> bool {
    fs::metadata("/proc/self").expect("look at /proc/self").uid() == 0
}

/// Whether any user may run the program, and go to where it is.
pub(crate) fn may_run(program: &Path) -> bool {
    let allows = |path: &Path, mode: u32| {
        fs::metadata(path).is_ok_and(|metadata| metadata.mode() & mode == mode)
    };
    allows(program, 0o005) && program.ancestors().skip(1).all(|folder| allows(folder, 0o001))
}

/// Gives a file, or a folder with the files in it, to that user.
///
/// # Errors
/// It is not ours to give.
pub fn give(path: &Path) -> io::Result<()> {
    if !tests_are_roots() {
        return Ok(());
    }
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            chown(entry?.path(), Some(USER), Some(USER))?;
        }
    }
    chown(path, Some(USER), Some(USER))
}
