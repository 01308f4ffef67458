// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Says a sequence to both back ends and compares what they make of each message.

use std::fmt;
use std::io;

use vhost::vhost_user::message::{FrontendReq, VhostUserProtocolFeatures as Protocol};

use crate::accepted::Accepted;
use crate::device::PROTOCOL_FEATURES;
use crate::link::{Ending, Heard};
use crate::ours::Ours;
use crate::said::Said;
use crate::theirs::Theirs;

/// A message, and what each side made of it.
#[derive(Debug)]
pub struct Case<'a> {
    /// What was said.
    pub said: &'a Said,
    /// What was agreed on before.
    pub known: &'a Known,
    /// What ours made of it.
    pub ours: Heard,
    /// What the `vhost` crate made of it.
    pub theirs: Heard,
}

/// What was agreed on, as each side has it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// GET_FEATURES came, without which `vhost` does not know that it may ack.
    pub asked: bool,
    /// The virtio features that `vhost` takes for acked: also those that it refused.
    pub their_features: u64,
    /// The protocol features that ours takes for acked.
    pub our_protocol: u64,
    /// The protocol features that `vhost` takes for acked: also those that it refused.
    pub their_protocol: u64,
}

/// A difference that is not accepted.
#[derive(Debug)]
pub struct Difference {
    /// The sequence up to it.
    pub sequence: Vec<Said>,
    /// What ours made of the last message.
    pub ours: Heard,
    /// What the `vhost` crate made of it.
    pub theirs: Heard,
}

/// What came of a sequence.
#[derive(Debug)]
pub enum Outcome {
    /// The two agreed, but for accepted differences; so many messages were compared.
    Same(usize),
    /// They did not.
    Different(Box<Difference>),
}

/// Says a sequence to both, until one of them closes the connection or they do not agree any more.
///
/// # Errors
/// The system fails us.
pub fn compare(ours: &mut Ours, sequence: &[Said], seen: &mut Seen) -> io::Result<Outcome> {
    let (mut ours, mut theirs) = (ours.connect()?, Theirs::connect()?);
    let mut known = Known::default();
    for (at, said) in sequence.iter().enumerate() {
        let heard = ours.say(said, &said.descriptors()?)?;
        let case = Case {
            said,
            known: &known,
            ours: heard,
            theirs: theirs.say(said, &said.descriptors()?)?,
        };
        if case.ours != case.theirs && !seen.count(&case) {
            let Case { ours, theirs, .. } = case;
            let sequence = sequence[..=at].to_vec();
            return Ok(Outcome::Different(Box::new(Difference { sequence, ours, theirs })));
        }
        if case.is_the_last() {
            return Ok(Outcome::Same(at + 1));
        }
        known = known.after(&case);
    }
    Ok(Outcome::Same(sequence.len()))
}

/// Accepted differences, and how often each was met with.
#[derive(Clone, Debug)]
pub struct Seen(Vec<(&'static Accepted, usize)>);

impl Seen {
    /// None of them was met with yet.
    pub fn none_of(accepted: &'static [Accepted]) -> Self {
        Self(accepted.iter().map(|accepted| (accepted, 0)).collect())
    }

    /// They and how often each was met with.
    pub fn counts(&self) -> &[(&'static Accepted, usize)] {
        &self.0
    }

    /// Counts a difference that is one of them; `false` if it is none.
    fn count(&mut self, case: &Case<'_>) -> bool {
        let Some((_, count)) = self.0.iter_mut().find(|(accepted, _)| (accepted.when)(case)) else {
            return false;
        };
        *count += 1;
        true
    }
}

impl Known {
    /// What is known after a message on which both live on.
    fn after(&self, case: &Case<'_>) -> Self {
        let mut known = self.clone();
        let value = case.said.u64_at(0);
        if case.said.is(FrontendReq::GET_FEATURES) {
            known.asked = true;
        } else if case.said.is(FrontendReq::SET_FEATURES) {
            known.their_features = value;
        } else if case.said.is(FrontendReq::SET_PROTOCOL_FEATURES) {
            known.their_protocol = value;
            // A refusal is heard, or the connection is over.
            if case.ours.ending() != Ending::One {
                known.our_protocol = value;
            }
        }
        known
    }
}

impl Case<'_> {
    /// Whether the two have nothing to compare after this.
    fn is_the_last(&self) -> bool {
        let refused = |heard: &Heard| heard.ending() == Ending::One;
        !self.ours.alive || !self.theirs.alive || refused(&self.ours) != refused(&self.theirs)
    }

    /// Whether it is this message.
    pub fn is(&self, request: FrontendReq) -> bool {
        self.said.is(request)
    }

    /// Whether it went like this with ours, and like that with `vhost`.
    pub fn went(&self, ours: Ending, theirs: Ending) -> bool {
        (self.ours.ending(), self.theirs.ending()) == (ours, theirs)
    }

    /// Whether `vhost` closed the connection without a word, and ours goes on.
    pub fn only_ours_goes_on(&self) -> bool {
        !self.theirs.alive && self.theirs.bytes.is_empty() && self.ours.alive
    }

    /// Whether ours refused the message aloud, and `vhost` closed the connection without a word.
    pub fn only_ours_refused_aloud(&self) -> bool {
        self.only_ours_goes_on() && self.ours.ending() == Ending::One
    }

    /// Whether ours took the message and `vhost` refused it, aloud or without a word.
    pub fn only_ours_took(&self) -> bool {
        let took = matches!(self.ours.ending(), Ending::Zero | Ending::Silent | Ending::Reply);
        took && matches!(self.theirs.ending(), Ending::One | Ending::Closed)
    }

    /// Whether both did the same, but only ours said that it was asked to say so.
    pub fn only_ours_was_heard(&self) -> bool {
        self.said.needs_reply()
            && (self.went(Ending::Zero, Ending::Silent) || self.ours.ending() == Ending::One)
            && self.theirs.bytes.is_empty()
    }

    /// Whether `vhost` takes this protocol feature for acked.
    pub fn they_have(&self, feature: Protocol) -> bool {
        self.known.their_protocol & feature.bits() != 0
    }

    /// Whether the payload has this protocol feature.
    pub fn says(&self, feature: Protocol) -> bool {
        self.said.u64_at(0) & feature.bits() != 0
    }

    /// Whether `vhost` takes VHOST_USER_F_PROTOCOL_FEATURES for acked.
    pub fn they_have_protocol_features(&self) -> bool {
        self.known.their_features & PROTOCOL_FEATURES != 0
    }
}

/// Leaves out what the difference does not need.
///
/// # Errors
/// The system fails us.
pub fn minimised(ours: &mut Ours, mut found: Difference, seen: &Seen) -> io::Result<Difference> {
    let mut at = found.sequence.len();
    while at > 0 {
        at -= 1;
        let mut shorter = found.sequence.clone();
        shorter.remove(at);
        if let Outcome::Different(difference) = compare(ours, &shorter, &mut seen.clone())?
            && difference.is_like(&found)
        {
            found = *difference;
            at = at.min(found.sequence.len());
        }
    }
    Ok(found)
}

impl Difference {
    /// Whether it is about the same message, and about the same of it.
    fn is_like(&self, other: &Self) -> bool {
        self.sequence.last() == other.sequence.last()
            && self.ours.ending() == other.ours.ending()
            && self.theirs.ending() == other.theirs.ending()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for said in &self.sequence {
            writeln!(f, "  {said}")?;
        }
        writeln!(f, "ours {}", self.ours)?;
        write!(f, "vhost's {}", self.theirs)
    }
}
