// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Descriptors of random bytes, many of them, and ones that do not stay what they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vhost_user_tests::driver::{INDIRECT, NEXT, WRITE};
use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;
use vhost_user_tests::random::Random;

use super::Bench;

const MIB: u64 = 1 << 20;
/// Where random addresses lead, if they lead anywhere: a region without any ring.
const PLAYGROUND: u64 = 1 << 36;

/// A number of 16 bits below `end`.
fn small(random: &mut Random, end: u64) -> u16 {
    u16::try_from(random.below(end)).expect("a number below 65536")
}

fn descriptor(random: &mut Random) -> Descriptor {
    let address = match random.below(8) {
        0 => random.number(),
        1 => PLAYGROUND + MIB - random.below(600),
        _ => PLAYGROUND + random.below(MIB),
    };
    let len = match random.below(8) {
        0 => u32::try_from(random.number() >> 32).expect("32 bits"),
        1 => 16 * u32::from(small(random, 20)),
        2 => 0,
        _ => u32::from(small(random, 2000)),
    };
    let end = if random.below(8) == 0 { 0x1_0000 } else { 16 };
    let next = small(random, end);
    Descriptor { address, len, flags: small(random, 8), next }
}

#[test]
fn chains_of_random_descriptors_are_all_given_back() {
    let regions = [RegionAt::new(BASE, 4 * MIB), RegionAt::new(PLAYGROUND, MIB)];
    let memory = GuestMemory::of_regions(&regions);
    let mut it = Bench::on(&[], USUAL, &memory);
    let mut random = Random::of(1);
    for round in 0..300 {
        for slot in 0..16 {
            it.bad.queue.describe(slot, descriptor(&mut random));
        }
        // What indirect descriptors find; now and then a table that leads on.
        let table: Vec<u8> = (0..16).flat_map(|_| descriptor(&mut random).bytes()).collect();
        memory.write(PLAYGROUND + random.below(MIB - 4096), &table);
        let heads: Vec<u16> = (0..16).map(|_| small(&mut random, 16)).collect();
        for head in &heads {
            it.bad.queue.add_head(*head);
        }
        it.bad.queue.publish();
        it.bad.queue.kick();
        for head in heads {
            assert_eq!(it.bad.queue.wait().head, head, "in round {round}");
        }
    }
    assert_eq!(it.good.read(40, 1).map(|sector| sector.len()), Ok(SECTOR));
    assert_eq!(it.daemon.descriptors(), it.descriptors);
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn descriptors_that_change_while_they_are_read_harm_nobody() {
    let regions = [RegionAt::new(BASE, 4 * MIB), RegionAt::new(PLAYGROUND, MIB)];
    let memory = GuestMemory::of_regions(&regions);
    let mut it = Bench::on(&[], USUAL, &memory);
    let header = memory.buffer(16);
    header.write(&[0; 16]);
    let slots = it.bad.queue.take_slots(3);
    let at = it.bad.queue.rings().descriptors + u64::from(slots[1]) * Descriptor::SIZE;
    let segment = |address, len| {
        [
            Segment::readable(header.address(), 16),
            Segment::writable(address, len),
            Segment::writable(PLAYGROUND, 1),
        ]
    };
    it.bad.queue.chain(&slots, &segment(PLAYGROUND, SECTOR), None);
    let good = memory.read(at, 16);
    let wrong = [
        Descriptor { address: 0x10, len: 512, flags: WRITE | NEXT, next: slots[2] },
        Descriptor { address: PLAYGROUND, len: u32::MAX, flags: WRITE | NEXT, next: slots[2] },
        Descriptor { address: PLAYGROUND, len: 64, flags: INDIRECT, next: 0 },
        Descriptor { address: PLAYGROUND, len: 512, flags: NEXT, next: u16::MAX },
    ];
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for descriptor in wrong {
                    memory.write(at, &descriptor.bytes());
                    memory.write(at, &good);
                }
            }
        });
        for _ in 0..5000 {
            it.bad.queue.offer(slots[0]);
            assert_eq!(it.bad.queue.wait().head, slots[0]);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(it.good.read(6, 1), Ok(it.image.sector(6)));
    assert_eq!(it.daemon.descriptors(), it.descriptors);
}
