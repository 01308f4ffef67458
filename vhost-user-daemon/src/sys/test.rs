// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What only tests need.

use std::os::fd::RawFd;

/// A thread to which a signal can be sent, whatever the other tests in the process do.
#[derive(Clone, Copy)]
pub(crate) struct Thread(libc::pid_t);

impl Thread {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        // SAFETY: gettid(2) takes nothing and cannot fail.
        Self(unsafe { libc::gettid() })
    }

    /// Sends it `signal`.
    pub(crate) fn signal(self, signal: libc::c_int) {
        // SAFETY: getpid(2) takes nothing and cannot fail.
        let process = unsafe { libc::getpid() };
        // SAFETY: tgkill(2) takes numbers alone, and reaches no other process than this one.
        let result = unsafe { libc::syscall(libc::SYS_tgkill, process, self.0, signal) };
        assert_eq!(result, 0, "tgkill: {}", std::io::Error::last_os_error());
    }
}

/// Undoes what keeps the descriptor `fd` from being inherited.
pub(crate) fn let_be_inherited(fd: RawFd) {
    // SAFETY: F_SETFD changes a flag of the descriptor table and touches no memory.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
    assert_eq!(result, 0, "fcntl: {}", std::io::Error::last_os_error());
}
