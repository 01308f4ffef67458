// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! All inodes that the client knows, and how often it has been told of each.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inode::{Ids, Node, Place};
use crate::filesystem::Inode;

const SHARDS: usize = 64;
/// The lowest bits of an inode's number say in which shard it is.
const SHARD_BITS: u32 = SHARDS.trailing_zeros();

/// All inodes that the client knows but the root. The two ways to one are in the same shard, whose lock is
/// held when its references change: so it is never found while it goes away.
#[derive(Debug)]
pub(super) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    by_number: HashSet<ByNumber, Plain>,
    /// The newest inode of these ids. An older one has none any more on the host, where its number is used
    /// again, but the client may still hold it.
    by_ids: HashSet<ByIds>,
    made: u64,
}

/// An inode that is found by its number. The sets have nothing but a pointer for each inode: there may be
/// millions of them.
#[derive(Debug)]
struct ByNumber(Arc<Node>);

/// An inode that is found by its ids.
#[derive(Debug)]
struct ByIds(Arc<Node>);

macro_rules! found_by {
    ($wrapper:ident, $key:ty, $field:ident) => {
        impl Borrow<$key> for $wrapper {
            fn borrow(&self) -> &$key {
                &self.0.$field
            }
        }

        impl Hash for $wrapper {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.$field.hash(state);
            }
        }

        impl PartialEq for $wrapper {
            fn eq(&self, other: &Self) -> bool {
                self.0.$field == other.0.$field
            }
        }

        impl Eq for $wrapper {}
    };
}

found_by!(ByNumber, Inode, number);
found_by!(ByIds, Ids, ids);

impl Default for Table {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, hasher: RandomState::new() }
    }
}

impl Table {
    /// The inode of a number.
    pub(super) fn get(&self, number: Inode) -> Option<Arc<Node>> {
        let shard = self.of_number(number);
        shard.by_number.get(&number).map(|found| Arc::clone(&found.0))
    }

    /// The inode of these ids, as far as is known, and without a reference for it.
    pub(super) fn find(&self, ids: &Ids) -> Option<Arc<Node>> {
        self.shard(self.index(ids)).by_ids.get(ids).map(|found| Arc::clone(&found.0))
    }

    /// The inode of these ids with one reference more, if `is_it` says that it is the one.
    pub(super) fn find_and_refer(
        &self,
        ids: &Ids,
        is_it: impl FnOnce(&Node) -> bool,
    ) -> Option<Arc<Node>> {
        self.shard(self.index(ids)).refer(ids, is_it)
    }

    /// One reference more for an inode that is known.
    pub(super) fn refer(&self, number: Inode) -> bool {
        let shard = self.of_number(number);
        let Some(found) = shard.by_number.get(&number) else { return false };
        found.0.refer();
        true
    }

    /// The inode of these ids with one reference more, made of `place` unless `is_it` says that the one
    /// there is is the same.
    pub(super) fn insert(
        &self,
        ids: Ids,
        kind: u32,
        place: Place,
        is_it: impl FnOnce(&Node, &Place) -> bool,
    ) -> Arc<Node> {
        let index = self.index(&ids);
        let mut shard = self.shard(index);
        if let Some(node) = shard.refer(&ids, |node| is_it(node, &place)) {
            return node;
        }
        shard.made += 1;
        let number = shard.made << SHARD_BITS | index as u64;
        let node = Arc::new(Node::new(Inode(number), ids, kind, place));
        node.refer();
        shard.by_number.insert(ByNumber(Arc::clone(&node)));
        let older = shard.by_ids.replace(ByIds(Arc::clone(&node)));
        // If the client has forgotten it, its descriptor is closed outside of the lock.
        drop(shard);
        drop(older);
        node
    }

    /// Takes references away. Says whether the inode is not known any more.
    pub(super) fn forget(&self, number: Inode, count: u64) -> bool {
        let mut shard = self.of_number(number);
        let Some(found) = shard.by_number.get(&number) else { return false };
        if found.0.unrefer(count) > 0 {
            return false;
        }
        let Some(gone) = shard.by_number.take(&number) else { return false };
        let newest =
            shard.by_ids.get(&gone.0.ids).is_some_and(|found| Arc::ptr_eq(&found.0, &gone.0));
        let other = if newest { shard.by_ids.take(&gone.0.ids) } else { None };
        // Its descriptor is closed outside of the lock.
        drop(shard);
        drop((gone, other));
        true
    }

    /// No inode is known any more.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let gone = (std::mem::take(&mut shard.by_number), std::mem::take(&mut shard.by_ids));
            drop(shard);
            drop(gone);
        }
    }

    /// How many inodes are known.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).by_number.len()).sum()
    }

    fn index(&self, ids: &Ids) -> usize {
        usize::try_from(self.hasher.hash_one(ids) % SHARDS as u64).unwrap_or(0)
    }

    fn of_number(&self, number: Inode) -> MutexGuard<'_, Shard> {
        self.shard(usize::try_from(number.0 % SHARDS as u64).unwrap_or(0))
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        lock(&self.shards[index % SHARDS])
    }
}

impl Shard {
    fn refer(&self, ids: &Ids, is_it: impl FnOnce(&Node) -> bool) -> Option<Arc<Node>> {
        let found = self.by_ids.get(ids).filter(|found| is_it(&found.0))?;
        // What has no reference any more is in neither set.
        found.0.refer();
        Some(Arc::clone(&found.0))
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic ends the process.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Numbers that we have given ourselves are spread well enough by a multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plain(u64);

impl BuildHasher for Plain {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}
