// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From INIT to DESTROY: the version and the flags.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::gate::{Closed, Gate};
use super::refusal::{Malformed, Refusal, Served};
use super::{Call, Server};
use crate::filesystem::{FileSystem, InitFlags};
use crate::fuse::{InitIn, InitOut, MAJOR, MINOR};

/// The oldest client that we speak with: Linux 4.20 has 7.28.
pub(super) const OLDEST: u32 = 27;

/// From this version on the header says how long the extensions are; before it, a security context begins
/// right behind the last text.
const EXTENSIONS: u32 = 38;

/// What a client writes at once that knows nothing of [`InitFlags::MAX_PAGES`].
const FEW_PAGES: u32 = 32 * 4096;

/// What is always wanted of a client.
const ALWAYS: [InitFlags; 12] = [
    InitFlags::ASYNC_READ,
    InitFlags::ATOMIC_O_TRUNC,
    InitFlags::BIG_WRITES,
    InitFlags::HAS_IOCTL_DIR,
    InitFlags::AUTO_INVAL_DATA,
    InitFlags::ASYNC_DIO,
    InitFlags::PARALLEL_DIROPS,
    InitFlags::MAX_PAGES,
    InitFlags::SUBMOUNTS,
    InitFlags::INIT_EXT,
    InitFlags::CREATE_SUPP_GROUP,
    InitFlags::ALLOW_IDMAP,
];

/// What there is no answer to: DAX, notifications, and what belongs to /dev/fuse.
const NEVER: [InitFlags; 11] = [
    InitFlags::SPLICE_WRITE,
    InitFlags::SPLICE_MOVE,
    InitFlags::SPLICE_READ,
    InitFlags::ABORT_ERROR,
    InitFlags::MAP_ALIGNMENT,
    InitFlags::HAS_INODE_DAX,
    InitFlags::HAS_EXPIRE_ONLY,
    InitFlags::PASSTHROUGH,
    InitFlags::HAS_RESEND,
    InitFlags::OVER_IO_URING,
    InitFlags::REQUEST_TIMEOUT,
];

/// How much a client may do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a READ or WRITE.
    pub max_write: u32,
    /// The most pages of 4 KiB of a request.
    pub max_pages: u16,
    /// The most requests in the background: reads ahead, writes from the cache. From three quarters of them
    /// on, the client takes its time.
    pub max_background: u16,
}

impl Default for Limits {
    /// 1 MiB, 256 pages, 65535.
    fn default() -> Self {
        Self { max_write: 1 << 20, max_pages: 256, max_background: u16::MAX }
    }
}

/// What client and server have agreed upon.
#[derive(Default)]
pub(super) struct Session {
    /// The client's minor version; 0: there is no session.
    minor: AtomicU32,
    flags: AtomicU64,
    /// Requests pass it, and who begins or ends a session closes it.
    pub(super) gate: Gate,
}

impl Session {
    pub(super) fn has_begun(&self) -> bool {
        self.minor.load(Ordering::Acquire) != 0
    }

    /// Whether the client was told of all of these.
    pub(super) fn has(&self, flags: InitFlags) -> bool {
        InitFlags(self.flags.load(Ordering::Relaxed)).has(flags)
    }

    /// Whether extensions have no length in the header.
    pub(super) fn extends_unsaid(&self) -> bool {
        self.minor.load(Ordering::Relaxed) < EXTENSIONS && self.has(InitFlags::SECURITY_CTX)
    }

    /// Ends it, if there is one or not; `end` is called when nothing is being served.
    pub(super) fn end(&self, _alone: &Closed<'_>, end: impl FnOnce()) {
        self.minor.store(0, Ordering::Release);
        end();
    }

    /// Ends the one that there is and begins another, if `begin` says with which flags.
    fn begin(
        &self,
        _alone: &Closed<'_>,
        minor: u32,
        end: impl FnOnce(),
        begin: impl FnOnce() -> Result<InitFlags, Refusal>,
    ) -> Result<InitFlags, Refusal> {
        if self.minor.swap(0, Ordering::AcqRel) != 0 {
            end();
        }
        let flags = begin()?;
        self.flags.store(flags.0, Ordering::Relaxed);
        self.minor.store(minor, Ordering::Release);
        Ok(flags)
    }
}

impl<F: FileSystem> Server<F> {
    pub(super) fn init(&self, call: &mut Call<'_>) -> Served {
        let long = call.request.left() >= 64;
        let said: InitIn = if long { call.request.take()? } else { short(call)? };
        let room = call.answer.room()?;
        if said.major > MAJOR {
            // The client is to say INIT again, in the version that we have.
            return room.fill(&InitOut { major: MAJOR, minor: MINOR, ..InitOut::default() });
        }
        if said.major < MAJOR || said.minor < OLDEST {
            let (major, minor) = (said.major, said.minor);
            return Err(Malformed::Version { major, minor }.into());
        }
        let offered = offered(&said);
        let alone = self.alone(call)?;
        let flags = self.session.begin(
            &alone,
            said.minor,
            || self.fs.end(),
            || Ok(agreed(offered, self.fs.begin(offered)?)),
        )?;
        log::debug!("FUSE session: client 7.{} offers {offered:?}, has {flags:?}", said.minor);
        room.fill(&self.terms(&said, flags))
    }

    pub(super) fn destroy(&self, call: &Call<'_>) -> Served {
        let room = call.answer.room::<()>()?;
        let alone = self.alone(call)?;
        self.session.end(&alone, || self.fs.end());
        room.fill(&())
    }

    /// Waits for all other requests that are being served, if it may.
    fn alone(&self, call: &Call<'_>) -> Result<Closed<'_>, Refusal> {
        if call.context.may_wait {
            return Ok(self.session.gate.close());
        }
        self.session.gate.close_at_once().ok_or(Refusal::WouldWait)
    }

    fn terms(&self, said: &InitIn, flags: InitFlags) -> InitOut {
        let Limits { max_write, max_pages, max_background } = self.limits;
        let max_write = match flags {
            _ if !flags.has(InitFlags::BIG_WRITES) => 4096,
            _ if !flags.has(InitFlags::MAX_PAGES) => max_write.min(FEW_PAGES),
            _ => max_write,
        };
        let [low, high] = [flags.0 & u64::from(u32::MAX), flags.0 >> 32];
        InitOut {
            major: MAJOR,
            minor: MINOR,
            max_readahead: said.max_readahead,
            flags: u32::try_from(low).unwrap_or_default(),
            max_background,
            congestion_threshold: max_background - max_background / 4,
            max_write,
            time_gran: 1,
            max_pages: if flags.has(InitFlags::MAX_PAGES) { max_pages } else { 0 },
            flags2: u32::try_from(high).unwrap_or_default(),
            ..InitOut::default()
        }
    }
}

/// The arguments of clients up to 7.35.
fn short(call: &mut Call<'_>) -> Result<InitIn, Refusal> {
    let [major, minor, max_readahead, flags] = call.request.take::<[u32; InitIn::SHORT / 4]>()?;
    Ok(InitIn { major, minor, max_readahead, flags, ..InitIn::default() })
}

/// The flags that the client offers: all 64 if it says so.
fn offered(said: &InitIn) -> InitFlags {
    let low = InitFlags(u64::from(said.flags));
    if low.has(InitFlags::INIT_EXT) { low | InitFlags(u64::from(said.flags2) << 32) } else { low }
}

/// What of the offered flags is in use, if the file system wants these.
fn agreed(offered: InitFlags, wanted: InitFlags) -> InitFlags {
    let all = |flags: &[InitFlags]| flags.iter().fold(InitFlags::NONE, |all, flag| all | *flag);
    let explicit = wanted.has(InitFlags::EXPLICIT_INVAL_DATA);
    let always = all(&ALWAYS) - InitFlags::AUTO_INVAL_DATA.when(explicit);
    ((always | wanted) & offered) - all(&NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_always_wanted_is_in_use_if_it_is_offered() {
        let flags = agreed(InitFlags(u64::MAX), InitFlags::NONE);
        let bits = (0..64).filter(|bit| flags.has(InitFlags(1 << bit)));
        assert_eq!(bits.collect::<Vec<_>>(), [0, 3, 5, 11, 12, 15, 18, 22, 27, 30, 34, 40]);
        assert_eq!(agreed(InitFlags::NONE, InitFlags(u64::MAX)), InitFlags::NONE);
    }

    #[test]
    fn flags_are_those_that_both_want() {
        let offered = InitFlags::ASYNC_READ | InitFlags::POSIX_ACL | InitFlags::DO_READDIRPLUS;
        let wanted = InitFlags::POSIX_ACL | InitFlags::WRITEBACK_CACHE;
        assert_eq!(agreed(offered, wanted), InitFlags::ASYNC_READ | InitFlags::POSIX_ACL);
    }

    #[test]
    fn flags_of_dev_fuse_are_never_in_use() {
        let all = InitFlags(u64::MAX);
        let flags = agreed(all, all);
        for bit in [7, 8, 9, 21, 26, 33, 35, 37, 39, 41, 42] {
            assert_eq!(flags & InitFlags(1 << bit), InitFlags::NONE, "flag {bit}");
        }
        assert!(flags.has(InitFlags::ALLOW_IDMAP));
    }

    #[test]
    fn cached_data_is_invalidated_in_one_way() {
        let both = InitFlags::AUTO_INVAL_DATA | InitFlags::EXPLICIT_INVAL_DATA;
        assert_eq!(agreed(both, InitFlags::NONE), InitFlags::AUTO_INVAL_DATA);
        assert_eq!(agreed(both, InitFlags::EXPLICIT_INVAL_DATA), InitFlags::EXPLICIT_INVAL_DATA);
    }

    #[test]
    fn upper_flags_count_only_if_the_client_says_so() {
        let mut said = InitIn { flags: 1, flags2: 1, ..InitIn::default() };
        assert_eq!(offered(&said), InitFlags::ASYNC_READ);
        said.flags |= 1 << 30;
        let all = InitFlags::ASYNC_READ | InitFlags::INIT_EXT | InitFlags::SECURITY_CTX;
        assert_eq!(offered(&said), all);
    }
}
