// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a connection has negotiated, and what each message does to it.
//!
//! A message changes the state and says what the queues must be told; it is answered when they
//! all have acked. No rule here depends on the order that one front end happens to keep: QEMU
//! sends SET_VRING_ENABLE before SET_FEATURES, negotiates twice, enables rings that it never
//! starts, and removes a memory region before it adds its successor.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};

use super::message::{MAX_PAYLOAD, Message};
use super::vring::Vring;
use crate::memory::{MAX_MEM_SLOTS, MemoryError, MemoryMap};
use crate::queue::{Command, Setup};
use crate::ring::RingAddresses;
use crate::sys::Notifier;
use crate::{ConfigRefused, Device, VirtioFeatures};

/// The features of the transport and of the ring, offered for every device.
const RING_FEATURES: VirtioFeatures = VirtioFeatures::from_bits(0)
    .with(VIRTIO_F_VERSION_1)
    .with(VIRTIO_RING_F_INDIRECT_DESC)
    .with(VIRTIO_RING_F_EVENT_IDX);

/// VHOST_USER_F_PROTOCOL_FEATURES.
const PROTOCOL_FEATURES: VirtioFeatures =
    VirtioFeatures::from_bits(VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits());

/// The protocol features that are offered. BACKEND_REQ is among them because User-Mode Linux
/// does not probe a device without it.
const OFFERED_PROTOCOL: VhostUserProtocolFeatures = VhostUserProtocolFeatures::MQ
    .union(VhostUserProtocolFeatures::REPLY_ACK)
    .union(VhostUserProtocolFeatures::BACKEND_REQ)
    .union(VhostUserProtocolFeatures::CONFIG)
    .union(VhostUserProtocolFeatures::CONFIGURE_MEM_SLOTS);

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
    /// SET_BACKEND_REQ_FD: the channel for our own requests.
    backend_channel: Option<OwnedFd>,
}

/// What a message asks of the queues, and its answer once they have acked.
#[derive(Debug, Default)]
pub(super) struct Effect {
    pub(super) commands: Vec<(u16, Command)>,
    pub(super) answer: Answer,
}

/// How a message is answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Answer {
    /// With success, if the front end wants to hear it.
    #[default]
    Success,
    /// With this payload.
    Payload(Vec<u8>),
    /// GET_VRING_BASE: with the index where this queue stopped, or stands.
    Base(u16),
}

/// A message that cannot be applied. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("features {0:#x} were not offered")]
    Features(u64),
    #[error("protocol features {0:#x} were not offered")]
    ProtocolFeatures(u64),
    #[error("there is no queue {index} of {count}")]
    NoQueue { index: u32, count: usize },
    #[error("queue {index} is running")]
    Running { index: u32 },
    #[error("queue {index} has no size yet")]
    NoSize { index: u32 },
    #[error("queue {index}: size {num} is not a power of two up to {max}")]
    Size { index: u32, num: u32, max: u16 },
    #[error("queue {index}: {addresses:x?} are not aligned")]
    Misaligned { index: u32, addresses: RingAddresses },
    #[error("queue {index}: descriptor is no eventfd, pipe or socket")]
    Descriptor { index: u32 },
    #[error("queue {index}: base {base} is not a 16-bit index")]
    Base { index: u32, base: u32 },
    #[error("queue {index}: enable {value} is neither 0 nor 1")]
    Enable { index: u32, value: u32 },
    #[error("change the memory table")]
    Memory(#[from] MemoryError),
    #[error("write the config space")]
    Config(#[from] ConfigRefused),
}

impl Refusal {
    /// Whether the connection cannot go on if the front end does not learn of the refusal. What
    /// a *driver* may provoke at will is not among that.
    pub(super) fn is_fatal(&self) -> bool {
        !matches!(self, Self::Config(_))
    }
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
            backend_channel: None,
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
            Message::SetVringAddr { index, addresses } => self.set_vring_addr(index, addresses),
            Message::SetVringBase { index, base } => self.set_vring_base(index, base),
            Message::GetVringBase { index } => self.get_vring_base(index),
            Message::SetVringKick { index, fd } => self.set_vring_kick(index, fd),
            Message::SetVringCall { index, fd } => {
                let call = Self::notifier(index, fd)?;
                self.vring(index)?.1.call = call;
                self.update(index)
            }
            Message::SetVringErr { index, fd } => {
                let err = Self::notifier(index, fd)?;
                self.vring(index)?.1.err = err;
                self.update(index)
            }
            Message::SetVringEnable { index, enable } => self.set_vring_enable(index, enable),
            Message::GetProtocolFeatures => Ok(Effect::of_u64(OFFERED_PROTOCOL.bits())),
            Message::SetProtocolFeatures(bits) => self.set_protocol_features(bits),
            Message::GetQueueNum => Ok(Effect::of_u64(self.vrings.len() as u64)),
            Message::GetMaxMemSlots => Ok(Effect::of_u64(MAX_MEM_SLOTS as u64)),
            Message::SetBackendReqFd(fd) => {
                self.backend_channel = Some(fd);
                Ok(Effect::default())
            }
            Message::GetConfig { offset, size, flags } => {
                Ok(Effect::of_payload(self.config(offset, size, flags)))
            }
            Message::SetConfig { offset, data } => {
                self.device.write_config(offset, &data)?;
                Ok(Effect::default())
            }
        }
    }

    fn offered(&self) -> VirtioFeatures {
        self.device.features().union(RING_FEATURES).union(PROTOCOL_FEATURES)
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

    fn set_protocol_features(&mut self, bits: u64) -> Result<Effect, Refusal> {
        let surplus = bits & !OFFERED_PROTOCOL.bits();
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

    fn set_vring_num(&mut self, index: u32, num: u32) -> Result<Effect, Refusal> {
        let max = self.device.max_queue_size();
        let size = u16::try_from(num).ok().filter(|size| size.is_power_of_two() && *size <= max);
        let size = size.ok_or(Refusal::Size { index, num, max })?;
        self.stopped_vring(index)?.size = size;
        Ok(Effect::default())
    }

    /// On a running ring (QEMU sends it when a migration begins and ends) this changes pointers,
    /// never indices.
    fn set_vring_addr(&mut self, index: u32, addresses: RingAddresses) -> Result<Effect, Refusal> {
        if !addresses.are_aligned() {
            return Err(Refusal::Misaligned { index, addresses });
        }
        self.vring(index)?.1.addresses = Some(addresses);
        self.update(index)
    }

    fn set_vring_base(&mut self, index: u32, base: u32) -> Result<Effect, Refusal> {
        let next_avail = u16::try_from(base).map_err(|_| Refusal::Base { index, base })?;
        self.stopped_vring(index)?.next_avail = next_avail;
        Ok(Effect::default())
    }

    fn get_vring_base(&mut self, index: u32) -> Result<Effect, Refusal> {
        let (queue, vring) = self.vring(index)?;
        vring.kick = None;
        let started = std::mem::take(&mut vring.started);
        let commands = if started { vec![(queue, Command::Stop)] } else { Vec::new() };
        Ok(Effect { commands, answer: Answer::Base(queue) })
    }

    /// Starts the ring, or replaces the descriptor of one that runs.
    fn set_vring_kick(&mut self, index: u32, fd: Option<OwnedFd>) -> Result<Effect, Refusal> {
        let (queue, vring) = self.vring(index)?;
        if vring.size == 0 {
            return Err(Refusal::NoSize { index });
        }
        vring.kick = Self::notifier(index, fd)?;
        if std::mem::replace(&mut vring.started, true) {
            return self.update(index);
        }
        let next_avail = vring.next_avail;
        let setup = self.setup(self.known(index)?);
        if setup.ring.is_none() {
            log::debug!("queue {index}: its addresses do not translate yet");
        }
        let commands = vec![(queue, Command::Start { setup, next_avail })];
        Ok(Effect { commands, answer: Answer::Success })
    }

    fn set_vring_enable(&mut self, index: u32, value: u32) -> Result<Effect, Refusal> {
        if value > 1 {
            return Err(Refusal::Enable { index, value });
        }
        self.vring(index)?.1.enabled = value == 1;
        self.update(index)
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

    fn vring(&mut self, index: u32) -> Result<(u16, &mut Vring), Refusal> {
        let count = self.vrings.len();
        let queue = u16::try_from(index).ok();
        queue
            .and_then(|queue| Some((queue, self.vrings.get_mut(usize::from(queue))?)))
            .ok_or(Refusal::NoQueue { index, count })
    }

    fn known(&self, index: u32) -> Result<&Vring, Refusal> {
        let vring = usize::try_from(index).ok().and_then(|index| self.vrings.get(index));
        vring.ok_or(Refusal::NoQueue { index, count: self.vrings.len() })
    }

    fn notifier(index: u32, fd: Option<OwnedFd>) -> Result<Option<Arc<Notifier>>, Refusal> {
        let Some(fd) = fd else { return Ok(None) };
        match Notifier::new(fd) {
            Ok(Some(notifier)) => Ok(Some(Arc::new(notifier))),
            Ok(None) | Err(_) => Err(Refusal::Descriptor { index }),
        }
    }

    fn stopped_vring(&mut self, index: u32) -> Result<&mut Vring, Refusal> {
        let (_, vring) = self.vring(index)?;
        if vring.started { Err(Refusal::Running { index }) } else { Ok(vring) }
    }

    /// How this queue runs now.
    fn setup(&self, vring: &Vring) -> Setup {
        let always_enabled = self.acked.without(PROTOCOL_FEATURES) == self.acked;
        let longest_chain = self.device.max_queue_size();
        vring.setup(&self.memory, self.acked, always_enabled, longest_chain)
    }

    /// Tells the queue how it runs now, if it does.
    fn update(&mut self, index: u32) -> Result<Effect, Refusal> {
        let (queue, _) = self.vring(index)?;
        let vring = self.known(index)?;
        let command = vring.started.then(|| (queue, Command::Update(self.setup(vring))));
        Ok(Effect { commands: command.into_iter().collect(), answer: Answer::Success })
    }

    /// Tells every queue that runs how it runs now.
    fn update_started(&self) -> Effect {
        let commands = (0..)
            .zip(&self.vrings)
            .filter(|(_, vring)| vring.started)
            .map(|(queue, vring)| (queue, Command::Update(self.setup(vring))))
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
