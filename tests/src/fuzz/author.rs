// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Makes scripts up: mostly what a front end would do that knows its protocol, so that there is
//! something to lose, and then something wrong. Or changes one that led somewhere.

use super::script::{Act, Script, Step};
use crate::random::Random;

/// How many steps a script has that is made up, at most, besides its beginning.
const STEPS: u64 = 60;

/// The most steps that a changed script has.
const MOST_STEPS: usize = 120;

/// Messages, each as likely as the others.
const MESSAGES: [Act; 31] = [
    Act::GetFeatures,
    Act::SetFeatures,
    Act::SetOwner,
    Act::ResetOwner,
    Act::ResetDevice,
    Act::GetProtocolFeatures,
    Act::SetProtocolFeatures,
    Act::GetQueueNum,
    Act::GetMaxMemSlots,
    Act::GetStatus,
    Act::SetStatus,
    Act::AddRegion,
    Act::RemoveRegion,
    Act::AddRegion,
    Act::SetVringNum,
    Act::SetVringBase,
    Act::GetVringBase,
    Act::SetVringAddr,
    Act::SetVringKick,
    Act::SetVringCall,
    Act::SetVringErr,
    Act::SetVringEnable,
    Act::GetConfig,
    Act::SetConfig,
    Act::SetLogFd,
    Act::SetLogBase,
    Act::GetInflight,
    Act::SetInflight,
    Act::SetBackendReqFd,
    Act::SetConfig,
    Act::AnyMessage,
];

/// Makes scripts up.
#[derive(Debug)]
pub(super) struct Author {
    random: Random,
    /// Of so many messages or chains, one is wrong; this changes from script to script.
    care: u64,
}

impl Author {
    pub(super) fn of(seed: u64) -> Self {
        Self { random: Random::of(seed), care: 16 }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn word(&mut self) -> u32 {
        u32::try_from(self.random.number() >> 32).unwrap_or_default()
    }

    fn chance(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.below(u64::try_from(of.len()).unwrap_or(1));
        of[usize::try_from(at).unwrap_or_default()]
    }

    /// A new script.
    pub(super) fn script(&mut self) -> Script {
        self.care = self.pick(&[4, 12, 12, 40, 1000]);
        let mut steps = Vec::new();
        if !self.chance(12) {
            self.begin(&mut steps);
        }
        let count = 4 + self.below(STEPS);
        let messages = self.pick(&[2, 5, 9]);
        for _ in 0..count {
            let step = self.step(messages);
            steps.push(step);
            if step.act == Act::Reconnect && !self.chance(8) {
                self.begin(&mut steps);
            }
            if self.chance(60) {
                self.storm(&mut steps);
            }
        }
        if !self.chance(4) {
            steps.extend([Step::new(Act::Settle, 0, 0, 0), Step::new(Act::Collect, 0, 500, 0)]);
        }
        Script { seed: self.random.number(), steps }
    }

    /// The beginning of a session, up to queues that run.
    fn begin(&mut self, steps: &mut Vec<Step>) {
        let (b, c) = (self.word(), self.random.number());
        let features = if self.chance(4) { self.word() } else { 0 };
        steps.push(Step::new(Act::Negotiate, features, b, if self.chance(4) { c } else { 0 }));
        steps.push(self.any(Act::Share));
        if self.chance(3) {
            steps.push(self.any(Act::Track));
        }
        if self.chance(4) {
            steps.push(self.any(Act::Log));
        }
        if self.chance(8) {
            // A channel on which it says that the disk is larger now.
            steps.push(Step::new(Act::SetBackendReqFd, 0, 2, 0));
            steps.push(Step::new(Act::Resize, self.word(), 0, 0));
        }
        for queue in 0..1 + self.pick(&[0, 0, 1, 2]) {
            steps.push(self.start(queue));
        }
        if !self.chance(3) {
            steps.push(self.rewrite());
        }
    }

    /// One word is written to and fro, and many requests read it.
    fn storm(&mut self, steps: &mut Vec<Step>) {
        let kinds = 1 << self.pick(&[0, 1, 3, 3, 3, 4]);
        let word = 1 + u32::try_from(self.below(10)).unwrap_or_default();
        steps.push(Step::new(Act::Rewrite, kinds, self.pick(&[1, word]), 0));
        let (queue, b) = (self.queue(), self.word() & 0xff03_ffff | 0x30_0000);
        for _ in 0..1 + self.below(6) {
            let c = self.below(1024);
            steps.push(Step::new(Act::Requests, queue, b, c));
        }
    }

    fn start(&mut self, queue: u32) -> Step {
        let b = if self.chance(8) { self.word() } else { self.word() & 0x07 | 0x0300 };
        let c = if self.chance(6) { self.random.number() } else { 0 };
        Step { twist: self.twist(), ..Step::new(Act::StartQueue, queue, b, c) }
    }

    /// One step; of ten, so many are messages.
    fn step(&mut self, messages: u64) -> Step {
        let act = if self.below(10) < messages {
            match self.below(16) {
                0 => Act::Reconnect,
                1 => Act::Negotiate,
                2 => Act::Share,
                3 | 4 => Act::StartQueue,
                5 => Act::Track,
                6 => Act::Log,
                7 => Act::Intrude,
                _ => self.pick(&MESSAGES),
            }
        } else {
            match self.below(40) {
                0..18 => Act::Request,
                18..24 => Act::Requests,
                24..27 => Act::Chain,
                27 | 28 => Act::Field,
                29 => Act::Kick,
                30 => Act::Scribble,
                31..33 => Act::Rewrite,
                33 | 34 => Act::Truncate,
                35 => Act::Settle,
                36 => self.pick(&[Act::Signal, Act::Resize]),
                _ => Act::Collect,
            }
        };
        match act {
            Act::Rewrite => self.rewrite(),
            Act::StartQueue => {
                let queue = self.queue();
                self.start(queue)
            }
            _ => self.any(act),
        }
    }

    /// What the other thread does, as a rule to what is written by the driver.
    fn rewrite(&mut self) -> Step {
        let kinds = match self.below(6) {
            0 => self.word() & 0x1ff,
            1 => 0,
            // Not the available ring, whose driver is soon believed no more.
            2 | 3 => 0b11_1000,
            4 => 1 << self.pick(&[0, 3, 3, 4, 5]),
            _ => 1 << self.below(9),
        };
        let word = if self.chance(3) { self.pick(&[0, 0, 1, 1, 2, 3, 5, 7]) } else { 0 };
        Step::new(Act::Rewrite, kinds, word, 0)
    }

    /// `act`, with numbers that mean something for it.
    fn any(&mut self, act: Act) -> Step {
        let (a, b) = (self.queue(), self.word());
        let c = if self.chance(6) { self.random.number() } else { self.below(4096) };
        let (a, b, c) = match act {
            Act::Negotiate
            | Act::Share
            | Act::Log
            | Act::Intrude
            | Act::Reconnect
            | Act::Signal
            | Act::SetFeatures
            | Act::SetProtocolFeatures => {
                (if self.chance(self.care * 4) { 99 } else { self.word() % 16 }, b, c)
            }
            Act::Track => (self.word() % 32, b, self.random.number()),
            Act::AddRegion | Act::RemoveRegion => {
                (a, if self.chance(3) { b } else { 0 }, self.random.number())
            }
            Act::SetVringNum => {
                (a, if self.chance(self.care) { 0 } else { b }, self.random.number())
            }
            Act::SetVringAddr => {
                (a, b & 0xf07, if self.chance(4) { self.random.number() } else { 7 << 56 })
            }
            Act::SetVringEnable => (a, if self.chance(self.care) { b } else { b % 2 }, c),
            Act::SetVringKick
            | Act::SetVringCall
            | Act::SetVringErr
            | Act::SetLogFd
            | Act::SetLogBase
            | Act::SetInflight => {
                (a, if self.chance(3) { b % 64 } else { 0 }, self.pick(&[c, 0x4000, 0x22000, 1]))
            }
            Act::GetConfig => {
                (self.pick(&[0, 0, 32, 56, 60, b]), self.pick(&[1, 4, 8, 60, b % 300]), c)
            }
            // Mostly the field that a driver may write.
            Act::SetConfig => (
                self.pick(&[32, 32, 32, b % 64]),
                self.pick(&[1, 1, b % 300]),
                self.pick(&[0, 1, c]),
            ),
            Act::SetBackendReqFd => (a, self.pick(&[2, 2, b % 64]), c),
            Act::GetInflight => (self.pick(&[1, 4, b]), self.pick(&[16, 128, 1024, b]), c & 0xff),
            Act::AnyMessage => (b % 64, self.word(), c),
            Act::Scribble => (b, b, self.random.number()),
            Act::Field => (a, b, self.pick(&[0, 1, 2, 8, 63, 64, 65, 0x7fff, 0x8000, 0xffff, c])),
            _ => (a, b, c),
        };
        let twist = if act == Act::Chain { self.word() } else { self.twist() };
        Step { act, a, b, c, twist }
    }

    /// Mostly the queues that were started.
    fn queue(&mut self) -> u32 {
        match self.below(self.care + 8) {
            0 => self.word(),
            1 => 3,
            2 | 3 => 2,
            4..7 => 1,
            _ => 0,
        }
    }

    fn twist(&mut self) -> u32 {
        if self.chance(self.care) { self.word() } else { 0 }
    }

    /// One script out of others that led somewhere.
    pub(super) fn changed(&mut self, kept: &[Script]) -> Script {
        self.care = self.pick(&[4, 12, 40]);
        let mut script = self.one(kept).clone();
        script.seed = self.random.number();
        for _ in 0..1 + self.below(6) {
            let at = self.place(script.steps.len());
            match self.below(8) {
                0 => {
                    let other = self.one(kept);
                    let from = self.place(other.steps.len());
                    script.steps.truncate(at);
                    script.steps.extend(&other.steps[from..]);
                }
                1 if !script.steps.is_empty() => {
                    let step = script.steps[at.min(script.steps.len() - 1)];
                    script.steps.insert(at, step);
                }
                2 if !script.steps.is_empty() => {
                    let end = script.steps.len().min(at + 1 + self.place(4));
                    script.steps.drain(at.min(end)..end);
                }
                3 | 4 => {
                    let step = self.step(5);
                    script.steps.insert(at, step);
                }
                _ => {
                    let (other, twist) = (self.step(5), self.twist());
                    let choice = self.below(4);
                    if let Some(step) = script.steps.get_mut(at) {
                        match choice {
                            0 => step.a = other.a,
                            1 => step.b = other.b,
                            2 => step.c = other.c,
                            _ => step.twist = twist,
                        }
                    }
                }
            }
        }
        script.steps.truncate(MOST_STEPS);
        script
    }

    fn one<'k>(&mut self, kept: &'k [Script]) -> &'k Script {
        &kept[self.place(kept.len() - 1)]
    }

    /// One of the numbers up to `last`.
    fn place(&mut self, last: usize) -> usize {
        let count = u64::try_from(last).unwrap_or_default() + 1;
        usize::try_from(self.below(count)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_one_seed_are_the_same_and_of_another_are_not() {
        let scripts = |seed| {
            let mut author = Author::of(seed);
            (0..20).map(|_| author.script()).collect::<Vec<_>>()
        };
        assert_eq!(scripts(7), scripts(7));
        assert_ne!(scripts(7), scripts(8));
    }

    #[test]
    fn script_changed_again_and_again_stays_short() {
        let mut author = Author::of(1);
        let mut kept = vec![author.script(), Script { seed: 1, steps: Vec::new() }];
        for _ in 0..1000 {
            let script = author.changed(&kept);
            assert!(script.steps.len() <= MOST_STEPS);
            let at = author.place(1);
            kept[at] = script;
        }
    }
}
