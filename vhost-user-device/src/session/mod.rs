// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One connection with a front end, from the first message until the last request has ended.
//!
//! `channel.rs` moves whole messages, `message.rs` reads them, `state.rs` applies them. A session
//! never waits: its owner's loop watches the descriptors and calls back, so that a front end that
//! stops in the middle of a message, or a disk that does not answer, holds up no signal.

mod back_channel;
mod backend;
mod channel;
mod message;
mod state;

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;

pub use backend::{Backend, NoCpu, StartError, Threads};
pub use channel::turn_away;
#[cfg(fuzzing)]
pub use message::fuzz as message_fuzz;

use crate::causes;
use crate::device::Device;
use crate::queue::{Command, Report};
use channel::{Channel, ChannelError, Envelope};
use message::{Header, Message, MessageError};
use state::{Answer, Effect, Refusal, State};

/// How many messages are applied before the owner of the session has its turn again: a front end
/// that sends without pause keeps nobody else waiting.
const MESSAGES_PER_TURN: usize = 32;

/// One connection. Its owner waits for what [`Session::interest`] says of [`Session::socket`],
/// and always for [`Session::acks`], and calls [`Session::on_socket`] or [`Session::on_acks`].
///
/// A session that is dropped before its phase is [`Phase::Ended`] waits for the requests in
/// flight.
#[derive(Debug)]
pub struct Session<'b, D: Device> {
    backend: &'b mut Backend<D>,
    channel: Channel,
    state: State<D>,
    /// How many queues have yet to ack.
    unacked: usize,
    /// The message that is answered when they all have.
    pending: Option<(Header, Answer)>,
    ended: Option<Ended>,
    /// Whether the device may know something of this connection.
    stale: bool,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Messages are read and answered.
    Serving,
    /// The connection is over; requests in flight are waited for.
    Draining,
    /// Nothing is in flight any more.
    Ended,
}

/// What the socket of a session is to be watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// The next message.
    Readable,
    /// Room for the rest of a reply.
    Writable,
    /// Nothing: a message is being applied, or the connection is over.
    Nothing,
}

/// Why a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The front end closed it, between two messages.
    HungUp,
    /// [`Session::end`] was called.
    Asked,
    /// The front end broke the protocol, or the socket failed; the text says how. It was logged,
    /// unless another one was just before.
    Fault(String),
}

impl<'b, D: Device> Session<'b, D> {
    fn new(backend: &'b mut Backend<D>, socket: UnixStream) -> Self {
        let state = State::new(backend.device());
        let channel = Channel::new(socket);
        Self { backend, channel, state, unacked: 0, pending: None, ended: None, stale: true }
    }

    /// The front end's socket.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.channel.fd()
    }

    /// Readable when a queue has acked; to be watched as long as the session lives.
    pub fn acks(&self) -> BorrowedFd<'_> {
        self.backend.acks().fd()
    }

    /// What to watch the socket for just now.
    pub fn interest(&self) -> Interest {
        if self.ended.is_some() || self.unacked != 0 {
            Interest::Nothing
        } else if self.channel.has_unsent() {
            Interest::Writable
        } else {
            Interest::Readable
        }
    }

    /// Where the connection is in its life.
    pub fn phase(&self) -> Phase {
        match self.ended {
            None => Phase::Serving,
            Some(_) if self.unacked != 0 => Phase::Draining,
            Some(_) => Phase::Ended,
        }
    }

    /// Why the connection ended, once it has.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Takes what the socket is ready for: applies the messages that are there, until one must
    /// wait for the queues. It may leave some in the socket, which is still readable then.
    pub fn on_socket(&mut self) {
        if let Err(error) = self.channel.flush() {
            return self.fail(error);
        }
        for _ in 0..MESSAGES_PER_TURN {
            if self.interest() != Interest::Readable {
                return;
            }
            match self.channel.receive() {
                Ok(Some(envelope)) => self.apply(envelope),
                Ok(None) => return,
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Takes the acks that have come; when they all have, answers the message they are for.
    pub fn on_acks(&mut self) {
        let reports: Vec<_> = self.backend.acks().take().collect();
        for report in reports {
            match report {
                Report::Ack(ack) => {
                    self.state.stopped(ack.queue, ack.next_avail);
                    self.unacked = self.unacked.saturating_sub(1);
                }
                Report::Lost(loss) if self.ended.is_none() => {
                    self.end_fault(format!("{loss} has pages that cannot be had"));
                }
                Report::Lost(_) => {}
            }
        }
        if self.unacked == 0
            && let Some((header, answer)) = self.pending.take()
            && self.ended.is_none()
        {
            self.answer(header, answer);
            self.on_socket();
        }
        self.reset_device_at_the_end();
    }

    /// Ends the connection: no message is read any more, every queue drains.
    pub fn end(&mut self) {
        self.end_because(Ended::Asked);
    }

    /// The config space has changed: tells the front end, if it has given us a channel for that.
    pub fn config_changed(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Err(error) = self.state.config_changed() {
            self.backend.warn(format_args!("not told that the config space has changed: {error}"));
        }
    }

    fn end_because(&mut self, why: Ended) {
        if self.ended.is_none() {
            self.ended = Some(why);
            let commands = self.state.stop_all();
            self.tell(commands);
            self.reset_device_at_the_end();
        }
    }

    /// Has the device forget the connection, once, when nothing of it is in flight any more.
    fn reset_device_at_the_end(&mut self) {
        if self.phase() == Phase::Ended && std::mem::take(&mut self.stale) {
            self.backend.device().reset();
        }
    }

    fn fail(&mut self, error: ChannelError) {
        self.end_because(match error {
            ChannelError::HungUp => Ended::HungUp,
            error => return self.end_fault(causes(&error)),
        });
    }

    fn apply(&mut self, Envelope { header, payload, fds }: Envelope) {
        let message = match Message::parse(header.request, &payload, fds) {
            Ok(message) => message,
            Err(error) => {
                let ignored =
                    matches!(error, MessageError::Unknown(_) | MessageError::NotImplemented { .. });
                return self.refuse(header, !ignored, &error);
            }
        };
        log::debug!("{message:?}");
        match self.state.apply(message) {
            Ok(Effect { commands, answer }) => {
                self.tell(commands);
                if self.unacked == 0 {
                    self.answer(header, answer);
                } else {
                    self.pending = Some((header, answer));
                }
            }
            Err(refusal) => self.refuse(header, Refusal::is_fatal(&refusal), &refusal),
        }
    }

    /// Tells the front end that its message was not applied, if it wants to hear it; else ends
    /// the connection, unless the front end can do without it.
    fn refuse(&mut self, header: Header, fatal: bool, error: &dyn std::error::Error) {
        let name = header.name();
        let cause = causes(error);
        let heard = header.needs_reply() && self.state.has_reply_ack() && !header.has_own_reply();
        if heard {
            self.backend.warn(format_args!("{name} refused: {cause}"));
            self.send(header, &1_u64.to_ne_bytes());
        } else if fatal {
            let text = format!("{name} refused, which the front end would not hear: {cause}");
            self.end_fault(text);
        } else {
            self.backend.warn(format_args!("{name} ignored: {cause}"));
        }
    }

    fn answer(&mut self, header: Header, answer: Answer) {
        match answer {
            Answer::Payload(payload) => self.send(header, &payload),
            Answer::File(payload, file) => {
                let sent = self.channel.reply_with(&header.reply(&payload), file.into());
                if let Err(error) = sent {
                    self.fail(error);
                }
            }
            Answer::Reset => {
                self.state.reset();
                self.backend.device().reset();
                self.answer(header, Answer::Success);
            }
            Answer::Base(queue) => {
                let [a, b] = [u32::from(queue), u32::from(self.state.next_avail(queue))]
                    .map(u32::to_ne_bytes);
                self.send(header, &[a, b].concat());
            }
            Answer::Success if header.needs_reply() && self.state.has_reply_ack() => {
                self.send(header, &0_u64.to_ne_bytes());
            }
            Answer::Success => {}
        }
    }

    fn send(&mut self, header: Header, payload: &[u8]) {
        if let Err(error) = self.channel.reply(&header.reply(payload)) {
            self.fail(error);
        }
    }

    fn tell(&mut self, commands: Vec<(u16, Command)>) {
        for (queue, command) in commands {
            self.backend.tell(queue, command);
            self.unacked += 1;
        }
    }

    fn end_fault(&mut self, text: String) {
        self.backend.warn_of_drop(&text);
        self.end_because(Ended::Fault(text));
    }
}

impl<D: Device> Drop for Session<'_, D> {
    fn drop(&mut self) {
        self.end();
        while self.unacked != 0 {
            self.backend.wait_for_acks();
            self.on_acks();
        }
    }
}

#[cfg(test)]
mod tests;
