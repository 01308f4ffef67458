// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the user typed: the options that every daemon has.
//!
//! What of it is possible, and what it then means, is said in [`crate::config`].

use std::os::fd::RawFd;
use std::path::PathBuf;

use log::LevelFilter;

/// The options that every daemon has; flattened into its own with `#[command(flatten)]`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CommonArgs {
    /// Listen on the Unix socket PATH, made here and removed at the end.
    #[arg(
        short = 's',
        long,
        value_name = "PATH",
        help_heading = "Socket",
        conflicts_with_all = ["fd", "connect"]
    )]
    pub socket_path: Option<PathBuf>,

    /// Use the inherited Unix socket FDNUM: a listening one is served connection after connection,
    /// a connected one is served once.
    #[arg(
        short = 'f',
        long,
        value_name = "FDNUM",
        help_heading = "Socket",
        conflicts_with = "connect"
    )]
    pub fd: Option<RawFd>,

    /// Connect to a front end that listens on the Unix socket PATH, again and again.
    #[arg(long, value_name = "PATH", help_heading = "Socket")]
    pub connect: Option<PathBuf>,

    /// Give the socket to GROUP, a name or a number; only with --socket-path.
    #[arg(
        long,
        value_name = "GROUP",
        help_heading = "Socket",
        requires = "socket_path",
        conflicts_with_all = ["fd", "connect"]
    )]
    pub socket_group: Option<String>,

    /// File mode of the socket; who may write may connect; only with --socket-path
    /// [default: 600, with --socket-group 660].
    #[arg(
        long,
        value_name = "OCTAL",
        help_heading = "Socket",
        requires = "socket_path",
        conflicts_with_all = ["fd", "connect"]
    )]
    pub socket_mode: Option<String>,

    /// Let a thread whose queue is empty look for requests for at most N microseconds, 0 to 1000,
    /// before it sleeps; it does so only while that spares it sleeps. 0: never.
    #[arg(long, value_name = "N", default_value_t = 32, help_heading = "Queues")]
    pub poll_us: u32,

    /// Run the thread of queue i on the i-th CPU of LIST, such as 0-3,8, over and over again
    /// [default: on any CPU].
    #[arg(long, value_name = "LIST", help_heading = "Queues")]
    pub cpus: Option<String>,

    /// Keep the process from what it does not need: namespaces, an empty root directory, landlock.
    #[arg(long, value_name = "MODE", value_enum, default_value_t, help_heading = "Sandbox")]
    pub sandbox: SandboxMode,

    /// What becomes of the process when it makes a system call that it has no reason for.
    #[arg(long, value_name = "MODE", value_enum, default_value_t, help_heading = "Sandbox")]
    pub seccomp: SeccompMode,

    /// Print what this back end can do as JSON and exit, whatever else is given.
    #[arg(short = 'c', long, help_heading = "Process")]
    pub print_capabilities: bool,

    /// Write messages of this level and the more urgent ones to the log.
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t, help_heading = "Process")]
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

/// How urgent a message must be to get into the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What somebody has to act on.
    Error,
    /// What is odd, but served.
    Warn,
    /// What happens once per connection.
    #[default]
    Info,
    /// What a developer wants to know.
    Debug,
    /// All that can be said.
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::Off,
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
            LogLevel::Trace => Self::Trace,
        }
    }
}

/// What of the sandbox there is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SandboxMode {
    /// All that can be had here; the log says what cannot.
    #[default]
    Auto,
    /// The same, and no start without the namespaces.
    Namespace,
    /// The root directory alone is another one: for daemons that share a directory.
    #[value(skip)]
    Chroot,
    /// No namespaces, no landlock.
    None,
}

/// What a system call leads to that is not on the list of those that a daemon makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SeccompMode {
    /// The process ends, by SIGSYS.
    #[default]
    Kill,
    /// The host's audit log has it, and the process goes on.
    Log,
    /// Standard error has it, and the process ends, by SIGSYS.
    Trap,
    /// Nothing: there is no list.
    None,
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        common: CommonArgs,
    }

    fn parse(args: &[&str]) -> Result<CommonArgs, clap::Error> {
        let args = [&["daemon"], args].concat();
        Args::try_parse_from(args).map(|args| args.common)
    }

    #[test]
    fn definition_checked_by_clap_holds() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn socket_options_given_in_pairs_exclude_each_other() {
        for pair in [
            ["--socket-path=a", "--fd=3"],
            ["--socket-path=a", "--connect=b"],
            ["--fd=3", "--connect=b"],
        ] {
            let error = parse(&pair).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{pair:?}");
            let text = error.to_string();
            let name = |option: &str| option.split('=').next().unwrap().to_owned();
            assert!(text.contains(&name(pair[0])) && text.contains(&name(pair[1])), "{text}");
        }
    }

    #[test]
    fn group_and_mode_without_a_socket_of_ours_are_refused() {
        for option in ["--socket-group=kvm", "--socket-mode=660"] {
            let error = parse(&[option]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument, "{option}");
            assert!(error.to_string().contains("--socket-path <PATH>"), "{error}");
            for socket in ["--fd=3", "--connect=a"] {
                let error = parse(&[option, socket]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{option} {socket}");
            }
        }
    }

    #[test]
    fn short_flags_mean_what_qemus_own_back_ends_mean() {
        let args = parse(&["-s", "a", "-c"]).unwrap();
        assert_eq!(args.socket_path, Some("a".into()));
        assert!(args.print_capabilities);
        assert_eq!(parse(&["-f", "3"]).unwrap().fd, Some(3));
    }

    #[test]
    fn log_level_without_option_is_info() {
        assert_eq!(LevelFilter::from(parse(&[]).unwrap().log_level), LevelFilter::Info);
    }

    #[test]
    fn log_level_off_means_no_message() {
        let args = parse(&["--log-level", "off"]).unwrap();
        assert_eq!(LevelFilter::from(args.log_level), LevelFilter::Off);
    }

    #[test]
    fn log_level_unknown_is_refused_with_the_possible_ones() {
        let error = parse(&["--log-level", "loud"]).unwrap_err().to_string();
        assert!(
            error.contains("'loud'") && error.contains("off, error, warn, info, debug, trace"),
            "{error}"
        );
    }
}
