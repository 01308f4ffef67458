// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Our own messages to the front end, on the socket that it gave us for them (SET_BACKEND_REQ_FD).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use vhost::vhost_user::message::BackendReq;

use super::message::VERSION;
use crate::sys;

/// The front end's socket for our messages. None of them is answered, so nothing is ever read.
#[derive(Debug)]
pub(super) struct BackChannel(OwnedFd);

impl BackChannel {
    /// `None` if the descriptor is no socket.
    pub(super) fn new(fd: OwnedFd) -> Option<Self> {
        let socket = UnixStream::from(fd);
        socket.local_addr().is_ok().then(|| Self(socket.into()))
    }

    /// CONFIG_CHANGE_MSG: the config space has changed.
    ///
    /// A channel that is full has this message in it already, perhaps many times: nobody waits for
    /// room in it, for the front end may be waiting for us on its other socket.
    pub(super) fn config_change(&self) -> io::Result<()> {
        let words = [u32::from(BackendReq::CONFIG_CHANGE_MSG), VERSION, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        match sys::send(self.0.as_fd(), &bytes) {
            Ok(sent) if sent == bytes.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}
