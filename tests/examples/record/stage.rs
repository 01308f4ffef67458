// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where a recording takes place: a daemon, and the recorder in front of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;
use vhost_user_tests::daemon::{Daemon, Launch, binary};
use vhost_user_tests::deadline::until;
use vhost_user_tests::guest::Disk;
use vhost_user_tests::orders::{Order, Recorder, Step};

/// What is done with a front end.
type Play = dyn Fn(&mut Stage) -> Result<()>;

/// A recording that can be made.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) device: Device,
    pub(crate) play: Box<Play>,
}

/// What the daemon is, or pretends to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Blk,
    Net,
    Fs,
}

/// A daemon, the recorder in front of it, and what is known about the recording.
pub(crate) struct Stage {
    pub(crate) dir: TempDir,
    pub(crate) device: Device,
    pub(crate) recorder: Recorder,
    /// The daemon's disk, if it has one.
    disk: Option<Disk>,
    about: Vec<(String, String)>,
    daemon: Daemon,
}

impl Device {
    pub(crate) const ALL: [Self; 3] = [Self::Blk, Self::Net, Self::Fs];

    /// The short name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Blk => "blk",
            Self::Net => "net",
            Self::Fs => "fs",
        }
    }
}

impl Scenario {
    pub(crate) fn new(
        name: impl Into<String>,
        device: Device,
        play: impl Fn(&mut Stage) -> Result<()> + 'static,
    ) -> Self {
        Self { name: name.into(), device, play: Box::new(play) }
    }

    /// Plays it to a new daemon.
    pub(crate) fn record(&self) -> Result<Order> {
        let mut stage = Stage::new(self.device)?;
        (self.play)(&mut stage)?;
        stage.finish(&self.name)
    }
}

impl Stage {
    fn new(device: Device) -> Result<Self> {
        let dir = tempfile::tempdir().context("make a directory for the recording")?;
        let mut disk = None;
        let daemon = match device {
            Device::Blk => {
                let disk = disk.insert(Disk::create(dir.path().join("disk.img"))?);
                Daemon::blk().arg("--blk-file").arg(disk.path())
            }
            Device::Net | Device::Fs => {
                Launch::of(binary("vhost-user-stub")).args(["--device", device.name()])
            }
        };
        let daemon = daemon.start();
        let recorder = Recorder::start(&dir.path().join("device.sock"), daemon.socket())?;
        Ok(Self { dir, device, recorder, disk, about: Vec::new(), daemon })
    }

    /// Where the front end is to connect.
    pub(crate) fn socket(&self) -> PathBuf {
        self.recorder.path().to_owned()
    }

    /// Says one thing about the recording, at the fixture's beginning.
    pub(crate) fn about(&mut self, word: &str, text: impl Into<String>) {
        self.about.push((word.to_owned(), text.into()));
    }

    /// Says what command the front end was started by.
    pub(crate) fn about_command(&mut self, command: &Command) {
        let text = command_line(command, self.dir.path());
        self.about("command", text);
    }

    /// Makes the disk 1 MiB longer, and has the daemon look at it.
    pub(crate) fn grow_disk(&self) -> Result<()> {
        let disk = self.disk.as_ref().context("find the daemon's disk")?;
        let file = File::options().write(true).open(disk.path()).context("open the disk")?;
        let len = file.metadata().context("look at the disk")?.len();
        file.set_len(len + (1 << 20)).context("make the disk longer")?;
        self.daemon.process().signal(libc::SIGUSR1);
        Ok(())
    }

    fn finish(self, name: &str) -> Result<Order> {
        let Self { recorder, mut about, .. } = self;
        until("the front end to leave", || {
            let steps = recorder.steps();
            let last = steps.iter().rfind(|step| !matches!(step, Step::Note(_)));
            matches!(last, None | Some(Step::Closed(_))).then_some(())
        });
        let how = format!("from the running front end, by the example `record`: {name}");
        about.push(("recorded".to_owned(), how));
        Ok(Order { about, steps: tidied(recorder.finish()?) })
    }
}

/// Without what comes after the last connection.
fn tidied(mut steps: Vec<Step>) -> Vec<Step> {
    while steps.last().is_some_and(|step| matches!(step, Step::Note(_))) {
        steps.pop();
    }
    steps
}

/// A command as one would type it, with the files of this recording by their names alone.
fn command_line(command: &Command, dir: &Path) -> String {
    let here = format!("{}/", dir.display());
    let mut words = vec![name_of(command.get_program().to_string_lossy().as_ref())];
    let mut arguments = command.get_args().map(|word| word.to_string_lossy());
    while let Some(argument) = arguments.next() {
        // Where an unpacked QEMU finds its firmware.
        if argument == "-L" {
            arguments.next();
            continue;
        }
        let argument = argument.replace(&here, "").replace(here.trim_end_matches('/'), ".");
        words.push(if argument.contains(' ') { format!("'{argument}'") } else { argument });
    }
    words.join(" ")
}

fn name_of(program: &str) -> String {
    program.rsplit('/').next().unwrap_or(program).to_owned()
}
