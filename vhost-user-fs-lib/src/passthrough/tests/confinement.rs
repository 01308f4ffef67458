// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::filesystem::{SetAttr, Xattr};
use crate::passthrough::FileHandles;

#[test]
fn devices_and_fifos_are_never_opened() {
    for file_handles in [FileHandles::Prefer, FileHandles::Never] {
        let options = Options { file_handles, xattr: true, ..Options::default() };
        let Some(share) = Share::new(options) else { return };
        let node = |name, mode, device| {
            share.fs.make_node(&NOW, ROOT, called(name), device, &creating(mode)).unwrap().inode
        };
        // /dev/zero, a FIFO nobody has open, a socket.
        for inode in [
            node(c"zero", libc::S_IFCHR | 0o666, 1 << 8 | 5),
            node(c"fifo", libc::S_IFIFO | 0o666, 0),
            node(c"socket", libc::S_IFSOCK | 0o666, 0),
        ] {
            for flags in [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR] {
                assert_eq!(share.open(inode, flags), Err(Failure::Errno(libc::ENXIO)));
            }
            let changes = SetAttr { size: Some(0), ..SetAttr::default() };
            let truncated = share.fs.set_attributes(&NOW, inode, None, &changes);
            assert_eq!(truncated, Err(Failure::EINVAL));
            let directory = share.fs.open_directory(&NOW, inode, 0);
            assert_eq!(directory, Err(Failure::Errno(libc::ENOTDIR)));
            assert_eq!(share.fs.list_xattrs(&NOW, inode, 0), Ok(Xattr::Size(0)));
        }
        // CREATE of a name that means one of them does not open it, either.
        let created = share.create("fifo", libc::O_RDONLY);
        assert_eq!(created.unwrap_err(), Failure::Errno(libc::ENXIO));
        let link = share.fs.make_symlink(&NOW, ROOT, called(c"l"), c"/etc/passwd", &creating(0));
        let opened = share.open(link.unwrap().inode, libc::O_RDONLY);
        assert_eq!(opened, Err(Failure::Errno(libc::ELOOP)));
        let created = share.create("l", libc::O_RDONLY);
        assert_eq!(created.unwrap_err(), Failure::Errno(libc::ELOOP));
    }
}

#[test]
fn directory_that_the_host_swaps_with_a_link_never_leads_outside() {
    for file_handles in [FileHandles::Prefer, FileHandles::Never] {
        let options = Options { file_handles, inode_fd_cache: 0, ..Options::default() };
        let Some(share) = Share::new(options) else { return };
        let outside = share.folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        let (swapped, spare) = (share.path("d"), share.path("spare"));
        fs::create_dir(&swapped).unwrap();
        fs::write(swapped.join("secret"), "inside").unwrap();
        symlink(&outside, &spare).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (one, other) = (
                    CString::new(swapped.to_str().unwrap()),
                    CString::new(spare.to_str().unwrap()),
                );
                let (one, other) = (one.unwrap(), other.unwrap());
                let here = crate::sys::open::CURRENT_DIRECTORY;
                while !done.load(Ordering::Relaxed) {
                    let flags = libc::RENAME_EXCHANGE;
                    crate::sys::names::renameat2((here, &one), (here, &other), flags).unwrap();
                }
            });
            for _ in 0..20_000 {
                let Ok(directory) = share.look(ROOT, "d") else { continue };
                if let Ok(file) = share.look(directory.inode, "secret") {
                    assert_eq!(file.attributes.attr.size, 6);
                    let handle = share.open(file.inode, libc::O_RDONLY).unwrap();
                    assert_eq!(share.read(file.inode, handle, 0, 10).unwrap(), b"inside");
                    share.release(file.inode, handle);
                    share.fs.forget(file.inode, 1);
                }
                let made =
                    share.fs.make_directory(&NOW, directory.inode, called(c"x"), &creating(0o700));
                if let Ok(made) = made {
                    share.fs.forget(made.inode, 1);
                    let _ = share.fs.remove_directory(&NOW, directory.inode, called(c"x"));
                }
                share.fs.forget(directory.inode, 1);
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}

#[test]
fn numbers_that_never_were_are_refused() {
    let Some(share) = Share::new(Options::default()) else { return };
    for inode in [0, 2, 63, 64, 65, u64::MAX].map(Inode) {
        assert_eq!(share.fs.attributes(&NOW, inode, None), Err(Failure::ESTALE));
        assert_eq!(share.look(inode, "a").unwrap_err(), Failure::ESTALE);
        assert_eq!(share.open(inode, 0), Err(Failure::ESTALE));
        share.fs.forget(inode, u64::MAX);
    }
    for handle in [0, 1, 16, u64::MAX].map(Handle) {
        assert_eq!(share.read(ROOT, handle, 0, 10), Err(Failure::EBADF));
        assert_eq!(share.write(ROOT, handle, 0, b""), Err(Failure::EBADF));
        let released = share.fs.release(&NOW, ROOT, handle, Release::default());
        assert_eq!(released, Err(Failure::EBADF));
    }
    share.fs.forget(ROOT, u64::MAX);
    assert!(share.fs.attributes(&NOW, ROOT, None).is_ok());
}

#[test]
fn offsets_beyond_the_largest_are_refused() {
    let Some(share) = Share::new(Options::default()) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let (inode, handle) = (entry.inode, opened.handle);
    for offset in [u64::MAX, 1 << 63] {
        assert!(share.read(inode, handle, offset, 10).is_err());
        assert!(share.write(inode, handle, offset, b"12").is_err());
        assert!(share.fs.allocate(&LATER, inode, handle, 0, offset, 1).is_err());
        assert!(share.fs.seek(&NOW, inode, handle, offset, 3).is_err());
        let changes = SetAttr { size: Some(offset), ..SetAttr::default() };
        assert!(share.fs.set_attributes(&NOW, inode, None, &changes).is_err());
        let copied = share.fs.copy_range(&LATER, (inode, handle, offset), (inode, handle, 0), 1, 0);
        assert!(copied.is_err());
    }
}
