// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A session as a list of steps.

use super::descriptor::Descriptor;
use crate::frontend::NEED_REPLY;

/// What a front end said in one session, and what it was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// What is known of it: a word and a text each, such as `front-end` and `QEMU 7.2.22`.
    pub about: Vec<(String, String)>,
    /// What happened, one after the other.
    pub steps: Vec<Step>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The front end connected, for the first time or anew.
    Connected,
    /// This side closed the connection.
    Closed(Side),
    /// A message on the connection. One of the back end's is an answer.
    Message(Side, Payload),
    /// A message on the back end's channel. One of the front end's is an answer.
    Channel(Side, Payload),
    /// What was done to the front end or its guest just then.
    Note(String),
}

/// The ends of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The virtual machine's.
    FrontEnd,
    /// The daemon's.
    BackEnd,
}

/// A message: its header without the size, its bytes and its descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The request's number.
    pub request: u32,
    /// The flags of the header, the version among them.
    pub flags: u32,
    /// All behind the header.
    pub bytes: Vec<u8>,
    /// What came with it.
    pub descriptors: Vec<Descriptor>,
}

impl Order {
    /// What is known by the name of `word`; nothing if it is not there.
    pub fn about(&self, word: &str) -> &str {
        let found = self.about.iter().find(|(name, _)| name == word);
        found.map_or("", |(_, text)| text.as_str())
    }

    /// The messages of the front end, in their order.
    pub fn messages(&self) -> impl Iterator<Item = &Payload> {
        self.steps.iter().filter_map(|step| match step {
            Step::Message(Side::FrontEnd, message) => Some(message),
            _ => None,
        })
    }
}

impl Payload {
    /// Whether its sender asks for an answer.
    pub fn needs_reply(&self) -> bool {
        self.flags & NEED_REPLY != 0
    }

    /// The number of 4 bytes at `offset`; zero where there are not so many.
    pub fn u32(&self, offset: usize) -> u32 {
        let bytes = self.bytes.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    /// The number of 8 bytes at `offset`; zero where there are not so many.
    pub fn u64(&self, offset: usize) -> u64 {
        let bytes = self.bytes.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }
}
