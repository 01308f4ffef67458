// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Locks of the client's that are locks on the host.
//!
//! A lock of Linux belongs to an open file description, or to a process; the client's belong to owners
//! that we know a number of. So there is an open file for each owner of locks in an inode, and when that
//! is closed its locks are gone.
//!
//! That file is open as the client's own is: who reads does not keep the host from running a program. An
//! owner who has locked what it reads, and then locks what it writes, moves to another file.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::filesystem::{Failure, Inode, Lock, LockKind, LockOwner, LockRequest, Result};
use crate::sys::lock;

/// All locks of a session. `F` is an open file.
///
/// Who has the lock of an owner may take that of the map, and not the other way round.
#[derive(Debug)]
pub(crate) struct Locks<F> {
    owners: Mutex<HashMap<Key, Arc<Mutex<Owner<F>>>>>,
}

/// Locks of records and of whole files have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    inode: Inode,
    owner: LockOwner,
    whole: bool,
}

/// Who has locks in an inode, or is about to get the first one.
#[derive(Debug)]
struct Owner<F> {
    file: Option<F>,
    /// Whether the file was opened to be written, if possible.
    writes: bool,
    /// Whether there is any lock.
    locks: bool,
    /// The bytes with shared locks, where the file is not for writing: no two ranges touch each other.
    shared: Vec<(u64, u64)>,
    /// The process in the client that locked last.
    pid: u32,
    /// It is not in the map any more, and must not get locks.
    ended: bool,
}

impl<F> Default for Locks<F> {
    fn default() -> Self {
        Self { owners: Mutex::default() }
    }
}

impl<F> Default for Owner<F> {
    fn default() -> Self {
        Self { file: None, writes: false, locks: false, shared: Vec::new(), pid: 0, ended: false }
    }
}

impl<F: AsFd> Locks<F> {
    /// Takes, changes or gives up a lock, without waiting. `open` opens the inode as the client has it
    /// open, which is to write if `writes` says so.
    ///
    /// # Errors
    /// EAGAIN: another one is in the way. Those of opening and of fcntl(2).
    pub(crate) fn set(
        &self,
        inode: Inode,
        request: &LockRequest,
        writes: bool,
        open: impl Fn() -> Result<F>,
    ) -> Result<()> {
        let key = Key { inode, owner: request.owner, whole: request.whole };
        loop {
            let known = match request.lock.kind {
                LockKind::Unlocked => self.owners().get(&key).cloned(),
                _ => Some(Arc::clone(self.owners().entry(key).or_default())),
            };
            let Some(known) = known else { return Ok(()) };
            let mut owner = lock_owner(&known);
            // Somebody has just ended it, and taken it out of the map.
            if owner.ended {
                continue;
            }
            let result = owner.set(request, writes, &open);
            if !owner.locks {
                owner.end();
                self.owners().remove(&key);
            }
            return result;
        }
    }

    /// A lock that is in the way of this one, or one of the kind [`LockKind::Unlocked`].
    ///
    /// # Errors
    /// Those of opening and of fcntl(2). There is no such question about locks of whole files: EINVAL.
    pub(crate) fn get(
        &self,
        inode: Inode,
        request: &LockRequest,
        open: impl FnOnce() -> Result<F>,
    ) -> Result<Lock> {
        if request.whole || request.lock.kind == LockKind::Unlocked {
            return Err(Failure::EINVAL);
        }
        let key = Key { inode, owner: request.owner, whole: false };
        let known = self.owners().get(&key).cloned();
        let found = known.and_then(|known| lock_owner(&known).find(&request.lock));
        let mut found = match found {
            Some(found) => found?,
            None => lock::get_record(open()?.as_fd(), &request.lock)?,
        };
        if found.kind != LockKind::Unlocked && found.pid == 0 {
            found.pid = self.pid_of(key, &found);
        }
        Ok(found)
    }

    /// The process that has a lock which is in the way of the owner `key`; 0 if nobody can tell.
    fn pid_of(&self, key: Key, found: &Lock) -> u32 {
        let is_other =
            |other: &&Key| other.inode == key.inode && !other.whole && other.owner != key.owner;
        let only = {
            let owners = self.owners();
            let mut others = owners.keys().filter(is_other);
            let only = others.next().filter(|_| others.next().is_none());
            only.and_then(|only| owners.get(only)).cloned()
        };
        let Some(only) = only else { return 0 };
        let owner = lock_owner(&only);
        // Nobody's own locks are in their way: what is not there for this owner is its own.
        match owner.find(&Lock { kind: LockKind::Exclusive, ..*found }) {
            Some(Ok(Lock { kind: LockKind::Unlocked, .. })) => owner.pid,
            _ => 0,
        }
    }

    /// Ends the locks that an owner has in an inode: those of records, or that of the whole file.
    pub(crate) fn end_of(&self, inode: Inode, owner: LockOwner, whole: bool) {
        let gone = self.owners().remove(&Key { inode, owner, whole });
        gone.into_iter().for_each(|gone| lock_owner(&gone).end());
    }

    /// Ends all locks in an inode.
    pub(crate) fn end_in(&self, inode: Inode) {
        self.end_where(|key| key.inode == inode);
    }

    /// Ends all locks.
    pub(crate) fn end(&self) {
        self.end_where(|_| true);
    }

    fn end_where(&self, is_it: impl Fn(&Key) -> bool) {
        let gone: Vec<_> = self.owners().extract_if(|key, _| is_it(key)).collect();
        gone.iter().for_each(|(_, gone)| lock_owner(gone).end());
    }

    /// How many owners have locks.
    pub(crate) fn len(&self) -> usize {
        self.owners().len()
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<Key, Arc<Mutex<Owner<F>>>>> {
        // A panic ends the process.
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: AsFd> Owner<F> {
    /// See [`Locks::set`]. Afterwards `locks` says whether there is any lock.
    fn set(
        &mut self,
        request: &LockRequest,
        writes: bool,
        open: &impl Fn() -> Result<F>,
    ) -> Result<()> {
        let Lock { kind, start, end, pid } = request.lock;
        let is_all = request.whole || (start == 0 && end >= Lock::END);
        if self.shared.len() >= MOST_SHARED && !is_all {
            return Err(Failure::Errno(libc::ENOLCK));
        }
        if self.file.is_none() {
            self.file = Some(open()?);
            self.writes = writes;
        }
        let mut result = self.apply(request);
        let is_for_writing = kind == LockKind::Exclusive && writes && !self.writes;
        if is_for_writing && result == Err(Failure::EBADF) {
            self.move_to(open()?)?;
            result = self.apply(request);
        }
        result?;
        self.locks = !(is_all && kind == LockKind::Unlocked);
        if !self.writes && !request.whole {
            self.note(kind, start, end.min(Lock::END));
        }
        if kind != LockKind::Unlocked {
            self.pid = pid;
        }
        Ok(())
    }

    fn apply(&self, request: &LockRequest) -> Result<()> {
        let Some(file) = &self.file else { return Err(Failure::EBADF) };
        let result = if request.whole {
            lock::set_whole(file.as_fd(), request.lock.kind)
        } else {
            lock::set_record(file.as_fd(), &request.lock)
        };
        result.map_err(|error| match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Failure::EAGAIN,
            _ => error.into(),
        })
    }

    /// Takes the locks over to a file that can be written: all of them are shared, so that for a while both
    /// files can have them.
    fn move_to(&mut self, file: F) -> Result<()> {
        for (start, end) in &self.shared {
            let lock = Lock { start: *start, end: *end, kind: LockKind::Shared, pid: 0 };
            lock::set_record(file.as_fd(), &lock)?;
        }
        self.file = Some(file);
        self.writes = true;
        self.shared.clear();
        Ok(())
    }

    /// Keeps in mind that a range was locked in a new way.
    fn note(&mut self, kind: LockKind, start: u64, end: u64) {
        let mut whole = (start, end);
        let mut rest = Vec::new();
        self.shared.retain(|&(first, last)| {
            if kind == LockKind::Shared {
                let touches = first <= end.saturating_add(1) && start <= last.saturating_add(1);
                if touches {
                    whole = (whole.0.min(first), whole.1.max(last));
                }
                return !touches;
            }
            let overlaps = first <= end && start <= last;
            if overlaps && first < start {
                rest.push((first, start - 1));
            }
            if overlaps && last > end {
                rest.push((end + 1, last));
            }
            !overlaps
        });
        self.shared.append(&mut rest);
        if kind == LockKind::Shared {
            self.shared.push(whole);
        }
    }

    /// A lock that is in the way of this one, if there is a file to ask by.
    fn find(&self, lock: &Lock) -> Option<Result<Lock>> {
        let file = self.file.as_ref()?;
        Some(lock::get_record(file.as_fd(), lock).map_err(Failure::from))
    }

    fn end(&mut self) {
        self.ended = true;
        self.locks = false;
        self.file = None;
    }
}

fn lock_owner<F>(owner: &Mutex<Owner<F>>) -> MutexGuard<'_, Owner<F>> {
    // A panic ends the process.
    owner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most ranges that one owner can have shared locks of, by a file that is not for writing.
const MOST_SHARED: usize = 4096;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::BorrowedFd;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    const FILE: Inode = Inode(2);

    fn request(owner: u64, kind: LockKind, start: u64, end: u64) -> LockRequest {
        let lock = Lock { start, end, kind, pid: 0 };
        LockRequest { owner: LockOwner(owner), lock, whole: false }
    }

    fn whole(owner: u64, kind: LockKind) -> LockRequest {
        LockRequest { whole: true, ..request(owner, kind, 0, Lock::END) }
    }

    struct Place(tempfile::NamedTempFile, Locks<File>);

    impl Place {
        fn new() -> Self {
            Self(tempfile::NamedTempFile::new().unwrap(), Locks::default())
        }

        fn open(path: &Path) -> Result<File> {
            Ok(File::options().read(true).write(true).open(path)?)
        }

        fn set(&self, request: &LockRequest) -> Result<()> {
            self.1.set(FILE, request, true, || Self::open(self.0.path()))
        }

        /// By one who has the file open to read.
        fn set_reading(&self, request: &LockRequest) -> Result<()> {
            self.1.set(FILE, request, false, || Ok(File::open(self.0.path())?))
        }

        fn get(&self, request: &LockRequest) -> Result<Lock> {
            self.1.get(FILE, request, || Self::open(self.0.path()))
        }
    }

    #[test]
    fn record_that_another_owner_has_is_refused_and_said() {
        let place = Place::new();
        place.set(&request(1, LockKind::Exclusive, 10, 19)).unwrap();
        assert_eq!(place.set(&request(2, LockKind::Shared, 19, 30)), Err(Failure::EAGAIN));
        assert_eq!(place.set(&request(2, LockKind::Shared, 20, 30)), Ok(()));
        let found = place.get(&request(2, LockKind::Exclusive, 0, Lock::END)).unwrap();
        assert_eq!((found.start, found.end, found.kind), (10, 19, LockKind::Exclusive));
        let own = place.get(&request(1, LockKind::Exclusive, 0, 15)).unwrap();
        assert_eq!(own.kind, LockKind::Unlocked);
    }

    #[test]
    fn lock_of_the_whole_file_is_apart_from_records() {
        let place = Place::new();
        place.set(&request(1, LockKind::Exclusive, 0, Lock::END)).unwrap();
        place.set(&whole(2, LockKind::Exclusive)).unwrap();
        assert_eq!(place.set(&whole(1, LockKind::Shared)), Err(Failure::EAGAIN));
        place.set(&whole(2, LockKind::Shared)).unwrap();
        place.set(&whole(1, LockKind::Shared)).unwrap();
        assert_eq!(place.get(&whole(1, LockKind::Shared)), Err(Failure::EINVAL));
    }

    #[test]
    fn locks_end_with_their_owners_last_one_and_leave_no_descriptor() {
        let place = Place::new();
        place.set(&request(1, LockKind::Exclusive, 0, 9)).unwrap();
        place.set(&request(1, LockKind::Exclusive, 20, 29)).unwrap();
        place.set(&whole(1, LockKind::Shared)).unwrap();
        assert_eq!(place.1.len(), 2);
        place.1.end_of(FILE, LockOwner(1), false);
        assert_eq!(place.set(&request(2, LockKind::Exclusive, 0, Lock::END)), Ok(()));
        place.set(&request(2, LockKind::Unlocked, 0, Lock::END)).unwrap();
        place.set(&whole(1, LockKind::Unlocked)).unwrap();
        assert_eq!(place.1.len(), 0);
    }

    #[test]
    fn unlocking_what_is_not_locked_opens_nothing() {
        let locks = Locks::<File>::default();
        let unlock = request(1, LockKind::Unlocked, 0, Lock::END);
        assert_eq!(locks.set(FILE, &unlock, true, || Err(Failure::EIO)), Ok(()));
    }

    #[test]
    fn bytes_that_cannot_be_locked_are_refused() {
        let place = Place::new();
        for (start, end) in [(5, 4), (u64::MAX, u64::MAX)] {
            let lock = request(1, LockKind::Shared, start, end);
            assert_eq!(place.set(&lock), Err(Failure::EINVAL), "{start}..={end}");
        }
    }

    #[test]
    fn locks_in_an_inode_end_with_it() {
        let place = Place::new();
        place.set(&request(1, LockKind::Exclusive, 0, 9)).unwrap();
        place.1.end_in(Inode(3));
        assert_eq!(place.1.len(), 1);
        place.1.end_in(FILE);
        assert_eq!(place.1.len(), 0);
        place.set(&request(1, LockKind::Exclusive, 0, 9)).unwrap();
        place.1.end();
        assert_eq!(place.1.len(), 0);
    }

    #[test]
    fn refused_lock_leaves_no_descriptor() {
        let place = Place::new();
        place.set(&request(1, LockKind::Exclusive, 0, Lock::END)).unwrap();
        assert_eq!(place.set(&request(2, LockKind::Exclusive, 0, 9)), Err(Failure::EAGAIN));
        assert_eq!(place.1.len(), 1);
        // What an owner has is not lost with what it does not get.
        place.set(&request(1, LockKind::Unlocked, 10, Lock::END)).unwrap();
        place.set(&request(2, LockKind::Shared, 10, 19)).unwrap();
        assert_eq!(place.set(&request(2, LockKind::Shared, 0, 19)), Err(Failure::EAGAIN));
        assert_eq!(place.set(&request(1, LockKind::Exclusive, 19, 20)), Err(Failure::EAGAIN));
        assert_eq!(place.1.len(), 2);
    }

    #[test]
    fn pid_of_the_only_other_owner_is_said() {
        let place = Place::new();
        let of = |owner, pid, kind, start, end| {
            let lock = Lock { pid, start, end, kind };
            LockRequest { lock, ..request(owner, kind, start, end) }
        };
        place.set(&of(1, 77, LockKind::Shared, 0, 9)).unwrap();
        place.set(&of(2, 88, LockKind::Shared, 10, 19)).unwrap();
        let pid = |owner| {
            place.get(&request(owner, LockKind::Exclusive, 0, Lock::END)).map(|found| found.pid)
        };
        assert_eq!((pid(2), pid(1)), (Ok(77), Ok(88)));
        // One of two.
        assert_eq!(pid(3), Ok(0));
        place.set(&of(1, 77, LockKind::Unlocked, 0, Lock::END)).unwrap();
        assert_eq!(pid(3), Ok(88));
        // One that is none of ours.
        let host = Place::open(place.0.path()).unwrap();
        let first = Lock { start: 0, end: 1, kind: LockKind::Shared, pid: 0 };
        lock::set_record(host.as_fd(), &first).unwrap();
        let found = place.get(&request(3, LockKind::Exclusive, 0, 1)).unwrap();
        assert_eq!((found.kind, found.pid), (LockKind::Shared, 0));
    }

    #[test]
    fn reader_who_writes_as_well_keeps_its_locks_and_gets_others() {
        let place = Place::new();
        place.set_reading(&request(1, LockKind::Shared, 0, 9)).unwrap();
        place.set_reading(&request(1, LockKind::Shared, 10, 29)).unwrap();
        place.set_reading(&request(1, LockKind::Unlocked, 15, 19)).unwrap();
        let refused = place.set_reading(&request(1, LockKind::Exclusive, 0, 9));
        assert_eq!(refused, Err(Failure::EBADF));
        place.set(&request(2, LockKind::Shared, 29, 29)).unwrap();
        // All that it has, and one that is refused to it.
        assert_eq!(place.set(&request(1, LockKind::Exclusive, 20, 29)), Err(Failure::EAGAIN));
        place.set(&request(1, LockKind::Exclusive, 5, 6)).unwrap();
        let is_free = |kind, byte| {
            let found = place.get(&request(3, kind, byte, byte)).unwrap();
            found.kind == LockKind::Unlocked
        };
        for (byte, to_read, to_write) in [
            (4, true, false),
            (5, false, false),
            (7, true, false),
            (14, true, false),
            (15, true, true),
            (19, true, true),
            (20, true, false),
            (29, true, false),
            (30, true, true),
        ] {
            assert_eq!(is_free(LockKind::Shared, byte), to_read, "{byte}");
            assert_eq!(is_free(LockKind::Exclusive, byte), to_write, "{byte}");
        }
        place.set(&request(1, LockKind::Unlocked, 0, Lock::END)).unwrap();
        assert_eq!(place.1.len(), 1);
    }

    #[test]
    fn reader_has_so_many_ranges_and_no_more() {
        let place = Place::new();
        for n in 0..MOST_SHARED as u64 {
            place.set_reading(&request(1, LockKind::Shared, 2 * n, 2 * n)).unwrap();
        }
        let more = request(1, LockKind::Shared, 1 << 20, 1 << 20);
        assert_eq!(place.set_reading(&more), Err(Failure::Errno(libc::ENOLCK)));
        place.set_reading(&request(1, LockKind::Shared, 0, Lock::END)).unwrap();
        place.set_reading(&more).unwrap();
    }

    /// A file that is slow to be locked.
    struct Slow<'c>(File, &'c (dyn Fn() + Sync));

    impl AsFd for Slow<'_> {
        fn as_fd(&self) -> BorrowedFd<'_> {
            (self.1)();
            self.0.as_fd()
        }
    }

    #[test]
    fn lock_that_is_granted_when_the_others_were_given_up_is_there() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (locking, is_locking) = channel();
        let (unlocked, is_unlocked) = channel();
        let is_unlocked = Mutex::new(is_unlocked);
        let (armed, was_first) = (AtomicBool::new(false), AtomicBool::new(false));
        // Between being found and being locked, all that the owner has is given up: if that can be.
        let wait = || {
            if armed.swap(false, Ordering::SeqCst) {
                locking.send(()).unwrap();
                let unlocked = is_unlocked.lock().unwrap();
                let unlocked = unlocked.recv_timeout(Duration::from_millis(200));
                was_first.store(unlocked.is_ok(), Ordering::SeqCst);
            }
        };
        let locks = Locks::default();
        let set = |request| {
            locks.set(FILE, &request, true, || Ok(Slow(Place::open(file.path())?, &wait)))
        };
        set(request(1, LockKind::Exclusive, 0, 9)).unwrap();
        armed.store(true, Ordering::SeqCst);
        std::thread::scope(|threads| {
            let locker = threads.spawn(|| set(request(1, LockKind::Exclusive, 20, 29)));
            is_locking.recv().unwrap();
            set(request(1, LockKind::Unlocked, 0, Lock::END)).unwrap();
            unlocked.send(()).unwrap();
            assert_eq!(locker.join().unwrap(), Ok(()));
        });
        let is_there = set(request(2, LockKind::Shared, 20, 20)) == Err(Failure::EAGAIN);
        assert_eq!(is_there, was_first.into_inner());
    }
}
