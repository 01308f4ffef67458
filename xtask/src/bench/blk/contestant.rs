// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The programs, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Peer;
use super::scenario::{Aio, Contestant, Disk, Scenario};
use crate::cargo::Workspace;
use crate::command;

/// The socket that a daemon listens on, in the folder in which all of them run.
pub(super) const SOCKET: &str = "blk.sock";

/// How long a program may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// The length of a disk that is not there, in bytes.
const NULL: u64 = 1 << 30;

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) ours: PathBuf,
    pub(super) load: PathBuf,
    /// The newest first; maybe none.
    pub(super) qsds: Vec<Qsd>,
}

/// A qemu-storage-daemon, and where its libraries are if it was unpacked beside the installed one.
#[derive(Debug)]
pub(super) struct Qsd {
    program: PathBuf,
    libraries: Option<PathBuf>,
    /// Such as `10.0.2`.
    pub(super) version: String,
}

impl Programs {
    /// Ours is what was built, or `ours`.
    ///
    /// # Errors
    /// There is no such file.
    pub(super) fn find(workspace: &Workspace, ours: Option<&Path>) -> Result<Self> {
        let built = workspace.target.join("release");
        let ours = ours.map_or_else(|| built.join("vhost-user-blk"), Path::to_owned);
        let ours = std::fs::canonicalize(&ours).with_context(|| format!("{}", ours.display()))?;
        let unpacked = workspace.target.join("guests/qemu-backports/usr");
        Ok(Self { ours, load: built.join("bench-blk"), qsds: Qsd::all(&unpacked) })
    }
}

impl Qsd {
    /// The one that was unpacked from the distribution's backports, and the one that is installed:
    /// neither is the faster in all.
    fn all(unpacked: &Path) -> Vec<Self> {
        let program = unpacked.join("bin/qemu-storage-daemon");
        let libraries = Some(unpacked.join("lib/x86_64-linux-gnu"));
        let places = [(program, libraries), ("qemu-storage-daemon".into(), None)];
        places.into_iter().filter_map(|(program, libraries)| Self::at(program, libraries)).collect()
    }

    fn at(program: PathBuf, libraries: Option<PathBuf>) -> Option<Self> {
        let mut qsd = Self { program, libraries, version: String::new() };
        let said = command::output(qsd.command().arg("--version"), VERSION_LIMIT).ok()?;
        let mut words = said.split_whitespace().skip_while(|word| *word != "version");
        words.nth(1)?.clone_into(&mut qsd.version);
        Some(qsd)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// The command that has a daemon serve `file` in a scenario; `None` if it has no part in that, or
/// is no daemon.
pub(super) fn command(
    contestant: Contestant,
    scenario: &Scenario,
    programs: &Programs,
    peers: &[Peer],
    file: &str,
) -> Option<Command> {
    match contestant {
        Contestant::Ours(arguments) => {
            let mut command = Command::new(&programs.ours);
            let null = format!("null:{NULL}");
            let file = if scenario.disk == Disk::Null { &null } else { file };
            command.args(["--socket-path", SOCKET, "--blk-file", file, "--log-level", "warn"]);
            command.args(arguments);
            Some(command)
        }
        Contestant::Qsd(aio, which) => Some(qsd(programs.qsds.get(which)?, aio, scenario, file)),
        Contestant::Peer(place) => peer(&peers[place], scenario, file),
        Contestant::Fio(_) | Contestant::Bare => None,
    }
}

fn qsd(qsd: &Qsd, aio: Aio, scenario: &Scenario, file: &str) -> Command {
    let direct = if scenario.disk == Disk::Direct { "on" } else { "off" };
    let node = match aio {
        Aio::Null => format!("driver=null-co,node-name=disk,size={NULL},read-zeroes=off"),
        _ => format!(
            "driver=file,node-name=disk,filename={file},aio={},cache.direct={direct}",
            aio.name()
        ),
    };
    let export = format!(
        "type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path={SOCKET},\
         writable=on,num-queues={},iothread=io",
        scenario.load.queues
    );
    let mut command = qsd.command();
    command.args(["--object", "iothread,id=io", "--blockdev", &node, "--export", &export]);
    command
}

fn peer(peer: &Peer, scenario: &Scenario, file: &str) -> Option<Command> {
    let direct = match scenario.disk {
        Disk::Null => return None,
        Disk::Direct if !peer.command.contains("{direct}") => return None,
        Disk::Direct => "true",
        Disk::Cached | Disk::Written => "false",
    };
    let line = peer.command.replace("{socket}", SOCKET).replace("{file}", file);
    let line = line.replace("{direct}", direct);
    let mut words = line.split_whitespace();
    let program = Path::new(words.next()?);
    // It is started in another folder than the one in which its name was typed.
    let program = std::fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let mut command = Command::new(program);
    command.args(words);
    Some(command)
}

/// A command as one would type it, without the folders of programs.
pub(super) fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::blk::scenario::SCENARIOS;

    fn typed_in(name: &str, contestant: Contestant) -> Option<String> {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let program = "/q/qemu-storage-daemon".into();
        let qsds = vec![Qsd { program, libraries: None, version: String::new() }];
        let programs = Programs { ours: "/b/vhost-user-blk".into(), load: "/b/load".into(), qsds };
        let command = "/p/peer {file} {socket}";
        let peers = [command.to_owned(), format!("{command} {{direct}}")]
            .map(|command| Peer { name: "peer".to_owned(), command });
        let command = super::command(contestant, scenario, &programs, &peers, "a.img")?;
        Some(typed(&command))
    }

    #[test]
    fn ours_is_given_the_file_or_none() {
        let line = "vhost-user-blk --socket-path blk.sock --blk-file a.img --log-level warn";
        assert_eq!(typed_in("cached-read", Contestant::Ours(&[])).unwrap(), line);
        let line = typed_in("null", Contestant::Ours(&["--x"])).unwrap();
        assert!(line.ends_with("--blk-file null:1073741824 --log-level warn --x"), "{line}");
    }

    #[test]
    fn qsd_has_a_thread_of_its_own_for_the_disk() {
        let line = typed_in("direct-read", Contestant::Qsd(Aio::Native, 0)).unwrap();
        assert!(line.contains("filename=a.img,aio=native,cache.direct=on "), "{line}");
        assert!(line.starts_with("qemu-storage-daemon --object iothread,id=io "), "{line}");
        assert!(line.ends_with("num-queues=1,iothread=io"), "{line}");
    }

    #[test]
    fn peer_has_no_part_in_what_it_can_not_be_told() {
        let line = typed_in("cached-read", Contestant::Peer(0));
        assert_eq!(line.as_deref(), Some("peer a.img blk.sock"));
        assert_eq!(typed_in("direct-read", Contestant::Peer(0)), None);
        let line = typed_in("direct-read", Contestant::Peer(1));
        assert_eq!(line.as_deref(), Some("peer a.img blk.sock true"));
        assert_eq!(typed_in("null", Contestant::Peer(1)), None);
    }
}
