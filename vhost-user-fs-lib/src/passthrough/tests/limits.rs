// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is not there: descriptors, reads that do not wait.

use super::*;
use crate::passthrough::FileHandles;

#[test]
fn what_there_is_no_descriptor_for_is_not_made() {
    // One of them is the root's.
    let few = |descriptors| Options {
        descriptors,
        file_handles: FileHandles::Never,
        inode_fd_cache: 0,
        ..Options::default()
    };
    let Some(share) = Share::new(few(2)) else { return };
    assert_eq!(share.create("a", libc::O_RDWR).unwrap_err(), Failure::ENFILE);
    let creation = creating(libc::S_IFREG | 0o600);
    let nameless = share.fs.create_unnamed(&NOW, ROOT, opening(libc::O_RDWR), &creation);
    assert_eq!(nameless.unwrap_err(), Failure::ENFILE);
    let Some(none) = Share::new(few(1)) else { return };
    let made = none.fs.make_directory(&NOW, ROOT, called(c"b"), &creating(0o755));
    assert_eq!(made.unwrap_err(), Failure::ENFILE);
    let linked = none.fs.make_symlink(&NOW, ROOT, called(c"c"), c"d", &creating(0o777));
    assert_eq!(linked.unwrap_err(), Failure::ENFILE);
    for share in [share, none] {
        assert_eq!(fs::read_dir(share.path(".")).unwrap().count(), 0);
    }
}

#[test]
fn what_has_a_handle_is_made_without_a_descriptor() {
    let options = Options { descriptors: 2, inode_fd_cache: 0, ..Options::default() };
    let Some(share) = Share::new(options) else { return };
    fs::write(share.path("known"), "").unwrap();
    let known = share.look(ROOT, "known").unwrap().inode;
    share.open(known, libc::O_RDONLY).unwrap();
    share.fs.make_directory(&NOW, ROOT, called(c"a"), &creating(0o755)).unwrap();
    assert_eq!(share.open(known, libc::O_RDONLY), Err(Failure::ENFILE));
}

fn read_now(fs: &Passthrough, inode: Inode, handle: Handle) -> Result<usize> {
    let room = Room::new(100);
    fs.read(&NOW, inode, handle, 0, &Sink::new(&room, 0, 100))
}

fn open_in(fs: &Passthrough, name: &CStr) -> (Inode, Handle) {
    let found = fs.lookup(&NOW, ROOT, LookupName::new(name).unwrap()).unwrap();
    let Looked::Found(entry) = found else { panic!("{name:?} is not there") };
    (entry.inode, fs.open(&NOW, entry.inode, opening(libc::O_RDONLY)).unwrap().handle)
}

#[test]
fn file_that_cannot_be_read_without_waiting_is_read_elsewhere() {
    let Some(_) = Share::new(Options::default()) else { return };
    // Files of the kernel's refuse RWF_NOWAIT.
    let fs = share(Path::new("/proc/sys/kernel"), Options::default());
    fs.begin(InitFlags(u64::MAX)).unwrap();
    let (inode, handle) = open_in(&fs, c"ostype");
    for _ in 0..2 {
        assert_eq!(read_now(&fs, inode, handle), Err(Failure::WouldWait));
    }
    let room = Room::new(100);
    assert_eq!(fs.read(&LATER, inode, handle, 0, &Sink::new(&room, 0, 100)), Ok(6));
}

#[test]
fn file_in_memory_is_read_at_once() {
    let Some(_) = Share::new(Options::default()) else { return };
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::write(folder.path().join("a"), "12345").unwrap();
    let fs = share(folder.path(), Options::default());
    fs.begin(InitFlags(u64::MAX)).unwrap();
    let (inode, handle) = open_in(&fs, c"a");
    for _ in 0..2 {
        assert_eq!(read_now(&fs, inode, handle), Ok(5));
    }
}

#[test]
fn direct_read_that_is_wrong_changes_nothing_for_the_next() {
    let Some(share) = Share::new(Options { allow_direct_io: true, ..Options::default() }) else {
        return;
    };
    fs::write(share.path("a"), [1; 8192]).unwrap();
    let inode = share.look(ROOT, "a").unwrap().inode;
    let handle = match share.open(inode, libc::O_RDONLY | libc::O_DIRECT) {
        // Not every file system has it.
        Err(Failure::EINVAL) => return,
        handle => handle.unwrap(),
    };
    let open = share.fs.handles.get(inode, handle).unwrap();
    let refuses_nowait = || open.file().unwrap().no_nowait.get().is_some();
    share.read(inode, handle, 0, 4096).unwrap_or_default();
    let before = refuses_nowait();
    // Some file systems do read it.
    let read = share.read(inode, handle, 1, 100);
    assert!(matches!(read, Ok(_) | Err(Failure::EINVAL)), "{read:?}");
    assert_eq!(refuses_nowait(), before);
}
