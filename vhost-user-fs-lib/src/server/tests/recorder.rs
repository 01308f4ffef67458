// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file system that writes down what it is called with, and has one answer to each call.

use std::ffi::CStr;
use std::fmt::{Arguments, Debug};
use std::sync::Mutex;
use std::time::Duration;

use crate::filesystem::*;
use crate::transport::{Sink, Source};

/// What it reads.
pub(super) const TEXT: &[u8] = b"the bytes of a file";

#[derive(Default)]
pub(super) struct Recorder {
    calls: Mutex<Vec<String>>,
    fails: Mutex<Option<Failure>>,
}

impl Recorder {
    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub(super) fn fail(&self, failure: Failure) {
        *self.fails.lock().unwrap() = Some(failure);
    }

    fn note(&self, call: Arguments<'_>) -> Result<()> {
        self.calls.lock().unwrap().push(call.to_string());
        self.fails.lock().unwrap().map_or(Ok(()), Err)
    }
}

pub(super) fn attributes() -> Attributes {
    let time = |seconds, nanoseconds| Time { seconds, nanoseconds };
    let attr = Attr {
        ino: 5,
        size: 6,
        blocks: 7,
        atime: time(10, 1),
        mtime: time(20, 2),
        ctime: time(30, 3),
        btime: Some(time(40, 4)),
        mode: 0o100_644,
        nlink: 2,
        uid: 8,
        gid: 9,
        rdev: 0,
        blksize: 512,
        submount: false,
    };
    Attributes { attr, timeout: Duration::from_secs(2) }
}

fn entry() -> Entry {
    let (inode, timeout) = (Inode(0x77), Duration::from_millis(1500));
    Entry { inode, generation: 4, attributes: attributes(), timeout }
}

fn opened() -> Opened {
    Opened { handle: Handle(0xfeed), flags: OpenFlags::KEEP_CACHE }
}

/// What is only sometimes there, without the words around it.
fn short(value: Option<impl Debug>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:?}"))
}

fn made(creation: &Creation<'_>) -> String {
    let Creation { mode, umask, group, security } = creation;
    let label = security.map(|label| (label.name, label.value.escape_ascii().to_string()));
    format!("{mode:o} umask {umask:o} group {} label {}", short(*group), short(label))
}

impl FileSystem for Recorder {
    fn begin(&self, offered: InitFlags) -> Result<InitFlags> {
        self.note(format_args!("begin"))?;
        Ok(offered)
    }

    fn end(&self) {
        let _ = self.note(format_args!("end"));
    }

    fn lookup(&self, context: &Context, parent: Inode, name: LookupName<'_>) -> Result<Looked> {
        let Caller { uid, gid, pid } = context.caller;
        self.note(format_args!("{uid}:{gid}:{pid} lookup {:x} {name:?}", parent.0))?;
        Ok(match name {
            LookupName::Entry(name) if name.as_bytes() == b"absent" => {
                Looked::Absent(Duration::from_millis(2500))
            }
            LookupName::Entry(name) if name.as_bytes() == b"gone" => Looked::Absent(Duration::ZERO),
            _ => Looked::Found(entry()),
        })
    }

    fn forget(&self, inode: Inode, count: u64) {
        let _ = self.note(format_args!("forget {:x} {count}", inode.0));
    }

    fn attributes(&self, _: &Context, inode: Inode, handle: Option<Handle>) -> Result<Attributes> {
        self.note(format_args!("attributes {:x} {}", inode.0, short(handle)))?;
        Ok(attributes())
    }

    fn set_attributes(
        &self,
        _: &Context,
        inode: Inode,
        handle: Option<Handle>,
        changes: &SetAttr,
    ) -> Result<Attributes> {
        let times = format!("{} {}", short(changes.atime), short(changes.mtime));
        let SetAttr { mode, uid, gid, size, kill_suid_sgid, .. } = changes;
        let rest = format!("{} {} {} {}", short(*mode), short(*uid), short(*gid), short(*size));
        let handle = short(handle);
        let inode = inode.0;
        self.note(format_args!("set {inode:x} {handle} {rest} {times} {kill_suid_sgid}"))?;
        Ok(attributes())
    }

    fn read_link(&self, _: &Context, inode: Inode) -> Result<Vec<u8>> {
        self.note(format_args!("read_link {:x}", inode.0))?;
        Ok(b"where/to".to_vec())
    }

    fn make_symlink(
        &self,
        _: &Context,
        parent: Inode,
        name: Name<'_>,
        target: &CStr,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.note(format_args!("symlink {:x} {name:?} {target:?} {}", parent.0, made(creation)))?;
        Ok(entry())
    }

    fn make_node(
        &self,
        _: &Context,
        parent: Inode,
        name: Name<'_>,
        device: u32,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.note(format_args!("node {:x} {name:?} {device:x} {}", parent.0, made(creation)))?;
        Ok(entry())
    }

    fn make_directory(
        &self,
        _: &Context,
        parent: Inode,
        name: Name<'_>,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.note(format_args!("directory {:x} {name:?} {}", parent.0, made(creation)))?;
        Ok(entry())
    }

    fn unlink(&self, _: &Context, parent: Inode, name: Name<'_>) -> Result<()> {
        self.note(format_args!("unlink {:x} {name:?}", parent.0))
    }

    fn remove_directory(&self, _: &Context, parent: Inode, name: Name<'_>) -> Result<()> {
        self.note(format_args!("remove_directory {:x} {name:?}", parent.0))
    }

    fn rename(
        &self,
        _: &Context,
        from: (Inode, Name<'_>),
        to: (Inode, Name<'_>),
        flags: u32,
    ) -> Result<()> {
        let (old, new) = (from.0.0, to.0.0);
        self.note(format_args!("rename {old:x} {:?} {new:x} {:?} {flags}", from.1, to.1))
    }

    fn link(&self, _: &Context, inode: Inode, parent: Inode, name: Name<'_>) -> Result<Entry> {
        self.note(format_args!("link {:x} {:x} {name:?}", inode.0, parent.0))?;
        Ok(entry())
    }

    fn open(&self, _: &Context, inode: Inode, opening: Opening) -> Result<Opened> {
        let Opening { flags, kill_suid_sgid } = opening;
        self.note(format_args!("open {:x} {flags:x} {kill_suid_sgid}", inode.0))?;
        Ok(opened())
    }

    fn create(
        &self,
        _: &Context,
        parent: Inode,
        name: Name<'_>,
        opening: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        let Opening { flags, kill_suid_sgid } = opening;
        let how = format!("{flags:x} {kill_suid_sgid} {}", made(creation));
        self.note(format_args!("create {:x} {name:?} {how}", parent.0))?;
        Ok((entry(), opened()))
    }

    fn create_unnamed(
        &self,
        _: &Context,
        parent: Inode,
        opening: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        let Opening { flags, kill_suid_sgid } = opening;
        let how = format!("{flags:x} {kill_suid_sgid} {}", made(creation));
        self.note(format_args!("unnamed {:x} {how}", parent.0))?;
        Ok((entry(), opened()))
    }

    fn read(
        &self,
        _: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        sink: &Sink<'_>,
    ) -> Result<usize> {
        let (inode, handle, len) = (inode.0, handle.0, sink.len());
        let noted = self.note(format_args!("read {inode:x} {handle:x} {offset} {len}"));
        let text = &TEXT[..TEXT.len().min(sink.len())];
        sink.write(0, text).expect("room for what fits");
        noted.map(|()| text.len())
    }

    fn write(
        &self,
        _: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        source: &Source<'_>,
        writing: Writing,
    ) -> Result<usize> {
        let Writing { from_cache, kill_suid_sgid, flags } = writing;
        let file = tempfile::tempfile().unwrap();
        let fd = std::os::fd::AsFd::as_fd(&file);
        let written = source.write_to(0, fd, 0, 0).unwrap();
        let mut text = vec![0; written];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut text, 0).unwrap();
        let text = text.escape_ascii();
        let how = format!("{from_cache} {kill_suid_sgid} {flags:x}");
        self.note(format_args!("write {:x} {:x} {offset} {text} {how}", inode.0, handle.0))?;
        Ok(written)
    }

    fn flush(&self, _: &Context, inode: Inode, handle: Handle, owner: LockOwner) -> Result<()> {
        self.note(format_args!("flush {:x} {:x} {:x}", inode.0, handle.0, owner.0))
    }

    fn release(&self, _: &Context, inode: Inode, handle: Handle, release: Release) -> Result<()> {
        let Release { owner, flush, unlock } = release;
        let (inode, handle, owner) = (inode.0, handle.0, owner.0);
        self.note(format_args!("release {inode:x} {handle:x} {owner:x} {flush} {unlock}"))
    }

    fn sync(&self, _: &Context, inode: Inode, handle: Handle, data_only: bool) -> Result<()> {
        self.note(format_args!("sync {:x} {:x} {data_only}", inode.0, handle.0))
    }

    fn open_directory(&self, _: &Context, inode: Inode, flags: u32) -> Result<Opened> {
        self.note(format_args!("open_directory {:x} {flags:x}", inode.0))?;
        Ok(opened())
    }

    fn read_directory(
        &self,
        _: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        entries: &mut dyn Directory,
    ) -> Result<()> {
        let (inode, handle, plus) = (inode.0, handle.0, entries.is_plus());
        for (at, name) in
            (1..).zip([&b"."[..], b"eight888", b"a"]).skip_while(|(at, _)| *at <= offset)
        {
            if !entries.has_room_for(name.len()) {
                break;
            }
            let plus = if name == b"." { Plus::Nothing } else { Plus::Entry(entry()) };
            entries.add(&DirectoryEntry { ino: at + 100, offset: at, kind: 4, name }, plus);
        }
        self.note(format_args!("read_directory {inode:x} {handle:x} {offset} {plus}"))
    }

    fn release_directory(&self, _: &Context, inode: Inode, handle: Handle) -> Result<()> {
        self.note(format_args!("release_directory {:x} {:x}", inode.0, handle.0))
    }

    fn sync_directory(&self, _: &Context, inode: Inode, handle: Handle, only: bool) -> Result<()> {
        self.note(format_args!("sync_directory {:x} {:x} {only}", inode.0, handle.0))
    }

    fn statfs(&self, _: &Context, inode: Inode) -> Result<Statfs> {
        self.note(format_args!("statfs {:x}", inode.0))?;
        let (bsize, namelen, frsize) = (4096, 255, 512);
        Ok(Statfs { blocks: 1, bfree: 2, bavail: 3, files: 4, ffree: 5, bsize, namelen, frsize })
    }

    fn set_xattr(
        &self,
        _: &Context,
        inode: Inode,
        name: &CStr,
        value: &[u8],
        flags: u32,
        kill_sgid: bool,
    ) -> Result<()> {
        let inode = inode.0;
        let value = match value.len() {
            ..100 => value.escape_ascii().to_string(),
            len => format!("of {len} bytes"),
        };
        self.note(format_args!("set_xattr {inode:x} {name:?} {value} {flags} {kill_sgid}"))
    }

    fn get_xattr(&self, _: &Context, inode: Inode, name: &CStr, size: u32) -> Result<Xattr> {
        self.note(format_args!("get_xattr {:x} {name:?} {size}", inode.0))?;
        Ok(match name.to_bytes() {
            b"user.ignores" => Xattr::Size(3),
            _ if size == 0 => Xattr::Size(5),
            _ => Xattr::Value(b"value".to_vec()),
        })
    }

    fn list_xattrs(&self, _: &Context, inode: Inode, size: u32) -> Result<Xattr> {
        self.note(format_args!("list_xattrs {:x} {size}", inode.0))?;
        Ok(if size == 0 { Xattr::Size(7) } else { Xattr::Value(b"user.a\0".to_vec()) })
    }

    fn remove_xattr(&self, _: &Context, inode: Inode, name: &CStr) -> Result<()> {
        self.note(format_args!("remove_xattr {:x} {name:?}", inode.0))
    }

    fn access(&self, _: &Context, inode: Inode, mask: u32) -> Result<()> {
        self.note(format_args!("access {:x} {mask}", inode.0))
    }

    fn get_lock(
        &self,
        _: &Context,
        inode: Inode,
        handle: Handle,
        request: &LockRequest,
    ) -> Result<Lock> {
        let LockRequest { owner, lock, whole } = request;
        let (inode, handle, owner) = (inode.0, handle.0, owner.0);
        self.note(format_args!("get_lock {inode:x} {handle:x} {owner:x} {lock:?} {whole}"))?;
        Ok(Lock { start: 1, end: 2, kind: LockKind::Exclusive, pid: 3 })
    }

    fn set_lock(
        &self,
        _: &Context,
        inode: Inode,
        handle: Handle,
        request: &LockRequest,
    ) -> Result<()> {
        let LockRequest { owner, lock, whole } = request;
        let (inode, handle, owner) = (inode.0, handle.0, owner.0);
        self.note(format_args!("set_lock {inode:x} {handle:x} {owner:x} {lock:?} {whole}"))
    }

    fn allocate(
        &self,
        _: &Context,
        inode: Inode,
        handle: Handle,
        mode: u32,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        self.note(format_args!("allocate {:x} {:x} {mode} {offset} {len}", inode.0, handle.0))
    }

    fn seek(
        &self,
        _: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        whence: u32,
    ) -> Result<u64> {
        self.note(format_args!("seek {:x} {:x} {offset} {whence}", inode.0, handle.0))?;
        Ok(offset + 1)
    }

    fn copy_range(
        &self,
        _: &Context,
        from: (Inode, Handle, u64),
        to: (Inode, Handle, u64),
        len: u64,
        flags: u64,
    ) -> Result<u64> {
        self.note(format_args!("copy {from:?} {to:?} {len} {flags}"))?;
        Ok(len)
    }

    fn sync_all(&self, _: &Context, inode: Inode) -> Result<()> {
        self.note(format_args!("sync_all {:x}", inode.0))
    }

    fn ioctl(
        &self,
        _: &Context,
        inode: Inode,
        handle: Handle,
        command: u32,
        input: &[u8],
        room: usize,
    ) -> Result<Vec<u8>> {
        let (inode, handle, input) = (inode.0, handle.0, input.escape_ascii());
        self.note(format_args!("ioctl {inode:x} {handle:x} {command:x} {input} {room}"))?;
        Ok(b"output".to_vec())
    }
}
