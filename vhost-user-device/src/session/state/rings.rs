// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The messages about one virtqueue.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{Answer, Effect, Refusal, State, Vring};
use crate::Device;
use crate::queue::Command;
use crate::ring::{Inflight, RingAddresses};
use crate::sys::Notifier;

impl<D: Device> State<D> {
    pub(super) fn set_vring_num(&mut self, index: u32, num: u32) -> Result<Effect, Refusal> {
        let max = self.device.max_queue_size();
        let size = u16::try_from(num).ok().filter(|size| size.is_power_of_two() && *size <= max);
        let size = size.ok_or(Refusal::Size { index, num, max })?;
        self.stopped_vring(index)?.size = size;
        Ok(Effect::default())
    }

    /// On a running ring (QEMU sends it when a migration begins and ends) this changes pointers and
    /// where the used ring is logged, never indices.
    pub(super) fn set_vring_addr(
        &mut self,
        index: u32,
        addresses: RingAddresses,
        log: Option<u64>,
    ) -> Result<Effect, Refusal> {
        if !addresses.are_aligned() {
            return Err(Refusal::Misaligned { index, addresses });
        }
        self.change(index, |vring| {
            vring.addresses = Some(addresses);
            vring.log = log;
        })
    }

    pub(super) fn set_vring_base(&mut self, index: u32, base: u32) -> Result<Effect, Refusal> {
        let next_avail = u16::try_from(base).map_err(|_| Refusal::Base { index, base })?;
        self.stopped_vring(index)?.next_avail = next_avail;
        Ok(Effect::default())
    }

    pub(super) fn get_vring_base(&mut self, index: u32) -> Result<Effect, Refusal> {
        let (queue, vring) = self.vring(index)?;
        vring.kick = None;
        let started = std::mem::take(&mut vring.started);
        let commands = if started { vec![(queue, Command::Stop)] } else { Vec::new() };
        Ok(Effect { commands, answer: Answer::Base(queue) })
    }

    /// Starts the ring, or replaces the descriptor of one that runs.
    pub(super) fn set_vring_kick(
        &mut self,
        index: u32,
        fd: Option<OwnedFd>,
    ) -> Result<Effect, Refusal> {
        let Vring { size, started, .. } = *self.vring(index)?.1;
        if size == 0 {
            return Err(Refusal::NoSize { index });
        }
        let room = self.inflight_room(index).filter(|room| *room < size);
        if let Some(room) = room.filter(|_| !started) {
            return Err(Refusal::InflightRoom { index, size, room });
        }
        let kick = notifier(index, fd)?;
        let terms = self.terms();
        let inflight = self.inflight.clone();
        let (queue, vring) = self.vring(index)?;
        vring.kick = kick;
        let (setup, next_avail) = (vring.setup(&terms), vring.next_avail);
        let command = if std::mem::replace(&mut vring.started, true) {
            Command::Update(setup)
        } else {
            if setup.ring.is_none() {
                log::debug!("queue {index}: its addresses do not translate yet");
            }
            let inflight = inflight.and_then(|region| Inflight::new(&region, queue));
            Command::Start { setup, next_avail, inflight }
        };
        Ok(Effect { commands: vec![(queue, command)], answer: Answer::Success })
    }

    pub(super) fn set_vring_call(
        &mut self,
        index: u32,
        fd: Option<OwnedFd>,
    ) -> Result<Effect, Refusal> {
        let call = notifier(index, fd)?;
        self.change(index, |vring| vring.call = call)
    }

    pub(super) fn set_vring_err(
        &mut self,
        index: u32,
        fd: Option<OwnedFd>,
    ) -> Result<Effect, Refusal> {
        let err = notifier(index, fd)?;
        self.change(index, |vring| vring.err = err)
    }

    pub(super) fn set_vring_enable(&mut self, index: u32, value: u32) -> Result<Effect, Refusal> {
        if value > 1 {
            return Err(Refusal::Enable { index, value });
        }
        self.change(index, |vring| vring.enabled = value == 1)
    }

    fn vring(&mut self, index: u32) -> Result<(u16, &mut Vring), Refusal> {
        let count = self.vrings.len();
        let queue = u16::try_from(index).ok();
        queue
            .and_then(|queue| Some((queue, self.vrings.get_mut(usize::from(queue))?)))
            .ok_or(Refusal::NoQueue { index, count })
    }

    fn stopped_vring(&mut self, index: u32) -> Result<&mut Vring, Refusal> {
        let (_, vring) = self.vring(index)?;
        if vring.started { Err(Refusal::Running { index }) } else { Ok(vring) }
    }

    /// Changes what is said about a queue, and tells it if it runs.
    fn change(&mut self, index: u32, change: impl FnOnce(&mut Vring)) -> Result<Effect, Refusal> {
        let terms = self.terms();
        let (queue, vring) = self.vring(index)?;
        change(vring);
        let command = vring.started.then(|| (queue, Command::Update(vring.setup(&terms))));
        Ok(Effect { commands: command.into_iter().collect(), answer: Answer::Success })
    }
}

/// What a queue is notified by, or notifies by.
fn notifier(index: u32, fd: Option<OwnedFd>) -> Result<Option<Arc<Notifier>>, Refusal> {
    let Some(fd) = fd else { return Ok(None) };
    let notifier = Notifier::new(fd).ok_or(Refusal::Descriptor { index })?;
    Ok(Some(Arc::new(notifier)))
}
