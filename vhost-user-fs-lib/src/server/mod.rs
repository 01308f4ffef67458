// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Serves FUSE requests: bytes in, calls of a [`FileSystem`], bytes out. It knows nothing of where they
//! come from.
//!
//! A request that makes no sense gets an error and a line of log; nothing of it reaches the file system.
//! Nor does one whose answer would not fit: the file system then knows of no reference or handle that the
//! client does not know of.

mod answer;
mod attributes;
mod counts;
mod directory;
mod entries;
mod extensions;
mod files;
mod gate;
mod ioctl;
mod locks;
mod ranges;
mod refusal;
mod request;
mod session;
mod texts;
mod xattrs;

#[cfg(test)]
mod tests;

use std::fmt;

use vhost_user_device::RateLimit;

pub use session::Limits;

use crate::filesystem::{FileSystem, Inode};
use crate::fuse::Opcode;
use crate::transport::{Incoming, Outgoing};
use answer::Answer;
use counts::Counts;
use refusal::{Malformed, Refusal, Served};
use request::Request;
use session::Session;

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done. As many bytes of the answer were written; with 0 there is none, because the client wants
    /// none or has left no room for one.
    Done(usize),
    /// It would wait for storage. Nothing was done or written: it is to be served again where it may wait.
    WouldWait,
    /// It waits for a lock (SETLKW), and another one is in the way. Nothing was done or written: it is to be
    /// served again when that may have changed.
    Locked,
}

/// A FUSE server for one client. All threads share it.
///
/// The client looks at permissions itself, as Linux always does for virtio file systems: over /dev/fuse that
/// is the option `default_permissions`, without which Linux refuses a server that knows idmapped mounts.
///
/// ```
/// use vhost_user_fs_lib::{
///     Attributes, Bytes, Context, Failure, FileSystem, Handle, InitFlags, Inode, Limits, LookupName,
///     Looked, Outcome, Result, Room, Server,
/// };
///
/// /// A directory in which there is nothing, and which cannot be looked at either.
/// struct Nothing;
///
/// impl FileSystem for Nothing {
///     fn begin(&self, _: InitFlags) -> Result<InitFlags> {
///         Ok(InitFlags::NONE)
///     }
///     fn end(&self) {}
///     fn lookup(&self, _: &Context, _: Inode, _: LookupName<'_>) -> Result<Looked> {
///         Err(Failure::ENOENT)
///     }
///     fn forget(&self, _: Inode, _: u64) {}
///     fn attributes(&self, _: &Context, _: Inode, _: Option<Handle>) -> Result<Attributes> {
///         Err(Failure::EACCES)
///     }
/// }
///
/// let server = Server::new(Nothing, Limits::default());
/// // INIT (26) with the number 7: version 7.38, reads ahead 128 KiB, offers no flags.
/// let words: [u32; 26] =
///     [104, 26, 7, 0, 0, 0, 0, 0, 0, 0, 7, 38, 131_072, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// let request: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
/// let room = Room::new(4096);
/// assert_eq!(server.serve(&Bytes::new(&request), &room, true), Outcome::Done(80));
/// let answer = room.into_bytes();
/// assert_eq!(answer[4..8], [0; 4], "no error");
/// assert_eq!(answer[16..20], 7_u32.to_ne_bytes(), "the major version");
/// ```
pub struct Server<F> {
    fs: F,
    limits: Limits,
    session: Session,
    counts: Counts,
    malformed: RateLimit,
}

/// Answers a request with an error number of Linux, without serving it. Returns how many bytes were
/// written: 0, if the client wants no answer or has left no room for one.
pub fn refuse(request: &dyn Incoming, answer: &dyn Outgoing, errno: i32) -> usize {
    let (opcode, unique) = match Request::new(request) {
        Ok(request) => (Opcode::of(request.header.opcode), request.header.unique),
        Err((_, Some(unique))) => (None, unique),
        Err((_, None)) => return 0,
    };
    let answered = opcode.is_none_or(Opcode::is_answered);
    if answered { Answer::new(answer, unique).error(errno) } else { 0 }
}

/// Whether a lock may have been given up by a request, so that those who wait for one shall be served
/// again.
pub(crate) fn may_unlock(request: &dyn Incoming) -> bool {
    use Opcode as O;
    let opcode = Request::new(request).ok().and_then(|request| Opcode::of(request.header.opcode));
    let unlocks = [O::Setlk, O::Setlkw, O::Flush, O::Release, O::Forget, O::BatchForget, O::Init];
    opcode.is_some_and(|opcode| unlocks.contains(&opcode) || opcode == O::Destroy)
}

/// A request on its way.
struct Call<'r> {
    request: Request<'r>,
    answer: Answer<'r>,
    context: crate::filesystem::Context,
}

impl<F: FileSystem> Server<F> {
    /// A server without a client.
    pub fn new(fs: F, limits: Limits) -> Self {
        let session = Session::default();
        Self { fs, limits, session, counts: Counts::default(), malformed: RateLimit::new() }
    }

    /// What is served.
    pub fn file_system(&self) -> &F {
        &self.fs
    }

    /// Serves a request. With `may_wait` it may wait for storage, and [`Outcome::WouldWait`] does not come.
    /// A request that is served again must be the same one.
    pub fn serve(&self, request: &dyn Incoming, answer: &dyn Outgoing, may_wait: bool) -> Outcome {
        self.attempt(request, answer, may_wait, |errno| errno)
    }

    /// Serves a request again that has waited for a lock, as [`Server::serve`] does where it may not wait for
    /// storage. If its file is no longer open, it is answered as interrupted: EINTR.
    pub fn serve_again(&self, request: &dyn Incoming, answer: &dyn Outgoing) -> Outcome {
        self.attempt(request, answer, false, |errno| match errno {
            libc::EBADF => libc::EINTR,
            errno => errno,
        })
    }

    fn attempt(
        &self,
        request: &dyn Incoming,
        answer: &dyn Outgoing,
        may_wait: bool,
        said: impl FnOnce(i32) -> i32,
    ) -> Outcome {
        let request = match Request::new(request) {
            Ok(request) => request,
            Err((malformed, unique)) => {
                self.warn(None, &malformed);
                let answer = unique.map(|unique| Answer::new(answer, unique));
                return Outcome::Done(answer.map_or(0, |answer| answer.error(malformed.errno())));
            }
        };
        let opcode = Opcode::of(request.header.opcode);
        let context = request.context(may_wait);
        let answer = Answer::new(answer, request.header.unique);
        let mut call = Call { request, answer, context };
        // Those that begin or end a session close the gate instead.
        let changes = matches!(opcode, Some(Opcode::Init | Opcode::Destroy));
        let _passing = (!changes).then(|| self.session.gate.pass());
        let done = match self.dispatch(opcode, &mut call) {
            Ok(written) => written,
            Err(Refusal::WouldWait) if !may_wait => return Outcome::WouldWait,
            Err(Refusal::Locked) => return Outcome::Locked,
            Err(refusal) => {
                if let Refusal::Malformed(malformed) = &refusal {
                    self.warn(Some(call.request.header.opcode), malformed);
                }
                call.answer.error(said(refusal.errno()))
            }
        };
        self.counts.count(opcode);
        Outcome::Done(if opcode.is_none_or(Opcode::is_answered) { done } else { 0 })
    }

    /// The client is gone: so are its inodes, handles and locks. The next one begins with INIT.
    pub fn end(&self) {
        let alone = self.session.gate.close();
        self.session.end(&alone, || self.fs.end());
    }

    /// How many requests with this opcode were answered, or done if they want no answer. All those that
    /// are none of FUSE 7.45 are counted as opcode 0.
    pub fn count(&self, opcode: u32) -> u64 {
        self.counts.of(opcode)
    }

    /// The operations that were asked for, by their names in `fuse.h`, and how often; see
    /// [`Server::count`].
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let all = Opcode::ALL.iter().map(|(_, number, name)| (*name, self.count(*number)));
        all.chain([("unknown", self.count(0))]).filter(|(_, count)| *count > 0)
    }

    fn dispatch(&self, opcode: Option<Opcode>, call: &mut Call<'_>) -> Served {
        use Opcode as O;

        let Some(opcode) = opcode else {
            return Err(Refusal::Errno(libc::ENOSYS));
        };
        if opcode == O::Init {
            return self.init(call);
        }
        if !self.session.has_begun() {
            return match opcode {
                O::Destroy => call.answer.room::<()>()?.fill(&()),
                opcode if !opcode.is_answered() => Ok(0),
                _ => Err(Refusal::Errno(libc::EIO)),
            };
        }
        match opcode {
            O::Lookup => self.lookup(call),
            O::Forget => self.forget(call),
            O::BatchForget => self.batch_forget(call),
            O::Getattr => self.getattr(call),
            O::Setattr => self.setattr(call),
            O::Statx => self.statx(call),
            O::Readlink => self.readlink(call),
            O::Symlink => self.symlink(call),
            O::Mknod => self.mknod(call),
            O::Mkdir => self.mkdir(call),
            O::Unlink => self.unlink(call),
            O::Rmdir => self.rmdir(call),
            O::Rename => self.rename(call),
            O::Rename2 => self.rename2(call),
            O::Link => self.link(call),
            O::Open => self.open(call),
            O::Create => self.create(call),
            O::Tmpfile => self.tmpfile(call),
            O::Read => self.read(call),
            O::Write => self.write(call),
            O::Flush => self.flush(call),
            O::Release => self.release(call),
            O::Fsync => self.fsync(call),
            O::Statfs => self.statfs(call),
            O::Setxattr => self.setxattr(call),
            O::Getxattr => self.getxattr(call),
            O::Listxattr => self.listxattr(call),
            O::Removexattr => self.removexattr(call),
            O::Opendir => self.opendir(call),
            O::Readdir => self.readdir(call, false),
            O::Readdirplus => self.readdir(call, true),
            O::Releasedir => self.releasedir(call),
            O::Fsyncdir => self.fsyncdir(call),
            O::Getlk => self.getlk(call),
            O::Setlk => self.setlk(call, false),
            O::Setlkw => self.setlk(call, true),
            O::Access => self.access(call),
            O::Fallocate => self.fallocate(call),
            O::Lseek => self.lseek(call),
            O::CopyFileRange => self.copy_file_range(call, false),
            O::CopyFileRange64 => self.copy_file_range(call, true),
            O::Syncfs => self.syncfs(call),
            O::Ioctl => self.ioctl(call),
            O::Destroy => self.destroy(call),
            // The client is not told of anything, and what it no longer waits for is not looked for.
            O::Interrupt | O::NotifyReply => Ok(0),
            O::Init | O::Bmap | O::Poll | O::Setupmapping | O::Removemapping => {
                Err(Refusal::Errno(libc::ENOSYS))
            }
        }
    }

    fn warn(&self, opcode: Option<u32>, malformed: &Malformed) {
        let Some(held_back) = self.malformed.allow() else { return };
        let name = match opcode.map(|number| (number, Opcode::of(number))) {
            Some((_, Some(opcode))) => opcode.name().to_owned(),
            Some((number, None)) => format!("opcode {number}"),
            None => "FUSE".to_owned(),
        };
        log::warn!("malformed {name} request: {malformed} ({held_back} such lines held back)");
    }
}

impl Call<'_> {
    /// The inode that it is about.
    fn inode(&self) -> Inode {
        Inode(self.request.header.nodeid)
    }
}

impl<F> fmt::Debug for Server<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.limits).finish_non_exhaustive()
    }
}
