// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One message after the other.

use std::os::fd::{AsFd, OwnedFd};

use vhost::vhost_user::message::{FrontendReq as Req, VhostUserMemoryRegion};

use super::super::land::{LEN, Land, QUEUES};
use super::super::script::{Act, Step};
use super::super::twist::edge;
use super::{Player, Stop};
use crate::features::{EVENT_IDX, LOG_ALL, PROTOCOL_FEATURES, Protocol, VERSION_1};
use crate::frontend::{Message, VRING_F_LOG};
use crate::in_flight::Geometry;
use crate::sys;

/// All virtio features that a block device may offer, as a driver acks them that takes all.
const ALL: u64 = VERSION_1
    | EVENT_IDX
    | crate::features::INDIRECT_DESC
    | crate::features::SEG_MAX
    | crate::features::BLK_SIZE
    | crate::features::FLUSH
    | crate::features::TOPOLOGY
    | crate::features::CONFIG_WCE
    | crate::features::DISCARD
    | crate::features::WRITE_ZEROES
    | crate::features::MQ;

/// Features of the kind `kind`, out of `offered`.
pub(super) fn features(kind: u32, offered: u64) -> u64 {
    let wanted = match kind % 8 {
        0..=2 => ALL | PROTOCOL_FEATURES,
        3 => (ALL & !EVENT_IDX) | PROTOCOL_FEATURES,
        4 => VERSION_1 | PROTOCOL_FEATURES,
        5 => ALL,
        6 => ALL | PROTOCOL_FEATURES | LOG_ALL,
        _ => VERSION_1 | EVENT_IDX | PROTOCOL_FEATURES,
    };
    wanted & offered
}

impl Player<'_> {
    pub(super) fn message(&mut self, step: &Step) -> Result<(), Stop> {
        match step.act {
            Act::SetVringNum
            | Act::SetVringBase
            | Act::GetVringBase
            | Act::SetVringAddr
            | Act::SetVringEnable => self.about_queue(step),
            Act::SetVringKick | Act::SetVringCall | Act::SetVringErr => self.notifier(step),
            Act::AddRegion | Act::RemoveRegion => self.region(step),
            Act::GetInflight
            | Act::SetInflight
            | Act::SetLogBase
            | Act::SetLogFd
            | Act::SetBackendReqFd => self.with_file(step),
            _ => self.plain(step),
        }
    }

    /// Messages with a number at most.
    fn plain(&mut self, step: &Step) -> Result<(), Stop> {
        let Step { a, b, c, twist, .. } = *step;
        let bytes = vec![a.to_le_bytes()[0]; usize::try_from(b % 300).unwrap_or_default()];
        let message = match step.act {
            Act::SetFeatures => {
                self.features = if a == 99 { c } else { features(a, u64::MAX) & !(c & LOG_ALL) };
                Message::new(Req::SET_FEATURES).u64(self.features)
            }
            Act::SetOwner => Message::new(Req::SET_OWNER),
            Act::ResetOwner => Message::new(Req::RESET_OWNER),
            Act::ResetDevice => Message::new(Req::RESET_DEVICE),
            Act::GetProtocolFeatures => Message::new(Req::GET_PROTOCOL_FEATURES),
            Act::SetProtocolFeatures => {
                let all = Protocol::all().bits();
                Message::new(Req::SET_PROTOCOL_FEATURES).u64(if a == 99 { c } else { all & !c })
            }
            Act::GetQueueNum => Message::new(Req::GET_QUEUE_NUM),
            Act::GetMaxMemSlots => Message::new(Req::GET_MAX_MEM_SLOTS),
            Act::GetStatus => Message::new(Req::GET_STATUS),
            Act::SetStatus => Message::new(Req::SET_STATUS).u64(c),
            Act::GetConfig => Message::config(Req::GET_CONFIG, a, b, &bytes),
            Act::SetConfig => {
                let size = u32::try_from(bytes.len()).unwrap_or_default();
                let [value, flags, ..] = c.to_le_bytes();
                let head = Message::new(Req::SET_CONFIG).u32(a).u32(size).u32((flags % 4).into());
                head.bytes(&vec![value; bytes.len()])
            }
            Act::AnyMessage => Message::numbered(a).bytes(&bytes),
            _ => Message::new(Req::GET_FEATURES),
        };
        self.say(&message, twist)
    }

    fn about_queue(&mut self, step: &Step) -> Result<(), Stop> {
        let Step { a, b, c, twist, .. } = *step;
        let low = u32::try_from(c & 0xffff_ffff).unwrap_or_default();
        let message = match step.act {
            Act::SetVringNum => {
                let size = if b == 0 { low } else { 1 << (b % 12) };
                Message::vring(Req::SET_VRING_NUM, a, size)
            }
            Act::SetVringBase => Message::vring(Req::SET_VRING_BASE, a, low),
            Act::GetVringBase => Message::vring(Req::GET_VRING_BASE, a, 0),
            Act::SetVringEnable => Message::vring(Req::SET_VRING_ENABLE, a, b),
            _ => {
                let [index, ..] = a.to_le_bytes();
                let rings = Land::rings(index, b);
                let mut places = [rings.descriptors, rings.used, rings.available].map(Land::user);
                // One of them elsewhere, perhaps.
                if let Some(place) = places.get_mut(usize::from(c.to_le_bytes()[7] % 8)) {
                    *place = if b & 0x100 == 0 { *place } else { edge(b >> 9) ^ (c & 0xfff) };
                }
                let flags = if c & 1 == 0 { 0 } else { VRING_F_LOG };
                Message::vring_addr_logged(a, places, flags, c & !0xff)
            }
        };
        self.say(&message, twist)
    }

    fn notifier(&mut self, step: &Step) -> Result<(), Stop> {
        let request = match step.act {
            Act::SetVringKick => Req::SET_VRING_KICK,
            Act::SetVringCall => Req::SET_VRING_CALL,
            _ => Req::SET_VRING_ERR,
        };
        let [index, ..] = step.a.to_le_bytes();
        let fd = match step.b {
            0 => {
                let ring = self.ring(step.a);
                let own = match step.act {
                    Act::SetVringKick => &ring.kick,
                    Act::SetVringCall => &ring.call,
                    _ => &ring.err,
                };
                Some(own.as_fd().try_clone_to_owned()?)
            }
            1 => None,
            kind => Some(self.things.make(kind)?),
        };
        let message = match fd {
            Some(_) => Message::new(request).u64(index.into()),
            None => Message::vring_descriptor(request, index, None::<&OwnedFd>),
        };
        self.send(&message, fd.into_iter().collect(), step.twist)
    }

    fn region(&mut self, step: &Step) -> Result<(), Stop> {
        let Step { a, b, c, twist, .. } = *step;
        let count = self.land.regions.len();
        let region = &self.land.regions[usize::try_from(a).unwrap_or_default() % count];
        let told = region.described;
        let (guest, len, user, offset) =
            (told.guest_phys_addr, told.memory_size, told.user_addr, told.mmap_offset);
        let odd = edge(b >> 3) ^ (c & 0xffff);
        let small = |number: u64| {
            let at = number % 512 * 0x1000;
            VhostUserMemoryRegion::new((1 << 33) + at, 0x1000, (1 << 40) + at, at % LEN)
        };
        let described = match b % 8 {
            _ if b == 0 => vec![told],
            1 => vec![VhostUserMemoryRegion::new(odd, len, user, offset)],
            2 => vec![VhostUserMemoryRegion::new(guest, odd, user, offset)],
            3 => vec![VhostUserMemoryRegion::new(guest, len, odd, offset)],
            4 => vec![VhostUserMemoryRegion::new(guest, len, user, odd)],
            5 | 6 => vec![small(c)],
            // As many as there may be, side by side, and some.
            _ => (0..u64::from(b >> 3) % 600).map(small).collect(),
        };
        let file = region.file.try_clone()?;
        self.land.honest &= b == 0 && twist == 0;
        for described in described {
            let (request, fds) = match step.act {
                Act::AddRegion => (Req::ADD_MEM_REG, vec![file.try_clone()?.into()]),
                _ => (Req::REM_MEM_REG, Vec::new()),
            };
            self.send(&Message::mem_region(request, &described), fds, twist)?;
        }
        Ok(())
    }

    fn with_file(&mut self, step: &Step) -> Result<(), Stop> {
        let Step { a, b, c, twist, .. } = *step;
        let short = |number: u32| u16::try_from(number % 0x1_0000).unwrap_or_default();
        let message = match step.act {
            Act::GetInflight => {
                let geometry = Geometry {
                    mmap_size: c,
                    mmap_offset: 0,
                    num_queues: short(a),
                    queue_size: short(b),
                };
                return self.say(&Message::inflight(Req::GET_INFLIGHT_FD, geometry), twist);
            }
            Act::SetInflight => {
                let geometry = Geometry {
                    mmap_offset: c % 3 * 0x1000,
                    ..Geometry::of(short(a) % 8, 1 << (c % 9))
                };
                Message::inflight(Req::SET_INFLIGHT_FD, geometry)
            }
            Act::SetLogBase => Message::log_base(c, u64::from(a) % 3 * 0x1000),
            Act::SetLogFd => Message::new(Req::SET_LOG_FD),
            _ => Message::new(Req::SET_BACKEND_REQ_FD),
        };
        let fd = match b {
            0 => sys::memfd(c"any", u64::from(QUEUES) << 20)?.into(),
            kind => self.things.make(kind)?,
        };
        self.send(&message, vec![fd], twist)
    }
}
