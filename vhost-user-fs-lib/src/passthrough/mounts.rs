// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The mounts that handles are opened in. A handle says which file, not in which file system: that is
//! said by a descriptor of any file or directory there, which must not be one with O_PATH.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use vhost_user_device::RateLimit;

use crate::sys::open::open_by_handle;
use crate::sys::status::{statfs, statx};

/// A mount with inodes that are kept as handles. The host can unmount it once there are none.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) number: u64,
    fd: OwnedFd,
}

/// All mounts that are known.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    known: Mutex<HashMap<u64, Known>>,
    /// Of each device what its file system is like.
    natures: Mutex<HashMap<u64, Nature>>,
    refusals: RateLimit,
}

/// What is to be known of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nature {
    /// Errors of writing may be told when a file is closed.
    pub(super) tells_at_close: bool,
    /// It is in memory alone, so that nothing waits for storage.
    pub(super) is_memory: bool,
}

#[derive(Debug)]
enum Known {
    Mount(Weak<Mount>),
    /// Handles cannot be opened there.
    Unusable,
}

impl AsFd for Mount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Mounts {
    /// The mount of this number, if handles can be opened there. `open` opens something there if it is not
    /// known yet, with which `handle` is tried out: it must lead to the inode `ino`.
    pub(super) fn get(
        &self,
        number: u64,
        handle: &[u32],
        ino: u64,
        open: impl FnOnce() -> Option<OwnedFd>,
    ) -> Option<Arc<Mount>> {
        match self.lock().get(&number) {
            Some(Known::Mount(mount)) => {
                if let Some(mount) = mount.upgrade() {
                    return Some(mount);
                }
            }
            Some(Known::Unusable) => return None,
            None => {}
        }
        // What cannot be opened today may be tomorrow, with another file.
        let fd = open()?;
        let found = inode_of(fd.as_fd(), handle);
        if found.as_ref().is_err_and(|error| !is_lasting(error)) {
            return None;
        }
        let is_it = found.is_ok_and(|found| found == ino);
        let made = is_it.then(|| Arc::new(Mount { number, fd }));
        let mut known = self.lock();
        known.retain(|_, known| match known {
            Known::Mount(mount) => mount.strong_count() > 0,
            Known::Unusable => true,
        });
        match (&made, known.get(&number)) {
            (_, Some(Known::Mount(other))) if other.strong_count() > 0 => {
                return other.upgrade().or(made);
            }
            (Some(mount), _) => known.insert(number, Known::Mount(Arc::downgrade(mount))),
            (None, _) => known.insert(number, Known::Unusable),
        };
        made
    }

    /// Whether inodes of this mount are known to be kept as handles.
    pub(super) fn has(&self, number: u64) -> bool {
        matches!(self.lock().get(&number), Some(Known::Mount(mount)) if mount.strong_count() > 0)
    }

    /// An inode is refused since it has no handle that can be opened.
    pub(super) fn refuse(&self, number: u64) {
        if let Some(left_out) = self.refusals.allow() {
            log::warn!(
                "refused what is in the mount {number}: file handles are mandatory, and cannot be \
                 opened there ({left_out} such lines left out)"
            );
        }
    }

    /// What the file system of `file`, which is on `device`, is like.
    pub(super) fn nature(&self, device: u64, file: BorrowedFd<'_>) -> Nature {
        let known = self.natures().get(&device).copied();
        known.unwrap_or_else(|| {
            // It may take its time to answer, which is no matter of the others.
            let nature = Nature::of(file);
            self.natures().insert(device, nature);
            nature
        })
    }

    /// Nothing is known any more.
    pub(super) fn clear(&self) {
        self.lock().clear();
        self.natures().clear();
    }

    /// How many mounts have a descriptor.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let held =
            |known: &&Known| matches!(known, Known::Mount(mount) if mount.strong_count() > 0);
        self.lock().values().filter(held).count()
    }

    fn natures(&self) -> MutexGuard<'_, HashMap<u64, Nature>> {
        // A panic ends the process.
        self.natures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        // A panic ends the process.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the inode that a handle leads to.
fn inode_of(mount: BorrowedFd<'_>, handle: &[u32]) -> io::Result<u64> {
    let fd = open_by_handle(mount, handle, libc::O_PATH | libc::O_NOFOLLOW)?;
    Ok(statx(fd.as_fd(), c"")?.stx_ino)
}

/// Whether handles that could not be opened will not be later, either.
fn is_lasting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ESTALE))
}

impl Nature {
    fn of(file: BorrowedFd<'_>) -> Self {
        // Those whose close(2) does nothing but forget: ext4, xfs, btrfs, f2fs, overlayfs, zfs, bcachefs.
        const QUIET: [i64; 7] =
            [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x794c_7630, 0x2fc1_2fc1, 0xca45_1a4e];
        // tmpfs, ramfs.
        const MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
        #[expect(clippy::useless_conversion, reason = "its type depends on the architecture")]
        let magic = statfs(file).map(|status| i64::from(status.f_type));
        let is_one = |of: &[i64]| magic.as_ref().is_ok_and(|magic| of.contains(magic));
        let is_memory = is_one(&MEMORY);
        Self { tells_at_close: !is_memory && !is_one(&QUIET), is_memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_without_handles_is_told_from_a_shortage() {
        for (errno, lasting) in [
            (libc::EPERM, true),
            (libc::EOPNOTSUPP, true),
            (libc::ESTALE, true),
            (libc::EMFILE, false),
            (libc::ENFILE, false),
            (libc::ENOMEM, false),
            (libc::EINTR, false),
        ] {
            assert_eq!(is_lasting(&io::Error::from_raw_os_error(errno)), lasting, "{errno}");
        }
    }
}
