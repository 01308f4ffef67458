// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Regions and rings as a daemon may have left them, written by hand: each state has its own test,
//! whatever moment it would take to leave it.
//!
//! What a former daemon has given back is not on the disk, so that it shows if it is done again.

use vhost_user_tests::deadline::until;
use vhost_user_tests::driver::Descriptor;
use vhost_user_tests::in_flight::Entry;
use vhost_user_tests::prelude::*;

use super::{Life, Lives};

const SIZE: u16 = 16;
const SECTORS: u64 = 64;

/// A queue, what a former daemon has noted about it, and what the driver did meanwhile.
pub(crate) struct Former {
    pub(crate) lives: Lives,
    pub(crate) disk: BlkQueue,
    /// The data that was written last to each sector, if all goes well.
    writes: u64,
}

impl Former {
    /// Nothing is in flight, and the ring's indices are at `index`.
    pub(crate) fn at(index: u16) -> Self {
        let mut lives = Lives::new(SECTORS, SIZE);
        let queue = Queue::new(&lives.memory, SIZE, true).starting_at(index);
        let region = InFlightRegion::new(1, SIZE);
        region.queue(0).initialise(index);
        lives.region = Some(region);
        Self { lives, disk: BlkQueue::new(queue), writes: 0 }
    }

    /// The driver makes a write of new data to `sector` available; returns its head.
    pub(crate) fn write(&mut self, sector: u64) -> u16 {
        self.writes += 1;
        let request = Request::write(sector, &Self::data(self.writes)).indirect();
        let head = self.disk.add(&request);
        self.disk.queue.publish();
        head
    }

    /// Writes to the sectors from 0; returns the heads.
    pub(crate) fn writes(&mut self, count: u64) -> Vec<u16> {
        (0..count).map(|sector| self.write(sector)).collect()
    }

    /// What the write `number` writes, from 1.
    fn data(number: u64) -> Bytes {
        Image::contents(number << 24)
    }

    /// Marks `heads` as in flight, with these counters.
    pub(crate) fn mark(&self, heads: &[u16], counters: impl IntoIterator<Item = u64>) {
        for (head, counter) in heads.iter().zip(counters) {
            self.lives.part(0).mark(*head, counter);
        }
    }

    /// The former daemon wrote used elements for `heads` and stored the used index, but not the
    /// one in the region; nor did it clear any mark.
    fn give_back(&mut self, heads: &[u16]) {
        let queue = &self.disk.queue;
        for head in heads {
            let index = queue.used_index();
            queue.set_used_element(index, Used { head: *head, len: 1 });
            queue.set_used_index(index.wrapping_add(1));
        }
        self.lives.part(0).link_batch(heads);
    }

    /// Starts a daemon with this.
    #[track_caller]
    fn begin(&mut self) -> Life {
        self.lives.begin(Daemon::blk(), [&self.disk])
    }

    /// A daemon serves all that is available, and is told to stop. Returns the heads that it gave
    /// back, in that order; of those in flight, each once.
    #[track_caller]
    fn served(&mut self) -> Vec<u16> {
        let queue = &self.disk.queue;
        let (first, end) = (queue.used_index(), queue.available_index());
        let life = self.begin();
        let queue = &self.disk.queue;
        until("all requests to be given back", || (queue.used_index() == end).then_some(()));
        assert_eq!(life.frontend.get_vring_base(0), u32::from(end));
        assert_eq!(queue.used_index(), end, "the used index after the last request");
        self.lives.part(0).expect_settled(end);
        drop(life.frontend);
        assert_eq!(life.daemon.sigterm().wait(), Exit::Clean);
        let count = usize::from(end.wrapping_sub(first));
        let indices = (0..).map(|i| first.wrapping_add(i));
        indices.take(count).map(|index| queue.used_element(index).head).collect()
    }

    /// The sectors from 0 are untouched, or have the data of the write of this number.
    #[track_caller]
    fn expect_sectors(&self, written: &[Option<u64>]) {
        for (sector, written) in (0..).zip(written) {
            let expected = written.map_or_else(|| Image::contents(sector), Self::data);
            assert_eq!(self.lives.image.sector(sector), expected, "sector {sector}");
        }
    }
}

#[test]
fn marked_heads_are_executed_in_the_order_of_their_counters() {
    let mut it = Former::at(0);
    let heads = [it.write(0), it.write(0), it.write(0)];
    it.mark(&heads, [7, 9, 8]);
    assert_eq!(it.served(), [heads[0], heads[2], heads[1]]);
    it.expect_sectors(&[Some(2)]);
}

#[test]
fn counters_are_compared_as_64_bits() {
    let mut it = Former::at(0);
    let heads = it.writes(4);
    it.mark(&heads, [1 << 63, 1 << 32, 5, 1]);
    let order: Vec<u16> = heads.into_iter().rev().collect();
    assert_eq!(it.served(), order);
}

#[test]
fn marked_heads_come_before_those_that_are_only_available() {
    let mut it = Former::at(0);
    let heads = [it.write(0), it.write(0), it.write(0), it.write(0)];
    it.mark(&heads[..2], [101, 100]);
    assert_eq!(it.served(), [heads[1], heads[0], heads[2], heads[3]]);
    it.expect_sectors(&[Some(4)]);
}

#[test]
fn available_ring_is_read_behind_the_marked_heads_whatever_base_was_said() {
    for base in [0, 1, 2, 3, 100] {
        let mut it = Former::at(0);
        let heads = it.writes(3);
        it.mark(&heads[..2], [0, 1]);
        let daemon = it.lives.daemon(Daemon::blk());
        let frontend = it.lives.connect(&daemon, 1);
        frontend.prepare(0, &it.disk.queue);
        frontend.set_vring_base(0, base).unwrap();
        frontend.set_vring_kick(0, it.disk.queue.kick_fd()).unwrap();
        frontend.set_vring_enable(0, true).unwrap();
        let order = [it.disk.wait().0, it.disk.wait().0, it.disk.wait().0];
        assert_eq!(order.as_slice(), heads, "with the base {base}");
        assert_eq!(frontend.get_vring_base(0), 3, "with the base {base}");
        it.lives.part(0).expect_settled(3);
    }
}

#[test]
fn last_batch_is_not_executed_again() {
    for batch in 1..=4 {
        let mut it = Former::at(0);
        let heads = it.writes(4);
        it.mark(&heads, 0..);
        it.give_back(&heads[..batch]);
        assert_eq!(it.served(), heads[batch..], "after a batch of {batch}");
        let written: Vec<Option<u64>> =
            (0..4).map(|at| (at >= batch).then(|| u64::try_from(at).unwrap() + 1)).collect();
        it.expect_sectors(&written);
    }
}

#[test]
fn last_batch_that_was_completed_out_of_order_is_not_executed_again() {
    let mut it = Former::at(0);
    let heads = it.writes(5);
    it.mark(&heads, 0..);
    it.give_back(&[heads[3], heads[0], heads[4]]);
    assert_eq!(it.served(), [heads[1], heads[2]]);
    it.expect_sectors(&[None, Some(2), Some(3), None, None]);
}

#[test]
fn last_batch_of_which_half_the_marks_are_cleared_is_not_executed_again() {
    let mut it = Former::at(0);
    let heads = it.writes(6);
    it.mark(&heads, 0..);
    it.give_back(&heads[..4]);
    for head in &heads[..2] {
        let part = it.lives.part(0);
        part.set_entry(*head, Entry { in_flight: 0, ..part.entry(*head) });
    }
    assert_eq!(it.served(), heads[4..]);
    it.expect_sectors(&[None, None, None, None, Some(5), Some(6)]);
}

#[test]
fn last_batch_across_the_end_of_the_index_is_not_executed_again() {
    let mut it = Former::at(65534);
    let heads = it.writes(5);
    it.mark(&heads, 0..);
    it.give_back(&heads[..3]);
    assert_eq!(it.disk.queue.used_index(), 1);
    assert_eq!(it.served(), heads[3..]);
    it.expect_sectors(&[None, None, None, Some(4), Some(5)]);
}

#[test]
fn marked_heads_across_the_end_of_the_index_are_executed() {
    let mut it = Former::at(65535);
    let heads = it.writes(4);
    it.mark(&heads[..3], 0..);
    assert_eq!(it.served(), heads);
}

#[test]
fn last_batch_as_large_as_the_ring_is_not_executed_again() {
    let mut it = Former::at(0);
    let heads = it.writes(SIZE.into());
    it.mark(&heads, 0..);
    it.give_back(&heads);
    assert_eq!(it.served(), [0u16; 0]);
    it.expect_sectors(&[None; 16]);
}

#[test]
fn ring_whose_heads_are_all_marked_is_served() {
    let mut it = Former::at(65530);
    let heads = it.writes(SIZE.into());
    // Taken in the reverse order, by a daemon that may do so.
    it.mark(&heads, (0..16).rev());
    let order: Vec<u16> = heads.into_iter().rev().collect();
    assert_eq!(it.served(), order);
    let written: Vec<Option<u64>> = (1..=16).map(Some).collect();
    it.expect_sectors(&written);
}

#[test]
fn head_of_the_last_batch_that_is_available_again_is_executed() {
    let mut it = Former::at(0);
    let first = it.write(0);
    it.mark(&[first], [0]);
    it.give_back(&[first]);
    // The driver has seen it, and reuses its descriptor.
    assert_eq!(it.disk.watch().0, first);
    assert_eq!(it.write(1), first);
    assert_eq!(it.served(), [first]);
    it.expect_sectors(&[None, Some(2)]);
}

/// The indices of the last batch say nothing about a ring that the region has not seen.
#[test]
fn region_that_is_new_takes_the_used_index_of_its_ring() {
    let mut it = Former::at(1000);
    it.lives.region = Some(InFlightRegion::new(1, SIZE));
    let life = it.begin();
    assert_eq!(it.lives.part(0).used_idx(), 1000);
    drop(life);
    let heads = it.writes(2);
    assert_eq!(it.served(), heads);
}

#[test]
fn region_of_version_0_is_initialised_whatever_else_is_in_it() {
    let mut it = Former::at(3);
    let heads = it.writes(2);
    let part = it.lives.part(0);
    part.set_version(0);
    part.set_desc_num(77);
    part.set_used_idx(9);
    part.set_last_batch_head(12);
    for head in [heads[1], 14] {
        part.set_entry(head, Entry { in_flight: 1, next: 99, counter: u64::MAX });
    }
    assert_eq!(it.served(), heads);
    let part = it.lives.part(0);
    assert_eq!((part.features(), part.version(), part.desc_num()), (0, 1, SIZE));
}

#[test]
fn request_taken_after_a_recovery_counts_on() {
    let mut it = Former::at(0);
    let heads = it.writes(3);
    it.mark(&heads[..2], [1001, 1000]);
    // The marked ones are not taken anew; the point is passed by the third.
    let launch = Daemon::blk_with_hooks().env("VHOST_USER_TEST_SHUFFLE", "1");
    let launch = launch.env("VHOST_USER_TEST_ABORT", "mark:1");
    let life = it.lives.begin_unacked(launch, [&it.disk]);
    assert_eq!(life.daemon.wait(), Exit::Signal(libc::SIGABRT));
    let part = it.lives.part(0);
    assert_eq!(part.marked(), [heads[1], heads[0], heads[2]]);
    assert!(part.entry(heads[2]).counter > 1001, "{:?}", part.entry(heads[2]));
}

#[test]
fn mark_at_a_descriptor_that_is_none_is_given_back_unserved() {
    let mut it = Former::at(0);
    let heads = it.writes(3);
    it.mark(&heads, 0..);
    let nowhere = Descriptor { address: 1 << 50, len: 16, flags: 0, next: 0 };
    it.disk.queue.describe(heads[1], nowhere);
    let life = it.begin();
    let queue = &mut it.disk.queue;
    assert_eq!([queue.wait(), queue.wait(), queue.wait()].map(|used| used.head), heads[..]);
    assert_eq!(queue.used_element(1), Used { head: heads[1], len: 0 });
    assert!(life.daemon.log().has(&format!("queue 0: bad chain at head {}", heads[1])));
    assert_eq!(life.frontend.get_vring_base(0), 3);
    it.lives.part(0).expect_settled(3);
    it.expect_sectors(&[Some(1), None, Some(3)]);
}
