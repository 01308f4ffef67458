// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a virtqueue needs and is slow to make: made once, and used again for every input.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use vhost_user_device::fuzz::ring::{Memory, Pieces};

use super::places::{file, memories};

/// Bytes of the files of the in-flight region and the dirty log.
pub(super) const FILE: usize = 0x1000;

/// Guest memory, and files for the in-flight region and the dirty log.
pub(super) struct Surroundings {
    pub(super) memory: Rc<Memory>,
    /// Where it is in our address space.
    pub(super) mapped: Rc<Pieces>,
    pub(super) tracked: File,
    pub(super) log: File,
}

thread_local! {
    static MEMORIES: Vec<(Rc<Memory>, Rc<Pieces>)> = memories()
        .into_iter()
        .map(|memory| {
            let mapped = Rc::new(memory.pieces());
            (Rc::new(memory), mapped)
        })
        .collect();
    static FILES: [File; 2] = [file(FILE as u64), file(FILE as u64)];
}

impl Surroundings {
    /// Those with memory of one shape, all zero.
    pub(super) fn of_shape(shape: u8) -> Self {
        let (memory, mapped) = MEMORIES.with(|all| all[usize::from(shape) % all.len()].clone());
        memory.clear();
        let [tracked, log] = FILES
            .with(|files| files.each_ref().map(|file| file.try_clone().expect("a descriptor")));
        tracked.write_all_at(&[0; FILE], 0).expect("bytes of the file");
        Self { memory, mapped, tracked, log }
    }
}
