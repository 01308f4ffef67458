// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Our session, driven as a daemon's loop drives it, with a device that does nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vhost_user_device::{
    Backend, ConfigRefused, ConfigWriter, Device, DeviceQueue, Interest, Phase, Request, Session,
    StartError, Threads, Turn, VirtioFeatures,
};

use crate::device::{CONFIG, FEATURES, LONGEST, QUEUES, WRITABLE};
use crate::link::{Heard, Link};
use crate::said::Said;

/// Nothing takes that many seconds unless it never comes.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// A device that completes its requests without looking at them.
#[derive(Debug)]
pub struct Idle;

/// See [`Idle`].
#[derive(Debug)]
pub struct IdleQueue;

impl Device for Idle {
    type Queue = IdleQueue;

    const NAME: &'static str = "idle";

    fn features(&self) -> VirtioFeatures {
        VirtioFeatures::from_bits(FEATURES)
    }

    fn num_queues(&self) -> u16 {
        QUEUES
    }

    fn max_queue_size(&self) -> u16 {
        LONGEST
    }

    fn read_config(&self, offset: u32, out: &mut [u8]) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = CONFIG.get(offset..).unwrap_or_default();
        let known = rest.len().min(out.len());
        out.fill(0);
        out[..known].copy_from_slice(&rest[..known]);
    }

    fn write_config(
        &self,
        offset: u32,
        data: &[u8],
        _writer: ConfigWriter,
    ) -> Result<(), ConfigRefused> {
        if (offset, data.len()) == WRITABLE {
            Ok(())
        } else {
            Err(ConfigRefused { offset, len: data.len() })
        }
    }

    fn start_queue(&self, _index: u16, _acked: VirtioFeatures) -> IdleQueue {
        IdleQueue
    }
}

impl DeviceQueue for IdleQueue {
    fn submit(&mut self, request: Request, turn: &mut Turn<'_>) {
        turn.complete(request, 0);
    }

    fn fail(_request: &Request) -> u32 {
        0
    }
}

/// Our back end; it serves one sequence after the other.
#[derive(Debug)]
pub struct Ours(Backend<Idle>);

impl Ours {
    /// Starts its threads.
    ///
    /// # Errors
    /// The system has no thread or no descriptor more.
    pub fn start() -> Result<Self, StartError> {
        Backend::start(Arc::new(Idle), &Threads::default()).map(Self)
    }

    /// A new connection.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn connect(&mut self) -> io::Result<Served<'_>> {
        let (link, socket) = Link::pair()?;
        Ok(Served { session: self.0.connect(socket), link })
    }
}

/// One connection with our back end.
#[derive(Debug)]
pub struct Served<'b> {
    session: Session<'b, Idle>,
    link: Link,
}

impl Served<'_> {
    /// Says a message, and has the session take its turns until it was applied.
    ///
    /// # Errors
    /// The system fails us.
    pub fn say(&mut self, said: &Said, descriptors: &[OwnedFd]) -> io::Result<Heard> {
        self.link.send(&said.wire(), descriptors)?;
        self.session.on_socket();
        while self.session.interest() == Interest::Nothing && self.session.phase() != Phase::Ended {
            let acks = self.session.acks();
            let ready = poll(&mut [PollFd::new(&acks, PollFlags::IN)], Some(&PATIENCE))?;
            assert_ne!(ready, 0, "the queues do not ack: {said}");
            self.session.on_acks();
        }
        let (bytes, descriptors) = self.link.receive()?;
        Ok(Heard { bytes, descriptors, alive: self.session.phase() == Phase::Serving })
    }
}
