// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::collections::BTreeSet;
use std::fs;

use super::*;

fn filled(count: usize) -> Option<Share> {
    let share = Share::new(Options::default())?;
    for number in 0..count {
        fs::write(share.path(&format!("file-{number:05}")), "").unwrap();
    }
    Some(share)
}

#[test]
fn every_entry_is_told_once_whatever_the_room() {
    let Some(share) = filled(3000) else { return };
    for room in [300, 4096, 100_000, 10_000_000] {
        for plus in [false, true] {
            let names = share.list(ROOT, plus, room).unwrap();
            let all: BTreeSet<_> = names.iter().map(|(name, _)| name.clone()).collect();
            assert_eq!((names.len(), all.len()), (3002, 3002), "{room} {plus}");
        }
    }
}

#[test]
fn entries_with_attributes_have_a_reference_each_and_the_dots_none() {
    let Some(share) = filled(100) else { return };
    let names = share.list(ROOT, true, 4096).unwrap();
    assert_eq!(share.fs.counts().inodes, 100);
    for (name, plus) in names {
        match plus {
            Plus::Entry(entry) => share.fs.forget(entry.inode, 1),
            Plus::Nothing => assert!(name == "." || name == "..", "{name}"),
        }
    }
    assert_eq!(share.fs.counts().inodes, 0);
}

#[test]
fn position_can_be_gone_back_to() {
    let Some(share) = filled(500) else { return };
    let handle = share.fs.open_directory(&NOW, ROOT, 0).unwrap().handle;
    let read = |offset, room| {
        let mut entries = Entries { plus: false, room, found: Vec::new() };
        share.fs.read_directory(&NOW, ROOT, handle, offset, &mut entries).unwrap();
        entries.found.into_iter().map(|(name, offset, _)| (name, offset)).collect::<Vec<_>>()
    };
    let first = read(0, 1000);
    let second = read(first.last().unwrap().1, 1000);
    let third = read(second.last().unwrap().1, 1000);
    assert_eq!(read(0, 1000), first);
    assert_eq!(read(second.last().unwrap().1, 1000), third);
    assert_eq!(read(first[3].1, 1000)[0], first[4]);
    // What is new is seen from the start.
    fs::write(share.path("new"), "").unwrap();
    let mut all = Vec::new();
    let mut offset = 0;
    loop {
        let some = read(offset, 4096);
        let Some(last) = some.last() else { break };
        offset = last.1;
        all.extend(some);
    }
    assert_eq!(all.len(), 503);
}

#[test]
fn answer_without_room_for_one_entry_is_refused() {
    let Some(share) = filled(1) else { return };
    assert_eq!(share.list(ROOT, false, 10).unwrap_err(), Failure::EINVAL);
}

#[test]
fn file_that_is_open_is_no_directory_by_its_handle() {
    let Some(share) = filled(1) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let mut entries = Entries { plus: false, room: 4096, found: Vec::new() };
    let listed = share.fs.read_directory(&NOW, entry.inode, opened.handle, 0, &mut entries);
    assert_eq!(listed, Err(Failure::Errno(libc::ENOTDIR)));
    let directory = share.fs.open_directory(&NOW, ROOT, 0).unwrap().handle;
    assert_eq!(share.read(ROOT, directory, 0, 10), Err(Failure::Errno(libc::EISDIR)));
    assert_eq!(share.read(ROOT, opened.handle, 0, 10), Err(Failure::EBADF));
}
