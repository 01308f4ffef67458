// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The way in for the fuzz target of the ring: a ledger over memory of this process, every byte of
//! which the target writes.

use std::fs::File;
use std::sync::Arc;

use vm_memory::Bytes;

use super::{Buffers, GuestRing, Ledger, Request, WriteLog};
use super::{ChainRules, Inflight, InflightRegion, InflightShape, Popped, RingAddresses};
use crate::memory::{DirtyLog, MemoryMap, RegionSpan};
use crate::queue::{Command, Home, Mailbox};

/// Where user addresses are, seen from guest addresses.
const USER: u64 = 0x5000_0000_0000;

/// Guest memory.
#[derive(Clone, Debug)]
pub struct Memory {
    map: Arc<MemoryMap>,
    regions: Vec<Region>,
}

/// A region of guest memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// First guest address.
    pub guest: u64,
    /// Length.
    pub len: u64,
    /// Where it begins in its file.
    pub offset: u64,
}

/// Where a ring is: guest addresses of its parts.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Of the descriptors.
    pub descriptors: u64,
    /// Of the available ring.
    pub avail: u64,
    /// Of the used ring.
    pub used: u64,
    /// How many descriptors there are.
    pub size: u16,
}

/// An in-flight region, mapped.
#[derive(Clone, Debug)]
pub struct Tracked(Arc<InflightRegion>);

/// A dirty log, and where the used ring is for it.
#[derive(Clone, Debug)]
pub struct Logged(WriteLog);

/// Address and length of the pieces of memory that the bytes are in.
pub fn pieces(buffers: &Buffers) -> Pieces {
    let mut pieces = Vec::new();
    buffers.fill(0..buffers.len(), &mut pieces);
    pieces.iter().map(|piece| (piece.start().addr(), piece.len())).collect()
}

/// A virtqueue's ledger.
pub struct Queue {
    ledger: Ledger,
    next_command: Box<dyn FnMut() -> Option<Command>>,
}

/// What was at the next available entry.
#[derive(Debug)]
pub enum Taken {
    /// A request.
    Request(Request),
    /// A chain that cannot be one, at this head.
    Bad(u16),
    /// Nothing.
    Nothing,
    /// What no driver may write.
    Broken,
}

/// Address and length of pieces of our address space.
pub type Pieces = Vec<(usize, usize)>;

impl Memory {
    /// Memory with these regions, which do not overlap, each in its file.
    pub fn of(regions: Vec<(Region, File)>) -> Self {
        let all = regions.iter().map(|(region, _)| *region).collect();
        let spans = regions.into_iter().map(|(Region { guest, len, offset }, file)| {
            // Guest addresses may be as high as there are any.
            let user = USER + (guest & 0xffff_ffff);
            (RegionSpan { guest, len, user, file_offset: offset }, file)
        });
        let map = MemoryMap::of(spans.collect()).expect("regions that can be mapped");
        Self { map: Arc::new(map), regions: all }
    }

    /// Writes bytes at a guest address, as far as they lie in the region that it is in.
    pub fn write(&self, guest: u64, bytes: &[u8]) {
        if let Some((start, len)) = self.within(guest, bytes.len()) {
            let slice = self.map.as_driver(start, len);
            slice.write_slice(&bytes[..len], 0).expect("bytes of a region");
        }
    }

    /// Reads bytes at a guest address; beyond the region that it is in there are zeroes.
    pub fn read<const N: usize>(&self, guest: u64) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some((start, len)) = self.within(guest, N) {
            let slice = self.map.as_driver(start, len);
            slice.read_slice(&mut bytes[..len], 0).expect("bytes of a region");
        }
        bytes
    }

    /// Makes all of it zero again.
    pub fn clear(&self) {
        const ZEROES: [u8; 4096] = [0; 4096];
        for Region { guest, len, .. } in &self.regions {
            for skip in (0..*len).step_by(ZEROES.len()) {
                self.write(guest + skip, &ZEROES);
            }
        }
    }

    /// Address and length of each region in our address space.
    pub fn pieces(&self) -> Pieces {
        let piece = |region: &Region| {
            let len = usize::try_from(region.len).expect("a short region");
            (self.map.as_driver(region.guest, len).ptr_guard().as_ptr().addr(), len)
        };
        self.regions.iter().map(piece).collect()
    }

    fn within(&self, guest: u64, len: usize) -> Option<(u64, usize)> {
        let holds = |region: &&Region| guest.wrapping_sub(region.guest) < region.len;
        let region = self.regions.iter().find(holds)?;
        let left = usize::try_from(region.len - (guest - region.guest)).ok()?;
        Some((guest, len.min(left)))
    }
}

impl Tracked {
    /// The region for one queue in a file, if it is one.
    pub fn map(file: File, range: (u64, u64), queue_size: u16) -> Option<Self> {
        let shape = InflightShape { num_queues: 1, queue_size };
        InflightRegion::map(file, range, shape, 1).ok().map(|region| Self(Arc::new(region)))
    }

    /// How many descriptors it has room for.
    pub fn room(&self) -> u16 {
        self.0.room(0).unwrap_or(0)
    }
}

impl Logged {
    /// The log in a file, if it can be there.
    pub fn map(file: File, (offset, len): (u64, u64), used_ring: Option<u64>) -> Option<Self> {
        let log = DirtyLog::map(file, offset, len).ok()?;
        Some(Self(WriteLog { log: Arc::new(log), used_ring, notifier: None }))
    }
}

impl Queue {
    /// A queue that starts at an available index, without a ring so far.
    pub fn new(next_avail: u16, tracked: Option<&Tracked>) -> Self {
        let (mailbox, mut inbox) = Mailbox::new().expect("a mailbox");
        let home = Arc::new(Home::new(mailbox, |_| 0));
        let inflight = tracked.and_then(|tracked| Inflight::new(&tracked.0, 0));
        let ledger = Ledger::new(home, next_avail, inflight);
        Self { ledger, next_command: Box::new(move || inbox.next()) }
    }

    /// Goes on with the ring at this place, or without one. `false` if what is there cannot be
    /// gone on from.
    pub fn install(
        &mut self,
        memory: &Memory,
        place: Option<Place>,
        event_idx: bool,
        logged: Option<&Logged>,
    ) -> bool {
        let ring = place.and_then(|Place { descriptors, avail, used, size }| {
            let [descriptors, avail, used] =
                [descriptors, avail, used].map(|guest| guest.wrapping_add(USER));
            let addresses = RingAddresses { descriptors, avail, used };
            addresses.are_aligned().then(|| GuestRing::new(&memory.map, addresses, size))?
        });
        let log = logged.map(|logged| logged.0.clone());
        self.ledger.install(ring, event_idx, log).is_ok()
    }

    /// Whether there is no ring just now.
    pub fn is_paused(&self) -> bool {
        self.ledger.is_paused()
    }

    /// How many requests were taken and not given back.
    pub fn in_flight(&self) -> usize {
        self.ledger.in_flight()
    }

    /// How many requests are left of those that another back end took.
    pub fn recovered(&self) -> usize {
        self.ledger.recovered()
    }

    /// The next available index.
    pub fn next_avail(&self) -> u16 {
        self.ledger.next_avail()
    }

    /// Takes the next chain.
    pub fn pop(&mut self, indirect: bool, longest: u32) -> Taken {
        match self.ledger.pop(ChainRules { indirect, longest }) {
            Ok(Some(Popped::Request(request))) => Taken::Request(request),
            Ok(Some(Popped::Bad { head, .. })) => Taken::Bad(head),
            Ok(None) => Taken::Nothing,
            Err(_) => Taken::Broken,
        }
    }

    /// Ends a request.
    pub fn complete(&mut self, request: Request, written: u32) {
        self.ledger.complete(request, written);
    }

    /// Gives the newest request back; one that is not the newest comes back.
    ///
    /// # Errors
    /// It is not the newest.
    pub fn hand_back(&mut self, request: Request) -> Result<(), Request> {
        self.ledger.hand_back(request)
    }

    /// The next request that was sent home.
    pub fn came_home(&mut self) -> Option<(Request, u32)> {
        match (self.next_command)()? {
            Command::Home { request, written } => Some((request, written)),
            _ => None,
        }
    }

    /// Shows the driver what is done.
    pub fn publish(&mut self) -> bool {
        self.ledger.publish()
    }

    /// Asks the driver for kicks, or for none.
    pub fn ask_for_kicks(&mut self, wanted: bool) -> bool {
        if wanted {
            return self.ledger.enable_kicks();
        }
        self.ledger.disable_kicks();
        false
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

/// Ends a request without giving it back, as the end of the process does.
pub fn forget(request: Request) {
    request.discard();
}

/// The head of a request's chain.
pub fn head(request: &Request) -> u16 {
    request.parts().head
}
