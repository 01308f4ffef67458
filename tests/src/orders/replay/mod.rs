// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Says an order again to a daemon, and compares the answers.

mod ahead;
mod device;
mod line;
mod log;
mod memory;
mod ring;
mod things;

use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use vhost::vhost_user::message::{BackendReq, FrontendReq as Req};

use super::wire::{self, Whole};
use super::{Order, Payload, Side, Step, name};
use crate::deadline::Deadline;
use crate::features::LOG_ALL;
use crate::frontend::{REPLY, VERSION};
use ahead::{ends, target};
use line::Line;
use ring::{Ring, Session};
use things::Things;

pub use device::Device;

/// What a replay has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages of the front end that were said.
    pub messages: u32,
    /// Answers that were as recorded.
    pub answers: u32,
    /// Requests that were put into rings and used.
    pub requests: u32,
    /// Requests among them for which the driver was called, too.
    pub calls: u32,
    /// Requests among them that the back end had to log.
    pub logged: u32,
    /// Answers to GET_VRING_BASE, each of which was the position of the ring.
    pub bases: u32,
}

/// A back end, and what it has behind it.
#[expect(missing_debug_implementations, reason = "it has a function in it")]
pub struct BackEnd<'b> {
    /// Where it listens.
    pub socket: &'b Path,
    /// What it is to a driver.
    pub device: Device,
    /// Has it say that its config space has changed.
    pub change_config: &'b dyn Fn(),
}

/// Says `order` to a back end.
///
/// What was answered must be answered with as many bytes and descriptors, and with the same bytes
/// where they do not depend on what the back end offers; what was not answered must not be. Rings
/// that run have requests of `device` served.
///
/// # Errors
/// The first step of the order that did not go as recorded.
///
/// # Panics
/// When something that has to come does not.
pub fn replay(order: &Order, back_end: &BackEnd<'_>) -> Result<Seen> {
    let mut replay = Replay {
        back_end,
        device: &back_end.device,
        steps: &order.steps,
        things: Things::default(),
        line: None,
        seen: Seen::default(),
    };
    let mut at = 0;
    while at < order.steps.len() {
        let step = &order.steps[at];
        at += replay.step(at).with_context(|| format!("step {}: {step}", at + 1))?;
    }
    Ok(replay.seen)
}

struct Replay<'o> {
    back_end: &'o BackEnd<'o>,
    device: &'o Device,
    steps: &'o [Step],
    things: Things,
    line: Option<Line>,
    seen: Seen,
}

impl Replay<'_> {
    /// Takes the step `at`; returns how many steps that were.
    fn step(&mut self, at: usize) -> Result<usize> {
        match &self.steps[at] {
            Step::Connected => {
                ensure!(self.line.is_none(), "there is a connection already");
                let socket = UnixStream::connect(self.back_end.socket).context("connect")?;
                self.line = Some(Line::new(socket));
            }
            Step::Closed(_) => {
                self.finish_rings(at, |_| true)?;
                self.probe(at)?;
                self.line = None;
            }
            Step::Note(_) => self.probe(at)?,
            Step::Channel(side, message) => self.channel(*side, message)?,
            Step::Message(Side::FrontEnd, message) => {
                let answer = match self.steps.get(at + 1) {
                    Some(Step::Message(Side::BackEnd, answer)) => Some(answer),
                    _ => None,
                };
                self.message(at, message, answer)?;
                return Ok(1 + usize::from(answer.is_some()));
            }
            Step::Message(Side::BackEnd, _) => bail!("an answer without a question"),
        }
        Ok(1)
    }

    /// Has the back end say the same on its channel, or answers there as was answered.
    fn channel(&self, side: Side, message: &Payload) -> Result<()> {
        let channel = self.line.as_ref().and_then(|line| line.channel);
        let channel = self.things.socket(channel.context("there is no channel")?)?;
        if side == Side::FrontEnd {
            return wire::send(&channel, message, &[]);
        }
        let config_changed = u32::from(BackendReq::CONFIG_CHANGE_MSG);
        ensure!(message.request == config_changed, "nobody knows how to have the back end say it");
        (self.back_end.change_config)();
        ensure!(Deadline::new().readable(&channel), "the back end does not say it");
        let said = wire::receive(&channel)?.context("the back end has closed its channel")?;
        ensure!(said.message == *message, "the back end says {:?}", said.message);
        Ok(())
    }

    fn message(&mut self, at: usize, message: &Payload, answer: Option<&Payload>) -> Result<()> {
        let request = Req::try_from(message.request).ok();
        let index = u8::try_from(message.u32(0) & 0xff).unwrap_or_default();
        match request {
            Some(Req::GET_VRING_BASE) => self.finish_rings(at, |ring| ring == index)?,
            Some(Req::SET_VRING_ENABLE) if message.u32(4) == 0 && ends(self.steps, at, index) => {
                self.finish_rings(at, |ring| ring == index)?;
            }
            Some(Req::RESET_DEVICE) => self.finish_rings(at, |_| true)?,
            _ => {}
        }
        for descriptor in &message.descriptors {
            self.things.make(*descriptor)?;
        }
        let line = self.line.as_mut().context("there is no connection")?;
        if let Some(request) = request {
            line.apply(request, message, self.device, &self.things)?;
        }
        let sent = message.descriptors.iter().map(|descriptor| self.things.sent(descriptor.number));
        wire::send(&line.socket, message, &sent.collect::<Result<Vec<_>>>()?)?;
        self.seen.messages += 1;
        if let Some(recorded) = answer {
            self.compare(request, recorded)?;
        }
        if request == Some(Req::GET_VRING_BASE) {
            self.ring(index)?.stop();
        }
        Ok(())
    }

    /// Receives an answer and compares it with the recorded one.
    fn compare(&mut self, request: Option<Req>, recorded: &Payload) -> Result<()> {
        let line = self.line.as_ref().context("there is no connection")?;
        let Whole { message, fds } = line.answer()?;
        let said = name(Side::FrontEnd, message.request);
        ensure!(message.request == recorded.request, "it is answered as if it were {said}");
        ensure!(message.flags == VERSION | REPLY, "the answer has the flags {:#x}", message.flags);
        let (len, recorded_len) = (message.bytes.len(), recorded.bytes.len());
        ensure!(len == recorded_len, "the answer has {len} bytes, not {recorded_len}");
        let (count, recorded_count) = (fds.len(), recorded.descriptors.len());
        ensure!(
            count == recorded_count,
            "the answer has {count} descriptors, not {recorded_count}"
        );
        if !depends_on_offer(request) {
            let (bytes, recorded) = (&message.bytes, &recorded.bytes);
            ensure!(bytes == recorded, "the answer is {bytes:?}, not {recorded:?}");
        }
        if request == Some(Req::GET_VRING_BASE) {
            let index = u8::try_from(message.u32(0)).context("the index of a ring")?;
            let (base, position) = (message.u32(4), u32::from(self.ring(index)?.position()));
            ensure!(base == position, "the base is {base}, and the ring stands at {position}");
            self.seen.bases += 1;
        }
        for (descriptor, fd) in recorded.descriptors.iter().zip(fds) {
            self.things.take(*descriptor, fd);
        }
        self.seen.answers += 1;
        Ok(())
    }

    /// Has the rings that `concerned` names served all that the recorded session had served of
    /// them before the step `at`.
    fn finish_rings(&mut self, at: usize, concerned: impl Fn(u8) -> bool) -> Result<()> {
        let (steps, device, things) = (self.steps, self.device, &self.things);
        let Some(line) = &mut self.line else { return Ok(()) };
        let taken = line.taken();
        for (index, ring) in line.rings.iter_mut().filter(|(index, _)| concerned(**index)) {
            let (features, memory) = (line.features, &line.memory);
            let session = Session { device, features, memory, things, taken: &taken, log: None };
            if !ring.is_served(*index, session) {
                continue;
            }
            if let Some(target) = target(steps, at, *index) {
                self.seen.requests += ring.advance(*index, target, session)?;
            }
        }
        Ok(())
    }

    /// At a quiet moment: nothing was said that was not asked for, and each ring that runs serves
    /// a request in each region, as far as the recorded session had so many to serve.
    fn probe(&mut self, at: usize) -> Result<()> {
        let (steps, device, things) = (self.steps, self.device, &self.things);
        let Some(line) = &mut self.line else { return Ok(()) };
        line.settle()?;
        let taken = line.taken();
        let log = line.log.as_ref().filter(|_| line.features & LOG_ALL != 0);
        for (index, ring) in &mut line.rings {
            let (features, memory) = (line.features, &line.memory);
            let session = Session { device, features, memory, things, taken: &taken, log };
            if !ring.is_served(*index, session) {
                continue;
            }
            for region in memory.regions() {
                if target(steps, at, *index) == Some(ring.position()) {
                    break;
                }
                ring.forget_calls(things)?;
                if ring.exchange(*index, region, session)? {
                    ring.expect_call(*index, things)?;
                    self.seen.requests += 1;
                    self.seen.calls += u32::from(ring.call.is_some());
                    self.seen.logged += u32::from(log.is_some());
                }
            }
        }
        Ok(())
    }

    fn ring(&mut self, index: u8) -> Result<&mut Ring> {
        Ok(self.line.as_mut().context("there is no connection")?.ring(index))
    }
}

/// Whether the bytes of an answer say what the back end can do or what it serves.
fn depends_on_offer(request: Option<Req>) -> bool {
    matches!(
        request,
        Some(
            Req::GET_FEATURES
                | Req::GET_PROTOCOL_FEATURES
                | Req::GET_QUEUE_NUM
                | Req::GET_MAX_MEM_SLOTS
                | Req::GET_CONFIG
        )
    )
}
