// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One daemon, from its start to its end, and the rounds that are played against it. After each of
//! them it is looked at: what a hostile front end cannot do must not have happened.

use std::any::Any;
use std::cell::RefCell;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::land::Land;
use super::player::{Played, Player, Stop};
use super::rewriter::Rewriter;
use super::script::Script;
use super::served::{Resizable, Served};
use super::setting::{Abilities, DISK, Setting};
use super::things::Things;
use super::watch::Watch;
use crate::daemon::{Daemon, Exit, Launch};
use crate::deadline::Deadline;
use crate::image::Image;

/// How long the daemon may take to end: two seconds for what is in flight, and the rest because this
/// machine has other things to do.
const END: Duration = Duration::from_secs(8);

/// Which daemon is started, and what for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The program.
    pub program: PathBuf,
    /// What is in its environment.
    pub environment: Vec<(String, String)>,
    /// What it can do.
    pub abilities: Abilities,
    /// How long it may take to do what it does at once, as a rule.
    pub patience: Duration,
}

/// What the daemon did that it must not do.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What it is, in a line.
    pub what: String,
    /// The daemon's log.
    pub log: String,
}

/// A daemon that runs.
#[derive(Debug)]
pub(super) struct Life {
    setting: Setting,
    daemon: Daemon,
    image: Option<Image>,
    /// The same, if it may get longer.
    resizable: Option<Resizable>,
    things: Things,
    rewriter: Rewriter,
    patience: Duration,
    watch: Watch,
}

impl Life {
    /// Starts a daemon, and sees that it is well.
    pub(super) fn begin(target: &Target, setting: &Setting) -> Result<Self, Fault> {
        let image = (setting.image > 0).then(|| image(setting.image));
        let mut launch = Launch::of(target.program.clone()).args(&setting.options);
        if let Some(image) = &image {
            launch = launch.image(image);
        }
        for (name, value) in &target.environment {
            launch = launch.env(name, value);
        }
        if let Some((name, value)) = setting.environment(target.abilities) {
            launch = launch.env(name, value);
        }
        let daemon =
            caught(|| launch.start()).map_err(|what| Fault { what, log: String::new() })?;
        let things = Things::new().expect("a folder for odd descriptors");
        let watch = Watch::over(setting, target);
        let (rewriter, setting) = (Rewriter::start(), setting.clone());
        let patience = target.patience;
        let may = setting.image == DISK && !setting.is_read_only();
        let resizable = image.as_ref().filter(|_| may).map(|image| Resizable::new(image.path()));
        let mut life =
            Self { setting, daemon, image, resizable, things, rewriter, patience, watch };
        life.look()?;
        Ok(life)
    }

    /// Plays a round, and looks at the daemon.
    pub(super) fn round(&mut self, script: &Script) -> Result<Played, Fault> {
        let played = self.play(script, |_| ());
        self.rewriter.pause();
        let (played, land) = played?;
        self.watch.connected(played.connections);
        self.look()?;
        // Now the daemon is through with all requests of the round.
        self.has_its_length()?;
        match land.is_written_outside() {
            Ok(false) => Ok(played),
            Ok(true) => Err(self.fault("bytes beside a region of memory were written")),
            Err(error) => Err(self.fault(&format!("the round's memory cannot be read: {error}"))),
        }
    }

    /// Plays a round, and in the middle of it asks the daemon to end. It must, and leave nothing but
    /// its log.
    pub(super) fn end(mut self, script: &Script) -> Result<String, Fault> {
        let mut exit = None;
        self.play(script, |daemon| exit = Some(ended(daemon)))?;
        self.rewriter.pause();
        match exit {
            Some(Some(Exit::Clean)) => (),
            Some(Some(exit)) => return Err(self.fault(&format!("SIGTERM ended it with {exit:?}"))),
            _ => return Err(self.fault("SIGTERM does not end it")),
        }
        if self.daemon.socket().exists() {
            return Err(self.fault("its socket is still there"));
        }
        self.unharmed()?;
        Ok(self.daemon.log().whole())
    }

    /// How many words of shared memory were rewritten.
    pub(super) fn rewritten(&self) -> u64 {
        self.rewriter.words()
    }

    fn play(
        &mut self,
        script: &Script,
        at_the_end: impl FnOnce(&Daemon),
    ) -> Result<(Played, Land), Fault> {
        let served = Served {
            socket: self.daemon.socket().to_owned(),
            pid: self.daemon.process().pid(),
            queue_size: self.setting.queue_size(),
            patience: self.patience,
            image: self.resizable.clone(),
        };
        let (rewriter, things) = (&self.rewriter, &mut self.things);
        let played = caught(|| {
            let mut player = Player::new(&served, rewriter, things)?;
            let stop = player.play(script);
            // What was shared is there until then.
            at_the_end(&self.daemon);
            stop.map(|()| (player.played(), player.into_land()))
        });
        let what = match played {
            Ok(Ok(played)) => return Ok(played),
            Ok(Err(Stop::Hung(hung))) => hung.0.to_owned(),
            Ok(Err(Stop::Io(error))) => format!("the round cannot be played: {error}"),
            Err(panic) => format!("the round cannot be played: {panic}"),
        };
        Err(self.fault(&what))
    }

    /// Looks at the daemon with the eyes of a front end that behaves.
    fn look(&mut self) -> Result<(), Fault> {
        let image = self.image.as_ref().map(Image::path);
        let (watch, daemon) = (&mut self.watch, &self.daemon);
        let looked = caught(|| watch.look(daemon, image));
        let what = match looked {
            Ok(Ok(())) if self.daemon.process().is_running() => return Ok(()),
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(what)) | Err(what) => what,
        };
        Err(self.fault(&what))
    }

    /// Whether what is not to be written was not.
    fn unharmed(&self) -> Result<(), Fault> {
        if fs::read(self.things.file()).ok() != Some(vec![0x5a; 8192]) {
            return Err(self.fault("a file was written that it was given for reading only"));
        }
        let Some(image) = &self.image else { return Ok(()) };
        self.has_its_length()?;
        let (bytes, first) = (image.bytes(), contents(self.setting.image));
        let whole = usize::try_from(DISK).unwrap_or_default();
        if self.resizable.is_none() && bytes[whole..] != first[whole..] {
            return Err(self.fault("bytes behind the last sector were written"));
        }
        if self.setting.is_read_only() && *bytes != *first {
            return Err(self.fault("an image was written that is read-only"));
        }
        Ok(())
    }

    /// Whether the image is as long as it was.
    fn has_its_length(&self) -> Result<(), Fault> {
        let Some(image) = &self.image else { return Ok(()) };
        let expected = self.resizable.as_ref().map_or(self.setting.image, Resizable::len);
        match fs::metadata(image.path()).map(|metadata| metadata.len()) {
            Ok(len) if len == expected => Ok(()),
            Ok(len) => Err(self.fault(&format!("the image has {len} bytes now"))),
            Err(error) => Err(self.fault(&format!("the image is gone: {error}"))),
        }
    }

    /// What is wrong, and how it ended if it has.
    fn fault(&self, what: &str) -> Fault {
        // It may be about to.
        let gone =
            Deadline::after(Duration::from_millis(500)).readable(&self.daemon.process().ended_fd());
        let end =
            if gone { format!("; it ended: {:?}", self.daemon.wait()) } else { String::new() };
        let log = if gone { self.daemon.log().whole() } else { self.daemon.log().text() };
        Fault { what: format!("{what}{end}"), log }
    }
}

/// Asks the daemon to end; how it did, if it did.
fn ended(daemon: &Daemon) -> Option<Exit> {
    let asked = Instant::now();
    let stopping = daemon.sigterm();
    let gone = Deadline::after(END).readable(&daemon.process().ended_fd());
    debug_assert!(gone || asked.elapsed() >= END);
    gone.then(|| stopping.wait())
}

fn image(len: u64) -> Image {
    Image::of(contents(len))
}

/// What an image of `len` bytes has in it at first.
fn contents(len: u64) -> Vec<u8> {
    let words = (0..len.div_ceil(8)).flat_map(|word| (word ^ 0xa5a5_0000_0000_5a5a).to_le_bytes());
    words.take(usize::try_from(len).unwrap_or_default()).collect()
}

/// The value, or the words of the panic instead of it.
fn caught<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(act)).map_err(|panic| words(panic.as_ref()))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    PLACE.with_borrow(|place| format!("{text} ({place})"))
}

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of this program are told with what was played, and not at once.
pub fn keep_panics_quiet() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        PLACE.with_borrow_mut(|last| *last = place);
    }));
}

/// What is in the image at first, at `path`, from `offset`.
pub(super) fn first_contents(len: u64, offset: usize, count: usize) -> Vec<u8> {
    contents(len)[offset..offset + count].to_vec()
}

/// The bytes of a file.
pub(super) fn bytes_at(path: &Path, offset: u64, count: usize) -> std::io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;

    let mut bytes = vec![0; count];
    fs::File::open(path)?.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
