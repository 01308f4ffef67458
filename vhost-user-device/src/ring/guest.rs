// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Every access to guest memory that the data plane makes: the one file of this room with
//! `unsafe` in it.
//!
//! The driver may change any byte at any time. Nothing here makes a reference to guest memory:
//! words of the ring are atomics, everything else is copied out or in once.

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use vm_memory::mmap::MmapRegion;

use super::shared::{Descriptor, SharedRing};
use crate::memory::MemoryMap;

/// A piece of guest memory in our address space, laid out as `struct iovec`.
///
/// Whoever keeps a piece keeps the [`MemoryMap`] it came from beside it. That is the obligation
/// on which every access below rests, and the reason why pieces do not leave the crate.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Piece(libc::iovec);

// SAFETY: a piece is an address and a length; what may be done with it does not depend on the
// thread, as guest memory is shared with other processes to begin with.
unsafe impl Send for Piece {}

// SAFETY: as above; and `&Piece` only copies the address and the length.
unsafe impl Sync for Piece {}

impl Piece {
    /// The piece of a mapping from byte `offset` on, of at most `len` bytes; `None` beyond its
    /// end.
    #[inline]
    pub(crate) fn of_mapping(mapping: &MmapRegion<()>, offset: usize, len: usize) -> Option<Self> {
        let left = mapping.size().checked_sub(offset).filter(|left| *left != 0)?;
        Some(Self::at(mapping.as_ptr().wrapping_add(offset), len.min(left)))
    }

    /// Bytes of our own, in the place of guest memory. Whoever keeps the piece keeps them, too, and
    /// leaves them alone while the kernel has it.
    pub(crate) fn of_ours(bytes: &mut [u8]) -> Self {
        Self::at(bytes.as_mut_ptr(), bytes.len())
    }

    fn at(start: *mut u8, len: usize) -> Self {
        Self(libc::iovec { iov_base: start.cast(), iov_len: len })
    }

    #[inline]
    pub(crate) fn start(&self) -> *mut u8 {
        self.0.iov_base.cast()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.iov_len
    }

    /// The piece without its first `skip` bytes, cut to at most `len`.
    #[inline]
    pub(crate) fn part(&self, skip: usize, len: usize) -> Self {
        let skip = skip.min(self.len());
        Self::at(self.start().wrapping_add(skip), len.min(self.len() - skip))
    }

    /// Copies the first `out.len()` bytes of the piece, which has as many.
    #[inline]
    pub(crate) fn read(&self, out: &mut [u8]) {
        let len = out.len().min(self.len());
        // SAFETY: the piece's bytes are mapped (see `Piece`), `out` is ours, so they don't
        // overlap; a torn value is as good as any other that the driver could have written.
        unsafe { ptr::copy_nonoverlapping(self.start(), out.as_mut_ptr(), len) };
    }

    /// The first bytes of the piece, each read once; `None` if it has fewer.
    #[inline]
    pub(crate) fn read_once<const N: usize>(&self) -> Option<[u8; N]> {
        if self.len() < N {
            return None;
        }
        // SAFETY: the piece has at least N bytes, mapped (see `Piece`); an array of bytes has no
        // alignment, and any bytes are a value. Volatile, so that no field is fetched twice.
        Some(unsafe { self.start().cast::<[u8; N]>().read_volatile() })
    }

    /// Sets `bits` of the first byte, at once with taking it away elsewhere; false if there is no
    /// byte. What we wrote before is visible to whoever finds them.
    pub(crate) fn fetch_or(&self, bits: u8) -> bool {
        if self.len() == 0 {
            return false;
        }
        // SAFETY: the byte is mapped (see `Piece`); whoever shares it uses atomic accesses, too.
        let byte = unsafe { AtomicU8::from_ptr(self.start()) };
        byte.fetch_or(bits, Ordering::SeqCst);
        true
    }

    /// Stores a value at byte `offset`, after all that was stored before; nothing is stored if it
    /// does not fit.
    #[inline]
    pub(crate) fn store<W: Word>(&self, offset: usize, value: W) {
        if let Some(word) = self.word(offset) {
            before_store();
            value.store_at(word);
        }
    }

    /// The value at byte `offset`, zero if there is none.
    pub(crate) fn load<W: Word>(&self, offset: usize) -> W {
        self.word(offset).map_or(W::default(), W::load_at)
    }

    /// The address of a value at byte `offset`, if it is within the piece and aligned.
    #[inline]
    fn word<W: Word>(&self, offset: usize) -> Option<WordAt<W>> {
        let at = self.start().wrapping_add(offset).cast::<W>();
        let fits = self.len().checked_sub(offset).is_some_and(|left| left >= size_of::<W>());
        (fits && at.addr().is_multiple_of(size_of::<W>())).then_some(WordAt(at))
    }

    /// Copies `data` to the start of the piece, which has room for it.
    #[inline]
    pub(crate) fn write(&self, data: &[u8]) {
        let len = data.len().min(self.len());
        // SAFETY: the piece's bytes are mapped and writable (see `Piece`), `data` is ours.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), self.start(), len) };
    }
}

/// The address of a whole, aligned value in a piece that is mapped.
#[derive(Clone, Copy)]
pub(crate) struct WordAt<W>(*mut W);

/// Numbers that shared memory has in the byte order of the machine.
pub(crate) trait Word: Copy + Default {
    /// Stores it, after all that was stored before.
    fn store_at(self, at: WordAt<Self>);
    /// Loads it, before all that is loaded after.
    fn load_at(at: WordAt<Self>) -> Self;
}

macro_rules! words {
    ($($word:ty: $atomic:ty),*) => {$(
        impl Word for $word {
            #[inline]
            fn store_at(self, at: WordAt<Self>) {
                // SAFETY: the address was checked, and its memory is mapped (see `Piece`).
                unsafe { <$atomic>::from_ptr(at.0) }.store(self, Ordering::Release);
            }

            fn load_at(at: WordAt<Self>) -> Self {
                // SAFETY: as above.
                unsafe { <$atomic>::from_ptr(at.0) }.load(Ordering::Acquire)
            }
        }
    )*};
}

words!(u8: AtomicU8, u16: AtomicU16, u64: AtomicU64);

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}+{:#x}", self.start(), self.len())
    }
}

/// Called before each store to memory that outlives us. Tests end a back end there.
#[inline]
fn before_store() {
    #[cfg(all(test, debug_assertions))]
    super::tests::before_store();
}

/// A split ring in guest memory: three pointers with their size, immutable, and the map that
/// keeps them valid.
#[derive(Clone)]
pub(crate) struct GuestRing {
    descriptors: *mut u8,
    avail: *mut u8,
    used: *mut u8,
    size: u16,
    memory: Arc<MemoryMap>,
}

// SAFETY: the pointers lead to shared guest memory that `memory` keeps mapped, and every access
// through them is atomic or a copy; no thread is special.
unsafe impl Send for GuestRing {}

/// Where the three parts of a ring are: user addresses, as SET_VRING_ADDR says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingAddresses {
    pub(crate) descriptors: u64,
    pub(crate) avail: u64,
    pub(crate) used: u64,
}

impl RingAddresses {
    /// Whether each part begins where virtio 1.3, section 2.7 wants it.
    pub(crate) fn are_aligned(&self) -> bool {
        self.descriptors.is_multiple_of(16)
            && self.avail.is_multiple_of(2)
            && self.used.is_multiple_of(4)
    }
}

/// Byte offsets in the two rings (virtio 1.3, sections 2.7.6 and 2.7.8).
const FLAGS: usize = 0;
const IDX: usize = 2;
const RING: usize = 4;

impl GuestRing {
    /// The ring of `size` descriptors (a power of two, at most 32768) at these addresses, or
    /// `None` if they do not translate just now or are not aligned.
    pub(crate) fn new(
        memory: &Arc<MemoryMap>,
        addresses: RingAddresses,
        size: u16,
    ) -> Option<Self> {
        if !size.is_power_of_two() {
            return None;
        }
        let entries = usize::from(size);
        let part = |start, len, alignment| {
            let start = memory.piece_at_user(start, len)?.start();
            start.addr().is_multiple_of(alignment).then_some(start)
        };
        Some(Self {
            descriptors: part(addresses.descriptors, entries * Descriptor::SIZE, 1)?,
            // flags, idx, ring, used_event.
            avail: part(addresses.avail, RING + 2 * entries + 2, 2)?,
            // flags, idx, ring, avail_event.
            used: part(addresses.used, RING + 8 * entries + 2, 4)?,
            size,
            memory: Arc::clone(memory),
        })
    }

    /// The table that the ring's descriptors point into.
    pub(crate) fn memory(&self) -> &Arc<MemoryMap> {
        &self.memory
    }

    fn avail_word(&self, offset: usize) -> &AtomicU16 {
        let word = self.avail.wrapping_add(offset).cast();
        // SAFETY: `new` translated the whole of the ring and saw to it that it is aligned, and
        // offsets come from this file: below RING + 2 * size + 2. `memory` keeps it mapped.
        unsafe { AtomicU16::from_ptr(word) }
    }

    fn used_word(&self, offset: usize) -> &AtomicU16 {
        let word = self.used.wrapping_add(offset).cast();
        // SAFETY: as in `avail_word`; offsets are below RING + 8 * size + 2.
        unsafe { AtomicU16::from_ptr(word) }
    }

    fn used_field(&self, offset: usize) -> &AtomicU32 {
        let field = self.used.wrapping_add(offset).cast();
        // SAFETY: as in `used_word`; the ring is aligned to 4, and so are the offsets.
        unsafe { AtomicU32::from_ptr(field) }
    }

    /// `slot` as an index that is below the size, whatever it was.
    fn entry(&self, slot: u16) -> usize {
        usize::from(slot & (self.size - 1))
    }
}

impl SharedRing for GuestRing {
    #[inline]
    fn size(&self) -> u16 {
        self.size
    }

    #[inline]
    fn avail_idx(&self) -> u16 {
        u16::from_le(self.avail_word(IDX).load(Ordering::Acquire))
    }

    #[inline]
    fn avail_flags(&self) -> u16 {
        u16::from_le(self.avail_word(FLAGS).load(Ordering::Relaxed))
    }

    #[inline]
    fn avail_entry(&self, slot: u16) -> u16 {
        u16::from_le(self.avail_word(RING + 2 * self.entry(slot)).load(Ordering::Relaxed))
    }

    #[inline]
    fn used_event(&self) -> u16 {
        let offset = RING + 2 * usize::from(self.size);
        u16::from_le(self.avail_word(offset).load(Ordering::Relaxed))
    }

    #[inline]
    fn used_idx(&self) -> u16 {
        u16::from_le(self.used_word(IDX).load(Ordering::Relaxed))
    }

    #[inline]
    fn set_used_element(&self, slot: u16, head: u16, written: u32) {
        let offset = RING + 8 * self.entry(slot);
        before_store();
        self.used_field(offset).store(u32::from(head).to_le(), Ordering::Relaxed);
        before_store();
        self.used_field(offset + 4).store(written.to_le(), Ordering::Relaxed);
    }

    #[inline]
    fn set_used_idx(&self, index: u16) {
        before_store();
        self.used_word(IDX).store(index.to_le(), Ordering::Release);
    }

    #[inline]
    fn set_used_flags(&self, flags: u16) {
        self.used_word(FLAGS).store(flags.to_le(), Ordering::Relaxed);
    }

    #[inline]
    fn set_avail_event(&self, index: u16) {
        let offset = RING + 8 * usize::from(self.size);
        self.used_word(offset).store(index.to_le(), Ordering::Relaxed);
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn descriptor(&self, slot: u16) -> Descriptor {
        let start = self.descriptors.wrapping_add(Descriptor::SIZE * self.entry(slot));
        // The piece has just this length.
        let bytes = Piece::at(start, Descriptor::SIZE).read_once();
        Descriptor::from_bytes(bytes.unwrap_or_default())
    }
}

impl fmt::Debug for GuestRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestRing").field("size", &self.size).finish_non_exhaustive()
    }
}
