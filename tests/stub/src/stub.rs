// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The device: features, config space, and which queue is for what.

use vhost_user_device::{Device, DeviceQueue, Request, Turn, VirtioFeatures, WhenDisabled};

use crate::args::Kind;
use crate::{fs, net};

/// A device with nothing behind it.
pub(crate) struct Stub(Kind);

impl Stub {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(kind)
    }
}

impl Device for Stub {
    type Queue = StubQueue;
    const NAME: &'static str = "stub";

    fn features(&self) -> VirtioFeatures {
        match self.0 {
            Kind::Net => net::features(),
            Kind::Fs => VirtioFeatures::default(),
        }
    }

    fn num_queues(&self) -> u16 {
        match self.0 {
            Kind::Net => net::QUEUES,
            Kind::Fs => fs::QUEUES,
        }
    }

    fn max_queue_size(&self) -> u16 {
        1024
    }

    fn read_config(&self, offset: u32, out: &mut [u8]) {
        let space = match self.0 {
            Kind::Net => net::config_space(),
            Kind::Fs => fs::config_space(),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let said = space.iter().skip(from).copied().chain(std::iter::repeat(0));
        out.iter_mut().zip(said).for_each(|(to, byte)| *to = byte);
    }

    fn start_queue(&self, index: u16, acked: VirtioFeatures) -> StubQueue {
        StubQueue {
            kind: self.0,
            role: match self.0 {
                Kind::Net => net::role(index, acked),
                Kind::Fs => Role::FileSystem,
            },
            kept: Vec::new(),
        }
    }
}

/// What becomes of the requests of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// They are kept, since nothing comes that could be put into them.
    Receive,
    /// They are taken, and forgotten.
    Transmit,
    /// They are commands, and all of them succeed.
    Control,
    /// They are FUSE requests, and none of them succeeds.
    FileSystem,
}

pub(crate) struct StubQueue {
    kind: Kind,
    role: Role,
    kept: Vec<Request>,
}

impl DeviceQueue for StubQueue {
    const WHEN_DISABLED: WhenDisabled = WhenDisabled::Leave;

    fn submit(&mut self, request: Request, turn: &mut Turn<'_>) {
        let written = match self.role {
            Role::Receive => return self.kept.push(request),
            Role::Transmit => 0,
            Role::Control => net::ack(&request),
            Role::FileSystem => fs::refuse(&request),
        };
        turn.complete(request, written);
    }

    /// The buffers that nothing was put into go back to the driver, the newest first.
    fn cancel(&mut self, turn: &mut Turn<'_>) {
        while let Some(request) = self.kept.pop() {
            if let Err(request) = turn.hand_back(request) {
                turn.complete(request, 0);
            }
        }
    }

    fn fail(_request: &Request) -> u32 {
        0
    }
}

impl Drop for StubQueue {
    fn drop(&mut self) {
        debug_assert!(self.kept.is_empty(), "{:?} queue ends with requests", self.kind);
    }
}
