// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The stages of a daemon's life, in their order.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use vhost_user_device::{Backend, Device, Threads};

use crate::args::CommonArgs;
use crate::capabilities::{self, Capabilities};
use crate::config::{ListenAt, ProcessConfig, SocketPath, SocketSource};
use crate::daemonize::{self, DaemonizeError, Readiness, Side};
use crate::descriptors;
use crate::entry::Entry;
use crate::exit::{self, Failure};
use crate::limits;
use crate::listener::{self, ListenError};
use crate::notify::Supervisor;
use crate::pid_file::{PidFile, PidFileError};
use crate::plan::{Inside, Opened, Plan, Shared};
use crate::policy::{Policy, Share};
use crate::sandbox::{self, Entered, Kept, Profile, SandboxConfig, SandboxError};
use crate::serve::{Control, Served};
use crate::signals::{self, Signals};
use crate::socket::{self, FrontEnd, InheritError, Socket};
use crate::sys::process;
use crate::threads::CpusError;

/// What tells one daemon from another.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name, in front of what it says: `vhost-user-blk`.
    pub name: &'static str,
    /// What `--print-capabilities` prints.
    pub capabilities: Capabilities,
    /// What it still does once it serves.
    pub profile: Profile,
}

/// Lives a daemon's life: parses the command line, has the device opened by `open`, and serves it
/// until the end. What it returns is for `main` to return.
///
/// `open` turns what was typed into a device. Its errors are the operator's to repair: they go to
/// standard error as a chain of causes, and the exit code is 2. It must not start threads; those of
/// a device belong to its queues, which start later.
///
/// Exit codes: 0 for an end that was asked for, 1 for a failure at run time, 2 for what the operator
/// got wrong, which never leaves a socket behind.
pub fn run<A, D, E>(program: &Program, open: impl FnOnce(A) -> Result<D, E>) -> ExitCode
where
    A: clap::Parser + AsRef<CommonArgs>,
    D: Device,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    run_plan(program, |args: A| Ok(Opened::new(args, open)))
}

/// Lives a daemon's life like [`run`], with a device that shares a directory or a file of the host: it is
/// made in the sandbox, where that is all there is.
///
/// `judge` turns what was typed into what is true: how the process lives, what stays within reach, and
/// what else `open` needs. It does no I/O, and logs nothing, since there is no log yet. Then come the
/// socket and the sandbox, and in the sandbox, before there are threads, `open` makes the device of that
/// and of what it finds [`Inside`]. That the share is there, and that the sandbox can be had, has been
/// tried out by then, before there was a socket.
pub fn run_sharing<A, C, D, E, F>(
    program: &Program,
    judge: impl FnOnce(A) -> Result<(Policy, Share, C), E>,
    open: impl FnOnce(C, Inside) -> Result<D, F>,
) -> ExitCode
where
    A: clap::Parser + AsRef<CommonArgs>,
    D: Device,
    E: Into<Box<dyn Error + Send + Sync>>,
    F: Into<Box<dyn Error + Send + Sync>>,
{
    run_plan(program, |args: A| {
        let (policy, share, config) = judge(args).map_err(Failure::of_the_operator)?;
        Ok(Shared { policy, share, open: |inside| open(config, inside) })
    })
}

fn run_plan<A, P>(program: &Program, plan: impl FnOnce(A) -> Result<P, Failure>) -> ExitCode
where
    A: clap::Parser + AsRef<CommonArgs>,
    P: Plan,
{
    // First of all: whoever started us may send them at once. They are heard when there is somebody to
    // hear them; if they cannot be held back, they do what they always do.
    let _ = signals::hold_back();
    if capabilities::asked(std::env::args_os()) {
        return print(program);
    }
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help goes to standard output, the rest to standard error; if that is closed, nobody
            // is there to be told.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(Failure::OF_THE_OPERATOR)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    // Among other short options, `-rc`, it is found only now.
    if args.as_ref().print_capabilities {
        return print(program);
    }
    let mut life = Life::default();
    let common = args.as_ref().clone();
    let served = plan(args).and_then(|plan| life.live(program, common, plan));
    life.end(program.name, served)
}

fn print(program: &Program) -> ExitCode {
    match writeln!(io::stdout(), "{}", program.capabilities) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::at_run_time(error).report(program.name),
    }
}

/// What has to be seen to at the end, however it comes.
#[derive(Debug, Default)]
struct Life {
    socket: Option<Entry>,
    pid_file: Option<PidFile>,
    /// That beside the socket.
    socket_pid: Option<PidFile>,
    readiness: Option<Readiness>,
}

/// The socket, before anything was opened.
enum Awaited {
    Inherited(Socket),
    ToBeMade(ListenAt),
    ToBeConnected(SocketPath),
}

impl Awaited {
    /// What is connected to, again and again.
    fn front_end(&self) -> Option<&SocketPath> {
        match self {
            Self::ToBeConnected(path) => Some(path),
            _ => None,
        }
    }

    /// The path of the pid file that goes with a socket of ours.
    fn pid_beside(&self) -> Option<PathBuf> {
        match self {
            Self::ToBeMade(at) => {
                let mut path = at.path.as_ref().as_os_str().to_owned();
                path.push(".pid");
                Some(path.into())
            }
            _ => None,
        }
    }
}

impl Life {
    /// From the parsed arguments to the end. Everything that the operator can get wrong fails
    /// before the socket appears.
    fn live<P: Plan>(
        &mut self,
        program: &Program,
        common: CommonArgs,
        mut plan: P,
    ) -> Result<Served, Failure> {
        let config = ProcessConfig::try_from(common).map_err(Failure::of_the_operator)?;
        let ProcessConfig { socket, log, pid_file, daemonize, threads, sandbox } = config;
        let policy = plan.policy().clone();
        threads.check().map_err(|error| Failure::of_the_operator(CpusError(error)))?;
        // Before a descriptor of our own can get the number of an inherited one.
        let awaited = adopt(socket).map_err(Failure::of_the_operator)?;
        crate::log::init(program.name, log, policy.syslog_may_lack)
            .map_err(Failure::of_the_operator)?;
        limits::set(policy.open_files).map_err(Failure::of_the_operator)?;
        sandbox::check(sandbox, awaited.front_end(), plan.share())
            .map_err(Failure::of_the_operator)?;
        let queues = plan.open().map_err(Failure::of_the_operator)?;
        // Not before: a path such as /dev/fd/5 may have led there.
        if let Err(error) = process::close_inherited() {
            log::debug!("close inherited descriptors: {error}");
        }
        descriptors::check(queues).map_err(Failure::of_the_operator)?;

        // From here on a signal ends us in order, so that no file stays behind.
        let signals = Signals::block().map_err(Failure::at_run_time)?;
        if let Some(path) = pid_file {
            self.pid_file = Some(PidFile::lock(&path).map_err(Failure::of_the_operator)?);
        }
        if policy.pid_beside_socket
            && let Some(path) = awaited.pid_beside()
        {
            self.lock_beside_socket(&path).map_err(Failure::of_the_operator)?;
        }
        let socket = self.make(awaited).map_err(Failure::of_the_operator)?;
        if daemonize {
            self.go_to_background(log.syslog).map_err(Failure::at_run_time)?;
        }

        let manager = Supervisor::of_environment();
        let (socket, inside) =
            self.restrict(sandbox, plan.share(), socket).map_err(Failure::at_run_time)?;
        let device = Arc::new(plan.enter(inside).map_err(Failure::of_the_operator)?);
        let control =
            Control::new(signals, manager, &*device, policy).map_err(Failure::at_run_time)?;
        let mut backend = self.start(Arc::clone(&device), &threads)?;
        #[cfg(feature = "test-hooks")]
        let attempt = sandbox::attempt::chosen();
        let connecting = matches!(socket, Socket::Connecting(_));
        sandbox::seal(program.name, sandbox, &program.profile, connecting)
            .map_err(Failure::at_run_time)?;
        self.tell_ready(&control)?;
        #[cfg(feature = "test-hooks")]
        if let Some(attempt) = attempt {
            attempt.make();
        }
        let served = control.serve(socket, &mut backend).map_err(Failure::at_run_time);
        if let Ok(Served::InPart) = served {
            // Dropping it would wait for what is in flight.
            std::mem::forget(backend);
        }
        served
    }

    /// Locks the pid file that goes with the socket, unless the operator has chosen the same one.
    fn lock_beside_socket(&mut self, path: &Path) -> Result<(), PidFileError> {
        if self.pid_file.as_mut().is_none_or(|chosen| chosen.place().path() != path) {
            self.socket_pid = Some(PidFile::lock(path)?);
        }
        Ok(())
    }

    fn make(&mut self, awaited: Awaited) -> Result<Socket, ListenError> {
        match awaited {
            Awaited::Inherited(socket) => Ok(socket),
            Awaited::ToBeConnected(path) => Ok(Socket::Connecting(FrontEnd { path, moved: false })),
            Awaited::ToBeMade(at) => {
                let (listener, entry) = listener::bind(&at, self.pid_files().next().is_some())?;
                self.socket = Some(entry);
                Ok(Socket::Listening(listener))
            }
        }
    }

    /// Returns in the process that goes on, and in the other one only if there is none.
    fn go_to_background(&mut self, syslog: bool) -> Result<(), DaemonizeError> {
        match daemonize::fork()? {
            Side::Parent(verdict) => {
                if let Err(error) = signals::let_end() {
                    log::debug!("let signals through while waiting: {error}");
                }
                exit::now(verdict.wait()?)
            }
            Side::Stillborn(readiness, error) => {
                self.readiness = Some(readiness);
                Err(error)
            }
            Side::Child(readiness) => {
                self.readiness = Some(readiness);
                if !syslog && !daemonize::stderr_is_a_file() {
                    log::warn!(
                        "the log ends here: in the background it needs --syslog, or standard error \
                         in a file"
                    );
                }
                Ok(())
            }
        }
    }

    /// Takes from the process what it does not need any more. There is one thread still.
    fn restrict(
        &mut self,
        config: SandboxConfig,
        share: Option<&Share>,
        socket: Socket,
    ) -> Result<(Socket, Option<Inside>), SandboxError> {
        let mut kept = Kept::default();
        kept.removing.extend(self.socket.as_mut().map(Entry::place));
        let pid_files = self.pid_file.iter_mut().chain(&mut self.socket_pid);
        kept.removing.extend(pid_files.map(PidFile::place));
        if let Socket::Connecting(front_end) = &socket {
            kept.connecting = Some(&front_end.path);
        }
        if !config.is_open() {
            crate::log::expect_no_return();
        }
        let Entered { moved, inside } = sandbox::enter(config, &mut kept, share)?;
        let socket = match socket {
            Socket::Connecting(FrontEnd { path, .. }) => {
                Socket::Connecting(FrontEnd { path, moved })
            }
            socket => socket,
        };
        Ok((socket, inside))
    }

    fn pid_files(&self) -> impl Iterator<Item = &PidFile> {
        self.pid_file.iter().chain(&self.socket_pid)
    }

    /// Starts the queue threads. The process id is final here.
    fn start<D: Device>(
        &mut self,
        device: Arc<D>,
        threads: &Threads,
    ) -> Result<Backend<D>, Failure> {
        for pid_file in self.pid_files() {
            pid_file.write(std::process::id()).map_err(Failure::at_run_time)?;
        }
        Backend::start(device, threads).map_err(Failure::at_run_time)
    }

    /// Says that front ends can connect to all who wait for it.
    fn tell_ready(&mut self, control: &Control<'_>) -> Result<(), Failure> {
        control.ready();
        if let Some(readiness) = &mut self.readiness {
            readiness.ready().map_err(Failure::at_run_time)?;
        }
        self.readiness = None;
        Ok(())
    }

    /// Removes what we left in the file system, in the order in which the next one of us needs it
    /// gone, and says how it went.
    fn end(self, name: &'static str, served: Result<Served, Failure>) -> ExitCode {
        let Self { socket, pid_file, socket_pid, readiness } = self;
        if let Some(socket) = socket {
            socket.remove();
        }
        for pid_file in pid_file.into_iter().chain(socket_pid) {
            pid_file.remove();
        }
        match served {
            Ok(Served::ToTheEnd) => ExitCode::SUCCESS,
            Ok(Served::InPart) => exit::now(Failure::AT_RUN_TIME),
            Err(failure) => {
                let code = failure.report(name);
                if let Some(readiness) = readiness {
                    readiness.failed(&failure);
                }
                code
            }
        }
    }
}

fn adopt(source: SocketSource) -> Result<Awaited, InheritError> {
    Ok(match source {
        SocketSource::Fd(fd) => Awaited::Inherited(socket::inherited(fd)?),
        SocketSource::Activation => Awaited::Inherited(socket::activated()?),
        SocketSource::Listen(at) => Awaited::ToBeMade(at),
        SocketSource::Connect(path) => Awaited::ToBeConnected(path),
    })
}
