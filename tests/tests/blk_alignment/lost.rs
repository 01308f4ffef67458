// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guest memory that is lost before it is written from: what the daemon reads there instead is
//! nobody's data, and must not get to the disk.

use vhost_user_tests::deadline::until;
use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;
use virtio_bindings::virtio_blk::VIRTIO_BLK_T_OUT;

use crate::{Direct, written};

on_each_engine!(write_from_memory_that_is_lost_leaves_the_disk_as_it_was);

const MIB: u64 = 1 << 20;
/// Where the memory is that is lost.
const LOST: u64 = 1 << 32;

fn write_from_memory_that_is_lost_leaves_the_disk_as_it_was(engine: &str) {
    // Some memory that O_DIRECT may take as it is, and some that it does not.
    for offset in [0, 24, 25] {
        let Some(it) = Direct::file() else { return };
        let daemon = it.launch(engine).start();
        let regions = [RegionAt::new(BASE, MIB), RegionAt::new(LOST, MIB)];
        let memory = GuestMemory::of_regions(&regions);
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL).share(&memory);
        let mut disk = frontend.blk(0, 16);
        let (header, status) = (memory.buffer(16), memory.buffer(1));
        header
            .write(&[&VIRTIO_BLK_T_OUT.to_le_bytes()[..], &[0; 4], &9_u64.to_le_bytes()].concat());
        status.write(&[0xff]);
        memory.write(LOST + offset, &written(1, 9));
        let segments = [
            Segment::readable(header.address(), 16),
            Segment::readable(LOST + offset, SECTOR),
            Segment::writable(status.address(), 1),
        ];
        memory.regions()[1].file().set_len(0).expect("truncate guest memory");
        disk.queue.submit(&segments);
        // The connection may end by that, before or after the request.
        let is_done = || disk.queue.used_index() == 1;
        until("an end", || (is_done() || !frontend.is_silent()).then_some(()));
        if is_done() {
            assert_eq!(status.bytes(), [1], "VIRTIO_BLK_S_IOERR");
        }
        drop((disk, frontend));
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
        assert_eq!(frontend.blk(0, 16).read(9, 1), Ok(Image::contents(9)), "from {offset}");
        assert_ne!(status.bytes(), [0], "VIRTIO_BLK_S_OK");
        assert_eq!(it.image.sector(9), Image::contents(9));
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    }
}
