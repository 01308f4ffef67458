// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The twelve bytes that every message and every reply begins with.

use vhost::vhost_user::message::{FrontendReq, VhostUserHeaderFlag};

/// The longest payload that is taken, in bytes.
pub(crate) const MAX_PAYLOAD: usize = 4096;

/// The version that every message's flags carry.
pub(crate) const VERSION: u32 = 1;

/// The fixed part of every message: request, flags and payload size, 32 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) request: u32,
    flags: u32,
    pub(crate) payload: usize,
}

/// What is wrong with a header: where the next message begins is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("message {request} has flags {flags:#x}, which are not those of a request")]
    Flags { request: u32, flags: u32 },
    #[error("message {request} has a payload of {payload} bytes, more than {MAX_PAYLOAD}")]
    TooLong { request: u32, payload: u32 },
}

impl Header {
    /// Bytes of a header.
    pub(crate) const SIZE: usize = 12;

    pub(crate) fn parse(bytes: [u8; Self::SIZE]) -> Result<Self, HeaderError> {
        let [request, flags, payload] = words(bytes);
        let reply = VhostUserHeaderFlag::REPLY.bits();
        if flags & 3 != VERSION || flags & reply != 0 {
            return Err(HeaderError::Flags { request, flags });
        }
        match usize::try_from(payload) {
            Ok(size) if size <= MAX_PAYLOAD => Ok(Self { request, flags, payload: size }),
            _ => Err(HeaderError::TooLong { request, payload }),
        }
    }

    /// Whether the front end wants to hear whether the message was applied.
    pub(crate) fn needs_reply(&self) -> bool {
        self.flags & VhostUserHeaderFlag::NEED_REPLY.bits() != 0
    }

    /// Whether the message is answered in any case, with a payload that has no word for a refusal.
    pub(crate) fn has_own_reply(&self) -> bool {
        let name = FrontendReq::try_from(self.request);
        matches!(
            name,
            Ok(FrontendReq::GET_VRING_BASE
                | FrontendReq::GET_CONFIG
                | FrontendReq::SET_LOG_BASE
                | FrontendReq::GET_INFLIGHT_FD)
        )
    }

    /// The message's name for the log.
    pub(crate) fn name(&self) -> String {
        match FrontendReq::try_from(self.request) {
            Ok(name) => format!("{name:?}"),
            Err(_) => format!("message {}", self.request),
        }
    }

    /// The bytes of a whole reply to this message.
    pub(crate) fn reply(&self, payload: &[u8]) -> Vec<u8> {
        let flags = VERSION | VhostUserHeaderFlag::REPLY.bits();
        // Replies are as short as requests.
        let len = u32::try_from(payload.len()).unwrap_or(0);
        let words = [self.request, flags, len];
        words.iter().flat_map(|word| word.to_ne_bytes()).chain(payload.iter().copied()).collect()
    }
}

/// The three words of a header, in the byte order of the machine, as all of vhost-user is.
fn words(bytes: [u8; Header::SIZE]) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_ne_bytes)
}
