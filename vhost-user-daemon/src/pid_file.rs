// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The pid file: the process id and a newline, in a file that is locked while the process lives.
//!
//! The lock (flock) belongs to the open file, so it is taken before a fork and held by the process
//! that goes on; it ends with that process, whichever way it ends. The id alone proves nothing,
//! since numbers are used again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::entry::{Entry, Inode, Place};

/// A pid file whose lock is ours.
#[derive(Debug)]
pub(crate) struct PidFile {
    file: File,
    entry: Entry,
    path: PathBuf,
}

impl PidFile {
    /// Makes the file, or takes over one that a dead process left, and locks it. What it says is
    /// left as it is until [`PidFile::write`].
    ///
    /// # Errors
    /// Another process has it locked, or it is something else than a pid file, or the system
    /// refuses; all of that is the operator's to repair.
    pub(crate) fn lock(path: &Path) -> Result<Self, PidFileError> {
        let on = |act| move |source| PidFileError::Io { act, path: path.to_owned(), source };
        loop {
            let place = Place::of(path).map_err(on("open the directory of"))?;
            let file = open(path).map_err(on("open"))?;
            if let Some(pid_file) = Self::claim(place, file, path)? {
                return Ok(pid_file);
            }
        }
    }

    /// Locks the file that was found at the place, or says `None` if it is no longer there.
    fn claim(place: Place, mut file: File, path: &Path) -> Result<Option<Self>, PidFileError> {
        let on = |act| move |source| PidFileError::Io { act, path: path.to_owned(), source };
        let metadata = file.metadata().map_err(on("look at"))?;
        if !metadata.is_file() {
            return Err(PidFileError::NoPidFile(path.to_owned()));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read_pid(&mut file).ok().flatten();
                return Err(PidFileError::Locked { path: path.to_owned(), by: Holder(pid) });
            }
            Err(TryLockError::Error(source)) => return Err(on("lock")(source)),
        }
        // Whoever had the lock may have removed the file before it let go of it.
        let inode = Inode::of(&metadata);
        match place.look().map_err(on("look at"))? {
            Some(found) if found.inode == inode => {}
            _ => return Ok(None),
        }
        if metadata.len() > 0 && read_pid(&mut file).map_err(on("read"))?.is_none() {
            return Err(PidFileError::NoPidFile(path.to_owned()));
        }
        Ok(Some(Self { file, entry: Entry::new(place, inode), path: path.to_owned() }))
    }

    /// Writes `pid` into the file.
    ///
    /// # Errors
    /// Those of ftruncate(2) and write(2).
    pub(crate) fn write(&self, pid: u32) -> Result<(), PidFileError> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.write_all_at(format!("{pid}\n").as_bytes(), 0));
        let path = &self.path;
        written.map_err(|source| PidFileError::Io { act: "write", path: path.clone(), source })
    }

    /// Where it is.
    pub(crate) fn place(&mut self) -> &mut Place {
        self.entry.place()
    }

    /// Removes the file if it is still ours, and only then lets go of the lock.
    pub(crate) fn remove(self) {
        let Self { file, entry, path: _ } = self;
        entry.remove();
        drop(file);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        // A FIFO or a terminal is refused later, and must not make us wait before that.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// The process id that the file holds, or `None` if it holds something else. There are programs that leave
/// the end of a longer one behind it: lines that are numbers, or empty.
fn read_pid(file: &mut File) -> io::Result<Option<u32>> {
    const LONGEST: u64 = 64;
    let mut contents = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut contents)?;
    let numbers = contents.iter().all(|byte| byte.is_ascii_digit() || *byte == b'\n');
    let is_pid_file = numbers && contents.len() as u64 <= LONGEST;
    let text = str::from_utf8(&contents).ok().filter(|_| is_pid_file);
    Ok(text.and_then(|text| text.lines().next()).and_then(|line| line.parse().ok()))
}

/// Who has the lock, if the file says so.
#[derive(Debug)]
pub(crate) struct Holder(Option<u32>);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => write!(f, "another process"),
        }
    }
}

/// The pid file cannot be ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PidFileError {
    #[error("{act} pid file {path:?}")]
    Io { act: &'static str, path: PathBuf, source: io::Error },

    #[error("pid file {path:?} is locked by {by}")]
    Locked { path: PathBuf, by: Holder },

    #[error("{0:?} exists and is no pid file; it is left alone")]
    NoPidFile(PathBuf),
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn room() -> (tempfile::TempDir, PathBuf) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("pid");
        (room, path)
    }

    fn refusal(path: &Path) -> String {
        PidFile::lock(path).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn pid_file_written_holds_the_number_and_a_newline() {
        let (_room, path) = room();
        let pid_file = PidFile::lock(&path).unwrap();
        pid_file.write(1234).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1234\n");
    }

    #[test]
    fn pid_file_left_by_a_dead_process_is_taken_over() {
        let (_room, path) = room();
        fs::write(&path, "4194305\n").unwrap();
        PidFile::lock(&path).unwrap().write(1).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn pid_file_with_the_end_of_a_longer_one_is_taken_over() {
        let (_room, path) = room();
        for contents in ["123456\n\n", "4321\n67\n", "12\n45\n\n"] {
            fs::write(&path, contents).unwrap();
            PidFile::lock(&path).unwrap().write(7).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "7\n");
        }
    }

    #[test]
    fn pid_file_locked_is_refused_with_its_holder() {
        let (_room, path) = room();
        let first = PidFile::lock(&path).unwrap();
        assert_eq!(refusal(&path), format!("pid file {path:?} is locked by another process"));
        first.write(77).unwrap();
        assert_eq!(refusal(&path), format!("pid file {path:?} is locked by process 77"));
    }

    #[test]
    fn pid_file_removed_is_gone_and_can_be_made_again() {
        let (_room, path) = room();
        PidFile::lock(&path).unwrap().remove();
        assert!(!path.exists());
        PidFile::lock(&path).unwrap();
    }

    #[test]
    fn file_with_other_contents_is_refused_and_stays() {
        let (_room, path) = room();
        let long = "1\n".repeat(40);
        for contents in ["root:x:0:0\n", "12 34\n", "+12\n", "\n", "99999999999999\n", &long] {
            fs::write(&path, contents).unwrap();
            assert_eq!(
                refusal(&path),
                format!("{path:?} exists and is no pid file; it is left alone")
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), contents);
        }
    }

    #[test]
    fn directory_in_its_place_is_refused() {
        let (room, _) = room();
        assert_eq!(refusal(room.path()), format!("open pid file {:?}", room.path()));
    }

    #[test]
    fn symbolic_link_in_its_place_is_not_followed() {
        let (room, path) = room();
        let target = room.path().join("target");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert_eq!(refusal(&path), format!("open pid file {path:?}"));
        assert!(!target.exists());
    }
    #[test]
    fn file_removed_before_its_lock_was_got_is_none() {
        let (_room, path) = room();
        let theirs = PidFile::lock(&path).unwrap();
        let file = open(&path).unwrap();
        theirs.remove();
        let place = || Place::of(&path).unwrap();
        let other = open(&path).unwrap();
        assert!(PidFile::claim(place(), file, &path).unwrap().is_none());
        assert!(PidFile::claim(place(), other, &path).unwrap().is_some());
    }

    #[test]
    fn fifo_in_its_place_is_refused_without_waiting() {
        let (_room, path) = room();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert_eq!(refusal(&path), format!("{path:?} exists and is no pid file; it is left alone"));
    }
}
