// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The device, as `vhost-user-backend` wants it.

use std::fs::File;
use std::io;

use vhost::vhost_user::message::VhostUserProtocolFeatures as Protocol;
use vhost_user_backend::{VhostUserBackendMut, VringRwLock, VringT};
use virtio_bindings::virtio_blk::{VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use virtio_queue::QueueT;
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::event::{
    EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier,
};

use crate::request::{SECTOR, serve};

/// Where the number of queues is in the config space (virtio 1.3, section 5.2.4).
const NUM_QUEUES: usize = 34;
/// Bytes of the config space.
const CONFIG: usize = 60;

/// VHOST_USER_F_PROTOCOL_FEATURES.
const PROTOCOL_FEATURES: u64 = 1 << 30;

pub(crate) struct Blk {
    disk: File,
    queues: u16,
    config: Vec<u8>,
    memory: GuestMemoryAtomic<GuestMemoryMmap>,
}

impl Blk {
    pub(crate) fn new(
        disk: File,
        queues: u16,
        memory: GuestMemoryAtomic<GuestMemoryMmap>,
    ) -> io::Result<Self> {
        let capacity = disk.metadata()?.len() / SECTOR;
        let mut config = vec![0; CONFIG];
        config[..8].copy_from_slice(&capacity.to_le_bytes());
        config[NUM_QUEUES..NUM_QUEUES + 2].copy_from_slice(&queues.to_le_bytes());
        Ok(Self { disk, queues, config, memory })
    }

    /// Serves all requests that are there, and tells the driver if it wants to hear of it.
    fn serve_all(&self, vring: &VringRwLock) -> io::Result<()> {
        let memory = self.memory.memory();
        loop {
            let next = vring.get_mut().get_queue_mut().pop_descriptor_chain(memory.clone());
            let Some(chain) = next else { break };
            let head = chain.head_index();
            let written = serve(&self.disk, &memory, chain)?;
            vring.add_used(head, written).map_err(io::Error::other)?;
        }
        if vring.needs_notification().map_err(io::Error::other)? {
            vring.signal_used_queue()?;
        }
        Ok(())
    }
}

impl VhostUserBackendMut for Blk {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        self.queues.into()
    }

    fn max_queue_size(&self) -> usize {
        256
    }

    fn features(&self) -> u64 {
        let bits = [
            VIRTIO_BLK_F_FLUSH,
            VIRTIO_BLK_F_MQ,
            VIRTIO_F_VERSION_1,
            VIRTIO_RING_F_EVENT_IDX,
            VIRTIO_RING_F_INDIRECT_DESC,
        ];
        bits.iter().fold(PROTOCOL_FEATURES, |features, bit| features | 1 << bit)
    }

    fn protocol_features(&self) -> Protocol {
        Protocol::MQ | Protocol::REPLY_ACK | Protocol::CONFIG | Protocol::CONFIGURE_MEM_SLOTS
    }

    fn set_event_idx(&mut self, _enabled: bool) {}

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        self.config.iter().copied().skip(start).take(len).collect()
    }

    fn update_memory(&mut self, _memory: GuestMemoryAtomic<GuestMemoryMmap>) -> io::Result<()> {
        Ok(())
    }

    fn exit_event(&self, _thread: usize) -> Option<(EventConsumer, EventNotifier)> {
        new_event_consumer_and_notifier(EventFlag::NONBLOCK).ok()
    }

    fn handle_event(
        &mut self,
        queue: u16,
        _events: EventSet,
        vrings: &[VringRwLock],
        _thread: usize,
    ) -> io::Result<()> {
        let Some(vring) = vrings.get(usize::from(queue)) else { return Ok(()) };
        loop {
            vring.disable_notification().map_err(io::Error::other)?;
            self.serve_all(vring)?;
            // What became available before may have come without a kick.
            if !vring.enable_notification().map_err(io::Error::other)? {
                return Ok(());
            }
        }
    }
}
