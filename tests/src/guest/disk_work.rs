// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The input and output that every kind of guest does on its disk, checked from both sides.

use std::fmt;

use anyhow::{Context, Result, ensure};

use super::disk::sha256;
use super::{Disk, Guest};

/// How much is written to each place, in bytes.
const WRITTEN: u64 = 16 << 20;
/// The blocks that are read back, in bytes, and how many of them in each place.
const BLOCK: usize = 4096;
const BLOCKS: usize = 64;

/// The file that is written, and the device whose end is written.
const FILE: &str = "/root/written";
const DEVICE: &str = "/dev/vda";

/// What a guest wrote with direct I/O and read back, block for block: half of it in a file, half
/// straight on the disk behind the file system.
#[derive(Debug)]
pub struct DiskWork {
    in_file: Vec<Block>,
    on_disk: Vec<Block>,
}

/// A block of [`BLOCK`] bytes: its offset in the file or on the disk, and its SHA-256 in hex.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    offset: u64,
    hash: String,
}

impl DiskWork {
    /// Lets the guest write random bytes in both places at once, around its page cache, and read
    /// them back. With two `cpus`, a writer runs on each: hence with two queues, on each of these.
    ///
    /// # Errors
    /// A command fails in the guest, or what it reads is not what it wrote.
    pub fn run(guest: &mut Guest, disk: &Disk, cpus: u16) -> Result<Self> {
        let start = disk.free_space();
        for noise in ["/tmp/a", "/tmp/b"] {
            let count = WRITTEN >> 20;
            guest.shell(&format!("dd if=/dev/urandom of={noise} bs=1M count={count}"))?;
        }
        let on_cpu = |cpu: u16| {
            if cpus > 1 { format!("taskset {:x} ", 1 << cpu) } else { "".into() }
        };
        let first = format!("{}dd if=/tmp/a of={FILE} bs=64k oflag=direct", on_cpu(0));
        let second = format!(
            "{}dd if=/tmp/b of={DEVICE} bs=64k seek={start} oflag=direct,seek_bytes conv=notrunc",
            on_cpu(1)
        );
        guest.shell(&format!("{first} & {second} && wait $!"))?;
        let count = WRITTEN / (64 << 10);
        let behind = format!("bs=64k skip={start} count={count} iflag=direct,skip_bytes");
        guest.shell("sync && echo 3 >/proc/sys/vm/drop_caches")?;
        guest.shell(&format!("cmp /tmp/a {FILE} && rm /tmp/a"))?;
        guest.shell(&format!("dd if={DEVICE} {behind} | cmp - /tmp/b && rm /tmp/b"))?;
        Ok(Self {
            in_file: read_blocks(guest, FILE, 0)?,
            on_disk: read_blocks(guest, DEVICE, start)?,
        })
    }

    /// Compares what the guest read with the image.
    ///
    /// # Errors
    /// A block differs, which the error names.
    pub fn check(&self, disk: &Disk) -> Result<()> {
        let file = disk.read_file(FILE)?;
        let len = file.len() as u64;
        ensure!(len == WRITTEN, "{FILE} has {len} bytes in the image, {WRITTEN} were written");
        for block in &self.in_file {
            let start = usize::try_from(block.offset).context("find a block in a file")?;
            block.compare(FILE, file.get(start..start + BLOCK).unwrap_or_default())?;
        }
        for block in &self.on_disk {
            block.compare(DEVICE, &disk.read_at(block.offset, BLOCK)?)?;
        }
        Ok(())
    }
}

impl fmt::Display for DiskWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, blocks) in [(FILE, &self.in_file), (DEVICE, &self.on_disk)] {
            for Block { offset, hash } in blocks {
                writeln!(f, "{place} {offset:>10} {hash}")?;
            }
        }
        Ok(())
    }
}

impl Block {
    fn compare(&self, place: &str, bytes: &[u8]) -> Result<()> {
        let here = sha256(bytes)?;
        ensure!(
            here == self.hash,
            "the block at offset {} of {place} has SHA-256 {here} in the image, {} in the guest",
            self.offset,
            self.hash
        );
        Ok(())
    }
}

/// Lets the guest read random blocks among those that it wrote at `start` of `place`.
fn read_blocks(guest: &mut Guest, place: &str, start: u64) -> Result<Vec<Block>> {
    let first = start / BLOCK as u64;
    let last = first + WRITTEN / BLOCK as u64 - 1;
    let read = format!("dd if={place} bs={BLOCK} count=1 skip=$n iflag=direct 2>/tmp/dd");
    let printed = guest.shell(&format!(
        "for n in $(shuf -i {first}-{last} -n {BLOCKS}); do \
         echo $((n * {BLOCK})) $({read} | sha256sum); done"
    ))?;
    let blocks = printed.lines().map(|line| {
        let mut words = line.split_whitespace();
        let offset = words.next()?.parse().ok()?;
        Some(Block { offset, hash: words.next()?.to_owned() })
    });
    let blocks: Option<Vec<Block>> = blocks.collect();
    let blocks = blocks.with_context(|| format!("read offsets and hashes in: {printed}"))?;
    ensure!(blocks.len() == BLOCKS, "{} blocks of {place} were read: {printed}", blocks.len());
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_that_differs_in_the_image_is_named() {
        let hash = sha256(b"abc").unwrap();
        let block = Block { offset: 8192, hash };

        block.compare(FILE, b"abc").unwrap();
        let error = block.compare(FILE, b"abd").unwrap_err().to_string();

        assert_eq!(
            error,
            "the block at offset 8192 of /root/written has SHA-256 \
             a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9 in the image, \
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad in the guest"
        );
    }
}
