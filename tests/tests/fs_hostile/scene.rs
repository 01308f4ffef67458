// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A shared folder beside things that are nobody's business, and requests about what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use vhost_user_tests::fs::client::New;
use vhost_user_tests::fs::share::new_folder;
use vhost_user_tests::fs::wire::{Body, ROOT, opcode};
use vhost_user_tests::fs::{FsClient, Shared};
use vhost_user_tests::prelude::Daemon;

/// The folder `share` in a folder with `secret` and `victim`, and no sandbox around the daemon: what
/// keeps its client inside is the daemon alone.
pub(crate) struct Scene {
    pub(crate) it: Shared,
    before: BTreeMap<PathBuf, String>,
}

/// What requests are about.
#[derive(Clone, Copy)]
pub(crate) struct Things {
    pub(crate) file: u64,
    pub(crate) file_fh: u64,
    pub(crate) folder: u64,
    pub(crate) folder_fh: u64,
    pub(crate) link: u64,
}

/// Node and handle that nobody has.
pub(crate) const UNKNOWN: u64 = 0x7654_3210_fedc;

/// Requests whose body ends with a name, or with two of them.
pub(crate) const NAMED: [u32; 13] = [
    opcode::LOOKUP,
    opcode::SYMLINK,
    opcode::MKNOD,
    opcode::MKDIR,
    opcode::UNLINK,
    opcode::RMDIR,
    opcode::RENAME,
    opcode::RENAME2,
    opcode::LINK,
    opcode::CREATE,
    opcode::SETXATTR,
    opcode::GETXATTR,
    opcode::REMOVEXATTR,
];

impl Scene {
    pub(crate) fn new() -> Self {
        let outer = new_folder();
        let share = outer.path().join("share");
        fs::create_dir(&share).expect("make a folder");
        fs::write(outer.path().join("secret"), "secret").expect("write a file");
        fs::create_dir(outer.path().join("victim")).expect("make a folder");
        fs::write(outer.path().join("victim/file"), "inside").expect("write a file");
        fs::write(share.join("file"), "0123456789").expect("write a file");
        fs::create_dir(share.join("folder")).expect("make a folder");
        fs::write(share.join("folder/file"), "x").expect("write a file");
        symlink("../secret", share.join("link")).expect("make a link");
        symlink("..", share.join("up")).expect("make a link");
        symlink("/", share.join("top")).expect("make a link");
        let launch = Daemon::fs().share(&share).args(["--sandbox", "none", "--xattr"]);
        let it = Shared::of(launch, outer);
        let before = outside(it.folder.path());
        Self { it, before }
    }

    /// Looks everything up and opens it.
    pub(crate) fn things(&mut self) -> Things {
        let fs = &mut self.it.fs;
        let file = fs.lookup(ROOT, "file").expect("a name that is there").node;
        let folder = fs.lookup(ROOT, "folder").expect("a name that is there").node;
        let link = fs.lookup(ROOT, "link").expect("a name that is there").node;
        let file_fh = fs.open(file, libc::O_RDWR).expect("a file that opens").fh;
        let folder_fh = fs.opendir(folder).expect("a folder that opens").fh;
        Things { file, file_fh, folder, folder_fh, link }
    }

    /// Puts back what a request may have changed, which it was allowed to.
    pub(crate) fn mend(&mut self) {
        let share = self.it.path("share");
        fs::write(share.join("file"), "0123456789").expect("write a file");
        fs::create_dir_all(share.join("folder")).expect("make a folder");
        fs::write(share.join("folder/file"), "x").expect("write a file");
        if fs::symlink_metadata(share.join("link")).is_err() {
            symlink("../secret", share.join("link")).expect("make a link");
        }
        let _ = fs::remove_dir(share.join("name"));
        let _ = fs::remove_file(share.join("name"));
    }

    /// The root of the file system answers, and nothing outside of it has changed.
    #[track_caller]
    pub(crate) fn expect_unharmed(&mut self, after: &str) {
        let attr = self.it.fs.getattr(ROOT);
        assert!(attr.is_ok_and(|attr| attr.mode & libc::S_IFMT == libc::S_IFDIR), "after {after}");
        assert_eq!(outside(self.it.folder.path()), self.before, "what is outside, after {after}");
    }

    /// The number of a file outside.
    pub(crate) fn outer_ino(&self, name: &str) -> u64 {
        fs::symlink_metadata(self.it.path(name)).expect("look at a file").ino()
    }
}

/// All that is outside of the share: contents, modes, owners, links and times of change.
fn outside(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for place in [folder.to_owned(), folder.join("victim")] {
        for entry in fs::read_dir(place).expect("list a folder") {
            let path = entry.expect("an entry of a folder").path();
            if path.ends_with("share") {
                continue;
            }
            let data = fs::symlink_metadata(&path).expect("look at a file");
            let text = fs::read_to_string(&path).unwrap_or_default();
            let (mode, times) = (data.mode(), (data.ctime(), data.ctime_nsec()));
            all.insert(path, format!("{text} {mode:o} {} {} {times:?}", data.uid(), data.nlink()));
        }
    }
    all
}

/// A request as a kernel would send it: its node and its body.
pub(crate) fn regular(opcode: u32, things: &Things) -> (u64, Vec<u8>) {
    let Things { file, file_fh, folder_fh, folder, link } = *things;
    if NAMED.contains(&opcode) {
        return named(opcode, things, b"name");
    }
    let body = Body::new();
    match opcode {
        opcode::FORGET => (UNKNOWN, body.u64s(&[1]).finish()),
        opcode::GETATTR => (file, body.u32s(&[1, 0]).u64s(&[file_fh]).finish()),
        opcode::SETATTR => (file, body.u32s(&[1, 0]).bytes([0; 80]).finish()),
        opcode::READLINK => (link, Vec::new()),
        opcode::OPEN => (file, body.u32s(&[0, 0]).finish()),
        opcode::OPENDIR => (folder, body.u32s(&[0, 0]).finish()),
        opcode::READ => (file, FsClient::read_body(file_fh, 0, 64)),
        opcode::READDIR | opcode::READDIRPLUS => (folder, FsClient::read_body(folder_fh, 0, 64)),
        opcode::WRITE => {
            let body = body.u64s(&[file_fh, 0]).u32s(&[4, 0]).u64s(&[0]).u32s(&[0, 0]);
            (file, body.bytes(b"four").finish())
        }
        opcode::RELEASE | opcode::FLUSH => (file, body.u64s(&[file_fh, 0, 1]).finish()),
        opcode::RELEASEDIR => (folder, body.u64s(&[folder_fh, 0, 1]).finish()),
        opcode::FSYNC => (file, body.u64s(&[file_fh, 0]).finish()),
        opcode::FSYNCDIR => (folder, body.u64s(&[folder_fh, 0]).finish()),
        opcode::LISTXATTR => (file, body.u32s(&[64, 0]).finish()),
        opcode::INIT => (0, FsClient::init_body(7, 45, 0xffff_ffff)),
        opcode::GETLK | opcode::SETLK | opcode::SETLKW => {
            let body = body.u64s(&[file_fh, 1, 0, 100]);
            (file, body.u32s(&[libc::F_RDLCK.cast_unsigned(), 1, 0, 0]).finish())
        }
        opcode::ACCESS => (file, body.u32s(&[4, 0]).finish()),
        opcode::INTERRUPT => (0, body.u64s(&[1]).finish()),
        opcode::BMAP => (file, body.u64s(&[0]).u32s(&[512, 0]).finish()),
        opcode::IOCTL => {
            let body = body.u64s(&[file_fh]).u32s(&[0, 0x8008_6601]).u64s(&[0]);
            (file, body.u32s(&[0, 8]).finish())
        }
        opcode::POLL => (file, body.u64s(&[file_fh, 1]).u32s(&[0, 1]).finish()),
        opcode::BATCH_FORGET => (0, body.u32s(&[1, 0]).u64s(&[UNKNOWN, 1]).finish()),
        opcode::FALLOCATE => (file, body.u64s(&[file_fh, 0, 10]).u32s(&[0, 0]).finish()),
        opcode::LSEEK => (file, body.u64s(&[file_fh, 0]).u32s(&[0, 0]).finish()),
        opcode::COPY_FILE_RANGE | opcode::COPY_FILE_RANGE_64 => {
            (file, body.u64s(&[file_fh, 0, file, file_fh, 5, 5, 0]).finish())
        }
        opcode::SETUPMAPPING => (file, body.u64s(&[file_fh, 0, 4096, 0, 0]).finish()),
        opcode::REMOVEMAPPING => (file, body.u32s(&[1]).u64s(&[0, 4096]).finish()),
        opcode::SYNCFS => (ROOT, body.u64s(&[0]).finish()),
        opcode::TMPFILE => (ROOT, open_new().name("#1").finish()),
        opcode::STATX => (file, body.u32s(&[0, 0]).u64s(&[0]).u32s(&[0, 0x7ff]).finish()),
        _ => (file, Vec::new()),
    }
}

/// A request with `name` for its name, where one is: the last of two.
pub(crate) fn named(opcode: u32, things: &Things, name: &[u8]) -> (u64, Vec<u8>) {
    let body = Body::new();
    match opcode {
        opcode::SYMLINK => (ROOT, body.name(name).name("target").finish()),
        opcode::MKNOD => (ROOT, body.u32s(&[libc::S_IFREG | 0o644, 0, 0, 0]).name(name).finish()),
        opcode::MKDIR => (ROOT, body.u32s(&[0o755, 0]).name(name).finish()),
        opcode::RENAME => (ROOT, body.u64s(&[ROOT]).name("file").name(name).finish()),
        opcode::RENAME2 => {
            (ROOT, body.u64s(&[ROOT]).u32s(&[0, 0]).name("file").name(name).finish())
        }
        opcode::LINK => (ROOT, body.u64s(&[things.file]).name(name).finish()),
        opcode::CREATE => (ROOT, open_new().name(name).finish()),
        opcode::SETXATTR => {
            (things.file, body.u32s(&[4, 0, 0, 0]).name(xattr(name)).bytes(b"four").finish())
        }
        opcode::GETXATTR => (things.file, body.u32s(&[64, 0]).name(xattr(name)).finish()),
        opcode::REMOVEXATTR => (things.file, body.name(xattr(name)).finish()),
        _ => (ROOT, body.name(name).finish()),
    }
}

fn xattr(name: &[u8]) -> Vec<u8> {
    [b"user.", name].concat()
}

fn open_new() -> Body {
    let New { flags, mode, umask } = New::default();
    Body::new().u32s(&[flags.cast_unsigned(), mode, umask, 0])
}
