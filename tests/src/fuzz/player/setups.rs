// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whole sequences of messages, as a front end sends them that knows its protocol.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use vhost::vhost_user::message::FrontendReq as Req;

use super::super::land::{Land, QUEUES};
use super::super::rewriter::{DIRTY_LOG, IN_FLIGHT, Range};
use super::super::script::Step;
use super::messages::features;
use super::{Player, Stop};
use crate::features::{LOG_ALL, PROTOCOL_FEATURES, Protocol};
use crate::frontend::Message;
use crate::in_flight::{Geometry, InFlightRegion, VERSION};
use crate::sys::{self, Mapping};

/// How many bits a log needs for the memory below this guest address, a bit a page.
const LOGGED: u64 = 0x1_1000_0000;

impl Player<'_> {
    pub(super) fn negotiate(&mut self, step: &Step) -> Result<(), Stop> {
        self.say(&Message::new(Req::SET_OWNER), 0)?;
        self.wire.settle()?;
        let without = if step.c & 1 == 0 { 0 } else { step.c & 0xffff };
        self.features = features(step.a, self.wire.offered & !without & !LOG_ALL);
        if self.features & PROTOCOL_FEATURES != 0 {
            self.say(&Message::new(Req::GET_PROTOCOL_FEATURES), 0)?;
            self.protocol = Protocol::MQ
                | Protocol::LOG_SHMFD
                | Protocol::REPLY_ACK
                | Protocol::CONFIG
                | Protocol::BACKEND_REQ
                | Protocol::INFLIGHT_SHMFD
                | Protocol::RESET_DEVICE
                | Protocol::CONFIGURE_MEM_SLOTS
                | Protocol::STATUS;
            if step.b % 8 == 7 {
                self.protocol.remove(Protocol::REPLY_ACK | Protocol::INFLIGHT_SHMFD);
            }
            let protocol = self.protocol.bits();
            self.say(&Message::new(Req::SET_PROTOCOL_FEATURES).u64(protocol), 0)?;
        }
        self.say(&Message::new(Req::SET_FEATURES).u64(self.features), step.twist)
    }

    /// One region, two, three or all; in their order or in another.
    pub(super) fn share(&mut self, step: &Step) -> Result<(), Stop> {
        let picked: &[usize] = match step.a % 8 {
            0 => &[0],
            1 => &[0, 1],
            2 => &[0, 2, 3],
            3 => &[3, 0, 1],
            4 => &[1, 2],
            _ => &[0, 1, 2, 3],
        };
        let regions: Vec<_> = picked.iter().map(|index| &self.land.regions[*index]).collect();
        let table: Vec<_> = regions.iter().map(|region| region.described).collect();
        let files = regions.iter().map(|region| Ok(region.file.try_clone()?.into()));
        let files = files.collect::<std::io::Result<Vec<_>>>()?;
        self.land.honest &= step.twist == 0;
        self.send(&Message::mem_table(&table), files, step.twist)
    }

    pub(super) fn start_queue(&mut self, step: &Step) -> Result<(), Stop> {
        let [index, ..] = step.a.to_le_bytes();
        let (index, vring) = (index % QUEUES, u32::from(index % QUEUES));
        let [size, place, base, _] = step.b.to_le_bytes();
        let size = 1u16 << [3, 4, 5, 6, 7, 8, 10, 2][usize::from(size % 8)];
        let size = if step.c & 16 == 0 { size.min(self.queue_size) } else { size };
        let base = if base < 192 { 0 } else { u16::from_le_bytes([base, size.to_le_bytes()[0]]) };
        let which = usize::from(index);
        if step.c & 8 == 0 {
            // It may run, or have broken.
            self.say(&Message::vring(Req::GET_VRING_BASE, vring, 0), 0)?;
            self.wire.settle()?;
        }
        self.rings[which].begin(size, place.into(), base);
        self.rings[which].clear(&self.land);
        let rings = Land::rings(index, place.into());
        let [descriptors, used, available] =
            [rings.descriptors, rings.used, rings.available].map(Land::user);
        self.say(&Message::vring(Req::SET_VRING_NUM, vring, size.into()), 0)?;
        self.say(&Message::vring(Req::SET_VRING_BASE, vring, base.into()), 0)?;
        self.say(&Message::vring_addr(vring, descriptors, used, available), step.twist)?;
        for (request, bit) in [(Req::SET_VRING_CALL, 1), (Req::SET_VRING_ERR, 2)] {
            let fd = match request {
                _ if step.c & bit != 0 => continue,
                Req::SET_VRING_CALL => self.rings[which].call.as_fd().try_clone_to_owned()?,
                _ => self.rings[which].err.as_fd().try_clone_to_owned()?,
            };
            self.send(&Message::new(request).u64(index.into()), vec![fd], 0)?;
        }
        let kick = self.rings[which].kick.as_fd().try_clone_to_owned()?;
        self.send(&Message::new(Req::SET_VRING_KICK).u64(index.into()), vec![kick], 0)?;
        if self.features & PROTOCOL_FEATURES != 0 && step.c & 4 == 0 {
            self.say(&Message::vring(Req::SET_VRING_ENABLE, vring, 1), 0)?;
        }
        Ok(())
    }

    /// An in-flight region: a new one from the daemon, one of our own, or the last one again.
    pub(super) fn track(&mut self, step: &Step) -> Result<(), Stop> {
        let geometry = Geometry::of(
            u16::from(QUEUES),
            1 << [4, 6, 7, 8, 10][usize::try_from(step.b % 5).unwrap_or_default()],
        );
        if step.a.is_multiple_of(3) {
            let asked = Geometry { mmap_size: 0, ..geometry };
            self.wire.fds.clear();
            self.say(&Message::inflight(Req::GET_INFLIGHT_FD, asked), 0)?;
            self.wire.settle()?;
            self.tracked = self.wire.fds.pop().map(|fd| (fd, geometry.mmap_size));
        } else if step.a % 3 == 1 || self.tracked.is_none() {
            let file = sys::memfd(c"test-in-flight", geometry.mmap_size)?;
            if step.a & 16 != 0 {
                leave(&InFlightRegion::of(file.try_clone()?, geometry), step.c);
            }
            self.tracked = Some((file.into(), geometry.mmap_size));
        }
        let Some((fd, len)) = &self.tracked else { return Ok(()) };
        let (fd, len) = (fd.try_clone()?, *len);
        self.map(fd.try_clone()?.into(), len, IN_FLIGHT)?;
        self.send(&Message::inflight(Req::SET_INFLIGHT_FD, geometry), vec![fd], step.twist)
    }

    /// A dirty log for all memory, and the feature with which it is used; or that no more.
    pub(super) fn log(&mut self, step: &Step) -> Result<(), Stop> {
        if step.a % 4 == 3 {
            self.features &= !LOG_ALL;
        } else {
            let len = (LOGGED >> 12 >> 3) >> if step.a % 4 == 2 { 12 } else { 0 };
            let offset = u64::from(step.b % 2) * 0x1000;
            let file = sys::memfd(c"test-log", offset + len)?;
            self.map(file.try_clone()?, len, DIRTY_LOG)?;
            self.send(&Message::log_base(len, offset), vec![file.into()], step.twist)?;
            self.features |= LOG_ALL;
        }
        self.say(&Message::new(Req::SET_FEATURES).u64(self.features), 0)
    }

    /// From now on this file can be rewritten, too.
    fn map(&mut self, file: File, len: u64, kind: u32) -> Result<(), Stop> {
        if file.metadata()?.len() < len {
            return Ok(());
        }
        let len = usize::try_from(len).map_err(std::io::Error::other)?;
        let mapping = Arc::new(Mapping::new(&file, 0, len)?);
        self.extra.retain(|range| range.kind != kind);
        self.extra.push(Range { mapping, offset: 0, len, kind, slot: None });
        Ok(())
    }
}

/// What an earlier back end may have left: requests that were in flight, and a group that was being
/// given back.
fn leave(region: &InFlightRegion, c: u64) {
    let [size, marks, behind, head, counter, ..] = c.to_le_bytes();
    let size = region.geometry().queue_size.min(1 << (3 + size % 6));
    for index in 0..region.geometry().num_queues {
        let part = region.queue(index);
        part.set_version(VERSION);
        part.set_desc_num(size);
        for mark in 0..u16::from(marks % 8) {
            let head = u16::from(head).wrapping_add(mark.wrapping_mul(3));
            part.mark(
                if counter < 250 {
                    head % size
                } else {
                    head % 1024 % region.geometry().queue_size
                },
                u64::from(counter) ^ u64::from(mark),
            );
        }
        let group: Vec<u16> = (0..u16::from(1 + behind % 4)).map(|at| at % size).collect();
        part.link_batch(&group);
        part.set_used_idx(0u16.wrapping_sub((behind % 6).into()));
    }
}
