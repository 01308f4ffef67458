// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A connection, and what the front end has said on it.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vhost::vhost_user::message::FrontendReq as Req;

use super::device::Device;
use super::log::Log;
use super::memory::Memory;
use super::ring::{Ring, Session};
use super::things::Things;
use crate::deadline::Deadline;
use crate::driver::Rings;
use crate::frontend::VERSION;
use crate::orders::wire::{self, Whole};
use crate::orders::{Payload, Side, name};

/// In the payload of SET_VRING_KICK, SET_VRING_CALL and SET_VRING_ERR: there is no descriptor.
const NO_DESCRIPTOR: u64 = 1 << 8;
/// In the flags of SET_VRING_ADDR: what is written to the used ring is to be logged.
const LOG_USED_RING: u32 = 1;

/// A connection, and what was said on it.
pub(super) struct Line {
    pub(super) socket: UnixStream,
    pub(super) memory: Memory,
    pub(super) features: u64,
    pub(super) log: Option<Log>,
    /// The number of the descriptor that the back end has for its own requests.
    pub(super) channel: Option<usize>,
    pub(super) rings: BTreeMap<u8, Ring>,
}

impl Line {
    pub(super) fn new(socket: UnixStream) -> Self {
        let (memory, rings) = (Memory::default(), BTreeMap::new());
        Self { socket, memory, features: 0, log: None, channel: None, rings }
    }

    pub(super) fn ring(&mut self, index: u8) -> &mut Ring {
        self.rings.entry(index).or_default()
    }

    /// What the message changes for the driver, who has to know it before the back end does.
    pub(super) fn apply(
        &mut self,
        request: Req,
        message: &Payload,
        device: &Device,
        things: &Things,
    ) -> Result<()> {
        self.memory.apply(request, message, things)?;
        let index = u8::try_from(message.u32(0) & 0xff).unwrap_or_default();
        let number = || u16::try_from(message.u32(4)).context("a number of 16 bits");
        let has_none = message.u64(0) & NO_DESCRIPTOR != 0;
        let fd = || (!has_none).then(|| message.descriptors.first().map(|fd| fd.number)).flatten();
        match request {
            Req::SET_FEATURES => self.features = message.u64(0),
            Req::SET_VRING_NUM => self.ring(index).size = number()?,
            Req::SET_VRING_BASE => self.ring(index).base = number()?,
            Req::SET_VRING_ADDR => {
                let [descriptors, used, available] = [8, 16, 24].map(|at| message.u64(at));
                let ring = self.ring(index);
                ring.rings = Some(Rings { descriptors, available, used });
                ring.logged_at = (message.u32(4) & LOG_USED_RING != 0).then(|| message.u64(32));
            }
            Req::SET_VRING_CALL => self.ring(index).call = fd(),
            Req::SET_VRING_ENABLE => self.ring(index).enabled = message.u32(4) != 0,
            Req::SET_VRING_KICK => {
                let ring = self.ring(index);
                ring.kick = fd();
                ring.start();
            }
            Req::SET_LOG_BASE => self.log = Some(Log::of(message, things)?),
            Req::SET_BACKEND_REQ_FD => {
                self.channel = message.descriptors.first().map(|fd| fd.number);
            }
            Req::RESET_DEVICE => {
                self.features = 0;
                self.rings.values_mut().for_each(Ring::reset);
            }
            _ => {}
        }
        self.prime(device, things)
    }

    /// Where rings are in memory.
    pub(super) fn taken(&self) -> Vec<(u64, u64)> {
        self.rings.values().flat_map(Ring::spans).collect()
    }

    /// Puts rings into memory that have just started, or for which there is memory now.
    fn prime(&mut self, device: &Device, things: &Things) -> Result<()> {
        let (taken, features, memory) = (self.taken(), self.features, &self.memory);
        let session = Session { device, features, memory, things, taken: &taken, log: None };
        self.rings.iter_mut().try_for_each(|(index, ring)| ring.prime(*index, session))
    }

    pub(super) fn answer(&self) -> Result<Whole> {
        ensure!(Deadline::new().readable(&self.socket), "it is not answered");
        wire::receive(&self.socket)?.context("the back end has closed the connection")
    }

    /// Waits until the back end has done all that it was told. It must have said nothing since the
    /// last answer.
    pub(super) fn settle(&self) -> Result<()> {
        let nothing_more = Deadline::after(Duration::ZERO);
        ensure!(!nothing_more.readable(&self.socket), "the back end says something unasked");
        let request = Req::GET_FEATURES.into();
        let (bytes, descriptors) = (Vec::new(), Vec::new());
        let question = Payload { request, flags: VERSION, bytes, descriptors };
        wire::send(&self.socket, &question, &[])?;
        let answered = self.answer().context("ask for the features")?.message.request;
        let said = name(Side::FrontEnd, answered);
        ensure!(answered == request, "{said} is answered, for which there was no answer before");
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A child that is just being made by another thread has a copy of the socket for a moment.
        // If the back end has left before, there is nobody to tell.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
