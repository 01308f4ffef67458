// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guest memory whose pages cannot be had: a file that was truncated, a file system that is full,
//! huge pages that there are none of.
//!
//! The kernel's own copies fail with EFAULT there, but a load or a store of ours raises SIGBUS. The
//! handler maps fresh memory over the page and remembers that the region is lost; the access goes on,
//! and whoever made it looks afterwards. The other pages stay as they are: requests in flight must
//! not find zeroes where their data was. A fault anywhere else has the effect that it has without us.

use std::io;
use std::mem::zeroed;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::checked;

/// How many regions can be watched at once: two tables full, the old one and the new one.
const MOST: usize = 1024;

/// One watched region. A handler may look at any moment, so the length is written last and taken
/// away first.
#[derive(Debug)]
struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    len: AtomicUsize,
    lost: AtomicBool,
}

static SLOTS: [Slot; MOST] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
    }
}; MOST];

/// How many regions were ever lost.
static LOSSES: AtomicU64 = AtomicU64::new(0);

/// How many regions were ever lost: cheap to look at, and no reason to look further while it
/// stays the same.
#[inline]
pub(crate) fn losses() -> u64 {
    LOSSES.load(Ordering::Relaxed)
}

/// A region of mapped memory that is watched as long as this lives.
#[derive(Debug)]
pub(crate) struct Watch(&'static Slot);

impl Watch {
    /// Watches `len` bytes of a shared mapping from the address `start` on, whole pages; the
    /// mapping outlives the watch.
    pub(crate) fn over(start: usize, len: usize) -> io::Result<Self> {
        install()?;
        let free = |slot: &&Slot| !slot.taken.swap(true, Ordering::Acquire);
        let slot = SLOTS.iter().find(free).ok_or(io::ErrorKind::OutOfMemory)?;
        slot.lost.store(false, Ordering::Relaxed);
        slot.start.store(start, Ordering::Relaxed);
        slot.len.store(len, Ordering::Release);
        Ok(Self(slot))
    }

    /// Whether pages of the region could not be had.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.len.store(0, Ordering::Release);
        self.0.taken.store(false, Ordering::Release);
    }
}

/// Bytes of a page: a power of two.
static PAGE: AtomicUsize = AtomicUsize::new(4096);

/// Installs the handler, once.
fn install() -> io::Result<()> {
    static INSTALLED: Once = Once::new();
    let mut result = Ok(0);
    INSTALLED.call_once(|| {
        // SAFETY: the call takes no pointers.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        PAGE.store(usize::try_from(page).unwrap_or(4096), Ordering::Relaxed);
        // SAFETY: the structure is plain data, for which zeroes are valid.
        let mut action: libc::sigaction = unsafe { zeroed() };
        let handler: extern "C" fn(_, _, _) = on_sigbus;
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        // SAFETY: `action` is whole, and its handler makes only calls that a handler may make.
        result = checked(unsafe { libc::sigaction(libc::SIGBUS, &raw const action, null_mut()) });
    });
    result.map(drop)
}

extern "C" fn on_sigbus(signal: libc::c_int, cause: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a whole siginfo_t to a handler with SA_SIGINFO.
    let cause = unsafe { &*cause };
    // SAFETY: for SIGBUS the address is the member that is filled in.
    let address = unsafe { cause.si_addr() }.addr();
    if cause.si_code <= 0 || !replace(address) {
        // Not ours. The access is repeated, and the default action ends the process.
        // SAFETY: the call may be made in a handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Maps fresh memory over the watched region that holds the address, if there is one.
fn replace(address: usize) -> bool {
    let holds = |slot: &&Slot| {
        let len = slot.len.load(Ordering::Acquire);
        address.wrapping_sub(slot.start.load(Ordering::Relaxed)) < len
    };
    let Some(slot) = SLOTS.iter().find(holds) else { return false };
    let (start, len) = (slot.start.load(Ordering::Relaxed), slot.len.load(Ordering::Relaxed));
    let page = PAGE.load(Ordering::Relaxed);
    // A page of a region of huge pages cannot be replaced alone.
    if !map_fresh(address & !(page - 1), page) && !map_fresh(start, len) {
        return false;
    }
    slot.lost.store(true, Ordering::Release);
    LOSSES.fetch_add(1, Ordering::Relaxed);
    true
}

/// Maps fresh memory over a range of a watched region.
fn map_fresh(start: usize, len: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    let start = with_exposed_provenance_mut(start);
    // SAFETY: the range is within a mapping of ours that lives (see `Watch::over`), and nothing
    // but guest memory, of which any content is as good as any other.
    let mapped = unsafe { libc::mmap(start, len, protection, flags, -1, 0) };
    mapped != libc::MAP_FAILED
}
