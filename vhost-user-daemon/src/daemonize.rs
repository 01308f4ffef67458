// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `--daemonize`: going to the background, so that whoever started us goes on exactly when front
//! ends can connect, and hears about it if that never comes to be.
//!
//! Two forks and a new session, as the `daemonize` crate makes them; of what else that crate offers
//! nothing is used. The working directory and the umask stay, so that relative paths mean what they
//! meant. The process that was started waits on a pipe for the verdict of the one that goes on.

use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;

use daemonize::{Daemonize, Outcome, Stdio};

use crate::exit::Failure;
use crate::sys;

/// Which of the two processes this one is.
#[derive(Debug)]
pub(crate) enum Side {
    /// The one that was started. It has to wait, end, and leave alone all that the other one uses:
    /// files, locks, sockets.
    Parent(Verdict),
    /// The one that goes on.
    Child(Readiness),
    /// The one that should go on and cannot.
    Stillborn(Readiness, DaemonizeError),
}

/// What the process that was started waits for.
#[derive(Debug)]
pub(crate) struct Verdict(PipeReader);

/// What the process that goes on owes the one that was started.
#[derive(Debug)]
pub(crate) struct Readiness {
    pipe: PipeWriter,
    /// What standard error is to be, if it must not stay what it is. Opened early, since there may be
    /// no way to it later.
    nowhere: Option<File>,
}

/// Makes the process that goes on.
///
/// # Errors
/// There are threads, which a fork would lose, or the system refuses.
pub(crate) fn fork() -> Result<Side, DaemonizeError> {
    // Without /proc there is no telling; a wrong guess would make --daemonize useless there.
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(DaemonizeError::Threads(threads));
    }
    let (verdict, pipe) = io::pipe().map_err(DaemonizeError::Pipe)?;
    // A log that goes to a file stays there. Everything else on standard error would keep somebody
    // waiting for the end of a pipe, or write to a terminal that others use by then.
    let nowhere = (!stderr_is_a_file()).then(open_nowhere).transpose()?;
    let readiness = Readiness { pipe, nowhere };
    let outcome = Daemonize::new()
        .working_directory(".")
        .umask(sys::process::file_mode_mask())
        .stderr(Stdio::keep()) // until it is clear that there is nothing to complain about
        .execute();
    match outcome {
        Outcome::Parent(Err(error)) => Err(DaemonizeError::Fork(error)),
        Outcome::Parent(Ok(_)) => Ok(Side::Parent(Verdict(verdict))),
        Outcome::Child(Ok(_)) => Ok(Side::Child(readiness)),
        Outcome::Child(Err(error)) => Ok(Side::Stillborn(readiness, DaemonizeError::Fork(error))),
    }
}

impl Verdict {
    /// The exit code for the process that was started: 0 once front ends can connect.
    ///
    /// # Errors
    /// The other process ended without a word; nobody uses its files any more.
    pub(crate) fn wait(mut self) -> Result<u8, DaemonizeError> {
        let mut code = [0];
        match self.0.read_exact(&mut code) {
            Ok(()) => Ok(code[0]),
            Err(_) => Err(DaemonizeError::NoVerdict),
        }
    }
}

impl Readiness {
    /// Lets the process that was started end with 0, and lets go of its terminal.
    ///
    /// # Errors
    /// The process that was started is gone.
    pub(crate) fn ready(&mut self) -> Result<(), DaemonizeError> {
        if let Some(nowhere) = self.nowhere.take() {
            sys::process::replace_standard_stream(nowhere.as_fd(), libc::STDERR_FILENO)
                .map_err(DaemonizeError::Null)?;
        }
        self.pipe.write_all(&[0]).map_err(DaemonizeError::Pipe)
    }

    /// Lets the process that was started end with the code of `failure`, which has been reported.
    pub(crate) fn failed(mut self, failure: &Failure) {
        // If nobody waits any more, there is nobody to tell.
        let _ = self.pipe.write_all(&[failure.code()]);
    }
}

fn open_nowhere() -> Result<File, DaemonizeError> {
    File::options().read(true).write(true).open("/dev/null").map_err(DaemonizeError::Null)
}

/// Whether messages on standard error will still reach somebody from the background.
pub(crate) fn stderr_is_a_file() -> bool {
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    stderr.and_then(|stderr| File::from(stderr).metadata()).is_ok_and(|metadata| metadata.is_file())
}

/// The process cannot go to the background.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonizeError {
    #[error("go to the background with {0} threads, of which one would survive")]
    Threads(usize),

    #[error("go to the background")]
    Fork(#[source] daemonize::Error),

    #[error("speak with the process that was started")]
    Pipe(#[source] io::Error),

    #[error("the process in the background ended before front ends could connect")]
    NoVerdict,

    #[error("let standard error go to /dev/null")]
    Null(#[source] io::Error),
}
