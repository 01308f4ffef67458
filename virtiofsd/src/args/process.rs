// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What every daemon has, with virtiofsd's names and defaults.

use std::os::fd::RawFd;
use std::path::PathBuf;

use vhost_user_daemon::{CommonArgs, LogLevel, SeccompMode};

use super::modes::SandboxMode;
use super::old::OldArgs;

/// Virtqueues and what serves them.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Queues")]
pub struct QueueArgs {
    /// Serve at most N virtqueues of requests, 1 to 63, each by a thread of its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub num_request_queues: u16,

    /// Serve virtqueues of at most N descriptors, a power of two from 4 to 32768.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub queue_size: u16,

    /// Have N threads for what takes its time, such as fsync(2) [default: 0, as many as it takes].
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub thread_pool_size: usize,

    /// Let a thread whose queue is empty look for requests for at most N microseconds, 0 to 1000,
    /// before it sleeps; it does so only while that spares it sleeps. 0: never.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub poll_us: u32,

    /// Run the thread of queue i on the i-th CPU of LIST, such as 0-3,8, over and over again
    /// [default: on any CPU].
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
}

/// What every daemon has, in virtiofsd's words.
#[derive(Clone, Debug, clap::Args)]
pub struct ProcessArgs {
    /// Listen on the Unix socket PATH, made here and removed at the end; the process id is in
    /// PATH.pid, which is locked.
    #[arg(
        long,
        value_name = "PATH",
        help_heading = "Socket",
        conflicts_with_all = ["fd", "connect"]
    )]
    pub socket_path: Option<PathBuf>,

    /// Use the inherited Unix socket FDNUM: a listening one, or a connected one, which is served
    /// once.
    #[arg(long, value_name = "FDNUM", help_heading = "Socket", conflicts_with = "connect")]
    pub fd: Option<RawFd>,

    /// Connect to a front end that listens on the Unix socket PATH.
    #[arg(long, value_name = "PATH", help_heading = "Socket")]
    pub connect: Option<PathBuf>,

    /// Give the socket to GROUP, a name or a number.
    #[arg(
        long,
        value_name = "GROUP",
        help_heading = "Socket",
        conflicts_with_all = ["fd", "connect"]
    )]
    pub socket_group: Option<String>,

    /// File mode of the socket; who may write may connect [default: 600, with --socket-group 660].
    #[arg(
        long,
        value_name = "OCTAL",
        help_heading = "Socket",
        conflicts_with_all = ["fd", "connect"]
    )]
    pub socket_mode: Option<String>,

    /// Wait for the next front end when one has left, or connect again; without it the process ends
    /// then, with exit code 0.
    #[arg(long, help_heading = "Socket")]
    pub keep_listening: bool,

    /// Keep the process from all but the directory.
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        ignore_case = true,
        default_value_t,
        help_heading = "Sandbox"
    )]
    pub sandbox: SandboxMode,

    /// What becomes of the process when it makes a system call that it has no reason for.
    #[arg(long, value_name = "MODE", value_enum, default_value_t, help_heading = "Sandbox")]
    pub seccomp: SeccompMode,

    /// Keep other capabilities than it usually does, such as +sys_admin:-chown.
    #[arg(long, value_name = "CHANGES", allow_hyphen_values = true, help_heading = "Sandbox")]
    pub modcaps: Option<String>,

    /// Have at most N open descriptors; 0: as many as whoever started the process has let it
    /// [default: 1000000, or what the kernel allows].
    #[arg(long, value_name = "N", help_heading = "Process")]
    pub rlimit_nofile: Option<u64>,

    /// Print what this back end can do as JSON and exit, whatever else is given.
    #[arg(long, help_heading = "Process")]
    pub print_capabilities: bool,

    /// Write messages of this level and the more urgent ones to the log.
    #[arg(
        long,
        value_name = "LEVEL",
        value_enum,
        ignore_case = true,
        default_value_t,
        help_heading = "Process"
    )]
    pub log_level: LogLevel,

    /// Send the log to syslog (/dev/log) instead of standard error.
    #[arg(long, help_heading = "Process")]
    pub syslog: bool,

    /// Write the process id to PATH and keep that file locked.
    #[arg(long, value_name = "PATH", help_heading = "Process")]
    pub pid_file: Option<PathBuf>,

    /// Go to the background as soon as front ends can connect.
    #[arg(long, help_heading = "Process")]
    pub daemonize: bool,
}

impl ProcessArgs {
    /// The same in every daemon's words.
    pub(super) fn common(&self, old: &OldArgs, queues: &QueueArgs) -> CommonArgs {
        let Self {
            socket_path,
            fd,
            connect,
            socket_group,
            socket_mode,
            keep_listening: _, // how the process lives otherwise is its policy
            sandbox,
            seccomp,
            modcaps: _,
            rlimit_nofile: _,
            print_capabilities,
            log_level,
            syslog,
            pid_file,
            daemonize,
        } = self.clone();
        CommonArgs {
            socket_path: socket_path.or_else(|| old.socket.clone()),
            fd,
            connect,
            socket_group,
            socket_mode,
            poll_us: queues.poll_us,
            cpus: queues.cpus.clone(),
            sandbox: match sandbox {
                SandboxMode::Namespace => vhost_user_daemon::SandboxMode::Namespace,
                SandboxMode::Chroot => vhost_user_daemon::SandboxMode::Chroot,
                SandboxMode::None => vhost_user_daemon::SandboxMode::None,
            },
            seccomp,
            print_capabilities,
            log_level: if old.debug { LogLevel::Debug } else { log_level },
            syslog,
            pid_file,
            daemonize,
        }
    }
}
