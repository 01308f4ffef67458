// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Trying something out in a process that ends with it.

use std::io::{self, Read, Write};

use super::checked;

/// What `attempt` says in a copy of this process, which ends afterwards: what it has done to itself is
/// gone. Nothing but what it says comes back. To be called before there are threads.
///
/// # Errors
/// There is no pipe or no process to be had, or it ended without a word.
pub(crate) fn in_a_copy(attempt: impl FnOnce() -> String) -> io::Result<String> {
    let (mut said, mut say) = io::pipe()?;
    // SAFETY: there is one thread, by the condition above, so the copy may do all that this process
    // may.
    let pid = checked(unsafe { libc::fork() })?;
    if pid == 0 {
        drop(said);
        let text = attempt();
        // Without the last byte it counts as nothing said.
        let _ = say.write_all(text.as_bytes()).and_then(|()| say.write_all(&[0]));
        // SAFETY: _exit(2) ends this copy at once: what the process would clean up is the other's.
        unsafe { libc::_exit(0) };
    }
    drop(say);
    let mut text = String::new();
    let read = said.read_to_string(&mut text);
    let mut status = 0;
    // SAFETY: `status` is ours to write, and `pid` a child of ours that nobody else waits for.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } == -1 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    read?;
    match text.strip_suffix('\0') {
        Some(text) => Ok(text.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
