// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Copies of this process that do something for it, and end.

use std::io::{self, PipeReader, PipeWriter, Read, Write};

use super::checked;

/// What `attempt` says in a copy of this process, which ends afterwards: what it has done to itself is
/// gone. Nothing but what it says comes back. To be called before there are threads.
///
/// # Errors
/// There is no pipe or no process to be had, or it ended without a word.
pub(crate) fn in_a_copy(attempt: impl FnOnce() -> String) -> io::Result<String> {
    Copy::waiting(attempt)?.go()
}

/// A copy of this process that waits for a word, then does something, and ends.
#[derive(Debug)]
pub(crate) struct Copy {
    pid: libc::pid_t,
    say: PipeWriter,
    said: PipeReader,
}

impl Copy {
    /// Makes one, which is going to do `work`. To be called before there are threads.
    ///
    /// # Errors
    /// There is no pipe or no process to be had.
    pub(crate) fn waiting(work: impl FnOnce() -> String) -> io::Result<Self> {
        let (mut heard, tell) = io::pipe()?;
        let (said, mut say) = io::pipe()?;
        // SAFETY: there is one thread, by the condition above, so the copy may do all that this process
        // may.
        let pid = checked(unsafe { libc::fork() })?;
        if pid == 0 {
            drop((said, tell));
            // Nothing to be read says that nothing is to be done any more.
            if heard.read_exact(&mut [0]).is_ok() {
                let text = work();
                // Without the last byte it counts as nothing said.
                let _ = say.write_all(text.as_bytes()).and_then(|()| say.write_all(&[0]));
            }
            // SAFETY: _exit(2) ends this copy at once: what the process would clean up is the other's.
            unsafe { libc::_exit(0) };
        }
        Ok(Self { pid, say: tell, said })
    }

    /// Has it do its work, and returns what it says.
    ///
    /// # Errors
    /// It ended without a word.
    pub(crate) fn go(mut self) -> io::Result<String> {
        let told = self.say.write_all(&[0]);
        let mut text = String::new();
        let read = self.said.read_to_string(&mut text);
        let mut status = 0;
        // SAFETY: `status` is ours to write, and `pid` a child of ours that nobody else waits for.
        while unsafe { libc::waitpid(self.pid, &raw mut status, 0) } == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        told?;
        read?;
        match text.strip_suffix('\0') {
            Some(text) => Ok(text.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
