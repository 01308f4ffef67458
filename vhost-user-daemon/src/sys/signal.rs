// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Signal sets: blocking them, and reading them from a descriptor instead.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::FromRawFd;
use std::ptr;

use super::checked;

/// Some signals.
#[derive(Clone, Copy)]
pub(crate) struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// The set of `signals`.
    ///
    /// # Errors
    /// EINVAL: one of them is no signal.
    pub(crate) fn of(signals: &[libc::c_int]) -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `set` is ours to write; sigemptyset initialises all of it.
        checked(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
        // SAFETY: initialised by sigemptyset.
        let mut set = unsafe { set.assume_init() };
        for &signal in signals {
            // SAFETY: `set` is an initialised signal set; a bad number is an error, no more.
            checked(unsafe { libc::sigaddset(&mut set, signal) })?;
        }
        Ok(Self(set))
    }

    /// Keeps these signals from being delivered to the calling thread and to those that it starts
    /// from now on.
    ///
    /// # Errors
    /// Those of pthread_sigmask(3).
    pub(crate) fn block(&self) -> io::Result<()> {
        self.change_mask(libc::SIG_BLOCK)
    }

    /// Lets these signals be delivered to the calling thread again.
    ///
    /// # Errors
    /// Those of pthread_sigmask(3).
    pub(crate) fn unblock(&self) -> io::Result<()> {
        self.change_mask(libc::SIG_UNBLOCK)
    }

    fn change_mask(&self, how: libc::c_int) -> io::Result<()> {
        // SAFETY: the set is initialised and only read; a null pointer asks for no old mask.
        match unsafe { libc::pthread_sigmask(how, &self.0, ptr::null_mut()) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// A descriptor (signalfd, non-blocking) that is readable while one of these signals is
    /// pending.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub(crate) fn descriptor(&self) -> io::Result<File> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is initialised and only read; -1 asks for a new descriptor.
        let fd = checked(unsafe { libc::signalfd(-1, &self.0, flags) })?;
        // SAFETY: the kernel has just handed out this descriptor, so nobody else owns it.
        Ok(unsafe { File::from_raw_fd(fd) })
    }
}
