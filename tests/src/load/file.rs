// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The file: made, brought into the page cache or out of it, and read without any device.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::pattern::{Generations, Words};
use super::sys::{self, Area};
use crate::memory::GuestMemory;
use crate::random::Random;

/// How many bytes are read at once where it doesn't matter.
const PIECE: usize = 1 << 20;

/// Makes the file with the contents of generation 0, all of it on the disk; by writes of `piece`
/// bytes, and in such pieces the page cache has it.
pub(super) fn make(path: &Path, len: u64, piece: usize) {
    let mut file = File::create(path).expect("make the file");
    let mut offset = 0;
    while offset < len {
        let piece = usize::try_from(len - offset).map_or(piece, |left| left.min(piece));
        let bytes: Vec<u8> = Words::at(offset, piece, 0).flat_map(u64::to_ne_bytes).collect();
        file.write_all(&bytes).expect("write the file");
        offset += u64::try_from(piece).expect("a length in 64 bits");
    }
    file.sync_all().expect("sync the file");
}

/// Notes that all blocks of the file are of generation 0.
pub(super) fn note(generations: PathBuf, len: u64, block: usize) {
    let blocks = usize::try_from(len).expect("a length") / block;
    Generations::fresh(generations, blocks).expect("note the generations of the file");
}

/// Writes to the disk what is not there yet, and then reads all of the file, or has the kernel
/// forget it.
pub(super) fn settle(path: &Path, cached: bool) {
    let mut file = File::open(path).expect("open the file");
    file.sync_data().expect("sync the file");
    if !cached {
        return sys::forget(&file).expect("have the kernel forget the file");
    }
    let mut bytes = vec![0; PIECE];
    while file.read(&mut bytes).expect("read the file") > 0 {}
}

/// How many reads of `block` bytes at any places of the file, one after the other, one thread does
/// in `time`, and how long it took. There are as many buffers as a device would have, of the
/// same kind of memory, and they are taken in turn.
pub(super) fn read_bare(path: &Path, block: usize, buffers: usize, time: Duration) -> (u64, f64) {
    let file = File::open(path).expect("open the file");
    let len = u64::try_from(block).expect("a length in 64 bits");
    let blocks = file.metadata().expect("the length of the file").len() / len;
    let size = u64::try_from(block * buffers).expect("a length in 64 bits");
    let memory = GuestMemory::new(size);
    let area = Area::new(memory.buffer(block * buffers));
    let mut random = Random::of(Random::seed());
    let mut run = |time: Duration| {
        let (begin, mut reads) = (Instant::now(), 0);
        while begin.elapsed() < time {
            for buffer in 0..buffers {
                let offset = random.below(blocks) * len;
                let read = area.pread(buffer * block, block, &file, offset);
                assert_eq!(read.expect("read the file"), block, "bytes at {offset}");
                reads += 1;
            }
        }
        (reads, begin.elapsed().as_secs_f64())
    };
    run(time / 10);
    run(time)
}
