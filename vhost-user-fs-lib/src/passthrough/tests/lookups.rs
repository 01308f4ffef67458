// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::passthrough::{FileHandles, Place};

/// The ways to know inodes: handles with a descriptor, handles alone, descriptors.
fn ways() -> [Options; 3] {
    let handles = Options::default();
    let bare = Options { inode_fd_cache: 0, ..Options::default() };
    let descriptors = Options { file_handles: FileHandles::Never, ..Options::default() };
    [handles, bare, descriptors]
}

#[test]
fn file_that_is_looked_up_again_is_the_same_inode_until_it_is_forgotten() {
    for options in ways() {
        let Some(share) = Share::new(options) else { return };
        fs::write(share.path("a"), "1").unwrap();
        let first = share.look(ROOT, "a").unwrap();
        assert_eq!(share.look(ROOT, "a").unwrap().inode, first.inode);
        assert_eq!(first.attributes.attr.ino, share.path("a").metadata().unwrap().ino());
        share.fs.forget(first.inode, 1);
        assert!(share.fs.attributes(&NOW, first.inode, None).is_ok());
        share.fs.forget(first.inode, 1);
        assert_eq!(share.fs.attributes(&NOW, first.inode, None), Err(Failure::ESTALE));
        assert_eq!(share.fs.counts().inodes, 0);
    }
}

#[test]
fn two_names_of_a_file_are_one_inode() {
    for options in ways() {
        let Some(share) = Share::new(options) else { return };
        fs::write(share.path("a"), "1").unwrap();
        let one = share.look(ROOT, "a").unwrap();
        let other = share.fs.link(&NOW, one.inode, ROOT, called(c"b")).unwrap();
        assert_eq!((other.inode, other.attributes.attr.nlink), (one.inode, 2));
        assert_eq!(share.look(ROOT, "b").unwrap().inode, one.inode);
    }
}

#[test]
fn file_that_replaces_another_one_is_another_inode() {
    for options in ways() {
        let Some(share) = Share::new(options) else { return };
        for round in 0..50 {
            fs::write(share.path("a"), format!("{round}")).unwrap();
            let before = share.look(ROOT, "a").unwrap();
            fs::remove_file(share.path("a")).unwrap();
            // Often with the same number, on file systems that use them again.
            fs::create_dir(share.path("a")).unwrap();
            let after = share.look(ROOT, "a").unwrap();
            assert_ne!(before.inode, after.inode);
            assert_eq!(after.attributes.attr.mode & libc::S_IFMT, libc::S_IFDIR);
            assert!(share.fs.open(&NOW, after.inode, opening(0)).is_err());
            fs::remove_dir(share.path("a")).unwrap();
            share.fs.forget(before.inode, 1);
            share.fs.forget(after.inode, 1);
        }
        assert_eq!(share.fs.counts().inodes, 0);
    }
}

#[test]
fn link_is_looked_at_and_not_followed() {
    for options in ways() {
        let Some(share) = Share::new(options) else { return };
        symlink("/etc", share.path("l")).unwrap();
        let link = share.look(ROOT, "l").unwrap();
        assert_eq!(link.attributes.attr.mode & libc::S_IFMT, libc::S_IFLNK);
        assert_eq!(share.fs.read_link(&NOW, link.inode), Ok(b"/etc".to_vec()));
        let inside = share.look(link.inode, "passwd");
        assert_eq!(inside.unwrap_err(), Failure::Errno(libc::ENOTDIR));
    }
}

#[test]
fn absence_may_be_kept_if_the_operator_says_so() {
    let Some(share) = Share::new(Options::default()) else { return };
    let absent = share.fs.lookup(&NOW, ROOT, LookupName::new(c"a").unwrap());
    assert_eq!(absent, Err(Failure::ENOENT));
    let timeout = Duration::from_secs(5);
    let options = Options { negative_timeout: timeout, ..Options::default() };
    let share = Share::new(options).unwrap();
    let absent = share.fs.lookup(&NOW, ROOT, LookupName::new(c"a").unwrap());
    assert_eq!(absent, Ok(Looked::Absent(timeout)));
}

#[test]
fn directories_know_themselves_and_what_they_are_in() {
    for options in ways() {
        let Some(share) = Share::new(Options { export: true, ..options }) else { return };
        fs::create_dir_all(share.path("a/b")).unwrap();
        let a = share.look(ROOT, "a").unwrap().inode;
        let b = share.look(a, "b").unwrap().inode;
        assert_eq!(share.look(b, ".").unwrap().inode, b);
        assert_eq!(share.look(b, "..").unwrap().inode, a);
        assert_eq!(share.look(a, "..").unwrap().inode, ROOT);
        assert_eq!(share.look(ROOT, "..").unwrap().inode, ROOT);
        share.fs.forget(a, 2);
        assert_eq!(share.look(a, ".").unwrap_err(), Failure::ESTALE);
        assert_eq!(share.look(b, "..").unwrap_err(), Failure::ESTALE);
    }
}

#[test]
fn directory_that_was_moved_out_of_the_share_does_not_lead_there() {
    for options in ways() {
        let Some(share) = Share::new(Options { export: true, ..options }) else { return };
        fs::create_dir_all(share.path("a/b")).unwrap();
        let a = share.look(ROOT, "a").unwrap().inode;
        let b = share.look(a, "b").unwrap().inode;
        fs::rename(share.path("a/b"), share.folder.path().join("b")).unwrap();
        assert_eq!(share.look(b, "..").unwrap_err(), Failure::ESTALE);
    }
}

#[test]
fn single_file_can_be_shared() {
    let Some(share) = Share::new(Options::default()) else { return };
    fs::write(share.path("only"), "this").unwrap();
    let fs = super::share(&share.path("only"), Options::default());
    fs.begin(InitFlags::NONE).unwrap();
    let attr = fs.attributes(&NOW, ROOT, None).unwrap().attr;
    assert_eq!((attr.mode & libc::S_IFMT, attr.size), (libc::S_IFREG, 4));
    let handle = fs.open(&NOW, ROOT, opening(libc::O_RDWR)).unwrap().handle;
    assert!(fs.release(&NOW, ROOT, handle, Release::default()).is_ok());
    let inside = fs.lookup(&NOW, ROOT, LookupName::new(c"a").unwrap());
    assert_eq!(inside, Err(Failure::Errno(libc::ENOTDIR)));
}

#[test]
fn descriptors_that_could_be_done_without_are_bounded() {
    let options = Options { inode_fd_cache: 32, ..Options::default() };
    let Some(share) = Share::new(options) else { return };
    let before = share.fs.budget.left();
    let mut inodes = Vec::new();
    for number in 0..500 {
        let name = format!("f{number}");
        fs::write(share.path(&name), &name).unwrap();
        inodes.push((share.look(ROOT, &name).unwrap().inode, name));
    }
    assert!(before - share.fs.budget.left() <= 32, "{}", share.fs.budget.left());
    for (inode, name) in inodes {
        let handle = share.open(inode, libc::O_RDONLY).unwrap();
        assert_eq!(share.read(inode, handle, 0, 100).unwrap(), name.as_bytes());
        share.release(inode, handle);
    }
}

#[test]
fn client_sees_enfile_when_the_descriptors_are_used_up() {
    let options = Options { descriptors: 20, inode_fd_cache: 16, ..Options::default() };
    let Some(share) = Share::new(options) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let mut handles = vec![opened.handle];
    let failure = loop {
        match share.open(entry.inode, libc::O_RDONLY) {
            Ok(handle) => handles.push(handle),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure, Failure::ENFILE);
    assert_eq!(handles.len(), 19);
    assert_eq!(share.look(ROOT, "a").unwrap().inode, entry.inode);
    for handle in handles {
        share.release(entry.inode, handle);
    }
    assert!(share.open(entry.inode, libc::O_RDONLY).is_ok());
}

#[test]
fn inodes_are_never_lost_between_lookup_and_forget() {
    const ROUNDS: u64 = 2_500_000;
    let Some(share) = Share::new(Options::default()) else { return };
    fs::write(share.path("a"), "").unwrap();
    let first = share.look(ROOT, "a").unwrap().inode;
    let known = share.fs.node(first).unwrap();
    let Place::Handle { mount, .. } = &known.place else { panic!("{known:?} has no handle") };
    share.fs.forget(first, 1);
    let (table, ids) = (&share.fs.table, known.ids);
    let made = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let node = table.find_and_refer(&ids, |_| true).unwrap_or_else(|| {
                        made.fetch_add(1, Ordering::Relaxed);
                        let mount = Arc::clone(mount);
                        let place = Place::Handle { mount, handle: [].into() };
                        table.insert(ids, libc::S_IFREG, place, |_, _| true)
                    });
                    // It has our reference, so it is known.
                    assert!(table.get(node.number).is_some());
                    table.forget(node.number, 1);
                }
            });
        }
    });
    assert_eq!(table.len(), 0);
    eprintln!("FIGURE: {} inodes made in {} rounds", made.into_inner(), 4 * ROUNDS);
}

#[test]
fn file_can_be_looked_at_whoever_else_forgets_it() {
    for options in ways() {
        let Some(share) = Share::new(options) else { return };
        fs::write(share.path("a"), "1").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let inode = share.look(ROOT, "a").unwrap().inode;
                        let attr = share.fs.attributes(&NOW, inode, None).unwrap().attr;
                        assert_eq!(attr.size, 1);
                        share.fs.forget(inode, 1);
                    }
                });
            }
        });
        assert_eq!(share.fs.counts().inodes, 0);
    }
}
