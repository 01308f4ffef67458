// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The life of a vhost-user daemon's process: arguments, socket, sandbox, signals, log, readiness.
//!
//! A daemon brings its own options, with [`CommonArgs`] flattened in, and a function that opens a
//! device; [`run()`] does everything else. The stages come in an order that has reasons:
//!
//! 1. `--print-capabilities` is looked for and answered before anything is parsed.
//! 2. What was typed becomes a configuration that is valid, without I/O.
//! 3. Inherited sockets are adopted, before an own descriptor can have their number.
//! 4. The log begins; a sandbox that the operator insists on is tried out; the device is opened, with
//!    all that the operator can get wrong about it, and the descriptors that its queues will need are
//!    compared with the limit.
//! 5. Signals are blocked, the pid file is locked, and then the socket appears: from here on every
//!    way out removes both again.
//! 6. With `--daemonize` the process forks. There must be no threads yet: a fork would lose them.
//! 7. The sandbox is entered: namespaces, an empty root, no capabilities, landlock. All of that is for
//!    one thread and those that it starts, so this is the last point at which it holds for all.
//! 8. The pid is written, the queue threads start and get what they need. Then all threads are left
//!    with the system calls that a daemon makes while it serves.
//! 9. READY=1, the process that was started ends with 0, and front ends are served.
//!
//! A daemon that looks for files while it serves ([`run_sharing`]) has its device made at the end of stage
//! 7, of what is [`Inside`]: the directory that it shares is the root then, and all that there is. Its
//! [`Policy`] says in which habits it differs from the others: whether it ends with its front end, and
//! whether its pid is beside its socket.
//!
//! Serving is one loop in one thread (`serve`) around the session of `vhost-user-device`. It
//! never waits for one thing only: a signal is heard while half a message is outstanding, while
//! requests are in flight, and while a front end to connect to is awaited. SIGTERM and SIGINT end
//! the session and give requests in flight two seconds; SIGUSR1 has the device look at the host's
//! side again, and a config space that has changed by that is announced to the front end; SIGHUP
//! has no effect.
//!
//! What is removed at the end is removed through the directory as it was opened at the start, since
//! the path may be out of reach by then, and only if it is still the file that was made here.
//! Whether a socket that is found in place is alive is read from the lock on the pid file and from
//! `/proc/net/unix`: connecting would end a back end that serves one connection only.
//!
//! Faults end up where somebody can mend them: the operator's on standard error with exit code 2,
//! the system's with exit code 1, a front end's in the log, and the daemon lives on.

#[expect(unsafe_code, reason = "the room for the system calls that need it")]
mod sys;

mod args;
mod backoff;
pub mod capabilities;
mod config;
mod daemonize;
mod descriptors;
mod door;
mod drive;
mod entry;
mod exit;
mod id_range;
mod limits;
mod listener;
mod log;
mod notify;
mod occupant;
mod pid_file;
mod plan;
mod policy;
mod poller;
mod run;
mod sandbox;
mod serve;
mod signals;
mod socket;
mod threads;

pub use args::{CommonArgs, LogLevel, SandboxMode, SeccompMode};
pub use capabilities::Capabilities;
pub use caps::Capability;
pub use id_range::{IdRange, NoIdRange};
pub use plan::Inside;
pub use policy::{OpenFiles, Policy, Share};
pub use run::{Program, run, run_sharing};
pub use sandbox::{Profile, SystemCall};
