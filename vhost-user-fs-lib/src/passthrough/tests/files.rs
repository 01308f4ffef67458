// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::filesystem::OpenFlags;
use crate::filesystem::{NewTime, SetAttr, Time};
use crate::passthrough::{Cache, FileHandles};

#[test]
fn file_is_made_written_read_and_removed() {
    let Some(share) = Share::new(Options::default()) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    assert_eq!(share.write(entry.inode, opened.handle, 0, b"hello world"), Ok(11));
    assert_eq!(share.write(entry.inode, opened.handle, 6, b"there"), Ok(5));
    assert_eq!(share.read(entry.inode, opened.handle, 0, 100).unwrap(), b"hello there");
    assert_eq!(share.read(entry.inode, opened.handle, 11, 100).unwrap(), b"");
    share.release(entry.inode, opened.handle);
    assert_eq!(share.read(entry.inode, opened.handle, 0, 1), Err(Failure::EBADF));
    assert_eq!(fs::read(share.path("a")).unwrap(), b"hello there");
    share.fs.unlink(&NOW, ROOT, called(c"a")).unwrap();
    assert!(!share.path("a").exists());
}

#[test]
fn whole_pages_are_read_to_the_end_of_the_file() {
    let Some(share) = Share::new(Options::default()) else { return };
    let data: Vec<u8> = (0..3 * 4096_u32).map(|byte| (byte % 251) as u8).collect();
    fs::write(share.path("a"), &data).unwrap();
    let inode = share.look(ROOT, "a").unwrap().inode;
    let handle = share.open(inode, libc::O_RDONLY).unwrap();
    assert_eq!(share.read(inode, handle, 0, 1 << 20).unwrap(), data);
    assert_eq!(share.read(inode, handle, 4096, 4096).unwrap(), data[4096..8192]);
}

#[test]
fn open_file_is_there_after_its_name_is_gone() {
    for file_handles in [FileHandles::Prefer, FileHandles::Never] {
        let options = Options { file_handles, inode_fd_cache: 0, ..Options::default() };
        let Some(share) = Share::new(options) else { return };
        let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
        let (inode, handle) = (entry.inode, opened.handle);
        share.write(inode, handle, 0, b"12345").unwrap();
        fs::remove_file(share.path("a")).unwrap();
        fs::write("/proc/sys/vm/drop_caches", "2").unwrap_or_default();
        let attr = share.fs.attributes(&NOW, inode, Some(handle)).unwrap().attr;
        assert_eq!((attr.size, attr.nlink), (5, 0));
        let changes = SetAttr { size: Some(3), ..SetAttr::default() };
        let changed = share.fs.set_attributes(&NOW, inode, Some(handle), &changes).unwrap();
        assert_eq!(changed.attr.size, 3);
        assert_eq!(share.write(inode, handle, 3, b"x"), Ok(1));
        assert_eq!(share.read(inode, handle, 0, 10).unwrap(), b"123x");
    }
}

#[test]
fn data_is_appended_as_the_flags_of_the_write_say() {
    let Some(share) = Share::new(Options::default()) else { return };
    let (entry, opened) = share.create("a", libc::O_WRONLY | libc::O_APPEND).unwrap();
    let (inode, handle) = (entry.inode, opened.handle);
    let append = Writing { flags: libc::O_APPEND.cast_unsigned(), ..Writing::default() };
    share.write_as(inode, handle, 0, b"123", append).unwrap();
    fs::write(share.path("a"), "host").unwrap();
    share.write_as(inode, handle, 0, b"456", append).unwrap();
    assert_eq!(fs::read(share.path("a")).unwrap(), b"host456");
    // The client's page cache writes where the page was.
    let cached = Writing { from_cache: true, ..append };
    share.write_as(inode, handle, 0, b"HO", cached).unwrap();
    assert_eq!(fs::read(share.path("a")).unwrap(), b"HOst456");
    let plain = share.open(inode, libc::O_WRONLY).unwrap();
    share.write_as(inode, plain, 0, b"7", append).unwrap();
    assert_eq!(fs::read(share.path("a")).unwrap(), b"HOst4567");
}

#[test]
fn writeback_reads_what_is_open_for_writing_and_appends_nothing() {
    let options = Options { writeback: true, ..Options::default() };
    let Some(share) = Share::new(options) else { return };
    fs::write(share.path("a"), "1234").unwrap();
    let inode = share.look(ROOT, "a").unwrap().inode;
    let handle = share.open(inode, libc::O_WRONLY | libc::O_APPEND).unwrap();
    assert_eq!(share.read(inode, handle, 0, 4).unwrap(), b"1234");
    let append = Writing { flags: libc::O_APPEND.cast_unsigned(), ..Writing::default() };
    share.write_as(inode, handle, 0, b"x", append).unwrap();
    assert_eq!(fs::read(share.path("a")).unwrap(), b"x234");
    let (entry, opened) = share.create("b", libc::O_WRONLY).unwrap();
    assert_eq!(share.read(entry.inode, opened.handle, 0, 4).unwrap(), b"");
}

#[test]
fn attributes_change_as_they_are_set() {
    for inode_fd_cache in [0, 100] {
        let options = Options { inode_fd_cache, ..Options::default() };
        let Some(share) = Share::new(options) else { return };
        let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
        let changes = SetAttr {
            mode: Some(0o4751),
            uid: Some(1000),
            gid: Some(2000),
            size: Some(10),
            mtime: Some(NewTime::At(Time { seconds: -5, nanoseconds: 7 })),
            atime: Some(NewTime::Now),
            ..SetAttr::default()
        };
        for handle in [None, Some(opened.handle)] {
            let attr = share.fs.set_attributes(&NOW, entry.inode, handle, &changes).unwrap().attr;
            assert_eq!(attr.mode, libc::S_IFREG | 0o4751);
            assert_eq!((attr.uid, attr.gid, attr.size), (1000, 2000, 10));
            assert_eq!(attr.mtime, Time { seconds: -5, nanoseconds: 7 });
            assert!(attr.atime.seconds > 1_000_000_000);
            let host = share.path("a").metadata().unwrap();
            assert_eq!((host.uid(), host.mode()), (1000, attr.mode));
        }
    }
}

#[test]
fn set_user_id_bit_goes_with_a_write_that_says_so() {
    let Some(share) = Share::new(Options { killpriv_v2: true, ..Options::default() }) else {
        return;
    };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let set = || fs::set_permissions(share.path("a"), PermissionsExt::from_mode(0o6777)).unwrap();
    let mode = || share.path("a").metadata().unwrap().mode() & 0o7777;
    set();
    share.write(entry.inode, opened.handle, 0, b"1").unwrap();
    assert_eq!(mode(), 0o6777);
    let killing = Writing { kill_suid_sgid: true, ..Writing::default() };
    share.write_as(entry.inode, opened.handle, 0, b"1", killing).unwrap();
    assert_eq!(mode(), 0o777);
    set();
    let changes = SetAttr { size: Some(0), kill_suid_sgid: true, ..SetAttr::default() };
    share.fs.set_attributes(&NOW, entry.inode, None, &changes).unwrap();
    assert_eq!(mode(), 0o777);
    set();
    let flags = (libc::O_WRONLY | libc::O_TRUNC).cast_unsigned();
    share.fs.open(&NOW, entry.inode, Opening { flags, kill_suid_sgid: true }).unwrap();
    assert_eq!(mode(), 0o777);
}

#[test]
fn set_user_id_bit_goes_with_a_copy_into_the_file() {
    let Some(share) = Share::new(Options { killpriv_v2: true, ..Options::default() }) else {
        return;
    };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    share.write(entry.inode, opened.handle, 0, b"0123456789").unwrap();
    fs::set_permissions(share.path("a"), PermissionsExt::from_mode(0o6777)).unwrap();
    let (from, to) = ((entry.inode, opened.handle, 0), (entry.inode, opened.handle, 50));
    assert_eq!(share.fs.copy_range(&LATER, from, to, 10, 0), Ok(10));
    assert_eq!(share.path("a").metadata().unwrap().mode() & 0o7777, 0o777);
}

/// O_NOATIME is told of a handle's descriptor by the kernel.
#[test]
fn noatime_is_the_hosts_if_the_client_says_so_and_it_is_preserved() {
    for (preserve_noatime, asked, expected) in
        [(false, libc::O_NOATIME, 0), (true, libc::O_NOATIME, libc::O_NOATIME), (true, 0, 0)]
    {
        let Some(share) = Share::new(Options { preserve_noatime, ..Options::default() }) else {
            return;
        };
        let (entry, _) = share.create("a", libc::O_RDWR).unwrap();
        let handle = share.open(entry.inode, asked).unwrap();
        assert_eq!(noatime(&share, entry.inode, handle), expected, "{preserve_noatime} {asked}");
        let opened = share.fs.open_directory(&NOW, ROOT, asked.cast_unsigned()).unwrap();
        assert_eq!(noatime(&share, ROOT, opened.handle), expected, "{preserve_noatime} {asked}");
    }
}

fn noatime(share: &Share, inode: Inode, handle: Handle) -> i32 {
    let open = share.fs.handles.get(inode, handle).unwrap();
    let place = format!("/proc/self/fdinfo/{}", open.as_fd().as_raw_fd());
    let told = fs::read_to_string(place).unwrap();
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    i32::from_str_radix(flags.trim(), 8).unwrap() & libc::O_NOATIME
}

#[test]
fn what_waits_for_the_storage_is_put_off() {
    let Some(share) = Share::new(Options::default()) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let (inode, handle) = (entry.inode, opened.handle);
    let later = Err(Failure::WouldWait);
    assert_eq!(share.fs.sync(&NOW, inode, handle, true), later);
    assert_eq!(share.fs.sync_all(&NOW, ROOT), later);
    assert_eq!(share.fs.allocate(&NOW, inode, handle, 0, 0, 100), later);
    let copied = share.fs.copy_range(&NOW, (inode, handle, 0), (inode, handle, 50), 10, 0);
    assert_eq!(copied, Err(Failure::WouldWait));
    assert_eq!(share.path("a").metadata().unwrap().len(), 0);
    assert_eq!(share.fs.allocate(&LATER, inode, handle, 0, 0, 100), Ok(()));
    assert_eq!(share.path("a").metadata().unwrap().len(), 100);
    let copied = share.fs.copy_range(&LATER, (inode, handle, 0), (inode, handle, 50), 10, 0);
    assert_eq!(copied, Ok(10));
    assert_eq!(share.fs.sync(&LATER, inode, handle, true), Ok(()));
    assert_eq!(share.fs.sync(&LATER, inode, handle, false), Ok(()));
    assert_eq!(share.fs.sync_all(&LATER, ROOT), Ok(()));
    let synchronous = share.open(inode, libc::O_WRONLY | libc::O_SYNC).unwrap();
    assert_eq!(share.write(inode, synchronous, 0, b"1"), Err(Failure::WouldWait));
    let space = libc::FALLOC_FL_COLLAPSE_RANGE.cast_unsigned();
    let refused = share.fs.allocate(&LATER, inode, handle, space, 0, 4096);
    assert_eq!(refused, Err(Failure::EOPNOTSUPP));
}

#[test]
fn holes_are_found() {
    let Some(share) = Share::new(Options::default()) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let (inode, handle) = (entry.inode, opened.handle);
    share.write(inode, handle, 1 << 20, b"data").unwrap();
    let seek =
        |offset, whence: i32| share.fs.seek(&NOW, inode, handle, offset, whence.cast_unsigned());
    assert_eq!(seek(0, libc::SEEK_DATA), Ok(1 << 20));
    assert_eq!(seek(0, libc::SEEK_HOLE), Ok(0));
    assert_eq!(seek(2 << 20, libc::SEEK_DATA), Err(Failure::Errno(libc::ENXIO)));
    assert_eq!(seek(0, libc::SEEK_SET), Err(Failure::EINVAL));
}

#[test]
fn file_without_a_name_gets_one() {
    for file_handles in [FileHandles::Prefer, FileHandles::Never] {
        let options = Options { file_handles, inode_fd_cache: 0, ..Options::default() };
        let Some(share) = Share::new(options) else { return };
        let creation = creating(libc::S_IFREG | 0o600);
        let made = share.fs.create_unnamed(&NOW, ROOT, opening(libc::O_RDWR), &creation);
        let (entry, opened) = match made {
            // Not every file system has them.
            Err(Failure::EOPNOTSUPP) => return,
            made => made.unwrap(),
        };
        share.write(entry.inode, opened.handle, 0, b"data").unwrap();
        assert_eq!(share.list(ROOT, false, 4096).unwrap().len(), 2);
        share.fs.link(&NOW, entry.inode, ROOT, called(c"named")).unwrap();
        assert_eq!(fs::read(share.path("named")).unwrap(), b"data");
    }
}

#[test]
fn nothing_changes_where_the_share_is_read_only() {
    let Some(share) = Share::new(Options { read_only: true, ..Options::default() }) else {
        return;
    };
    fs::write(share.path("a"), "1").unwrap();
    let entry = share.look(ROOT, "a").unwrap();
    let changes = SetAttr { mode: Some(0o777), ..SetAttr::default() };
    let changed = share.fs.set_attributes(&NOW, entry.inode, None, &changes);
    assert_eq!(changed, Err(Failure::EROFS));
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_TRUNC] {
        assert_eq!(share.open(entry.inode, flags), Err(Failure::EROFS));
    }
    assert_eq!(share.create("b", libc::O_RDONLY).unwrap_err(), Failure::EROFS);
    assert_eq!(share.fs.unlink(&NOW, ROOT, called(c"a")), Err(Failure::EROFS));
    let moved = share.fs.rename(&NOW, (ROOT, called(c"a")), (ROOT, called(c"b")), 0);
    assert_eq!(moved, Err(Failure::EROFS));
    let made = share.fs.make_directory(&NOW, ROOT, called(c"b"), &creating(0o755));
    assert_eq!(made.unwrap_err(), Failure::EROFS);
    let handle = share.open(entry.inode, libc::O_RDONLY).unwrap();
    assert_eq!(share.read(entry.inode, handle, 0, 10).unwrap(), b"1");
}

#[test]
fn frozen_share_is_read_without_opening() {
    let options = Options { read_only: true, cache: Cache::Always, ..Options::default() };
    let Some(share) = Share::new(options) else { return };
    fs::write(share.path("a"), "1").unwrap();
    let inode = share.look(ROOT, "a").unwrap().inode;
    assert_eq!(share.open(inode, libc::O_RDONLY), Err(Failure::ENOSYS));
    assert_eq!(share.read(inode, Handle(0), 0, 10).unwrap(), b"1");
    assert_eq!(share.fs.open_directory(&NOW, ROOT, 0), Err(Failure::ENOSYS));
    let mut entries = Entries { plus: false, room: 4096, found: Vec::new() };
    share.fs.read_directory(&NOW, ROOT, Handle(0), 0, &mut entries).unwrap();
    assert_eq!(entries.found.len(), 3);
    // Not the client that would ask for a handle.
    share.fs.begin(InitFlags::NONE).unwrap();
    assert!(share.open(inode, libc::O_RDONLY).is_ok());
}

#[test]
fn open_files_are_cached_as_the_operator_says() {
    let direct = OpenFlags::DIRECT_IO | OpenFlags::PARALLEL_DIRECT_WRITES;
    for (cache, flags) in [
        (Cache::Never, direct),
        (Cache::Metadata, direct),
        (Cache::Auto, OpenFlags::NONE),
        (Cache::Always, OpenFlags::KEEP_CACHE),
    ] {
        let Some(share) = Share::new(Options { cache, ..Options::default() }) else { return };
        assert_eq!(share.create("a", libc::O_RDWR).unwrap().1.flags, flags);
        let directory = share.fs.open_directory(&NOW, ROOT, 0).unwrap().flags;
        assert_eq!(directory.has(OpenFlags::CACHE_DIR), cache == Cache::Always);
    }
}

#[test]
fn flags_of_a_file_are_told_and_set() {
    let Some(share) = Share::new(Options::default()) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let ask = |command, input: &[u8]| {
        share.fs.ioctl(&NOW, entry.inode, opened.handle, command, input, 28)
    };
    let flags = match ask(0x8008_6601, &[]) {
        // Not every file system has them.
        Err(Failure::Errno(libc::ENOTTY | libc::EOPNOTSUPP)) => return,
        flags => flags.unwrap(),
    };
    let nodump = u32::from_ne_bytes(*flags.first_chunk().unwrap()) | 0x40;
    ask(0x4008_6602, &nodump.to_ne_bytes()).unwrap();
    assert_eq!(ask(0x8008_6601, &[]).unwrap(), nodump.to_ne_bytes());
    assert_eq!(ask(0x4008_6602, &[0; 3]), Err(Failure::EINVAL));
    // TCGETS, and whatever else.
    assert_eq!(ask(0x5401, &[]), Err(Failure::Errno(libc::ENOTTY)));
}

#[test]
fn project_of_a_file_is_the_hosts() {
    let Some(share) = Share::new(Options::default()) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let ask = |command, input: &[u8]| {
        share.fs.ioctl(&NOW, entry.inode, opened.handle, command, input, 28)
    };
    let (flags, told) = match (ask(0x8008_6601, &[]), ask(0x801c_581f, &[])) {
        // Not every file system has them.
        (Err(Failure::Errno(libc::ENOTTY | libc::EOPNOTSUPP)), _) => return,
        (flags, told) => (flags.unwrap(), told.unwrap()),
    };
    assert_eq!(ask(0x401c_5820, &told), Ok(Vec::new()));
    let changed = |of: &[u8], at: usize, bit: u32| {
        let mut changed = of.to_vec();
        let word = changed[at..].first_chunk_mut().unwrap();
        *word = (u32::from_ne_bytes(*word) ^ bit).to_ne_bytes();
        changed
    };
    // The number, and that it is inherited.
    assert_eq!(ask(0x401c_5820, &changed(&told, 12, 1)), Err(Failure::EPERM));
    assert_eq!(ask(0x401c_5820, &changed(&told, 0, 0x200)), Err(Failure::EPERM));
    assert_eq!(ask(0x4008_6602, &changed(&flags, 0, 0x2000_0000)), Err(Failure::EPERM));
    assert_eq!(ask(0x801c_581f, &[]).unwrap(), told);
    // FS_XFLAG_NODUMP is nothing of it.
    assert_eq!(ask(0x401c_5820, &changed(&told, 0, 0x80)), Ok(Vec::new()));
}
