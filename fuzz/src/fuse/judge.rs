// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file system that looks at what it is called with.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use vhost_user_fs_lib::{
    Attr, Attributes, Context, Creation, Directory, DirectoryEntry, Entry, Failure, FileSystem,
    Handle, InitFlags, Inode, Lock, LockKind, LockOwner, LockRequest, Looked, LookupName, Name,
    NewTime, OpenFlags, Opened, Opening, Plus, Release, Result, SetAttr, Sink, Source, Statfs,
    Time, Writing, Xattr,
};

/// The inode that every entry has.
pub(crate) const INODE: u64 = 0x1234_5678_9abc;

/// The handle that every opened file has.
pub(crate) const HANDLE: u64 = 0xfedc_ba98_7654;

/// What a call has given to the client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    pub(crate) entries: usize,
    pub(crate) opened: usize,
}

impl Given {
    pub(crate) fn count(&self) -> usize {
        self.entries + self.opened
    }
}

#[derive(Debug, Default)]
struct State {
    /// The flags that are in use, while there is a session.
    session: Option<InitFlags>,
    given: Given,
    fails: Option<Failure>,
    calls: usize,
}

pub(crate) struct Judge {
    wanted: InitFlags,
    state: Mutex<State>,
}

impl Judge {
    /// It wants these flags.
    pub(crate) fn new(wanted: u64) -> Self {
        Self { wanted: InitFlags(wanted), state: Mutex::default() }
    }

    /// Calls fail from now on, or do not.
    pub(crate) fn fail(&self, fails: Option<Failure>) {
        self.state().fails = fails;
    }

    pub(crate) fn begin_call(&self) {
        self.state().given = Given::default();
        self.state().calls = 0;
    }

    pub(crate) fn end_call(&self) -> Given {
        self.state().given
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a state")
    }

    /// There is a session, and this is the one thing that the request asks for.
    fn called(&self) -> Result<()> {
        let mut state = self.state();
        assert!(state.session.is_some(), "a call without a session");
        state.calls += 1;
        assert_eq!(state.calls, 1, "one call for a request");
        state.fails.map_or(Ok(()), Err)
    }

    fn agreed(&self, flags: InitFlags) -> bool {
        self.state().session.is_some_and(|session| session.has(flags))
    }

    fn give_entry(&self) -> Entry {
        self.state().given.entries += 1;
        let (inode, timeout) = (Inode(INODE), Duration::from_secs(1));
        Entry { inode, generation: 0, attributes: attributes(), timeout }
    }

    fn give_handle(&self) -> Opened {
        self.state().given.opened += 1;
        Opened { handle: Handle(HANDLE), flags: OpenFlags::NONE }
    }
}

fn attributes() -> Attributes {
    Attributes { attr: Attr::default(), timeout: Duration::from_secs(1) }
}

fn judge_name(name: Name<'_>) {
    let bytes = name.as_bytes();
    assert!((1..=255).contains(&bytes.len()), "a name of {} bytes", bytes.len());
    assert!(!bytes.contains(&b'/') && bytes != b"." && bytes != b"..", "{name:?}");
}

fn judge_xattr(name: &CStr) {
    assert!((1..=255).contains(&name.count_bytes()), "{name:?}");
}

fn judge_creation(creation: &Creation<'_>) {
    if let Some(label) = creation.security {
        judge_xattr(label.name);
        assert!(label.value.len() <= 66 * 1024);
    }
}

fn judge_time(time: Time) {
    assert!(time.nanoseconds < 1_000_000_000, "{time:?}");
}

fn zeroes() -> &'static File {
    static ZEROES: OnceLock<File> = OnceLock::new();
    let open = || File::options().read(true).write(true).open("/dev/zero");
    ZEROES.get_or_init(|| open().expect("open /dev/zero"))
}

impl FileSystem for Judge {
    fn begin(&self, offered: InitFlags) -> Result<InitFlags> {
        let mut state = self.state();
        assert!(state.session.is_none(), "a session within another");
        if let Some(failure @ Failure::Errno(_)) = state.fails {
            return Err(failure);
        }
        state.session = Some(offered & self.wanted);
        Ok(self.wanted)
    }

    fn end(&self) {
        self.state().session = None;
    }

    fn lookup(&self, _: &Context, _: Inode, name: LookupName<'_>) -> Result<Looked> {
        self.called()?;
        match name {
            LookupName::Entry(name) => judge_name(name),
            name => assert!(self.agreed(InitFlags::EXPORT_SUPPORT), "{name:?}"),
        }
        Ok(match name {
            LookupName::Entry(name) if name.as_bytes()[0] == b'a' => Looked::Absent(Duration::ZERO),
            LookupName::Entry(name) if name.as_bytes()[0] == b'b' => {
                Looked::Absent(Duration::from_secs(1))
            }
            _ => Looked::Found(self.give_entry()),
        })
    }

    fn forget(&self, _: Inode, _: u64) {
        assert!(self.state().session.is_some(), "a call without a session");
    }

    fn attributes(&self, _: &Context, _: Inode, _: Option<Handle>) -> Result<Attributes> {
        self.called().map(|()| attributes())
    }

    fn set_attributes(
        &self,
        _: &Context,
        _: Inode,
        _: Option<Handle>,
        changes: &SetAttr,
    ) -> Result<Attributes> {
        for time in [changes.atime, changes.mtime] {
            if let Some(NewTime::At(time)) = time {
                judge_time(time);
            }
        }
        changes.ctime.into_iter().for_each(judge_time);
        self.called().map(|()| attributes())
    }

    fn read_link(&self, _: &Context, inode: Inode) -> Result<Vec<u8>> {
        let target = vec![b't'; usize::try_from(inode.0 % 4096).expect("a length")];
        self.called().map(|()| target)
    }

    fn make_symlink(
        &self,
        _: &Context,
        _: Inode,
        name: Name<'_>,
        target: &CStr,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        judge_name(name);
        judge_creation(creation);
        assert!((1..=4095).contains(&target.count_bytes()), "{target:?}");
        self.called().map(|()| self.give_entry())
    }

    fn make_node(
        &self,
        _: &Context,
        _: Inode,
        name: Name<'_>,
        _: u32,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        judge_name(name);
        judge_creation(creation);
        self.called().map(|()| self.give_entry())
    }

    fn make_directory(
        &self,
        _: &Context,
        _: Inode,
        name: Name<'_>,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        judge_name(name);
        judge_creation(creation);
        self.called().map(|()| self.give_entry())
    }

    fn unlink(&self, _: &Context, _: Inode, name: Name<'_>) -> Result<()> {
        judge_name(name);
        self.called()
    }

    fn remove_directory(&self, _: &Context, _: Inode, name: Name<'_>) -> Result<()> {
        judge_name(name);
        self.called()
    }

    fn rename(
        &self,
        _: &Context,
        from: (Inode, Name<'_>),
        to: (Inode, Name<'_>),
        _: u32,
    ) -> Result<()> {
        judge_name(from.1);
        judge_name(to.1);
        self.called()
    }

    fn link(&self, _: &Context, _: Inode, _: Inode, name: Name<'_>) -> Result<Entry> {
        judge_name(name);
        self.called().map(|()| self.give_entry())
    }

    fn open(&self, _: &Context, _: Inode, _: Opening) -> Result<Opened> {
        self.called().map(|()| self.give_handle())
    }

    fn create(
        &self,
        _: &Context,
        _: Inode,
        name: Name<'_>,
        _: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        judge_name(name);
        judge_creation(creation);
        self.called().map(|()| (self.give_entry(), self.give_handle()))
    }

    fn create_unnamed(
        &self,
        _: &Context,
        _: Inode,
        _: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        judge_creation(creation);
        self.called().map(|()| (self.give_entry(), self.give_handle()))
    }

    fn read(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        offset: u64,
        sink: &Sink<'_>,
    ) -> Result<usize> {
        self.called()?;
        let part = sink.len() - usize::try_from(offset % 8).expect("a length").min(sink.len());
        // Any offset is as good as any other.
        let read = sink.read_from(0, zeroes().as_fd(), 0, 0).expect("a read");
        assert_eq!(read, sink.len());
        Ok(part)
    }

    fn write(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        _: u64,
        source: &Source<'_>,
        _: Writing,
    ) -> Result<usize> {
        self.called()?;
        Ok(source.write_to(0, zeroes().as_fd(), 0, 0).expect("a write"))
    }

    fn flush(&self, _: &Context, _: Inode, _: Handle, _: LockOwner) -> Result<()> {
        self.called()
    }

    fn release(&self, _: &Context, _: Inode, _: Handle, _: Release) -> Result<()> {
        self.called()
    }

    fn sync(&self, _: &Context, _: Inode, _: Handle, _: bool) -> Result<()> {
        self.called()
    }

    fn open_directory(&self, _: &Context, _: Inode, _: u32) -> Result<Opened> {
        self.called().map(|()| self.give_handle())
    }

    fn read_directory(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        offset: u64,
        entries: &mut dyn Directory,
    ) -> Result<()> {
        let lengths = (0..u8::try_from(offset % 16).expect("a number")).map(|at| at * 17 + 1);
        for (at, len) in (1..).zip(lengths) {
            let name = vec![b'n'; len.into()];
            if !entries.has_room_for(name.len()) {
                break;
            }
            let with = entries.is_plus() && at % 3 != 0;
            let plus = if with { Plus::Entry(self.give_entry()) } else { Plus::Nothing };
            entries.add(&DirectoryEntry { ino: at, offset: at, kind: 8, name: &name }, plus);
        }
        self.called()
    }

    fn release_directory(&self, _: &Context, _: Inode, _: Handle) -> Result<()> {
        self.called()
    }

    fn sync_directory(&self, _: &Context, _: Inode, _: Handle, _: bool) -> Result<()> {
        self.called()
    }

    fn statfs(&self, _: &Context, _: Inode) -> Result<Statfs> {
        self.called().map(|()| Statfs::default())
    }

    fn set_xattr(
        &self,
        _: &Context,
        _: Inode,
        name: &CStr,
        value: &[u8],
        _: u32,
        kill_sgid: bool,
    ) -> Result<()> {
        judge_xattr(name);
        assert!(value.len() <= 1 << 16, "a value of {} bytes", value.len());
        assert!(!kill_sgid || self.agreed(InitFlags::SETXATTR_EXT));
        self.called()
    }

    fn get_xattr(&self, _: &Context, _: Inode, name: &CStr, size: u32) -> Result<Xattr> {
        judge_xattr(name);
        self.list_xattrs(&context(), Inode::ROOT, size)
    }

    fn list_xattrs(&self, _: &Context, _: Inode, size: u32) -> Result<Xattr> {
        assert!(size <= 1 << 16, "room for {size} bytes");
        self.called()?;
        let len = usize::try_from(size).expect("a length");
        Ok(if len % 5 == 0 { Xattr::Size(7) } else { Xattr::Value(vec![0; len]) })
    }

    fn remove_xattr(&self, _: &Context, _: Inode, name: &CStr) -> Result<()> {
        judge_xattr(name);
        self.called()
    }

    fn access(&self, _: &Context, _: Inode, _: u32) -> Result<()> {
        self.called()
    }

    fn get_lock(&self, _: &Context, _: Inode, _: Handle, request: &LockRequest) -> Result<Lock> {
        self.judge_lock(request);
        let lock = Lock { start: 0, end: 1, kind: LockKind::Unlocked, pid: 0 };
        self.called().map(|()| lock)
    }

    fn set_lock(&self, _: &Context, _: Inode, _: Handle, request: &LockRequest) -> Result<()> {
        self.judge_lock(request);
        self.called()
    }

    fn allocate(&self, _: &Context, _: Inode, _: Handle, _: u32, _: u64, _: u64) -> Result<()> {
        self.called()
    }

    fn seek(&self, _: &Context, _: Inode, _: Handle, offset: u64, _: u32) -> Result<u64> {
        self.called().map(|()| offset)
    }

    fn copy_range(
        &self,
        _: &Context,
        _: (Inode, Handle, u64),
        _: (Inode, Handle, u64),
        len: u64,
        _: u64,
    ) -> Result<u64> {
        self.called().map(|()| len)
    }

    fn sync_all(&self, _: &Context, _: Inode) -> Result<()> {
        self.called()
    }

    fn ioctl(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        command: u32,
        input: &[u8],
        room: usize,
    ) -> Result<Vec<u8>> {
        assert!(input.len() < 1 << 14 && room < 1 << 14, "{} bytes, {room}", input.len());
        let len = usize::try_from(command % 64).expect("a length").min(room);
        self.called().map(|()| vec![0; len])
    }
}

impl Judge {
    fn judge_lock(&self, request: &LockRequest) {
        let LockRequest { lock: Lock { start, end, .. }, whole, .. } = *request;
        assert!(start <= end && i64::try_from(end).is_ok(), "{request:?}");
        let flags = if whole { InitFlags::FLOCK_LOCKS } else { InitFlags::POSIX_LOCKS };
        assert!(self.agreed(flags), "{request:?}");
    }
}

fn context() -> Context {
    let caller = vhost_user_fs_lib::Caller { uid: 0, gid: 0, pid: 0 };
    Context { caller, may_wait: false }
}
