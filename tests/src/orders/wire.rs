// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whole messages on a socket, with their descriptors.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, ensure};

use super::Payload;
use crate::frontend::MAX_PAYLOAD;
use crate::sys;

const HEADER: usize = 12;

/// A message as it came, with its descriptors themselves; it says nothing of them.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) message: Payload,
    pub(super) fds: Vec<OwnedFd>,
}

/// The next message; `None` if there is none any more.
pub(super) fn receive(socket: &UnixStream) -> Result<Option<Whole>> {
    let mut fds = Vec::new();
    let Some(header) = exactly(socket, HEADER, &mut fds)? else { return Ok(None) };
    let (fields, _) = header.as_chunks();
    let [request, flags, size] = [0, 1, 2].map(|i| u32::from_ne_bytes(fields[i]));
    let size = usize::try_from(size).context("the size of a payload")?;
    ensure!(size <= MAX_PAYLOAD, "message {request} has a payload of {size} bytes");
    let Some(bytes) = exactly(socket, size, &mut fds)? else { return Ok(None) };
    let message = Payload { request, flags, bytes, descriptors: Vec::new() };
    Ok(Some(Whole { message, fds }))
}

/// Exactly `len` bytes, and the descriptors that came with them; `None` at the end.
fn exactly(socket: &UnixStream, len: usize, fds: &mut Vec<OwnedFd>) -> Result<Option<Vec<u8>>> {
    let (mut bytes, mut filled) = (vec![0; len], 0);
    while filled < len {
        match sys::receive(socket.as_fd(), &mut bytes[filled..]) {
            Ok((0, _)) => return Ok(None),
            Ok((received, more)) => {
                filled += received;
                fds.extend(more);
            }
            Err(error) if is_gone(error.kind()) => return Ok(None),
            Err(error) => return Err(error).context("receive a message"),
        }
    }
    Ok(Some(bytes))
}

/// Sends a whole message with these descriptors. Whether the other side is there to take it shows
/// when something is received.
pub(super) fn send(socket: &UnixStream, message: &Payload, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let size = u32::try_from(message.bytes.len()).context("the size of a payload")?;
    let header = [message.request, message.flags, size];
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(&message.bytes);
    let (mut left, mut fds) = (bytes.as_slice(), fds);
    while !left.is_empty() {
        match sys::send(socket.as_fd(), left, fds) {
            Ok(taken) => left = &left[taken..],
            Err(error) if is_gone(error.kind()) => return Ok(()),
            Err(error) => return Err(error).context("send a message"),
        }
        fds = &[];
    }
    Ok(())
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
