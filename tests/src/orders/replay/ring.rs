// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A virtqueue of a session, and the driver's part on it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::device::{Device, ROOM, Request};
use super::log::Log;
use super::memory::{Memory, Place, Region};
use super::things::Things;
use crate::deadline::{PATIENCE, until};
use crate::driver::Rings;
use crate::features::PROTOCOL_FEATURES;

/// What the front end has said about a vring.
#[derive(Debug, Default)]
pub(super) struct Ring {
    pub(super) size: u16,
    pub(super) base: u16,
    /// User addresses.
    pub(super) rings: Option<Rings>,
    /// Where the used ring is to be logged: its guest address.
    pub(super) logged_at: Option<u64>,
    pub(super) kick: Option<usize>,
    pub(super) call: Option<usize>,
    pub(super) enabled: bool,
    pub(super) started: bool,
    /// Where the next request goes, once the ring is in memory as a driver has it.
    position: Option<u16>,
}

/// The three parts of a ring in memory.
struct Parts {
    descriptors: Place,
    available: Place,
    used: Place,
}

/// What a driver knows of the session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'s> {
    pub(super) device: &'s Device,
    pub(super) features: u64,
    pub(super) memory: &'s Memory,
    pub(super) things: &'s Things,
    /// Where rings are: user address and length of each part.
    pub(super) taken: &'s [(u64, u64)],
    /// Where the device must log by now what it writes.
    pub(super) log: Option<&'s Log>,
}

impl Ring {
    /// Where the next request goes; where the ring stands, if it never started.
    pub(super) fn position(&self) -> u16 {
        self.position.unwrap_or(self.base)
    }

    /// The parts of the ring: user addresses and lengths.
    pub(super) fn spans(&self) -> Vec<(u64, u64)> {
        let size = u64::from(self.size);
        self.rings.map_or(Vec::new(), |rings| {
            vec![
                (rings.descriptors, 16 * size),
                (rings.available, 6 + 2 * size),
                (rings.used, 6 + 8 * size),
            ]
        })
    }

    /// SET_VRING_KICK, if it does not run yet.
    pub(super) fn start(&mut self) {
        if !self.started {
            self.started = true;
            self.position = None;
        }
    }

    /// GET_VRING_BASE.
    pub(super) fn stop(&mut self) {
        self.base = self.position();
        self.started = false;
        self.position = None;
    }

    /// RESET_DEVICE: it keeps its call descriptor alone.
    pub(super) fn reset(&mut self) {
        *self = Self { call: self.call, ..Self::default() };
    }

    /// Whether its requests are served, as far as the front end has said.
    pub(super) fn is_served(&self, index: u8, session: Session<'_>) -> bool {
        let enabled = self.enabled || session.features & PROTOCOL_FEATURES == 0;
        let kept = session.device.keeps(index, session.features);
        self.started && enabled && !kept && self.parts(session.memory).is_some()
    }

    /// Puts the ring into memory as a driver has it when it starts, once there is memory for it:
    /// all up to `base` was made available, and seen used.
    ///
    /// Of a ring whose requests the device keeps, the base may say how many were made available;
    /// there is one more.
    pub(super) fn prime(&mut self, index: u8, session: Session<'_>) -> Result<()> {
        if !self.started || self.position.is_some() {
            return Ok(());
        }
        let Some(parts) = self.parts(session.memory) else { return Ok(()) };
        let (mut used, mut available) = (self.base, self.base);
        if session.device.keeps(index, session.features) {
            let there = parts.used.load(2);
            used = if self.base.wrapping_sub(there) <= self.size { there } else { used };
            let count = (self.base.wrapping_sub(used) + 1).min(self.size);
            available = used.wrapping_add(count);
            let (region, offset) = room(session).context("find room for a buffer")?;
            let request = session.device.request(index, session.features, region.guest + offset);
            for at in (0..count).map(|at| used.wrapping_add(at)) {
                self.describe(&parts, at, at % self.size, &request);
            }
        }
        parts.available.store(0, 0);
        parts.used.store(0, 0);
        parts.used.store(2, used);
        self.ask_for_call(&parts, used);
        parts.available.store(2, available);
        self.position = Some(used);
        Ok(())
    }

    /// Sends requests until so many are behind it that `target` is the next one.
    pub(super) fn advance(&mut self, index: u8, target: u16, session: Session<'_>) -> Result<u32> {
        let mut sent = 0;
        while self.position() != target {
            let (region, _) = room(session).context("find room for a request")?;
            self.exchange(index, region, session)?;
            sent += 1;
        }
        Ok(sent)
    }

    /// Sends one request whose parts are in `region`, and sees it answered. Returns `false` if
    /// there is no room for them.
    pub(super) fn exchange(
        &mut self,
        index: u8,
        region: &Region,
        session: Session<'_>,
    ) -> Result<bool> {
        let Some(offset) = free_in(region, session) else { return Ok(false) };
        let parts = self.parts(session.memory).context("find the ring in memory")?;
        let (place, guest) = (region.place(offset), region.guest + offset);
        let request = session.device.request(index, session.features, guest);
        for (at, bytes) in &request.before {
            place.write(*at, bytes);
        }
        let written = self.written(guest, &request);
        if let Some(log) = session.log {
            written.iter().for_each(|address| log.clear(*address));
        }
        let position = self.position();
        self.ask_for_call(&parts, position);
        self.describe(&parts, position, 0, &request);
        let next = position.wrapping_add(1);
        parts.available.store(2, next);
        if let Some(kick) = self.kick {
            session.things.signal(kick)?;
        }
        until(&format!("queue {index} to use request {position}"), || {
            (parts.used.load(2) == next).then_some(())
        });
        self.position = Some(next);

        let element = parts.used.read(4 + 8 * usize::from(position % self.size), 8);
        let expected = [0, request.written].map(u32::to_le_bytes).concat();
        ensure!(element == expected, "queue {index}: used {element:?}, not {expected:?}");
        for (at, bytes) in &request.after {
            let there = place.read(*at, bytes.len());
            ensure!(there == *bytes, "queue {index}: the answer is {there:?}, not {bytes:?}");
        }
        if let Some(log) = session.log {
            for address in written {
                until(&format!("the page of {address:#x} in the log"), || {
                    log.has(address).then_some(())
                });
            }
        }
        Ok(true)
    }

    /// Takes what the back end has called so far.
    pub(super) fn forget_calls(&self, things: &Things) -> Result<()> {
        let Some(call) = self.call else { return Ok(()) };
        while things.notified(call, Duration::ZERO)? {}
        Ok(())
    }

    /// Waits for the call of the last request, if the driver is called at all.
    pub(super) fn expect_call(&self, index: u8, things: &Things) -> Result<()> {
        let Some(call) = self.call else { return Ok(()) };
        ensure!(things.notified(call, PATIENCE)?, "queue {index}: the driver was not called");
        Ok(())
    }

    /// Guest addresses of what a device writes when it serves the request.
    fn written(&self, guest: u64, request: &Request) -> Vec<u64> {
        let answers = request.after.iter().map(|(at, _)| guest + *at as u64);
        answers.chain(self.logged_at).collect()
    }

    /// The next used element is to be called for, if the driver acked EVENT_IDX; otherwise each is
    /// (virtio 1.3, sections 2.7.7 and 2.7.10).
    fn ask_for_call(&self, parts: &Parts, position: u16) {
        parts.available.store(4 + 2 * usize::from(self.size), position);
    }

    /// Puts the request into the descriptor table from `head` on, and makes it available at
    /// `position` without telling so.
    fn describe(&self, parts: &Parts, position: u16, head: u16, request: &Request) {
        let last = request.segments.len() - 1;
        for ((at, segment), index) in request.segments.iter().enumerate().zip(head..) {
            let descriptor = if at == last { segment.last() } else { segment.before(index + 1) };
            parts.descriptors.write(16 * usize::from(index), &descriptor.bytes());
        }
        parts.available.store(4 + 2 * usize::from(position % self.size), head);
    }

    fn parts(&self, memory: &Memory) -> Option<Parts> {
        let spans = self.spans();
        let [descriptors, available, used] = spans.as_slice() else { return None };
        let place = |(user, len): &(u64, u64)| memory.of_user(*user, *len);
        Some(Parts {
            descriptors: place(descriptors)?,
            available: place(available)?,
            used: place(used)?,
        })
    }
}

/// A region with room for a request, and where the room is.
fn room(session: Session<'_>) -> Option<(&Region, u64)> {
    session.memory.regions().iter().find_map(|region| Some((region, free_in(region, session)?)))
}

/// Where in the region a request has room: pages from its end that no ring is in.
fn free_in(region: &Region, session: Session<'_>) -> Option<u64> {
    let last = region.len.checked_sub(ROOM)? / ROOM;
    (0..=last).rev().map(|page| page * ROOM).find(|offset| {
        let start = region.user + offset;
        let apart = |(user, len): &(u64, u64)| user + len <= start || start + ROOM <= *user;
        session.taken.iter().all(apart)
    })
}
