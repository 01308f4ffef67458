// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Both sides of the loop, as far as a test says what they do.

use super::*;

/// A back end without a device. The front end writes single letters to it: `r` for a request that
/// stays in flight until a byte comes on `acks`, `b` for a message during which nothing may be read
/// until then, `w` for an answer that has to be written first.
pub(super) struct Script {
    pub(super) events: Sender<Event>,
    pub(super) acks: UnixStream,
    /// How often the loop asked what to wait for.
    pub(super) turns: Arc<AtomicUsize>,
}

pub(super) struct ScriptSession<'s> {
    script: &'s mut Script,
    stream: UnixStream,
    interest: Interest,
    in_flight: bool,
    phase: Phase,
    ended: Option<Ended>,
}

impl Sessions for Script {
    type Session<'s> = ScriptSession<'s>;

    fn connect(&mut self, stream: UnixStream) -> ScriptSession<'_> {
        stream.set_nonblocking(true).unwrap();
        self.events.send(Event::Connected).unwrap();
        ScriptSession {
            script: self,
            stream,
            interest: Interest::Readable,
            in_flight: false,
            phase: Phase::Serving,
            ended: None,
        }
    }
}

impl ScriptSession<'_> {
    fn say(&self, event: Event) {
        self.script.events.send(event).unwrap();
    }

    fn finish(&mut self, why: Ended) {
        self.ended = Some(why);
        self.phase = if self.in_flight { Phase::Draining } else { Phase::Ended };
    }
}

impl Drive for ScriptSession<'_> {
    fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn acks(&self) -> BorrowedFd<'_> {
        self.script.acks.as_fd()
    }

    fn interest(&self) -> Interest {
        self.interest
    }

    fn phase(&self) -> Phase {
        self.script.turns.fetch_add(1, Ordering::Relaxed);
        self.phase
    }

    fn on_socket(&mut self) {
        assert_eq!(self.phase, Phase::Serving);
        if self.interest == Interest::Writable {
            self.interest = Interest::Readable;
            return self.say(Event::Wrote);
        }
        assert_eq!(self.interest, Interest::Readable);
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => {
                self.say(Event::HungUp);
                self.finish(Ended::HungUp);
            }
            Ok(_) => {
                match byte[0] {
                    b'r' => self.in_flight = true,
                    b'b' => self.interest = Interest::Nothing,
                    b'w' => self.interest = Interest::Writable,
                    _ => {}
                }
                self.say(Event::Read(byte[0]));
            }
            Err(error) => panic!("the socket was said to be readable: {error}"),
        }
    }

    fn on_acks(&mut self) {
        self.script.acks.read_exact(&mut [0]).unwrap();
        self.say(Event::Acked);
        self.in_flight = false;
        self.interest = Interest::Readable;
        if self.phase == Phase::Draining {
            self.phase = Phase::Ended;
        }
    }

    fn config_changed(&mut self) {
        assert_eq!(self.phase, Phase::Serving);
        self.say(Event::ConfigChanged);
    }

    fn end(&mut self) {
        assert_eq!(self.phase, Phase::Serving);
        self.say(Event::Asked);
        self.finish(Ended::Asked);
    }

    fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }
}

/// The host's side of a device that has none.
pub(super) struct ScriptHost {
    pub(super) events: Sender<Event>,
    /// Readable when the host says something.
    pub(super) changes: UnixStream,
    pub(super) changed: Arc<AtomicBool>,
}

impl HostSide for ScriptHost {
    fn changes(&self) -> Option<BorrowedFd<'_>> {
        Some(self.changes.as_fd())
    }

    fn take_changes(&self) -> bool {
        (&self.changes).read_exact(&mut [0]).unwrap();
        self.events.send(Event::ChangesTaken).unwrap();
        self.changed.load(Ordering::Relaxed)
    }

    fn refresh(&self) -> bool {
        self.events.send(Event::Refreshed).unwrap();
        self.changed.load(Ordering::Relaxed)
    }
}
