// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A socket that takes its time to be closed.

use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys;

/// Longer than anybody here waits.
const SECONDS: i32 = 60;

/// A connected socket with bytes on their way that its other end does not take, and SO_LINGER:
/// whoever closes it last waits for long.
#[derive(Debug)]
pub struct Lingering(TcpStream);

/// The other end. While it is there, it takes nothing.
#[derive(Debug)]
#[must_use = "without its other end no socket waits for anything"]
pub struct OtherEnd(#[expect(dead_code, reason = "it is there")] TcpStream);

impl Lingering {
    /// Such a socket, and its other end.
    pub fn new() -> (Self, OtherEnd) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on the loopback");
        let address = listener.local_addr().expect("the address of a socket");
        let socket = TcpStream::connect(address).expect("connect over the loopback");
        let (other, _) = listener.accept().expect("accept a connection");
        socket.set_nonblocking(true).expect("make a socket non-blocking");
        let error = loop {
            if let Err(error) = (&socket).write(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        socket.set_nonblocking(false).expect("make a socket blocking");
        sys::linger(&socket, SECONDS).expect("set SO_LINGER");
        (Self(socket), OtherEnd(other))
    }
}

impl AsFd for Lingering {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
