// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Handing pointers to the driver.

use std::ptr;

use vhost_user_tests::memory::Buffer;
use virtio_driver::VirtioBlkQueue;

/// Queues a read of as many bytes as the buffer has, from `offset` (bytes) of the disk.
pub(crate) fn read(
    queue: &mut VirtioBlkQueue<'_, u64>,
    offset: u64,
    buffer: &Buffer,
    context: u64,
) {
    let to = ptr::with_exposed_provenance_mut(buffer.host_address());
    // SAFETY: the driver only tells the device about the address; the device writes to it through a
    // mapping of its own, and this process looks at it by copies only.
    let queued = unsafe { queue.read_raw(offset, to, buffer.len(), context) };
    queued.expect("queue a read");
}

/// Queues a write of all bytes that the buffer has, to `offset` (bytes) of the disk.
pub(crate) fn write(
    queue: &mut VirtioBlkQueue<'_, u64>,
    offset: u64,
    buffer: &Buffer,
    context: u64,
) {
    let from = ptr::with_exposed_provenance(buffer.host_address());
    // SAFETY: the driver only tells the device about the address; the device reads it through a
    // mapping of its own.
    let queued = unsafe { queue.write_raw(offset, from, buffer.len(), context) };
    queued.expect("queue a write");
}
