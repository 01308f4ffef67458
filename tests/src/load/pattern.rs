// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is in the file: words of eight bytes, each told from every other, and from those that were
//! in the same place before the last write.

use std::fs;
use std::io;
use std::path::PathBuf;

/// How much a word is more than the one before it: odd, so that no two of a disk are the same.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// How much it is more than one of the generation before.
const GENERATION: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// The words of some bytes of the file, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    next: u64,
    left: usize,
}

impl Words {
    /// Those of the `len` bytes at `offset`, both multiples of eight, as they are written in
    /// `generation`.
    pub(super) fn at(offset: u64, len: usize, generation: u8) -> Self {
        let first = (offset / 8).wrapping_mul(STEP);
        let next = first.wrapping_add(u64::from(generation).wrapping_mul(GENERATION));
        Self { next, left: len / size_of::<u64>() }
    }

    /// How many they are.
    pub(super) fn count(self) -> usize {
        self.left
    }
}

impl Iterator for Words {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let word = self.next;
        self.next = word.wrapping_add(STEP);
        Some(word.to_le())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Words {}

/// In which generation each block of the file was written last; kept in a file beside it between
/// two runs, and gone while one writes.
#[derive(Debug)]
pub(super) struct Generations {
    path: PathBuf,
    of_blocks: Vec<u8>,
}

impl Generations {
    /// Of a file of `blocks` blocks that was just made.
    ///
    /// # Errors
    /// They can't be kept.
    pub(super) fn fresh(path: PathBuf, blocks: usize) -> io::Result<()> {
        Self { path, of_blocks: vec![0; blocks] }.keep()
    }

    /// Those that were kept in `path`.
    ///
    /// # Errors
    /// It can't be read: the last run that wrote did not come to its end.
    pub(super) fn take(path: PathBuf) -> io::Result<Self> {
        let of_blocks = fs::read(&path)?;
        fs::remove_file(&path)?;
        Ok(Self { path, of_blocks })
    }

    /// Keeps them for the next run.
    ///
    /// # Errors
    /// The file can't be written.
    pub(super) fn keep(&self) -> io::Result<()> {
        fs::write(&self.path, &self.of_blocks)
    }

    /// One that no block has.
    pub(super) fn new_one(&self) -> Option<u8> {
        (0..=u8::MAX).find(|generation| !self.of_blocks.contains(generation))
    }

    /// That of a block.
    pub(super) fn of(&self, block: usize) -> u8 {
        self.of_blocks[block]
    }

    /// A block is being written in this generation.
    pub(super) fn set(&mut self, block: usize, generation: u8) {
        self.of_blocks[block] = generation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_on_where_those_before_end() {
        let whole: Vec<u64> = Words::at(4096, 8192, 3).collect();
        let halves = Words::at(4096, 4096, 3).chain(Words::at(8192, 4096, 3));
        assert_eq!(whole, halves.collect::<Vec<u64>>());
        assert_eq!(whole.len(), 1024);
    }

    #[test]
    fn words_of_other_places_and_generations_are_others() {
        let places = (0..1000).map(|i| Words::at(i * 8, 8, 0).next());
        let generations = (1..=255).map(|generation| Words::at(0, 8, generation).next());
        let mut all: Vec<_> = places.chain(generations).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn generations_are_kept_and_gone_while_they_are_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("generations");
        Generations::fresh(path.clone(), 3).unwrap();
        let mut generations = Generations::take(path.clone()).unwrap();
        assert!(!path.exists());
        assert_eq!(generations.new_one(), Some(1));
        generations.set(2, 1);
        generations.keep().unwrap();
        let again = Generations::take(path).unwrap();
        assert_eq!([0, 1, 2].map(|block| again.of(block)), [0, 0, 1]);
        assert_eq!(again.new_one(), Some(2));
    }
}
