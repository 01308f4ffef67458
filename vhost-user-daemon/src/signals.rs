// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! SIGTERM and SIGINT, read from a descriptor by the one loop that can act on them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::signal::SignalSet;

/// The wish of the outside that this process end.
pub(crate) struct Stop {
    signals: SignalSet,
    descriptor: File,
}

impl Stop {
    /// Blocks SIGTERM, SIGINT, SIGHUP and SIGXFSZ in this thread, and so in all that it starts from now on;
    /// from here on they have an effect through [`Stop::requested`] alone.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let signals = SignalSet::of(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGXFSZ])?;
        let descriptor = signals.descriptor()?;
        signals.block()?;
        Ok(Self { signals, descriptor })
    }

    /// Readable when [`Stop::requested`] is worth a call.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// The name of the signal that asked for the end since the last call, if one did.
    ///
    /// SIGHUP asks for nothing: it says that a terminal is gone, or means "read your configuration
    /// again" to those who have one. Nor does SIGXFSZ, which a driver provokes by a write beyond
    /// the limit on file sizes: that write fails, and that is all.
    ///
    /// # Errors
    /// The descriptor cannot be read.
    pub(crate) fn requested(&mut self) -> io::Result<Option<&'static str>> {
        let mut asked = None;
        let mut record = [0; size_of::<libc::signalfd_siginfo>()];
        loop {
            match self.descriptor.read(&mut record) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(asked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            // The number is the first field, ssi_signo.
            let [a, b, c, d, ..] = record;
            match i32::try_from(u32::from_ne_bytes([a, b, c, d])) {
                Ok(libc::SIGTERM) => asked = asked.or(Some("SIGTERM")),
                Ok(libc::SIGINT) => asked = asked.or(Some("SIGINT")),
                _ => log::debug!("a signal that has no effect here"),
            }
        }
    }

    /// Gives the signals their usual effect back in the calling thread.
    ///
    /// # Errors
    /// Those of pthread_sigmask(3).
    pub(crate) fn release(&self) -> io::Result<()> {
        self.signals.unblock()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Sends `signal` to this thread alone.
    fn signal_self(signal: libc::c_int) {
        crate::sys::test::Thread::current().signal(signal);
    }

    #[test]
    fn stop_without_a_signal_is_not_requested() {
        let mut stop = Stop::on_signals().unwrap();
        assert_eq!(stop.requested().unwrap(), None);
    }

    #[test]
    fn stop_after_a_signal_is_requested_once() {
        let mut stop = Stop::on_signals().unwrap();
        for (signal, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGINT, "SIGINT")] {
            signal_self(signal);
            assert_eq!(stop.requested().unwrap(), Some(name));
            assert_eq!(stop.requested().unwrap(), None);
        }
    }

    #[test]
    fn stop_after_sighup_is_not_requested() {
        let mut stop = Stop::on_signals().unwrap();
        signal_self(libc::SIGHUP);
        assert_eq!(stop.requested().unwrap(), None);
        signal_self(libc::SIGHUP);
        signal_self(libc::SIGTERM);
        assert_eq!(stop.requested().unwrap(), Some("SIGTERM"));
    }
}
