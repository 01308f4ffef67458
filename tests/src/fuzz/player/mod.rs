// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Plays a script against a daemon: front end and driver in one.

mod messages;
mod setups;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs::File, io, thread};

use super::land::{LEN, Land, QUEUES};
use super::requests::{Ring, ended, forget};
use super::rewriter::{Range, Rewriter};
use super::script::{Act, Script, Step};
use super::served::{Resizable, Served};
use super::things::Things;
use super::twist::{Parcel, edge};
use super::wire::{Hung, Wire};
use crate::driver::Descriptor;
use crate::features::Protocol;
use crate::frontend::Message;
use crate::sys;

/// How many requests one step makes at most.
const MOST_REQUESTS: u32 = 96;

/// The most that a step waits for a queue, in microseconds.
const LONGEST_WAIT: u32 = 600;

/// How long a driver waits for room in its ring.
const ROOM: Duration = Duration::from_micros(300);

/// How many connections there are at a time, besides the one that is served.
const INTRUDERS: usize = 8;

/// What was done, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Played {
    pub(super) messages: u64,
    pub(super) requests: u64,
    pub(super) connections: u64,
    /// Of the last requests, how many ended well, and how many otherwise.
    pub(super) ended: [u64; 2],
}

/// A round that is being played.
pub(super) struct Player<'a> {
    socket: PathBuf,
    /// The longest queue that the daemon serves.
    queue_size: u16,
    image: Option<Resizable>,
    patience: Duration,
    pid: u32,
    rewriter: &'a Rewriter,
    wire: Wire,
    intruders: Vec<Wire>,
    land: Land,
    rings: Vec<Ring>,
    things: &'a mut Things,
    /// The features that were acked last.
    features: u64,
    /// What was acked of the protocol.
    protocol: Protocol,
    /// An in-flight region and a log, as far as this process has them mapped.
    extra: Vec<Range>,
    tracked: Option<(OwnedFd, u64)>,
    seed: u64,
    played: Played,
}

/// A round cannot be played any more.
pub(super) enum Stop {
    /// The daemon is at fault.
    Hung(Hung),
    /// It does not let us in, or this machine has no more of something.
    Io(io::Error),
}

impl From<Hung> for Stop {
    fn from(hung: Hung) -> Self {
        Self::Hung(hung)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<'a> Player<'a> {
    /// Connects, with fresh memory.
    pub(super) fn new(
        served: &Served,
        rewriter: &'a Rewriter,
        things: &'a mut Things,
    ) -> io::Result<Self> {
        let Served { socket, pid, queue_size, patience, image } = served.clone();
        Ok(Self {
            wire: Wire::connect(&socket, patience)?,
            socket,
            patience,
            queue_size,
            image,
            pid,
            rewriter,
            intruders: Vec::new(),
            land: Land::new()?,
            rings: (0..QUEUES).map(Ring::new).collect(),
            things,
            features: 0,
            protocol: Protocol::empty(),
            extra: Vec::new(),
            tracked: None,
            seed: 0,
            played: Played { connections: 1, ..Played::default() },
        })
    }

    /// Plays all steps; leaves the connection open and the rewriter at work.
    pub(super) fn play(&mut self, script: &Script) -> Result<(), Stop> {
        self.seed = script.seed;
        forget(&self.land);
        for step in &script.steps {
            // On a connection that is dead nothing happens until there is another one.
            if self.wire.is_open() || step.act == Act::Reconnect {
                self.step(step)?;
            }
        }
        Ok(())
    }

    /// The memory of this round.
    pub(super) fn into_land(self) -> Land {
        self.land
    }

    /// What was done so far.
    pub(super) fn played(&self) -> Played {
        let more = self.intruders.iter().map(|wire| wire.sent).sum::<u64>();
        let messages = self.played.messages + self.wire.sent + more;
        Played { messages, ended: ended(&self.land), ..self.played }
    }

    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match step.act {
            Act::Negotiate => self.negotiate(step),
            Act::Share => self.share(step),
            Act::StartQueue => self.start_queue(step),
            Act::Track => self.track(step),
            Act::Log => self.log(step),
            Act::Request => self.requests(step, 1),
            Act::Requests => self.requests(step, 1 + step.b % MOST_REQUESTS),
            Act::Chain => self.chain(step),
            Act::Field => self.field(step),
            Act::Kick => {
                self.ring(step.a).kick();
                Ok(())
            }
            Act::Scribble => self.scribble(step),
            Act::Rewrite => self.rewrite(step),
            Act::Truncate => self.truncate(step),
            Act::Settle => Ok(self.wire.settle()?),
            Act::Collect => self.collect(step),
            Act::Intrude => self.intrude(step),
            Act::Reconnect => self.reconnect(step),
            Act::Signal => self.signal(step.a),
            Act::Resize => self.resize(step.a),
            _ => self.message(step),
        }
    }

    fn ring(&mut self, index: u32) -> &mut Ring {
        let count = self.rings.len();
        &mut self.rings[usize::try_from(index).unwrap_or_default() % count]
    }

    fn requests(&mut self, step: &Step, count: u32) -> Result<(), Stop> {
        let index = usize::try_from(step.a).unwrap_or_default() % self.rings.len();
        let mut step = *step;
        let (mut has_room, mixed) = (true, count > 1 && step.b >> 21 & 1 == 0);
        for _ in 0..count {
            has_room = has_room && self.make_room(index);
            let slot = self.rings[index].request(&self.land, &step);
            self.rewriter.aim_at(slot);
            step.c = step.c.wrapping_mul(0x9e37_79b9).wrapping_add(1) & !(0xff << 56);
            step.b = if mixed { step.b.rotate_left(5) } else { step.b };
        }
        self.played.requests += u64::from(count);
        self.rings[index].kick();
        Ok(())
    }

    /// Waits a little for the daemon to give something back, as a driver would, if the ring is full.
    fn make_room(&mut self, index: usize) -> bool {
        let ring = &self.rings[index];
        if ring.has_room(&self.land) {
            return true;
        }
        ring.kick();
        let started = Instant::now();
        while !ring.has_room(&self.land) {
            if started.elapsed() > ROOM {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    fn chain(&mut self, step: &Step) -> Result<(), Stop> {
        let index = usize::try_from(step.a).unwrap_or_default() % self.rings.len();
        let [low, high, flags, _] = step.b.to_le_bytes();
        let address = if step.twist.is_multiple_of(2) { Land::slot(step.c).buffer } else { step.c };
        let len = u32::try_from(edge(step.twist >> 1) & 0xffff_ffff).unwrap_or_default();
        let next = u16::from_le_bytes([low, high]);
        let ring = &mut self.rings[index];
        let descriptor = Descriptor { address, len, flags: flags.into(), next };
        ring.describe(&self.land, next % ring.size, descriptor);
        ring.offer(&self.land, if flags & 0xf0 == 0xf0 { next } else { next % ring.size });
        ring.kick();
        self.played.requests += 1;
        Ok(())
    }

    fn field(&mut self, step: &Step) -> Result<(), Stop> {
        let index = usize::try_from(step.a).unwrap_or_default() % self.rings.len();
        let [low, high, ..] = step.c.to_le_bytes();
        self.rings[index].field(&self.land, step.b, u16::from_le_bytes([low, high]));
        self.rings[index].kick();
        Ok(())
    }

    fn scribble(&mut self, step: &Step) -> Result<(), Stop> {
        let [at, ..] = step.c.to_le_bytes();
        let region = &self.land.regions[usize::from(at) % self.land.regions.len()].described;
        let address = region.guest_phys_addr + u64::from(step.a) % LEN;
        self.land.write(address, &step.c.to_le_bytes()[..1 + usize::from(at) % 8]);
        Ok(())
    }

    fn rewrite(&mut self, step: &Step) -> Result<(), Stop> {
        let size = self.rings[0].size;
        let mut ranges = self.land.hot(size);
        ranges.extend(self.extra.iter().cloned());
        let soft = self.land.regions[2..].iter().map(|region| region.file.try_clone());
        let soft: Vec<Arc<File>> =
            soft.map(|file| file.map(Arc::new)).collect::<io::Result<_>>()?;
        self.seed = self.seed.wrapping_add(1);
        let word = (step.b > 0).then(|| usize::try_from(step.b).unwrap_or_default());
        self.rewriter.rewrite((step.a, word), &ranges, &soft, self.seed);
        Ok(())
    }

    fn truncate(&mut self, step: &Step) -> Result<(), Stop> {
        let region = &self.land.regions[2 + usize::from(step.a % 2 == 1)];
        // That it cannot be done is no fault of the daemon's.
        let _ = match step.b % 4 {
            0 => region.file.set_len(u64::from(step.b >> 8) % LEN),
            1 => region.file.set_len(0),
            2 => region.file.set_len(2 * LEN),
            _ => sys::punch_hole(&region.file, i64::from(step.b >> 8) & !0xfff, 0x8000),
        };
        Ok(())
    }

    fn collect(&mut self, step: &Step) -> Result<(), Stop> {
        let index = usize::try_from(step.a).unwrap_or_default() % self.rings.len();
        let before = self.rings[index].used(&self.land);
        let (started, wait) =
            (Instant::now(), Duration::from_micros((step.b % LONGEST_WAIT).into()));
        while self.rings[index].used(&self.land) == before && started.elapsed() < wait {
            thread::yield_now();
        }
        Ok(())
    }

    fn intrude(&mut self, step: &Step) -> Result<(), Stop> {
        if self.intruders.len() >= INTRUDERS {
            self.played.messages += self.intruders.drain(..).map(|wire| wire.sent).sum::<u64>();
        }
        let Ok(mut wire) = Wire::connect(&self.socket, self.patience) else { return Ok(()) };
        self.played.connections += 1;
        match step.a % 4 {
            0 => (),
            1 => wire.mumble(&step.c.to_le_bytes())?,
            2 => {
                let question = Message::new(vhost::vhost_user::message::FrontendReq::GET_FEATURES);
                wire.send(&Parcel::new(&question, vec![self.things.make(step.b)?]))?;
            }
            _ => wire.shut(),
        }
        self.intruders.push(wire);
        Ok(())
    }

    fn reconnect(&mut self, step: &Step) -> Result<(), Stop> {
        match step.a % 4 {
            0 => (),
            1 => self.wire.shut(),
            2 => self
                .wire
                .mumble(&step.c.to_le_bytes()[..usize::from(step.c.to_le_bytes()[0] % 9)])?,
            _ => self.wire.settle()?,
        }
        self.played.messages += self.wire.sent;
        // The old one ends when the new one is there, which waits in the backlog or is refused.
        self.wire = Wire::connect(&self.socket, self.patience)?;
        self.played.connections += 1;
        (self.features, self.protocol) = (0, Protocol::empty());
        Ok(())
    }

    fn signal(&mut self, which: u32) -> Result<(), Stop> {
        let signals = [libc::SIGUSR1, libc::SIGHUP, libc::SIGPIPE];
        let signal = signals[usize::try_from(which).unwrap_or_default() % signals.len()];
        Ok(sys::kill(self.pid, signal)?)
    }

    fn resize(&mut self, more: u32) -> Result<(), Stop> {
        if let Some(image) = &self.image {
            image.grow(u64::from(more % 8) * 0x1000)?;
        }
        Ok(sys::kill(self.pid, libc::SIGUSR1)?)
    }

    /// Sends a message, with what is wrong about it.
    fn send(&mut self, message: &Message<'_>, fds: Vec<OwnedFd>, twist: u32) -> Result<(), Stop> {
        if !self.wire.is_open() {
            return Ok(());
        }
        let mut parcel = Parcel::new(message, fds);
        parcel.twist(twist, self.things);
        Ok(self.wire.send(&parcel)?)
    }

    /// Sends a message without descriptors.
    fn say(&mut self, message: &Message<'_>, twist: u32) -> Result<(), Stop> {
        self.send(message, Vec::new(), twist)
    }
}
