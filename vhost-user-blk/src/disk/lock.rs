// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The lock on a disk's file, as QEMU has it: one byte for each use of a file, and one for each use
//! that is not granted to others.
//!
//! Nobody's lock excludes anybody's: each locks, beside the others, the bytes of its own uses and
//! those that it does not grant, and then sees whether another one has a byte that contradicts.
//! Locks belong to open file descriptions. Each one that is written through has them, so that a
//! write which is under way when its process ends keeps them until it has ended.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::sys::{self, Lock};

/// How long a lock is tried for: what a process that was killed has under way may take that long.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The time between two tries, and what chance adds to it: two that keep each other out must not do
/// so for ever.
const PAUSE: Duration = Duration::from_millis(100);
const CHANCE: Duration = Duration::from_millis(60);

/// The byte that whoever makes the first use has; the others follow.
const USED: u32 = 100;

/// The byte that whoever does not grant the first use has; the others follow.
const NOT_GRANTED: u32 = 200;

/// A use of a file, by its bit in QEMU's block permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It is read, and has to make sense.
    Read = 0,
    /// It is written.
    Write = 1,
    /// It gets another length.
    Resize = 3,
}

/// What is done with a file, and what others may not do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    uses: &'static [Use],
    not_granted: &'static [Use],
}

/// Why a lock cannot be had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has the file, and does this.
    InUse(&'static str),
    /// The file system has no such locks.
    Unsupported(io::Error),
    /// The host says no.
    Host(io::Error),
}

impl Claim {
    /// The claim of a disk that is written, or only read: it is read as QEMU reads the disk of a
    /// guest, with nobody writing to it meanwhile.
    pub(super) fn of(read_only: bool) -> Self {
        let uses: &[Use] =
            if read_only { &[Use::Read] } else { &[Use::Read, Use::Write, Use::Resize] };
        Self { uses, not_granted: &[Use::Write, Use::Resize] }
    }

    /// Locks a file by this description of it, and tries for `patience`, for others may be about to
    /// leave. `waiting` is called once before it waits.
    ///
    /// # Errors
    /// Others have it all the time, or there are no locks.
    pub(super) fn take(
        self,
        file: &File,
        patience: Duration,
        waiting: impl FnOnce(&'static str),
    ) -> Result<(), LockError> {
        let start = Instant::now();
        let mut waiting = Some(waiting);
        loop {
            let Some(what) = self.attempt(file)? else {
                return Ok(());
            };
            if start.elapsed() >= patience {
                return Err(LockError::InUse(what));
            }
            if let Some(waiting) = waiting.take() {
                waiting(what);
            }
            thread::sleep(PAUSE + some_of(CHANCE));
        }
    }

    /// Locks a file by another description of it, after [`Claim::take`] by the first one.
    ///
    /// # Errors
    /// The host says no.
    pub(super) fn share(self, file: &File) -> io::Result<()> {
        self.each(file, Lock::Share).map(drop)
    }

    /// What stands in the way, or `None` if the file is locked.
    fn attempt(self, file: &File) -> Result<Option<&'static str>, LockError> {
        // A lock that does not last would be in the way of others: look before.
        if let Some(what) = self.contradicted(file).map_err(LockError::of)? {
            return Ok(Some(what));
        }
        let taken = match self.each(file, Lock::Share).map_err(LockError::of)? {
            true => Some("locks it whole"),
            false => self.contradicted(file).map_err(LockError::of)?,
        };
        if taken.is_some() {
            self.each(file, Lock::Release).map_err(LockError::of)?;
        }
        Ok(taken)
    }

    /// Does `act` about each byte of the claim; whether a lock stands in the way of one.
    fn each(self, file: &File, act: Lock) -> io::Result<bool> {
        let used = self.uses.iter().map(|&use_| USED + use_ as u32);
        let not_granted = self.not_granted.iter().map(|&use_| NOT_GRANTED + use_ as u32);
        let mut in_the_way = false;
        for byte in used.chain(not_granted) {
            in_the_way |= sys::lock_byte(file.as_fd(), byte, act)?;
        }
        Ok(in_the_way)
    }

    /// What another one does with the file that is against the claim.
    fn contradicted(self, file: &File) -> io::Result<Option<&'static str>> {
        let has = |byte| sys::lock_byte(file.as_fd(), byte, Lock::Look);
        for &use_ in self.uses {
            if has(NOT_GRANTED + use_ as u32)? {
                return Ok(Some(match use_ {
                    Use::Read => "lets nobody else read it",
                    Use::Write | Use::Resize => "lets nobody else write to it",
                }));
            }
        }
        for &use_ in self.not_granted {
            if has(USED + use_ as u32)? {
                return Ok(Some("writes to it"));
            }
        }
        Ok(None)
    }
}

impl LockError {
    fn of(error: io::Error) -> Self {
        match error.raw_os_error() {
            // EINVAL: the kernel has no locks that belong to file descriptions.
            Some(libc::ENOLCK | libc::ENOSYS | libc::EOPNOTSUPP | libc::EINVAL) => {
                Self::Unsupported(error)
            }
            _ => Self::Host(error),
        }
    }
}

/// Some part of this time, another one each time.
fn some_of(time: Duration) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    time.mul_f64(f64::from(now.subsec_nanos() % 1000) / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    fn open(path: &Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }

    fn image() -> tempfile::NamedTempFile {
        tempfile::NamedTempFile::new().unwrap()
    }

    fn take(file: &File, read_only: bool) -> Result<(), &'static str> {
        match Claim::of(read_only).take(file, AT_ONCE, |_| ()) {
            Ok(()) => Ok(()),
            Err(LockError::InUse(what)) => Err(what),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The bytes that another description of the file finds locked.
    fn locked(path: &Path) -> Vec<u32> {
        let file = open(path);
        let is_locked = |&at: &u32| sys::lock_byte(file.as_fd(), at, Lock::Look).unwrap();
        (0..300).filter(is_locked).collect()
    }

    #[test]
    fn bytes_of_a_writer_are_those_of_qemus_permissions() {
        let image = image();
        let file = open(image.path());
        take(&file, false).unwrap();
        assert_eq!(locked(image.path()), [100, 101, 103, 201, 203]);
        drop(file);
        assert!(locked(image.path()).is_empty());
    }

    #[test]
    fn bytes_of_a_reader_grant_reading_and_nothing_that_changes_it() {
        let image = image();
        let file = open(image.path());
        take(&file, true).unwrap();
        assert_eq!(locked(image.path()), [100, 201, 203]);
    }

    #[test]
    fn readers_share_and_a_writer_does_not() {
        let image = image();
        let [one, two, three] = [(); 3].map(|()| open(image.path()));
        assert_eq!(take(&one, true), Ok(()));
        assert_eq!(take(&two, true), Ok(()));
        assert_eq!(take(&three, false), Err("lets nobody else write to it"));
        assert_eq!(locked(image.path()), [100, 201, 203]);
        drop((one, two));
        assert_eq!(take(&three, false), Ok(()));
        let four = open(image.path());
        assert_eq!(take(&four, false), Err("lets nobody else write to it"));
        assert_eq!(take(&four, true), Err("writes to it"));
    }

    #[test]
    fn attempt_that_is_refused_leaves_no_lock() {
        let image = image();
        let (theirs, ours) = (open(image.path()), open(image.path()));
        // As one who writes, and lets others write.
        assert!(!sys::lock_byte(theirs.as_fd(), 101, Lock::Share).unwrap());
        assert_eq!(take(&ours, false), Err("writes to it"));
        assert_eq!(locked(image.path()), [101]);
    }

    #[test]
    fn lock_that_goes_away_in_time_is_waited_for() {
        let image = image();
        let (theirs, ours) = (open(image.path()), open(image.path()));
        take(&theirs, false).unwrap();
        let mut theirs = Some(theirs);
        let waiting = |what| {
            assert_eq!(what, "lets nobody else write to it");
            theirs = None;
        };
        assert!(Claim::of(false).take(&ours, PATIENCE, waiting).is_ok());
    }

    #[test]
    fn lock_stays_until_the_last_description_is_closed() {
        let image = image();
        let (one, two) = (open(image.path()), open(image.path()));
        take(&one, false).unwrap();
        Claim::of(false).share(&two).unwrap();
        drop(one);
        assert_eq!(locked(image.path()), [100, 101, 103, 201, 203]);
        drop(two);
        assert!(locked(image.path()).is_empty());
    }

    #[test]
    fn errors_of_hosts_without_locks_are_told_from_others() {
        let of = |errno| LockError::of(io::Error::from_raw_os_error(errno));
        for errno in [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::EINVAL] {
            assert!(matches!(of(errno), LockError::Unsupported(_)), "{errno}");
        }
        assert!(matches!(of(libc::EIO), LockError::Host(_)));
    }
}
