// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The descriptors of inodes with handles that happen to be open: so many, and those of use lately.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::descriptors::Descriptor;
use super::inode::Node;

const SHARDS: usize = 16;

/// Which inodes have a descriptor that they could do without. Which of them goes when another one comes
/// is said by a clock: its hand passes those that have been of use since it came by last.
#[derive(Debug)]
pub(super) struct Held {
    shards: [Mutex<Clock>; SHARDS],
    /// The most that one shard has.
    room: usize,
}

#[derive(Debug, Default)]
struct Clock {
    slots: Vec<Weak<Node>>,
    hand: usize,
}

impl Held {
    /// Room for about so many descriptors.
    pub(super) fn new(descriptors: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            room: descriptors.div_ceil(SHARDS),
        }
    }

    /// Whether any are held at all.
    pub(super) fn is_on(&self) -> bool {
        self.room > 0
    }

    /// Has `node` keep a descriptor, and another node give up its own if there are too many.
    pub(super) fn keep(&self, node: &Arc<Node>, descriptor: &Arc<Descriptor>) {
        if !self.is_on() || !node.hold(descriptor) {
            return;
        }
        let shard = usize::try_from(node.number.0 % SHARDS as u64).unwrap_or(0);
        let Some(shard) = self.shards.get(shard) else { return };
        let victim = {
            let mut clock = shard.lock().unwrap_or_else(PoisonError::into_inner);
            clock.put(Arc::downgrade(node), self.room)
        };
        // Closed outside of the lock.
        drop(victim.and_then(|victim| victim.let_go()));
    }

    /// Has some node give up its descriptor. Says whether one did.
    pub(super) fn give_up_one(&self) -> bool {
        self.shards.iter().any(|shard| {
            loop {
                let node = shard.lock().unwrap_or_else(PoisonError::into_inner).slots.pop();
                match node {
                    None => return false,
                    Some(node) if node.upgrade().and_then(|node| node.let_go()).is_some() => {
                        return true;
                    }
                    Some(_) => {}
                }
            }
        })
    }

    /// All are given up.
    pub(super) fn clear(&self) {
        while self.give_up_one() {}
    }
}

impl Clock {
    /// Puts a node in place of another one if there are as many as there is room for.
    fn put(&mut self, node: Weak<Node>, room: usize) -> Option<Arc<Node>> {
        if self.slots.len() < room {
            self.slots.push(node);
            return None;
        }
        // After one round none has been of use any more.
        for _ in 0..=self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(slot) = self.slots.get_mut(self.hand) else { continue };
            let there = slot.upgrade();
            if there.as_ref().is_none_or(|there| !there.was_used()) {
                *slot = node;
                return there;
            }
        }
        let there = self.slots.get_mut(self.hand)?;
        std::mem::replace(there, node).upgrade()
    }
}
