// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Chains as another implementation reads them: the `virtio-queue` crate, on the same memory.

use std::sync::Arc;

use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::mock::{AvailRing, DescriptorTable};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap};

use super::Random;
use super::bench::Bench;
use super::driver::{Layout, region};
use crate::memory::MemoryMap;
use crate::ring::shared::{INDIRECT, NEXT, WRITE};
use crate::ring::{Buffers, Popped, Request};

const SIZE: u16 = 16;
const LAYOUT: Layout = Layout { start: 0x1000, size: SIZE };

/// Guest address and length of each region: two that touch, one far away.
const REGIONS: [(u64, u64); 3] = [(0, 0x8000), (0x8000, 0x4000), (0x2_0000_0000, 0x2000)];
/// Where the indirect table is: at the border, so that some tables cross it.
const TABLE: u64 = 0x8000 - 40;

/// The same files, mapped twice: once for us, once for the other implementation.
fn mapped_twice() -> (Arc<MemoryMap>, GuestMemoryMmap) {
    let mut ours = MemoryMap::default();
    let mut theirs = Vec::new();
    for (start, len) in REGIONS {
        let file = crate::sys::memfd("guest").expect("memfd");
        file.set_len(len).expect("length of the file");
        let again = file.try_clone().expect("the same file");
        ours = ours.with(region(start, len), file).expect("map");
        let len = usize::try_from(len).expect("a length");
        theirs.push((GuestAddress(start), len, Some(FileOffset::new(again, 0))));
    }
    (Arc::new(ours), GuestMemoryMmap::from_ranges_with_files(theirs).expect("map"))
}

/// Both implementations at one ring.
struct Both<'m> {
    ours: Bench,
    theirs: Queue,
    memory: &'m GuestMemoryMmap,
    descriptors: DescriptorTable<'m, GuestMemoryMmap>,
    avail: AvailRing<'m, GuestMemoryMmap>,
}

/// What they say to the same chain.
struct Verdicts {
    ours: Popped,
    /// Guest address, length and flags of each buffer.
    theirs: Vec<Descriptor>,
}

impl<'m> Both<'m> {
    fn new(map: &Arc<MemoryMap>, memory: &'m GuestMemoryMmap) -> Self {
        let mut theirs = Queue::new(SIZE).expect("a queue");
        theirs.try_set_desc_table_address(GuestAddress(LAYOUT.start)).expect("aligned");
        theirs.try_set_avail_ring_address(GuestAddress(LAYOUT.avail())).expect("aligned");
        theirs.try_set_used_ring_address(GuestAddress(LAYOUT.used())).expect("aligned");
        theirs.set_ready(true);
        let descriptors = DescriptorTable::new(memory, GuestAddress(LAYOUT.start), SIZE);
        let avail = AvailRing::new(memory, GuestAddress(LAYOUT.avail()), SIZE);
        Self { ours: Bench::new(map, LAYOUT), theirs, memory, descriptors, avail }
    }

    /// Makes the chain at `head` available, and has both take it.
    fn take(&mut self, head: u16) -> Verdicts {
        let index = self.avail.idx().load();
        self.avail.ring().ref_at((index % SIZE).into()).expect("an entry").store(head);
        self.avail.idx().store(index.wrapping_add(1));
        let theirs = self.theirs.pop_descriptor_chain(self.memory).expect("a chain");
        assert_eq!(theirs.head_index(), head);
        let ours = self.ours.pop().expect("a sound ring").expect("a chain");
        Verdicts { ours, theirs: theirs.collect() }
    }

    fn write_descriptor(&self, index: u16, descriptor: Descriptor) {
        self.descriptors.store(index, RawDescriptor::from(descriptor)).expect("a descriptor");
    }

    fn write_entry(&self, index: usize, descriptor: Descriptor) {
        let address = GuestAddress(TABLE + 16 * index as u64);
        self.memory.write_obj(RawDescriptor::from(descriptor), address).expect("an entry");
    }

    /// Both read the same bytes, and what we write they see.
    fn compare(&mut self, request: Request, theirs: &[Descriptor], random: &mut Random) {
        let parts = [request.readable(), request.writable()];
        let lengths = parts.map(Buffers::len);
        let ours = parts.map(|part| {
            let mut bytes = vec![0; part.len()];
            part.read(0, &mut bytes).map(|()| bytes)
        });
        let before = [false, true].map(|write_only| self.bytes(theirs, write_only));
        let offset = random.next() % lengths[1].max(1) as u64;
        let offset = usize::try_from(offset).expect("an offset");
        let written = request.writable().write(offset, b"!");
        // It ends before anything is asserted: a request that is dropped is a fault of its own.
        self.ours.complete(request, 0);

        assert_eq!(lengths, before.each_ref().map(Vec::len));
        assert_eq!(ours, before.map(Ok));
        if lengths[1] > 0 {
            written.expect("a byte to write to");
            assert_eq!(self.bytes(theirs, true)[offset], b'!');
        }
    }

    /// The bytes of the readable or the writable buffers.
    fn bytes(&self, buffers: &[Descriptor], write_only: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for buffer in buffers.iter().filter(|buffer| buffer.is_write_only() == write_only) {
            let at = bytes.len();
            bytes.resize(at + buffer.len() as usize, 0);
            self.memory.read_slice(&mut bytes[at..], buffer.addr()).expect("guest memory");
        }
        bytes
    }
}

/// Fills what holds buffers.
fn fill(memory: &GuestMemoryMmap, random: &mut Random) {
    for start in (0x2000..0xc000).chain(0x2_0000_0000..0x2_0000_2000).step_by(8) {
        memory.write_obj(random.next(), GuestAddress(start)).expect("guest memory");
    }
}

/// A buffer that lies in guest memory, often across the border, never in the ring or the table.
fn any_buffer(random: &mut Random) -> (u64, u32) {
    let longest = if random.one_in(4) { 0x800 } else { 0x20 };
    let len = 1 + random.below(longest);
    let start = match random.below(3) {
        0 => 0x2000 + random.below(0x5000),
        1 => 0x9000 + random.below(0x2000),
        _ => 0x2_0000_0000 + random.below(0x2000 - len),
    };
    (start, u32::try_from(len).expect("a length"))
}

/// Indices below the ring's size, shuffled.
fn shuffled(random: &mut Random) -> Vec<u16> {
    let mut indices: Vec<u16> = (0..SIZE).collect();
    for at in (1..indices.len()).rev() {
        indices.swap(at, usize::try_from(random.below(at as u64 + 1)).expect("an index"));
    }
    indices
}

/// Runs a test with a seed; tells which one if it fails.
fn for_seeds(seeds: std::ops::Range<u64>, test: impl Fn(&mut Random)) {
    struct Seed(u64);
    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the seed is {}", self.0);
            }
        }
    }
    for seed in seeds {
        let seed = Seed(seed);
        test(&mut Random::new(seed.0));
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn good_chains_are_read_as_the_other_implementation_reads_them() {
    let (map, memory) = mapped_twice();
    for_seeds(1..9, |random| {
        let mut both = Both::new(&map, &memory);
        fill(&memory, random);
        for _ in 0..500 {
            let head = write_good_chain(&both, random);
            let Verdicts { ours, theirs } = both.take(head);
            let request = match ours {
                Popped::Request(request) => request,
                Popped::Bad { error, .. } => panic!("{error}: {theirs:?}"),
            };
            both.compare(request, &theirs, random);
        }
    });
}

/// Writes a chain of direct descriptors anywhere in the table, or of some and an indirect table,
/// the readable ones first. Returns its head.
fn write_good_chain(both: &Both<'_>, random: &mut Random) -> u16 {
    let indices = shuffled(random);
    let direct = usize::try_from(random.below(SIZE.into())).expect("a count");
    let indirect = if random.one_in(2) { 1 + random.below(30) } else { 0 };
    let indirect = usize::try_from(indirect).expect("a count");
    // Without a table there is at least one direct one.
    let direct = if indirect == 0 { direct + 1 } else { direct };
    let total = direct + indirect;
    let readable = usize::try_from(random.below(total as u64 + 1)).expect("a count");
    for at in 0..total {
        let (start, len) = loop {
            let (start, len) = any_buffer(random);
            // Where the table is, nothing is written.
            if start + u64::from(len) <= TABLE || start >= TABLE + 16 * 30 {
                break (start, len);
            }
        };
        let (start, len) =
            if indirect == 0 && random.one_in(8) { (0x7ff0, 0x20) } else { (start, len) };
        let write = if at < readable { 0 } else { WRITE };
        if at < direct {
            let next = at + 1 < direct || indirect > 0;
            let flags = if next { NEXT | write } else { write };
            let next = indices.get(at + 1).copied().unwrap_or(0);
            both.write_descriptor(indices[at], Descriptor::new(start, len, flags, next));
        } else {
            let flags = if at + 1 < total { NEXT | write } else { write };
            let next = u16::try_from(at - direct + 1).expect("an index");
            both.write_entry(at - direct, Descriptor::new(start, len, flags, next));
        }
    }
    if indirect > 0 {
        let len = u32::try_from(16 * indirect).expect("a length");
        both.write_descriptor(indices[direct], Descriptor::new(TABLE, len, INDIRECT, 0));
    }
    indices[0]
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn random_descriptors_are_refused_or_read_as_the_other_implementation_reads_them() {
    let (map, memory) = mapped_twice();
    let accepted = std::cell::Cell::new(0);
    for_seeds(100..104, |random| {
        let mut both = Both::new(&map, &memory);
        fill(&memory, random);
        for _ in 0..1000 {
            for index in 0..SIZE {
                let descriptor = any_descriptor(random);
                both.write_descriptor(index, descriptor);
                both.write_entry(index.into(), any_descriptor(random));
            }
            let head = u16::try_from(random.below(SIZE.into())).expect("an index");
            let Verdicts { ours, theirs } = both.take(head);
            if let Popped::Request(request) = ours {
                accepted.set(accepted.get() + 1);
                both.compare(request, &theirs, random);
            }
        }
    });
    let accepted = accepted.get();
    assert!((400..3600).contains(&accepted), "{accepted} of 4000 are accepted");
}

/// A descriptor of which mostly, but not always, each field makes sense.
fn any_descriptor(random: &mut Random) -> Descriptor {
    let (mut start, mut len) = any_buffer(random);
    let mut next = u16::try_from(random.below(SIZE.into())).expect("an index");
    let mut flags = [0, 0, WRITE, WRITE, NEXT, NEXT | WRITE]
        [usize::try_from(random.below(6)).expect("a choice")];
    if random.one_in(12) {
        (start, len, flags) = (TABLE, 16 * u32::from(SIZE), flags | INDIRECT);
    }
    match random.below(80) {
        0 => start = random.next(),
        1 => len = 0,
        2 => len = u32::try_from(random.next() >> 32).expect("32 bits"),
        3 => flags = u16::try_from(random.next() >> 48).expect("16 bits"),
        4 => next = u16::try_from(random.next() >> 48).expect("16 bits"),
        5 => start = 0x7ff0,
        _ => {}
    }
    Descriptor::new(start, len, flags, next)
}
