// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a connection has negotiated, and what each message does to it.
//!
//! A message changes the state and says what the queues must be told; it is answered when they
//! all have acked. No rule here depends on the order that one front end happens to keep: QEMU
//! sends SET_VRING_ENABLE before SET_FEATURES, negotiates twice, enables rings that it never
//! starts, and removes a memory region before it adds its successor.

mod refusal;
mod rings;
mod vring;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};

use super::back_channel::BackChannel;
use super::message::{FileRange, MAX_PAYLOAD, Message};
use crate::memory::{DirtyLog, MAX_MEM_SLOTS, MemoryMap};
use crate::queue::Command;
use crate::ring::{InflightRegion, InflightShape, new_region, region_len};
use crate::sys::Notifier;
use crate::{ConfigWriter, Device, VirtioFeatures};
use vring::{Terms, Vring};

pub(super) use refusal::Refusal;

/// The features of the transport and of the ring, offered for every device.
const RING_FEATURES: VirtioFeatures = VirtioFeatures::from_bits(0)
    .with(VIRTIO_F_VERSION_1)
    .with(VIRTIO_RING_F_INDIRECT_DESC)
    .with(VIRTIO_RING_F_EVENT_IDX);

/// VHOST_USER_F_PROTOCOL_FEATURES.
const PROTOCOL_FEATURES: VirtioFeatures =
    VirtioFeatures::from_bits(VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits());

/// VHOST_F_LOG_ALL: what is written to guest memory is logged.
const LOG_ALL: VirtioFeatures = VirtioFeatures::from_bits(VhostUserVirtioFeatures::LOG_ALL.bits());

/// The protocol features that are offered. BACKEND_REQ is among them because User-Mode Linux
/// does not probe a device without it.
const OFFERED_PROTOCOL: VhostUserProtocolFeatures = VhostUserProtocolFeatures::MQ
    .union(VhostUserProtocolFeatures::LOG_SHMFD)
    .union(VhostUserProtocolFeatures::REPLY_ACK)
    .union(VhostUserProtocolFeatures::BACKEND_REQ)
    .union(VhostUserProtocolFeatures::CONFIG)
    .union(VhostUserProtocolFeatures::INFLIGHT_SHMFD)
    .union(VhostUserProtocolFeatures::RESET_DEVICE)
    .union(VhostUserProtocolFeatures::CONFIGURE_MEM_SLOTS)
    .union(VhostUserProtocolFeatures::STATUS);

/// The longest dirty log in bytes: a bit for each page of 52-bit guest addresses.
const MAX_LOG: u64 = 1 << 37;

/// Bytes of GET_CONFIG's and SET_CONFIG's payload before the contents: offset, size, flags.
const CONFIG_HEADER: usize = 12;

/// The longest config space that can be read; the virtio transports have less.
const MAX_CONFIG: usize = MAX_PAYLOAD - CONFIG_HEADER;

/// The state of a connection.
#[derive(Debug)]
pub(super) struct State<D: Device> {
    device: Arc<D>,
    acked: VirtioFeatures,
    protocol: VhostUserProtocolFeatures,
    memory: Arc<MemoryMap>,
    vrings: Vec<Vring>,
    /// SET_STATUS: the device status as the front end passes it on (virtio 1.3, section 2.1).
    status: u8,
    /// SET_INFLIGHT_FD: for the queues that start from now on.
    inflight: Option<Arc<InflightRegion>>,
    /// SET_LOG_BASE.
    log: Option<Arc<DirtyLog>>,
    /// SET_LOG_FD.
    log_notifier: Option<Arc<Notifier>>,
    /// SET_BACKEND_REQ_FD: the channel for our own requests.
    back_channel: Option<BackChannel>,
}

/// What a message asks of the queues, and its answer once they have acked.
#[derive(Debug, Default)]
pub(super) struct Effect {
    pub(super) commands: Vec<(u16, Command)>,
    pub(super) answer: Answer,
}

/// How a message is answered.
#[derive(Debug, Default)]
pub(super) enum Answer {
    /// With success, if the front end wants to hear it.
    #[default]
    Success,
    /// With this payload.
    Payload(Vec<u8>),
    /// With this payload and a file.
    File(Vec<u8>, File),
    /// RESET_DEVICE: with success, after everything about the rings was forgotten.
    Reset,
    /// GET_VRING_BASE: with the index where this queue stopped, or stands.
    Base(u16),
}

impl<D: Device> State<D> {
    pub(super) fn new(device: Arc<D>) -> Self {
        let vrings = (0..device.num_queues()).map(|_| Vring::default()).collect();
        Self {
            device,
            acked: VirtioFeatures::default(),
            protocol: VhostUserProtocolFeatures::empty(),
            memory: Arc::default(),
            vrings,
            status: 0,
            inflight: None,
            log: None,
            log_notifier: None,
            back_channel: None,
        }
    }

    /// Whether a message may ask to be answered.
    pub(super) fn has_reply_ack(&self) -> bool {
        self.protocol.contains(VhostUserProtocolFeatures::REPLY_ACK)
    }

    /// What the queues are told when the connection is over.
    pub(super) fn stop_all(&mut self) -> Vec<(u16, Command)> {
        let started = |(_, vring): &(u16, &mut Vring)| vring.started;
        (0..)
            .zip(&mut self.vrings)
            .filter(started)
            .map(|(index, vring)| {
                vring.started = false;
                (index, Command::Stop)
            })
            .collect()
    }

    /// A queue has stopped at this index.
    pub(super) fn stopped(&mut self, index: u16, next_avail: u16) {
        if let Some(vring) = self.vrings.get_mut(usize::from(index)) {
            vring.next_avail = next_avail;
        }
    }

    /// Where a queue stands, for GET_VRING_BASE's reply.
    pub(super) fn next_avail(&self, index: u16) -> u16 {
        self.vrings.get(usize::from(index)).map_or(0, |vring| vring.next_avail)
    }

    /// Applies a message.
    pub(super) fn apply(&mut self, message: Message) -> Result<Effect, Refusal> {
        match message {
            Message::GetFeatures => Ok(Effect::of_u64(self.offered().bits())),
            Message::SetFeatures(bits) => self.set_features(bits),
            Message::SetOwner => Ok(Effect::default()),
            Message::ResetOwner => Ok(self.reset_owner()),
            Message::SetMemTable(regions) => {
                let memory = MemoryMap::of(regions)?;
                Ok(self.set_memory(memory))
            }
            Message::AddMemReg(span, file) => {
                let memory = self.memory.with(span, file)?;
                Ok(self.set_memory(memory))
            }
            Message::RemMemReg(span) => {
                let memory = self.memory.without(span)?;
                Ok(self.set_memory(memory))
            }
            Message::SetVringNum { index, num } => self.set_vring_num(index, num),
            Message::SetVringAddr { index, addresses, log } => {
                self.set_vring_addr(index, addresses, log)
            }
            Message::SetVringBase { index, base } => self.set_vring_base(index, base),
            Message::GetVringBase { index } => self.get_vring_base(index),
            Message::SetVringKick { index, fd } => self.set_vring_kick(index, fd),
            Message::SetVringCall { index, fd } => self.set_vring_call(index, fd),
            Message::SetVringErr { index, fd } => self.set_vring_err(index, fd),
            Message::SetVringEnable { index, enable } => self.set_vring_enable(index, enable),
            Message::GetProtocolFeatures => Ok(Effect::of_u64(self.offered_protocol().bits())),
            Message::SetProtocolFeatures(bits) => self.set_protocol_features(bits),
            Message::GetQueueNum => Ok(Effect::of_u64(self.vrings.len() as u64)),
            Message::GetMaxMemSlots => Ok(Effect::of_u64(MAX_MEM_SLOTS as u64)),
            Message::SetBackendReqFd(fd) => self.set_back_channel(fd),
            Message::GetConfig { offset, size, flags } => {
                Ok(Effect::of_payload(self.config(offset, size, flags)))
            }
            Message::SetConfig { offset, data, flags } => self.set_config(offset, &data, flags),
            Message::SetLogBase(range) => self.set_log_base(range),
            Message::SetLogFd(fd) => self.set_log_fd(fd),
            Message::GetInflightFd(shape) => Ok(self.new_inflight(shape)),
            Message::SetInflightFd(shape, range) => self.set_inflight(shape, range),
            Message::ResetDevice => Ok(Effect { commands: self.stop_all(), answer: Answer::Reset }),
            Message::SetStatus(status) => self.set_status(status),
            Message::GetStatus => Ok(Effect::of_u64(self.status.into())),
        }
    }

    fn offered(&self) -> VirtioFeatures {
        self.device.features().union(RING_FEATURES).union(PROTOCOL_FEATURES).union(LOG_ALL)
    }

    fn set_features(&mut self, bits: u64) -> Result<Effect, Refusal> {
        let acked = VirtioFeatures::from_bits(bits);
        let surplus = acked.without(self.offered());
        if !surplus.is_empty() {
            return Err(Refusal::Features(surplus.bits()));
        }
        self.acked = acked;
        Ok(self.update_started())
    }

    fn offered_protocol(&self) -> VhostUserProtocolFeatures {
        match self.device.has_config() {
            true => OFFERED_PROTOCOL,
            false => OFFERED_PROTOCOL.difference(VhostUserProtocolFeatures::CONFIG),
        }
    }

    fn set_protocol_features(&mut self, bits: u64) -> Result<Effect, Refusal> {
        let surplus = bits & !self.offered_protocol().bits();
        if surplus != 0 {
            return Err(Refusal::ProtocolFeatures(surplus));
        }
        self.protocol = VhostUserProtocolFeatures::from_bits_truncate(bits);
        Ok(Effect::default())
    }

    /// Deprecated; of the two meanings that it has had, the one that loses nothing.
    fn reset_owner(&mut self) -> Effect {
        for vring in &mut self.vrings {
            vring.enabled = false;
        }
        self.update_started()
    }

    fn set_memory(&mut self, memory: MemoryMap) -> Effect {
        self.memory = Arc::new(memory);
        self.update_started()
    }

    fn set_back_channel(&mut self, fd: OwnedFd) -> Result<Effect, Refusal> {
        self.back_channel = Some(BackChannel::new(fd).ok_or(Refusal::BackendChannel)?);
        Ok(Effect::default())
    }

    /// Tells the front end that the config space has changed, if it wants to hear of such things.
    pub(super) fn config_changed(&mut self) -> std::io::Result<()> {
        let wanted = VhostUserProtocolFeatures::BACKEND_REQ | VhostUserProtocolFeatures::CONFIG;
        match &self.back_channel {
            Some(channel) if self.protocol.contains(wanted) => channel.config_change(),
            _ => Ok(()),
        }
    }

    fn set_log_base(&mut self, range: FileRange) -> Result<Effect, Refusal> {
        if range.len > MAX_LOG {
            return Err(Refusal::LogLength(range.len));
        }
        // Answered in any case. The specification does not say with what, QEMU takes anything, and
        // front ends that use the vhost crate wait for these 16 bytes.
        let reply = range.reply();
        let FileRange { file, offset, len } = range;
        let log = DirtyLog::map(file, offset, len).map_err(Refusal::Log)?;
        self.log = Some(Arc::new(log));
        let Effect { commands, .. } = self.update_started();
        Ok(Effect { commands, answer: Answer::Payload(reply) })
    }

    fn set_log_fd(&mut self, fd: OwnedFd) -> Result<Effect, Refusal> {
        let notifier = Notifier::new(fd).ok_or(Refusal::LogDescriptor)?;
        self.log_notifier = Some(Arc::new(notifier));
        Ok(self.update_started())
    }

    /// GET_INFLIGHT_FD: a region for so many queues and descriptors, or a reply that says that
    /// there is none.
    fn new_inflight(&self, shape: InflightShape) -> Effect {
        let made = self.has_room_for(shape).then(|| new_region(shape));
        if let Some(Err(error)) = &made {
            log::error!("make an in-flight region: {error}");
        }
        let answer = match made {
            Some(Ok(file)) => Answer::File(shape.reply(region_len(shape)), file),
            Some(Err(_)) | None => Answer::Payload(shape.reply(0)),
        };
        Effect { commands: Vec::new(), answer }
    }

    fn set_inflight(
        &mut self,
        shape: InflightShape,
        FileRange { file, offset, len }: FileRange,
    ) -> Result<Effect, Refusal> {
        let queues = u16::try_from(self.vrings.len()).unwrap_or(u16::MAX);
        let region = InflightRegion::map(file, (offset, len), shape, queues)?;
        self.inflight = Some(Arc::new(region));
        Ok(Effect::default())
    }

    /// Whether there are so many queues, which may be so long.
    fn has_room_for(&self, InflightShape { num_queues, queue_size }: InflightShape) -> bool {
        let queues = 1..=self.vrings.len();
        queues.contains(&usize::from(num_queues))
            && (1..=self.device.max_queue_size()).contains(&queue_size)
    }

    /// How long a queue may be for the in-flight region, if it is tracked there.
    fn inflight_room(&self, index: u32) -> Option<u16> {
        let queue = u16::try_from(index).ok()?;
        self.inflight.as_ref()?.room(queue)
    }

    /// A status of zero stops nothing and forgets nothing: QEMU 7.2 sends it before it stops the
    /// rings, and wants to know then where they stopped.
    fn set_status(&mut self, status: u64) -> Result<Effect, Refusal> {
        self.status = u8::try_from(status).map_err(|_| Refusal::Status(status))?;
        Ok(Effect::default())
    }

    /// What is left of RESET_DEVICE when all rings have stopped.
    pub(super) fn reset(&mut self) {
        self.acked = VirtioFeatures::default();
        self.status = 0;
        self.vrings.iter_mut().for_each(Vring::reset);
    }

    fn set_config(&mut self, offset: u32, data: &[u8], flags: u32) -> Result<Effect, Refusal> {
        let writer = match flags {
            0 => ConfigWriter::Driver { acked: self.acked },
            1 => ConfigWriter::Migration,
            flags => return Err(Refusal::ConfigFlags(flags)),
        };
        self.device.write_config(offset, data, writer)?;
        Ok(Effect::default())
    }

    /// GET_CONFIG's payload; an empty one says that there is no such part of the config space.
    fn config(&self, offset: u32, size: u32, flags: u32) -> Vec<u8> {
        let end = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
        let end = end.and_then(|(offset, size)| offset.checked_add(size));
        if size == 0 || end.is_none_or(|end| end > MAX_CONFIG) {
            return Vec::new();
        }
        let mut payload: Vec<u8> =
            [offset, size, flags].iter().flat_map(|word| word.to_ne_bytes()).collect();
        payload.resize(CONFIG_HEADER + size as usize, 0);
        let (_, contents) = payload.split_at_mut(CONFIG_HEADER);
        self.device.read_config(offset, contents);
        payload
    }

    fn terms(&self) -> Terms {
        Terms {
            memory: Arc::clone(&self.memory),
            acked: self.acked,
            longest_chain: self.device.max_queue_size(),
            log: self.log.clone(),
            log_notifier: self.log_notifier.clone(),
        }
    }

    /// Tells every queue that runs how it runs now.
    fn update_started(&self) -> Effect {
        let terms = self.terms();
        let commands = (0..)
            .zip(&self.vrings)
            .filter(|(_, vring)| vring.started)
            .map(|(queue, vring)| (queue, Command::Update(vring.setup(&terms))))
            .collect();
        Effect { commands, answer: Answer::Success }
    }
}

impl Effect {
    fn of_payload(payload: Vec<u8>) -> Self {
        Self { commands: Vec::new(), answer: Answer::Payload(payload) }
    }

    fn of_u64(value: u64) -> Self {
        Self::of_payload(value.to_ne_bytes().to_vec())
    }
}
