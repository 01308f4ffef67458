// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A session as the control loop drives it, whatever is behind it.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;

use vhost_user_device::{Backend, Device, Ended, Interest, Phase, Session};

/// What makes a session of a connection, one at a time.
pub(crate) trait Sessions {
    type Session<'s>: Drive
    where
        Self: 's;

    fn connect(&mut self, stream: UnixStream) -> Self::Session<'_>;
}

/// One connection: the loop waits for what [`Drive::interest`] and [`Drive::acks`] say, and calls.
pub(crate) trait Drive {
    fn socket(&self) -> BorrowedFd<'_>;
    fn acks(&self) -> BorrowedFd<'_>;
    fn interest(&self) -> Interest;
    fn phase(&self) -> Phase;
    fn on_socket(&mut self);
    fn on_acks(&mut self);
    fn config_changed(&mut self);
    fn end(&mut self);
    fn ended(&self) -> Option<&Ended>;
}

impl<D: Device> Sessions for Backend<D> {
    type Session<'s> = Session<'s, D>;

    fn connect(&mut self, stream: UnixStream) -> Session<'_, D> {
        self.connect(stream)
    }
}

impl<D: Device> Drive for Session<'_, D> {
    fn socket(&self) -> BorrowedFd<'_> {
        self.socket()
    }

    fn acks(&self) -> BorrowedFd<'_> {
        self.acks()
    }

    fn interest(&self) -> Interest {
        self.interest()
    }

    fn phase(&self) -> Phase {
        self.phase()
    }

    fn on_socket(&mut self) {
        self.on_socket();
    }

    fn on_acks(&mut self) {
        self.on_acks();
    }

    fn config_changed(&mut self) {
        self.config_changed();
    }

    fn end(&mut self) {
        self.end();
    }

    fn ended(&self) -> Option<&Ended> {
        self.ended()
    }
}
