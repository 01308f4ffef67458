// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What somebody who got hold of the process would try: a test has a daemon do it, and sees what
//! comes of it.

use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::entry::Inode;
use crate::sys::attempt as calls;
use crate::sys::namespace::Namespace;

/// Names an attempt, `thread:` in front of it if another thread than the control thread shall make it.
const VARIABLE: &str = "VHOST_USER_ATTEMPT";

/// An attempt that a test has chosen, and who makes it.
pub(crate) struct Attempt {
    name: String,
    /// The number of the process that started this one, asked for while that is allowed.
    parent: u32,
    by_thread: Option<Sender<(String, u32)>>,
}

/// Looks whether a test has chosen one. To be called before [`super::seal`], for a thread that is to
/// make it has to be there by then.
pub(crate) fn chosen() -> Option<Attempt> {
    let chosen = std::env::var(VARIABLE).ok()?;
    let parent = std::os::unix::process::parent_id();
    let Some(name) = chosen.strip_prefix("thread:") else {
        return Some(Attempt { name: chosen, parent, by_thread: None });
    };
    let (sender, receiver) = channel::<(String, u32)>();
    let (running, runs) = channel();
    thread::spawn(move || {
        running.send(()).expect("say that the thread runs");
        receiver.iter().for_each(|(name, parent)| make(&name, parent));
    });
    runs.recv().expect("hear that the thread runs");
    Some(Attempt { name: name.to_owned(), parent, by_thread: Some(sender) })
}

impl Attempt {
    /// Makes it, and tells the log what came of it.
    pub(crate) fn make(self) {
        match self.by_thread {
            Some(thread) => thread.send((self.name, self.parent)).expect("hand the attempt over"),
            None => make(&self.name, self.parent),
        }
    }
}

fn make(name: &str, parent: u32) {
    match attempt(name, parent) {
        Ok(()) => log::info!("attempt {name}: succeeded"),
        Err(error) => log::info!("attempt {name}: {error}"),
    }
}

fn attempt(name: &str, parent: u32) -> io::Result<()> {
    match name {
        "socket" => UnixDatagram::unbound().map(drop),
        "execve" => Err(calls::execute(c"/bin/true")),
        "io_uring_setup" => calls::io_uring_setup(),
        "open" => File::open("/etc/passwd").map(drop),
        "create" => File::create("/tmp/vhost-user-attempt").map(drop),
        "up" => open_above_directories(),
        "mount" => crate::sys::namespace::mount_empty(c"/"),
        "ptrace" => calls::ptrace(parent),
        "signal" => calls::signal(parent),
        "connect" => TcpStream::connect(("127.0.0.1", 9)).map(drop),
        "unshare" => crate::sys::namespace::unshare(Namespace::Network),
        "setuid" => calls::setuid(),
        "chmod" => fs::set_permissions("/", PermissionsExt::from_mode(0o755)),
        "memory" => calls::map_executable(),
        name => panic!("{VARIABLE}: there is no attempt {name:?}"),
    }
}

/// Opens what is above each directory that is open in this process.
fn open_above_directories() -> io::Result<()> {
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for number in 3..1024 {
        let Some(directory) = calls::duplicate(number) else {
            continue;
        };
        match calls::open_at(&directory, c"..") {
            Ok(above) if Inode::of(&above.metadata()?) == Inode::of(&directory.metadata()?) => {
                refused = io::Error::other("there is nothing above");
            }
            Ok(_) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => {}
            Err(error) => refused = error,
        }
    }
    Err(refused)
}
