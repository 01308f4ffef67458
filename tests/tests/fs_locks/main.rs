// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Locks of the guest's that are locks on the host.

use std::fs::{File, TryLockError};

use vhost_user_tests::daemon::Daemon;
use vhost_user_tests::deadline::until;
use vhost_user_tests::frontend::Frontend;
use vhost_user_tests::fs::client::{FsClient, Lock, Ticket};
use vhost_user_tests::fs::share::{Shared, USUAL};
use vhost_user_tests::fs::wire::{RELEASE_FLOCK_UNLOCK, ROOT, init};

use libc::{F_RDLCK, F_UNLCK, F_WRLCK};

const ONE: u64 = 0x1111;
const OTHER: u64 = 0x2222;

/// A file that is shared and open, with locks of both kinds agreed on, and two request queues.
struct Place {
    shared: Shared,
    node: u64,
    fh: u64,
}

impl Place {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("make a folder");
        std::fs::write(folder.path().join("file"), [0; 100]).expect("make a file");
        let launch = Daemon::fs().share(folder.path()).args(arguments);
        let launch = launch.args(["--posix-lock", "--flock", "--num-request-queues", "2"]);
        let daemon = launch.start();
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
        let mut fs = FsClient::start(&mut frontend, 2);
        let agreed = fs.init().flags;
        assert_eq!(agreed & init::POSIX_LOCKS, init::POSIX_LOCKS);
        assert_eq!(agreed & init::FLOCK_LOCKS, init::FLOCK_LOCKS);
        let (node, fh) = open(&mut fs);
        Self { shared: Shared { fs, frontend, daemon, folder }, node, fh }
    }

    fn fs(&mut self) -> &mut FsClient {
        &mut self.shared.fs
    }

    /// A lock of `owner` on all bytes.
    fn all(&self, owner: u64, kind: i32) -> Lock {
        Lock::whole(self.node, self.fh, owner, kind)
    }

    /// A lock of `owner` on these bytes.
    fn bytes(&self, owner: u64, kind: i32, range: (u64, u64)) -> Lock {
        Lock { range, ..self.all(owner, kind) }
    }

    /// A lock of `owner` on the file as such.
    fn file(&self, owner: u64, kind: i32) -> Lock {
        Lock { flock: true, ..self.all(owner, kind) }
    }

    /// The file on the host.
    fn on_the_host(&self) -> File {
        File::options().read(true).write(true).open(self.shared.path("file")).expect("open it")
    }

    /// A request that waits for a lock, and has been waiting when another one was answered behind it.
    fn waiting(&mut self, lock: Lock) -> Ticket {
        let ticket = self.fs().setlkw(lock);
        self.fs().getattr(ROOT).expect("attributes of the root");
        assert!(!self.fs().is_done(ticket), "the lock is in other hands");
        ticket
    }
}

fn open(fs: &mut FsClient) -> (u64, u64) {
    let node = fs.lookup(ROOT, "file").expect("the file").node;
    (node, fs.open(node, libc::O_RDWR).expect("an open file").fh)
}

#[test]
fn locks_without_the_options_are_the_guests_own() {
    let mut shared = Shared::new();
    let agreed = shared.fs.agreed();
    assert_eq!(agreed & (init::POSIX_LOCKS | init::FLOCK_LOCKS), 0);
    std::fs::write(shared.path("file"), "").expect("make a file");
    let (node, fh) = open(&mut shared.fs);
    assert_eq!(shared.fs.setlk(Lock::whole(node, fh, ONE, F_RDLCK)), Err(libc::ENOSYS));
}

#[test]
fn bytes_that_one_owner_has_are_refused_to_another() {
    let mut place = Place::new();
    let lock = place.bytes(ONE, F_WRLCK, (10, 19));
    assert_eq!(place.fs().setlk(lock), Ok(()));
    let (within, beside) =
        (place.bytes(OTHER, F_RDLCK, (19, 30)), place.bytes(OTHER, F_RDLCK, (20, 30)));
    assert_eq!(place.fs().setlk(within), Err(libc::EAGAIN));
    assert_eq!(place.fs().setlk(beside), Ok(()));
    let asked = place.all(OTHER, F_WRLCK);
    assert_eq!(place.fs().getlk(asked), Ok(((10, 19), F_WRLCK)));
    let own = place.bytes(ONE, F_WRLCK, (0, 19));
    assert_eq!(place.fs().getlk(own).map(|(_, kind)| kind), Ok(F_UNLCK));
}

#[test]
fn lock_of_the_whole_file_is_one_of_the_hosts() {
    let mut place = Place::new();
    let file = place.on_the_host();
    file.lock().expect("locked by the host");
    let (lock, unlock) = (place.file(ONE, F_WRLCK), place.file(ONE, F_UNLCK));
    assert_eq!(place.fs().setlk(lock), Err(libc::EAGAIN));
    file.unlock().expect("unlocked by the host");
    assert_eq!(place.fs().setlk(lock), Ok(()));
    assert!(matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
    assert_eq!(place.fs().setlk(unlock), Ok(()));
    file.try_lock().expect("unlocked by the guest");
}

#[test]
fn waiting_request_gets_its_lock_when_another_queue_gives_it_up() {
    let mut place = Place::new();
    let (held, wanted) = (place.all(ONE, F_WRLCK), place.all(OTHER, F_WRLCK));
    place.fs().setlk(held).expect("locked");
    let ticket = place.waiting(wanted);
    place.fs().on = 2;
    place.fs().setlk(Lock { kind: F_UNLCK, ..held }).expect("unlocked");
    place.fs().end(ticket).expect("locked");
    assert_eq!(place.fs().setlk(held), Err(libc::EAGAIN));
}

#[test]
fn waiting_request_gets_its_lock_when_the_host_gives_it_up() {
    let mut place = Place::new();
    let file = place.on_the_host();
    file.lock().expect("locked by the host");
    let wanted = place.file(ONE, F_WRLCK);
    let ticket = place.waiting(wanted);
    file.unlock().expect("unlocked by the host");
    place.fs().end(ticket).expect("locked");
}

#[test]
fn many_waiting_requests_hold_up_nobody_and_all_get_their_lock() {
    let mut place = Place::new();
    let held = place.all(ONE, F_WRLCK);
    place.fs().setlk(held).expect("locked");
    let lock = place.all(OTHER, F_RDLCK);
    let tickets: Vec<_> =
        (0..35).map(|n| place.waiting(Lock { owner: OTHER + n, ..lock })).collect();
    place.fs().setlk(Lock { kind: F_UNLCK, ..held }).expect("unlocked");
    for ticket in tickets {
        place.fs().end(ticket).expect("locked");
    }
}

#[test]
fn waiting_request_is_interrupted_when_its_queue_stops() {
    let mut place = Place::new();
    let (held, wanted) = (place.all(ONE, F_WRLCK), place.all(OTHER, F_WRLCK));
    place.fs().setlk(held).expect("locked");
    let ticket = place.waiting(wanted);
    place.shared.frontend.get_vring_base(1);
    assert_eq!(place.fs().end(ticket).map(drop), Err(libc::EINTR));
}

#[test]
fn waiting_request_is_interrupted_when_its_file_is_released() {
    let mut place = Place::new();
    let (held, wanted) = (place.all(ONE, F_WRLCK), place.all(OTHER, F_WRLCK));
    place.fs().setlk(held).expect("locked");
    let ticket = place.waiting(wanted);
    let (node, fh) = (place.node, place.fh);
    place.fs().release(node, fh).expect("released");
    assert_eq!(place.fs().end(ticket).map(drop), Err(libc::EINTR));
}

#[test]
fn locks_on_bytes_end_when_their_owner_closes_the_file() {
    let mut place = Place::new();
    let (lock, others) = (place.bytes(ONE, F_WRLCK, (1, 2)), place.all(OTHER, F_WRLCK));
    place.fs().setlk(lock).expect("locked");
    let (node, fh) = (place.node, place.fh);
    place.fs().flush(node, fh, OTHER).expect("flushed");
    assert_eq!(place.fs().setlk(others), Err(libc::EAGAIN));
    place.fs().flush(node, fh, ONE).expect("flushed");
    assert_eq!(place.fs().setlk(others), Ok(()));
}

#[test]
fn lock_of_the_whole_file_ends_when_that_is_released() {
    let mut place = Place::new();
    let lock = place.file(ONE, F_WRLCK);
    place.fs().setlk(lock).expect("locked");
    let (node, fh) = (place.node, place.fh);
    place.fs().release_with(node, fh, RELEASE_FLOCK_UNLOCK, ONE).expect("released");
    place.on_the_host().try_lock().expect("unlocked");
}

#[test]
fn locks_end_with_the_connection() {
    let mut place = Place::with(&["--keep-listening"]);
    let (bytes, file) = (place.all(ONE, F_WRLCK), place.file(ONE, F_WRLCK));
    place.fs().setlk(bytes).expect("locked");
    place.fs().setlk(file).expect("locked");
    let host = place.on_the_host();
    let Place { shared: Shared { daemon: _daemon, frontend, fs, folder: _folder }, .. } = place;
    drop((frontend, fs));
    until("a file that nobody has locked", || host.try_lock().ok());
}
