// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A virtio file system device (virtio 1.3, section 5.11): requests of its virtqueues are served by a
//! [`Server`].
//!
//! Queue 0 is for requests that must not wait for others (FORGET), the rest for all others. Each request
//! is tried on the thread of its queue. One that would wait for storage is served again on a thread that
//! may, so that it holds up no other; one that waits for a lock is kept and tried again, so that it holds
//! no thread.

mod chain;
mod parking;
mod queue;

use std::io;
use std::sync::Arc;

use vhost_user_device::{Device, Engine, VirtioFeatures};

use crate::filesystem::FileSystem;
use crate::server::Server;
use parking::Unlocks;

pub use queue::FsQueue;

/// The way in for a fuzz target, which has a ring and no thread. Only its build has it.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    use vhost_user_device::Request;

    use crate::filesystem::FileSystem;
    use crate::server::{Outcome, Server};

    /// Serves the request that a chain is.
    pub fn serve<F: FileSystem>(server: &Server<F>, request: &Request, may_wait: bool) -> Outcome {
        super::queue::serve(server, request, may_wait)
    }
}

/// Bytes of a tag (`virtio_fs_config`).
const TAG_LEN: usize = 36;

/// What the device is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsConfig {
    /// By which name the driver mounts it. Without one the front end has to know.
    pub tag: Option<Tag>,
    /// Queues for requests, 1 to 63.
    pub request_queues: u16,
    /// The longest virtqueue that a front end may set, in descriptors: a power of two.
    pub queue_size: u16,
    /// Threads for requests that wait for storage, at least 1.
    pub threads: usize,
}

/// The name of a file system: 1 to 36 bytes of UTF-8, without a NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

/// Text that is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag has 1 to {TAG_LEN} bytes, and no NUL")]
pub struct TagError;

impl TryFrom<String> for Tag {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, TagError> {
        match text.len() {
            1..=TAG_LEN if !text.contains('\0') => Ok(Self(text)),
            _ => Err(TagError),
        }
    }
}

/// A file system as a device.
#[derive(Debug)]
pub struct Fs<F> {
    server: Arc<Server<F>>,
    config: FsConfig,
    unlocks: Arc<Unlocks>,
}

impl<F: FileSystem> Fs<F> {
    /// The device `config` whose requests `server` answers.
    pub fn new(server: Server<F>, config: FsConfig) -> Self {
        Self { server: Arc::new(server), config, unlocks: Arc::default() }
    }
}

impl<F: FileSystem> Device for Fs<F> {
    type Queue = FsQueue<F>;

    const NAME: &'static str = "fs";

    fn features(&self) -> VirtioFeatures {
        VirtioFeatures::default()
    }

    fn num_queues(&self) -> u16 {
        1 + self.config.request_queues
    }

    fn max_queue_size(&self) -> u16 {
        self.config.queue_size
    }

    fn has_config(&self) -> bool {
        self.config.tag.is_some()
    }

    fn read_config(&self, offset: u32, out: &mut [u8]) {
        let mut space = [0; TAG_LEN + 4];
        let tag = self.config.tag.as_ref().map_or("", |tag| &tag.0).as_bytes();
        for (place, byte) in space.iter_mut().zip(tag) {
            *place = *byte;
        }
        let queues = u32::from(self.config.request_queues).to_le_bytes();
        for (place, byte) in space.iter_mut().skip(TAG_LEN).zip(queues) {
            *place = byte;
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = space.iter().copied().skip(from).chain(std::iter::repeat(0));
        for (place, byte) in out.iter_mut().zip(there) {
            *place = byte;
        }
    }

    fn engine(&self) -> Engine {
        Engine::Threads
    }

    fn num_threads(&self) -> usize {
        self.config.threads
    }

    fn prepare_thread(&self) -> io::Result<()> {
        self.server.file_system().prepare_thread()
    }

    fn reset(&self) {
        self.server.end();
    }

    fn start_queue(&self, index: u16, _acked: VirtioFeatures) -> FsQueue<F> {
        FsQueue::new(index, Arc::clone(&self.server), Arc::clone(&self.unlocks))
    }
}
