// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The system calls that every daemon makes once it serves, and why. Threads, sockets and io_urings
//! are made before.

use super::profile::SystemCall;

const fn allow(number: libc::c_long, why: &'static str) -> SystemCall {
    SystemCall::new(number, why)
}

const EXECUTABLE: u32 = libc::PROT_EXEC as u32;

/// What every daemon does.
pub(super) const EVERY_DAEMON: &[SystemCall] = &[
    // Memory.
    allow(libc::SYS_brk, "the allocator's heap"),
    allow(libc::SYS_mmap, "guest memory, in-flight regions, large allocations; nothing to execute")
        .where_lacks(2, EXECUTABLE),
    allow(libc::SYS_mprotect, "a heap of the allocator's grows; nothing to execute")
        .where_lacks(2, EXECUTABLE),
    allow(libc::SYS_mremap, "a large allocation grows"),
    allow(libc::SYS_munmap, "guest memory is taken away, a large allocation ends"),
    allow(libc::SYS_madvise, "memory that is free goes back to the host"),
    // Threads and time.
    allow(libc::SYS_futex, "threads wait for each other"),
    allow(libc::SYS_sched_getaffinity, "the allocator counts CPUs when a thread's heap begins"),
    allow(libc::SYS_sched_yield, "threads wait for each other for a moment"),
    allow(libc::SYS_clock_gettime, "the time, where it takes a system call"),
    allow(libc::SYS_restart_syscall, "a wait goes on after the process was stopped"),
    // What is waited for.
    allow(libc::SYS_epoll_ctl, "what the control thread waits for"),
    #[cfg(target_arch = "x86_64")]
    allow(libc::SYS_epoll_wait, "the control thread waits"),
    allow(libc::SYS_epoll_pwait, "the control thread waits, by another library"),
    #[cfg(target_arch = "x86_64")]
    allow(libc::SYS_poll, "whether a descriptor can be written to, or the front end is gone"),
    allow(libc::SYS_ppoll, "the same; a queue's thread waits for its kick"),
    allow(libc::SYS_io_uring_enter, "a queue's thread has operations done, and waits"),
    allow(libc::SYS_read, "kicks, mailboxes, signals"),
    allow(libc::SYS_write, "calls, mailboxes, the log"),
    allow(libc::SYS_preadv2, "a kick that must not be waited for"),
    allow(libc::SYS_pwritev2, "a call that must not be waited for"),
    // Front ends.
    allow(libc::SYS_accept4, "a front end connects"),
    allow(libc::SYS_recvmsg, "messages with their descriptors"),
    allow(libc::SYS_sendmsg, "replies, with descriptors"),
    allow(libc::SYS_sendto, "the log to syslog, the end to the service manager"),
    allow(libc::SYS_shutdown, "a front end is turned away"),
    allow(libc::SYS_setsockopt, "a socket that lingers must not")
        .where_is(1, libc::SOL_SOCKET.unsigned_abs())
        .where_is(2, libc::SO_LINGER.unsigned_abs()),
    allow(libc::SYS_getsockname, "whether a front end has passed a socket for our messages"),
    allow(libc::SYS_ioctl, "a socket shall not be waited for").where_is(1, NO_WAITING),
    allow(libc::SYS_close, "descriptors of the front end, when it is gone"),
    allow(libc::SYS_fcntl, "descriptors of the front end: a copy").where_is(1, COPY),
    allow(libc::SYS_fcntl, "whether a descriptor is open, before it is closed").where_is(1, FLAGS),
    allow(libc::SYS_fcntl, "the log at its most talkative says how a descriptor is open")
        .where_is(1, OPEN_HOW),
    allow(libc::SYS_fcntl, "the in-flight region keeps its length").where_is(1, SEALS),
    allow(libc::SYS_statx, "files of the front end: which kind, how long"),
    allow(libc::SYS_fstat, "the same, where the library has no statx"),
    allow(libc::SYS_fstatfs, "guest memory in huge pages: of which size"),
    allow(libc::SYS_memfd_create, "the in-flight region"),
    allow(libc::SYS_ftruncate, "the in-flight region gets its length; the pid file is emptied"),
    allow(libc::SYS_pwrite64, "the in-flight region gets its head"),
    allow(libc::SYS_lseek, "holes in guest memory"),
    allow(libc::SYS_getrandom, "the seeds of hash tables"),
    // Signals and the end.
    allow(libc::SYS_rt_sigaction, "SIGBUS where guest memory is gone; how a panic ends"),
    allow(libc::SYS_rt_sigprocmask, "no signal in the middle of a thread's end, or a panic's"),
    allow(libc::SYS_rt_sigreturn, "back from SIGBUS"),
    allow(libc::SYS_sigaltstack, "a thread ends"),
    allow(libc::SYS_getpid, "a panic ends the process; lines to syslog have it"),
    allow(libc::SYS_gettid, "a panic ends the process"),
    allow(libc::SYS_newfstatat, "whether socket and pid file are still ours"),
    allow(libc::SYS_unlinkat, "socket and pid file are removed"),
    allow(libc::SYS_exit, "a thread ends"),
    allow(libc::SYS_exit_group, "the process ends"),
    #[cfg(target_arch = "x86_64")]
    allow(libc::SYS_dup2, "--daemonize: standard error lets go of the terminal").where_is(1, 2),
    #[cfg(not(target_arch = "x86_64"))]
    allow(libc::SYS_dup3, "--daemonize: standard error lets go of the terminal").where_is(1, 2),
];

const COPY: u32 = libc::F_DUPFD_CLOEXEC.unsigned_abs();
const FLAGS: u32 = libc::F_GETFD.unsigned_abs();
const OPEN_HOW: u32 = libc::F_GETFL.unsigned_abs();
const SEALS: u32 = libc::F_ADD_SEALS.unsigned_abs();

/// What is needed beside that to connect to a front end again and again: `--connect`.
pub(super) const CONNECTING: &[SystemCall] = &[
    allow(libc::SYS_socket, "--connect: a Unix socket for the next connection").where_is(0, UNIX),
    allow(libc::SYS_connect, "--connect: the next connection"),
];

/// What fails and ends nothing, since a library does it by itself, when it likes to, and takes no for an
/// answer.
pub(super) const REFUSED: &[SystemCall] = &[
    allow(
        libc::SYS_openat,
        "glibc's allocator looks at /sys and /proc when a thread's heap begins, or becomes smaller",
    ),
    allow(libc::SYS_getcwd, "a panic with RUST_BACKTRACE wants to shorten paths"),
    #[cfg(target_arch = "x86_64")]
    allow(libc::SYS_readlink, "a panic with RUST_BACKTRACE wants to read the program"),
    allow(libc::SYS_readlinkat, "the same"),
    allow(libc::SYS_prctl, "glibc gives memory a name, if it is told to")
        .where_is(0, libc::PR_SET_VMA.unsigned_abs()),
];

/// What the process `own` may do to end itself; no other process.
pub(super) fn ending(own: u32) -> [SystemCall; 2] {
    let kill = |signal: libc::c_int, why| {
        allow(libc::SYS_tgkill, why).where_is(0, own).where_is(2, signal.unsigned_abs())
    };
    [
        kill(libc::SIGABRT, "a panic ends the process"),
        kill(libc::SIGSYS, "a system call that is not allowed ends the process"),
    ]
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of ioctls have 32 bits")]
const NO_WAITING: u32 = libc::FIONBIO as u32;

const UNIX: u32 = libc::AF_UNIX as u32;
