// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The signals that mean something here, read from a descriptor by the one loop that can act on
//! them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::signal::SignalSet;

/// The signals by which the outside says its wishes.
pub(crate) struct Signals(File);

/// What was wished for since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// That this process end, by the signal of this name.
    pub(crate) end: Option<&'static str>,
    /// That the device look at the host's side again.
    pub(crate) refresh: bool,
}

impl Signals {
    /// Blocks SIGTERM, SIGINT, SIGUSR1, SIGHUP and SIGXFSZ in this thread, and so in all that it
    /// starts from now on; from here on they have an effect through [`Signals::wishes`] alone.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn block() -> io::Result<Self> {
        let all = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGHUP, libc::SIGXFSZ];
        let signals = SignalSet::of(&all)?;
        let descriptor = signals.descriptor()?;
        signals.block()?;
        Ok(Self(descriptor))
    }

    /// Readable when [`Signals::wishes`] is worth a call.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// What the signals since the last call ask for; several of a kind count as one.
    ///
    /// SIGHUP asks for nothing: it says that a terminal is gone, or means "read your configuration
    /// again" to those who have one. Nor does SIGXFSZ, which a driver provokes by a write beyond
    /// the limit on file sizes: that write fails, and that is all.
    ///
    /// # Errors
    /// The descriptor cannot be read.
    pub(crate) fn wishes(&mut self) -> io::Result<Wishes> {
        let mut wishes = Wishes::default();
        let mut record = [0; size_of::<libc::signalfd_siginfo>()];
        loop {
            match self.0.read(&mut record) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(wishes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            // The number is the first field, ssi_signo.
            let [a, b, c, d, ..] = record;
            match i32::try_from(u32::from_ne_bytes([a, b, c, d])) {
                Ok(libc::SIGTERM) => wishes.end = wishes.end.or(Some("SIGTERM")),
                Ok(libc::SIGINT) => wishes.end = wishes.end.or(Some("SIGINT")),
                Ok(libc::SIGUSR1) => wishes.refresh = true,
                _ => log::debug!("a signal that has no effect here"),
            }
        }
    }
}

/// Keeps signals that end nothing here from ending the process, as they usually do, before somebody
/// can act on them: SIGUSR1, which is heard when [`Signals`] are, and SIGHUP.
///
/// # Errors
/// The system refuses.
pub(crate) fn hold_back() -> io::Result<()> {
    SignalSet::of(&[libc::SIGUSR1, libc::SIGHUP])?.block()
}

/// Lets the signals that usually end a process end this one again, in a thread that has blocked
/// them; but for SIGUSR1, by which nobody means that.
///
/// # Errors
/// The system refuses.
pub(crate) fn let_end() -> io::Result<()> {
    SignalSet::of(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP])?.unblock()
}

#[cfg(test)]
mod tests {
    use super::*;

    const END_BY_SIGTERM: Wishes = Wishes { end: Some("SIGTERM"), refresh: false };
    const END_BY_SIGINT: Wishes = Wishes { end: Some("SIGINT"), refresh: false };
    const REFRESH: Wishes = Wishes { end: None, refresh: true };
    const NONE: Wishes = Wishes { end: None, refresh: false };

    /// Sends `signal` to this thread alone.
    fn signal_self(signal: libc::c_int) {
        crate::sys::test::Thread::current().signal(signal);
    }

    #[test]
    fn wishes_without_a_signal_are_none() {
        assert_eq!(Signals::block().unwrap().wishes().unwrap(), NONE);
    }

    #[test]
    fn wish_is_told_once() {
        let mut signals = Signals::block().unwrap();
        for (signal, wish) in [
            (libc::SIGTERM, END_BY_SIGTERM),
            (libc::SIGINT, END_BY_SIGINT),
            (libc::SIGUSR1, REFRESH),
        ] {
            signal_self(signal);
            assert_eq!(signals.wishes().unwrap(), wish);
            assert_eq!(signals.wishes().unwrap(), NONE);
        }
    }

    #[test]
    fn wishes_that_come_together_are_all_told() {
        let mut signals = Signals::block().unwrap();
        for signal in [libc::SIGUSR1, libc::SIGTERM, libc::SIGUSR1] {
            signal_self(signal);
        }
        let both = Wishes { end: Some("SIGTERM"), refresh: true };
        assert_eq!(signals.wishes().unwrap(), both);
    }

    #[test]
    fn sighup_and_sigxfsz_are_no_wishes() {
        let mut signals = Signals::block().unwrap();
        for signal in [libc::SIGHUP, libc::SIGXFSZ] {
            signal_self(signal);
            assert_eq!(signals.wishes().unwrap(), NONE);
        }
        signal_self(libc::SIGHUP);
        signal_self(libc::SIGTERM);
        assert_eq!(signals.wishes().unwrap(), END_BY_SIGTERM);
    }

    #[test]
    fn refresh_that_was_held_back_is_heard_later() {
        hold_back().unwrap();
        signal_self(libc::SIGHUP);
        signal_self(libc::SIGUSR1);
        assert_eq!(Signals::block().unwrap().wishes().unwrap(), REFRESH);
    }
}
