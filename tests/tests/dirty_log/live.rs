// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A migration of a guest that goes on meanwhile, as a front end does it: memory is copied, then
//! again and again the pages that are in the log.

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::dirty_log::LOG_PAGE;
use vhost_user_tests::memory::{BASE, Buffer};
use vhost_user_tests::prelude::*;
use virtio_bindings::bindings::virtio_blk::VIRTIO_BLK_T_IN;

use crate::{Guest, MIB};

/// The region with the buffers, which the device alone writes to.
const BUFFERS: RegionAt = RegionAt::new(BASE + MIB, 64 * LOG_PAGE);

/// As many times are all buffers read to, and the copy is compared.
const ROUNDS: u64 = 1000;

const PAGE_LEN: usize = 4096;

/// Reads to all pages of the buffers, each of another sector in another round.
struct Reads {
    queue: Queue,
    headers: Vec<Buffer>,
    status: Buffer,
}

impl Reads {
    fn new(it: &mut Guest) -> Self {
        let queue = it.frontend.queue(1, 256);
        let headers = (0..BUFFERS.len / LOG_PAGE).map(|_| it.memory.buffer(16)).collect();
        Self { queue, headers, status: it.memory.buffer(1) }
    }

    fn submit(&mut self, round: u64) {
        for (at, header) in (0..).zip(&self.headers) {
            let sector = (7 * round + at) % 56;
            let kind = u64::from(VIRTIO_BLK_T_IN);
            header.write(&[kind.to_le_bytes(), sector.to_le_bytes()].concat());
            self.queue.add(&[
                Segment::readable(header.address(), 16),
                Segment::writable(BUFFERS.guest + at * LOG_PAGE, PAGE_LEN),
                Segment::writable(self.status.address(), 1),
            ]);
        }
        self.queue.publish();
        self.queue.kick_if_wanted();
    }
}

#[test]
fn copy_made_with_the_log_while_requests_run_is_like_the_memory() {
    let mut it = Guest::with(&[RegionAt::new(BASE, MIB), BUFFERS]);
    let memory = it.memory.clone();
    let first = BUFFERS.guest / LOG_PAGE;
    let mut reads = Reads::new(&mut it);
    let log = it.logging();

    let page = |number: u64| memory.read(number * LOG_PAGE, PAGE_LEN);
    let numbers = first..first + BUFFERS.len / LOG_PAGE;
    let mut copy: Vec<Vec<u8>> = numbers.clone().map(page).collect();
    let mut copied = 0;
    for round in 0..ROUNDS {
        reads.submit(round);
        let (mut over, deadline) = (false, Deadline::new());
        while !over {
            assert!(!deadline.is_over(), "not all requests are given back in round {round}");
            while reads.queue.used().is_some() {}
            over = reads.queue.used_index() == reads.queue.available_index();
            if over {
                // When it is answered, all that was given back is in the log.
                it.frontend.set_vring_enable(1, true).expect("an ack of SET_VRING_ENABLE");
            }
            for number in log.take().into_iter().filter(|number| numbers.contains(number)) {
                let at = usize::try_from(number - first).expect("a page of the buffers");
                copy[at] = page(number);
                copied += 1;
            }
        }
        while reads.queue.used().is_some() {}
        for (number, copied) in numbers.clone().zip(&copy) {
            assert!(*copied == page(number), "page {number:#x} was not copied in round {round}");
        }
    }
    assert!(copied >= ROUNDS * 64, "{copied} pages copied: not all of them were written to");
}
