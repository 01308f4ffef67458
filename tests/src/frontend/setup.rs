// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The usual way from a connection to a queue that serves, in few words.

use vhost::vhost_user::message::FrontendReq;

use super::connection::Frontend;
use super::message::Message;
use crate::blk::BlkQueue;
use crate::driver::Queue;
use crate::features::{EVENT_IDX, PROTOCOL_FEATURES, Protocol};
use crate::memory::GuestMemory;

/// How much memory a guest has whose test doesn't care.
const MEMORY: u64 = 8 << 20;

/// The protocol features that the usual way acks if they are offered.
const WANTED: Protocol = Protocol::MQ
    .union(Protocol::REPLY_ACK)
    .union(Protocol::CONFIG)
    .union(Protocol::CONFIGURE_MEM_SLOTS)
    .union(Protocol::BACKEND_REQ)
    .union(Protocol::LOG_SHMFD)
    .union(Protocol::INFLIGHT_SHMFD)
    .union(Protocol::RESET_DEVICE)
    .union(Protocol::STATUS);

impl Frontend {
    /// Begins a session: owner, protocol features, and the virtio `features`, all of which the
    /// device must offer.
    #[track_caller]
    pub fn negotiate(mut self, features: u64) -> Self {
        self.agree(features | PROTOCOL_FEATURES, WANTED);
        self
    }

    /// [`Frontend::negotiate`] with all features said, [`PROTOCOL_FEATURES`] among them or not.
    #[track_caller]
    pub fn agree(&mut self, features: u64, protocol: Protocol) {
        self.set_owner().expect("an ack of SET_OWNER");
        let missing = features & !self.get_features();
        assert_eq!(missing, 0, "features that the device does not offer: {missing:#x}");
        if features & PROTOCOL_FEATURES != 0 {
            let offered = self.get_protocol_features();
            self.set_protocol_features(offered & protocol).expect("an ack of the features");
        }
        self.set_features(features).expect("an ack of SET_FEATURES");
    }

    /// Tells the back end about `memory`, of which the queues will be made.
    #[track_caller]
    pub fn share(mut self, memory: &GuestMemory) -> Self {
        self.set_mem_table(memory).expect("an ack of SET_MEM_TABLE");
        self
    }

    /// The guest's memory; without [`Frontend::share`] one region of 8 MiB.
    #[track_caller]
    pub fn memory(&mut self) -> GuestMemory {
        if self.memory.is_none() {
            self.set_mem_table(&GuestMemory::new(MEMORY)).expect("an ack of SET_MEM_TABLE");
        }
        self.memory.clone().expect("the memory just shared")
    }

    /// A new queue of `size` descriptors that the back end serves as its queue `index`.
    #[track_caller]
    pub fn queue(&mut self, index: u8, size: u16) -> Queue {
        let queue = self.stopped_queue(size);
        self.start(index, &queue);
        queue
    }

    /// A new queue of `size` descriptors of which the back end does not know yet.
    #[track_caller]
    pub fn stopped_queue(&mut self, size: u16) -> Queue {
        Queue::new(&self.memory(), size, self.features & EVENT_IDX != 0)
    }

    /// [`Frontend::queue`], for block requests.
    #[track_caller]
    pub fn blk(&mut self, index: u8, size: u16) -> BlkQueue {
        BlkQueue::new(self.queue(index, size))
    }

    /// Starts `queue` as the back end's queue `index`, where it is just now, and enables it.
    #[track_caller]
    pub fn start(&self, index: u8, queue: &Queue) {
        self.prepare(index, queue);
        self.set_vring_kick(index, queue.kick_fd()).expect("an ack of SET_VRING_KICK");
        if self.features & PROTOCOL_FEATURES != 0 {
            self.set_vring_enable(index.into(), true).expect("an ack of SET_VRING_ENABLE");
        }
    }

    /// Returns when every running queue has had a whole look at its ring: what was available in it
    /// and could be taken has been taken. With REPLY_ACK only.
    #[track_caller]
    pub fn let_queues_look(&self) {
        // Having acked a message, a queue looks at its ring, unless the next message is there at
        // once. Every other time it is, where threads have to wait for a processor.
        for _ in 0..32 {
            let again = Message::new(FrontendReq::SET_FEATURES).u64(self.features);
            self.tell(again).expect("an ack of SET_FEATURES");
        }
    }

    /// Tells all about `queue` but the kick descriptor, with which it starts.
    #[track_caller]
    pub fn prepare(&self, index: u8, queue: &Queue) {
        let (vring, base) = (index.into(), queue.next_unused().into());
        self.set_vring_num(vring, queue.size().into()).expect("an ack of SET_VRING_NUM");
        self.set_vring_base(vring, base).expect("an ack of SET_VRING_BASE");
        let placed = self.set_vring_addr(vring, queue.rings(), queue.memory());
        placed.expect("an ack of SET_VRING_ADDR");
        self.set_vring_call(index, queue.call_fd()).expect("an ack of SET_VRING_CALL");
        self.set_vring_err(index, queue.err_fd()).expect("an ack of SET_VRING_ERR");
    }
}
