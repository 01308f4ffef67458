// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From a socket to running queues, with any back end: what it does not offer is done without.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::layout::Shape;
use super::queue::LoadQueue;
use super::sys;
use crate::deadline::until;
use crate::features::{
    EVENT_IDX, FLUSH, INDIRECT_DESC, MQ, PROTOCOL_FEATURES, Protocol, VERSION_1,
};
use crate::frontend::Frontend;
use crate::image::SECTOR;
use crate::memory::GuestMemory;

/// The connection, for as long as the queues are to be served.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) frontend: Frontend,
    /// The length of the disk in bytes.
    pub(super) disk: u64,
    pub(super) event_idx: bool,
    pub(super) queues: Vec<LoadQueue>,
    /// Readable when the device has called for any of them.
    pub(super) call: File,
}

/// Connects to the back end on `socket`, when there is one, and has it serve `count` queues.
///
/// # Panics
/// When there is none for a while, or it refuses something.
pub(super) fn connect(socket: &Path, count: u8, shape: Shape, event_idx: bool) -> Connection {
    let mut frontend = Frontend::over(until("a back end", || UnixStream::connect(socket).ok()));
    frontend.set_owner().expect("an ack of SET_OWNER");
    let features = negotiate(&mut frontend, shape.indirect, event_idx);
    let event_idx = features & EVENT_IDX != 0;
    let disk = capacity(&frontend);

    let len = usize::from(count) * LoadQueue::memory_of(shape);
    let memory = GuestMemory::new(u64::try_from(len).expect("a length in 64 bits"));
    frontend.set_mem_table(&memory).expect("an ack of SET_MEM_TABLE");
    let call = crate::sys::eventfd().expect("make an eventfd");
    let start = |index| start(&frontend, index, shape, event_idx, &memory, &call);
    let queues = (0..count).map(start).collect();
    // Having answered, the back end has set what it sets on the descriptors that it was given.
    assert!(frontend.is_served(), "the back end is gone");
    sys::let_wait(&call).expect("make an eventfd wait");
    Connection { frontend, disk, event_idx, queues, call }
}

/// The features that both sides have.
fn negotiate(frontend: &mut Frontend, indirect: bool, event_idx: bool) -> u64 {
    let mut wanted = VERSION_1 | FLUSH | MQ | PROTOCOL_FEATURES;
    wanted |= if indirect { INDIRECT_DESC } else { 0 };
    wanted |= if event_idx { EVENT_IDX } else { 0 };
    let features = frontend.get_features() & wanted;
    assert!(!indirect || features & INDIRECT_DESC != 0, "the device takes no indirect tables");
    assert!(features & PROTOCOL_FEATURES != 0, "the back end has no protocol features");
    let protocol = Protocol::MQ | Protocol::REPLY_ACK | Protocol::CONFIG;
    let offered = frontend.get_protocol_features();
    assert!(offered.contains(Protocol::CONFIG), "the back end says nothing of its disk");
    frontend.set_protocol_features(offered & protocol).expect("an ack of the protocol features");
    frontend.set_features(features).expect("an ack of SET_FEATURES");
    features
}

/// The length of the disk in bytes: the first field of the config space, in sectors.
fn capacity(frontend: &Frontend) -> u64 {
    let config = frontend.get_config(0, 60).expect("the config space");
    let (fields, _) = config.as_chunks();
    u64::from_le_bytes(fields[0]) * u64::try_from(SECTOR).expect("the size of a sector")
}

fn start(
    frontend: &Frontend,
    index: u8,
    shape: Shape,
    event_idx: bool,
    memory: &GuestMemory,
    call: &File,
) -> LoadQueue {
    let kick = crate::sys::eventfd().expect("make an eventfd");
    let ours = kick.try_clone().expect("another descriptor of an eventfd");
    let queue = LoadQueue::new(memory, shape, event_idx, ours);
    let vring = u32::from(index);
    frontend.set_vring_num(vring, queue.size().into()).expect("an ack of SET_VRING_NUM");
    frontend.set_vring_base(vring, 0).expect("an ack of SET_VRING_BASE");
    let placed = frontend.set_vring_addr(vring, queue.rings(), memory);
    placed.expect("an ack of SET_VRING_ADDR");
    frontend.set_vring_call(index, call).expect("an ack of SET_VRING_CALL");
    frontend.set_vring_kick(index, &kick).expect("an ack of SET_VRING_KICK");
    frontend.set_vring_enable(vring, true).expect("an ack of SET_VRING_ENABLE");
    queue
}
