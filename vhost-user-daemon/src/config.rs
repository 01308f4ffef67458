// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is true once the common options have been judged: always valid, and still without I/O.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use log::LevelFilter;
use vhost_user_device::Threads;

use crate::args::CommonArgs;
use crate::entry::directory_of;
use crate::sandbox::SandboxConfig;
use crate::sys::socket::LONGEST_PATH;
use crate::threads::{self, ThreadsError};

/// How the process lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessConfig {
    pub(crate) socket: SocketSource,
    pub(crate) log: LogConfig,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) daemonize: bool,
    pub(crate) threads: Threads,
    pub(crate) sandbox: SandboxConfig,
}

/// Where the socket to the front end comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketSource {
    /// Made here: one to listen on.
    Listen(ListenAt),
    /// Inherited under this number, 3 or more.
    Fd(RawFd),
    /// Connected to a front end that listens.
    Connect(SocketPath),
    /// Passed by a service manager, if at all: no option said anything.
    Activation,
}

/// Where to listen, and who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenAt {
    pub(crate) path: SocketPath,
    /// Name or number of the group that gets the socket.
    pub(crate) group: Option<String>,
    /// Permission bits, 0 to 0o777.
    pub(crate) mode: u32,
}

/// A path that fits into a socket address and names an entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SocketPath(PathBuf);

impl AsRef<Path> for SocketPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl SocketPath {
    /// Its name in the directory.
    pub(crate) fn name(&self) -> &OsStr {
        self.0.file_name().unwrap_or_default()
    }

    /// The directory that the name is in.
    pub(crate) fn directory(&self) -> &Path {
        directory_of(&self.0)
    }

    /// Judges what was typed for `option`.
    pub(crate) fn parse(option: &'static str, path: PathBuf) -> Result<Self, ConfigError> {
        let len = path.as_os_str().len();
        if len > LONGEST_PATH {
            return Err(ConfigError::LongPath { option, path, len });
        }
        Ok(Self(file_path(option, path)?))
    }
}

/// What the log takes, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogConfig {
    pub(crate) level: LevelFilter,
    pub(crate) syslog: bool,
}

impl TryFrom<CommonArgs> for ProcessConfig {
    type Error = ConfigError;

    fn try_from(args: CommonArgs) -> Result<Self, ConfigError> {
        let CommonArgs {
            socket_path,
            fd,
            connect,
            socket_group,
            socket_mode,
            print_capabilities: _, // has been seen to before anything was parsed
            log_level,
            syslog,
            pid_file,
            daemonize,
            poll_us,
            cpus,
            sandbox,
            seccomp,
        } = args;
        let socket = match (socket_path, fd, connect) {
            (Some(path), None, None) => {
                SocketSource::Listen(listen_at(path, socket_group, socket_mode)?)
            }
            (None, Some(fd), None) if fd <= 2 => return Err(ConfigError::StandardStream(fd)),
            (None, Some(fd), None) => SocketSource::Fd(fd),
            (None, None, Some(path)) => {
                SocketSource::Connect(SocketPath::parse("--connect", path)?)
            }
            (None, None, None) => SocketSource::Activation,
            _ => return Err(ConfigError::ManySockets),
        };
        let pid_file = pid_file.map(|path| file_path("--pid-file", path)).transpose()?;
        if let (SocketSource::Listen(at), Some(pid_file)) = (&socket, &pid_file)
            && at.path.as_ref() == pid_file
        {
            return Err(ConfigError::SameFile(pid_file.clone()));
        }
        let log = LogConfig { level: log_level.into(), syslog };
        let threads = threads::parse(poll_us, cpus)?;
        let sandbox = SandboxConfig { mode: sandbox, seccomp };
        Ok(Self { socket, log, pid_file, daemonize, threads, sandbox })
    }
}

fn listen_at(
    path: PathBuf,
    group: Option<String>,
    mode: Option<String>,
) -> Result<ListenAt, ConfigError> {
    if group.as_deref().is_some_and(|group| group.is_empty() || group.contains('\0')) {
        return Err(ConfigError::NoGroup);
    }
    let mode = match mode {
        Some(text) => parse_mode(text)?,
        None if group.is_some() => 0o660,
        None => 0o600,
    };
    Ok(ListenAt { path: SocketPath::parse("--socket-path", path)?, group, mode })
}

fn parse_mode(text: String) -> Result<u32, ConfigError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if digits && mode <= 0o777 => Ok(mode),
        _ => Err(ConfigError::Mode(text)),
    }
}

/// A path whose last part can be the name of a file.
fn file_path(option: &'static str, path: PathBuf) -> Result<PathBuf, ConfigError> {
    let bytes = path.as_os_str().as_bytes();
    if path.file_name().is_none() || bytes.ends_with(b"/") || bytes.contains(&0) {
        return Err(ConfigError::NoFile { option, path });
    }
    Ok(path)
}

/// An option's value, or a combination of options, makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{option} {path:?}: not the path of a file")]
    NoFile { option: &'static str, path: PathBuf },

    #[error(
        "{option} {path:?}: {len} bytes, but the path of a socket has at most {}",
        LONGEST_PATH
    )]
    LongPath { option: &'static str, path: PathBuf, len: usize },

    #[error("--fd {0}: an inherited socket has the number 3 or a greater one")]
    StandardStream(RawFd),

    #[error("--socket-mode {0:?}: not an octal number from 0 to 777")]
    Mode(String),

    #[error("--socket-group: no name of a group")]
    NoGroup,

    #[error("--pid-file {0:?}: the socket has that path")]
    SameFile(PathBuf),

    #[error("--socket-path, --fd and --connect exclude each other")]
    ManySockets,

    #[error(transparent)]
    Threads(#[from] ThreadsError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening_at(path: &str) -> CommonArgs {
        CommonArgs { socket_path: Some(path.into()), ..CommonArgs::default() }
    }

    fn refusal(args: CommonArgs) -> String {
        ProcessConfig::try_from(args).unwrap_err().to_string()
    }

    fn mode_of(args: CommonArgs) -> u32 {
        match ProcessConfig::try_from(args).unwrap().socket {
            SocketSource::Listen(at) => at.mode,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn socket_source_without_an_option_is_activation() {
        let config = ProcessConfig::try_from(CommonArgs::default()).unwrap();
        assert_eq!(config.socket, SocketSource::Activation);
    }

    #[test]
    fn socket_path_of_107_bytes_is_taken() {
        let path = "p".repeat(107);
        let config = ProcessConfig::try_from(listening_at(&path)).unwrap();
        assert!(
            matches!(config.socket, SocketSource::Listen(at) if at.path.as_ref() == Path::new(&path))
        );
    }

    #[test]
    fn socket_path_of_108_bytes_is_refused_with_the_limit() {
        let path = "p".repeat(108);
        assert_eq!(
            refusal(listening_at(&path)),
            format!("--socket-path {path:?}: 108 bytes, but the path of a socket has at most 107")
        );
    }

    #[test]
    fn paths_that_name_no_file_are_refused() {
        for path in ["", "/", "a/", "a/.."] {
            assert_eq!(
                refusal(listening_at(path)),
                format!("--socket-path {path:?}: not the path of a file")
            );
        }
        let args = CommonArgs { connect: Some("/".into()), ..CommonArgs::default() };
        assert_eq!(refusal(args), "--connect \"/\": not the path of a file");
        let args = CommonArgs { pid_file: Some("".into()), ..CommonArgs::default() };
        assert_eq!(refusal(args), "--pid-file \"\": not the path of a file");
    }

    #[test]
    fn fd_of_a_standard_stream_is_refused() {
        for fd in [-1, 0, 2] {
            let args = CommonArgs { fd: Some(fd), ..CommonArgs::default() };
            assert_eq!(
                refusal(args),
                format!("--fd {fd}: an inherited socket has the number 3 or a greater one")
            );
        }
    }

    #[test]
    fn socket_mode_by_default_lets_in_the_owner_and_a_given_group() {
        assert_eq!(mode_of(listening_at("a")), 0o600);
        let group = Some("kvm".to_owned());
        assert_eq!(mode_of(CommonArgs { socket_group: group, ..listening_at("a") }), 0o660);
    }

    #[test]
    fn socket_mode_octal_is_taken_with_and_without_a_leading_zero() {
        for text in ["0666", "666"] {
            let mode = Some(text.to_owned());
            assert_eq!(mode_of(CommonArgs { socket_mode: mode, ..listening_at("a") }), 0o666);
        }
    }

    #[test]
    fn socket_mode_that_is_none_is_refused() {
        for text in ["", "8", "1000", "+660", "rw", "-1"] {
            let args = CommonArgs { socket_mode: Some(text.to_owned()), ..listening_at("a") };
            assert_eq!(
                refusal(args),
                format!("--socket-mode {text:?}: not an octal number from 0 to 777")
            );
        }
    }

    #[test]
    fn pid_file_on_the_sockets_path_is_refused() {
        let args = CommonArgs { pid_file: Some("a".into()), ..listening_at("a") };
        assert_eq!(refusal(args), "--pid-file \"a\": the socket has that path");
    }
}
