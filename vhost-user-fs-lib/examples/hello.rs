// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file system of one file, mounted on this machine: `cargo run --example hello DIRECTORY`, as root, until
//! somebody unmounts it.
//!
//! The client is this machine's kernel, which speaks FUSE over /dev/fuse. A VMM has a virtqueue in its
//! place: the same [`Server`] then gets a request's descriptors instead of [`Bytes`].

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use vhost_user_fs_lib::{
    Attr, Attributes, Bytes, Context, Directory, DirectoryEntry, Entry, Failure, FileSystem,
    Handle, InitFlags, Inode, Limits, Looked, LookupName, OpenFlags, Opened, Opening, Outcome,
    Plus, Result, Room, Server, Sink,
};

/// What is in the file.
pub(crate) const TEXT: &[u8] = b"Hello from a file that is nowhere.\n";

/// The number of the file.
const FILE: Inode = Inode(2);

/// What the client may take as true for so long: for a day, since nothing ever changes.
const DAY: Duration = Duration::from_secs(86_400);

/// The room for a request or an answer: its data, its arguments and header.
const ROOM: usize = (1 << 20) + 4096;

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("which directory?")?;
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    let mounted = mount(&device, Path::new(&directory)).status()?;
    if !mounted.success() {
        return Err("it is not mounted".into());
    }
    Ok(serve(device)?)
}

/// The command that mounts what is served over `device`, which becomes its standard input. The kernel has to
/// look at permissions itself (`default_permissions`), as it always does for virtio file systems.
pub(crate) fn mount(device: &File, directory: &Path) -> Command {
    let mut mount = Command::new("mount");
    mount.args([
        "-i",
        "-t",
        "fuse",
        "-o",
        "fd=0,rootmode=40000,user_id=0,group_id=0,default_permissions",
        "hello",
    ]);
    mount.arg(directory).stdin(device.try_clone().map_or_else(|_| Stdio::null(), Stdio::from));
    mount
}

/// Serves one request after the other until it is unmounted.
pub(crate) fn serve(mut device: File) -> io::Result<()> {
    let server = Server::new(Hello, Limits::default());
    let mut request = vec![0; ROOM];
    loop {
        let len = match device.read(&mut request) {
            Ok(len) => len,
            // Nothing is mounted any more.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
            // It has been taken back before we had it.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(error),
        };
        let room = Room::new(ROOM);
        // This thread may wait, and there are no locks: so it is done at once.
        if let Outcome::Done(written @ 1..) =
            server.serve(&Bytes::new(&request[..len]), &room, true)
        {
            device.write_all(&room.into_bytes()[..written])?;
        }
    }
}

struct Hello;

impl FileSystem for Hello {
    fn begin(&self, _offered: InitFlags) -> Result<InitFlags> {
        Ok(InitFlags::NONE)
    }

    fn end(&self) {}

    fn lookup(&self, _: &Context, parent: Inode, name: LookupName<'_>) -> Result<Looked> {
        match name {
            LookupName::Entry(name) if parent == Inode::ROOT && name.as_bytes() == b"hello" => {
                let attributes = attributes(FILE)?;
                Ok(Looked::Found(Entry { inode: FILE, generation: 0, attributes, timeout: DAY }))
            }
            _ => Ok(Looked::Absent(DAY)),
        }
    }

    /// The file is there whether somebody knows of it or not, so nothing is counted.
    fn forget(&self, _inode: Inode, _count: u64) {}

    fn attributes(&self, _: &Context, inode: Inode, _: Option<Handle>) -> Result<Attributes> {
        attributes(inode)
    }

    fn open(&self, _: &Context, _: Inode, opening: Opening) -> Result<Opened> {
        if opening.flags & libc::O_ACCMODE.cast_unsigned() != libc::O_RDONLY.cast_unsigned() {
            return Err(Failure::EROFS);
        }
        Ok(Opened { handle: Handle(0), flags: OpenFlags::KEEP_CACHE })
    }

    fn read(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        offset: u64,
        sink: &Sink<'_>,
    ) -> Result<usize> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = TEXT.get(offset..).unwrap_or_default();
        let part = &rest[..rest.len().min(sink.len())];
        sink.write(0, part).map_err(|_| Failure::EIO)?;
        Ok(part.len())
    }

    fn open_directory(&self, _: &Context, _: Inode, _: u32) -> Result<Opened> {
        Ok(Opened { handle: Handle(0), flags: OpenFlags::CACHE_DIR })
    }

    fn read_directory(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        offset: u64,
        entries: &mut dyn Directory,
    ) -> Result<()> {
        let all =
            [(1, libc::DT_DIR, &b"."[..]), (1, libc::DT_DIR, b".."), (2, libc::DT_REG, b"hello")];
        for (at, (ino, kind, name)) in (1..).zip(all) {
            if at > offset && entries.has_room_for(name.len()) {
                let entry = DirectoryEntry { ino, offset: at, kind: kind.into(), name };
                entries.add(&entry, Plus::Nothing);
            }
        }
        Ok(())
    }
}

fn attributes(inode: Inode) -> Result<Attributes> {
    let attr = match inode {
        Inode::ROOT => Attr { ino: 1, mode: libc::S_IFDIR | 0o555, nlink: 2, ..Attr::default() },
        FILE => {
            let size = TEXT.len() as u64;
            Attr { ino: 2, size, mode: libc::S_IFREG | 0o444, nlink: 1, ..Attr::default() }
        }
        _ => return Err(Failure::ESTALE),
    };
    Ok(Attributes { attr, timeout: DAY })
}
