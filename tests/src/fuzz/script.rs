// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a hostile front end does in one round, step by step: to be made up, changed, written down
//! and read again.

use std::fmt;
use std::str::FromStr;

macro_rules! acts {
    ($($(#[$doc:meta])* $act:ident $name:literal,)*) => {
        /// What is done in a step. Where nothing else is said, it is the message of that name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Act {
            $($(#[$doc])* $act,)*
        }

        impl Act {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$act),*];

            /// What it is called in a script.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$act => $name,)*
                }
            }
        }
    };
}

acts! {
    /// All messages with which a session begins: features of the kind `a`, with protocol features or
    /// without them.
    Negotiate "negotiate",
    /// SET_MEM_TABLE of the layout `a`.
    Share "share",
    /// All messages that start the queue `a`, with a size, a place and notifiers by `b` and `c`.
    StartQueue "start-queue",
    /// An in-flight region, asked for and given back, or one of our own: by `a`.
    Track "track",
    /// A dirty log and LOG_ALL, on or off: by `a`.
    Log "log",
    /// GET_FEATURES.
    GetFeatures "get-features",
    /// SET_FEATURES of the kind `a`, or `c`.
    SetFeatures "set-features",
    /// SET_OWNER.
    SetOwner "set-owner",
    /// RESET_OWNER.
    ResetOwner "reset-owner",
    /// RESET_DEVICE.
    ResetDevice "reset-device",
    /// GET_PROTOCOL_FEATURES.
    GetProtocolFeatures "get-protocol-features",
    /// SET_PROTOCOL_FEATURES of all, or of `c`.
    SetProtocolFeatures "set-protocol-features",
    /// GET_QUEUE_NUM.
    GetQueueNum "get-queue-num",
    /// GET_MAX_MEM_SLOTS.
    GetMaxMemSlots "get-max-mem-slots",
    /// GET_STATUS.
    GetStatus "get-status",
    /// SET_STATUS of `c`.
    SetStatus "set-status",
    /// ADD_MEM_REG of the region `a`.
    AddRegion "add-region",
    /// REM_MEM_REG of the region `a`.
    RemoveRegion "remove-region",
    /// SET_VRING_NUM of the queue `a`.
    SetVringNum "set-vring-num",
    /// SET_VRING_BASE of the queue `a`.
    SetVringBase "set-vring-base",
    /// GET_VRING_BASE of the queue `a`.
    GetVringBase "get-vring-base",
    /// SET_VRING_ADDR of the queue `a`, at a place by `b`.
    SetVringAddr "set-vring-addr",
    /// SET_VRING_KICK of the queue `a`, a descriptor of the kind `b`.
    SetVringKick "set-vring-kick",
    /// SET_VRING_CALL, the same.
    SetVringCall "set-vring-call",
    /// SET_VRING_ERR, the same.
    SetVringErr "set-vring-err",
    /// SET_VRING_ENABLE of the queue `a`.
    SetVringEnable "set-vring-enable",
    /// GET_CONFIG of `b` bytes at `a`.
    GetConfig "get-config",
    /// SET_CONFIG of `b` bytes at `a`.
    SetConfig "set-config",
    /// SET_LOG_FD of a descriptor of the kind `b`.
    SetLogFd "set-log-fd",
    /// SET_LOG_BASE of a file of the kind `b`.
    SetLogBase "set-log-base",
    /// SET_BACKEND_REQ_FD of a descriptor of the kind `b`.
    SetBackendReqFd "set-backend-req-fd",
    /// GET_INFLIGHT_FD for `a` queues of `b` descriptors.
    GetInflight "get-inflight",
    /// SET_INFLIGHT_FD of a file of the kind `b`.
    SetInflight "set-inflight",
    /// The message numbered `a`, with `b` bytes.
    AnyMessage "any-message",
    /// A request on the queue `a`: its type by `b`, its sector by `c`.
    Request "request",
    /// `b` requests on the queue `a`, with one kick; all in the same place, perhaps.
    Requests "requests",
    /// Any descriptor in the table of the queue `a`, made available.
    Chain "chain",
    /// Any value in any field of the ring of the queue `a`.
    Field "field",
    /// A kick of the queue `a`.
    Kick "kick",
    /// Any bytes anywhere in the memory that is shared.
    Scribble "scribble",
    /// From now on another thread rewrites what the bits of `a` say; 0: nothing. With `b`, one word
    /// of it.
    Rewrite "rewrite",
    /// The file of the region `a` gets the length `b`, or a hole.
    Truncate "truncate",
    /// Waits until all that was said is heard.
    Settle "settle",
    /// Waits for at most `b` microseconds until the queue `a` has given something back.
    Collect "collect",
    /// Another connection beside this one, which says something by `a`.
    Intrude "intrude",
    /// This connection ends, by `a`; a new one begins.
    Reconnect "reconnect",
    /// A signal that does no harm, by `a`.
    Signal "signal",
    /// The image gets longer, by `a`, if it is one that may, and the daemon is told.
    Resize "resize",
}

/// One step. What its numbers mean is for the act to say; any are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// To what, as a rule.
    pub a: u32,
    /// Of which kind, as a rule.
    pub b: u32,
    /// A number more.
    pub c: u64,
    /// What is wrong about it: nothing at 0, else see `twist.rs` and `chains.rs`.
    pub twist: u32,
}

/// A round: a connection, as a rule, and what is done on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What the thread begins with that rewrites shared memory.
    pub seed: u64,
    /// What is done.
    pub steps: Vec<Step>,
}

/// A line of text that is no step.
#[derive(Debug)]
pub struct NoStep(String);

impl fmt::Display for NoStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no step: {:?}", self.0)
    }
}

impl std::error::Error for NoStep {}

impl Step {
    /// `act` with these numbers, and nothing wrong about it.
    pub fn new(act: Act, a: u32, b: u32, c: u64) -> Self {
        Self { act, a, b, c, twist: 0 }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { act, a, b, c, twist } = self;
        write!(f, "{} {a} {b} {c:#x}", act.name())?;
        if *twist == 0 { Ok(()) } else { write!(f, " twist {twist:#x}") }
    }
}

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(line: &str) -> Result<Self, NoStep> {
        let refuse = || NoStep(line.to_owned());
        let words: Vec<&str> = line.split_whitespace().collect();
        let (words, twist) = match words.as_slice() {
            [words @ .., "twist", twist] => (words, number(twist).ok_or_else(refuse)?),
            words => (words, 0),
        };
        let [name, a, b, c] = words else { return Err(refuse()) };
        let act = Act::ALL.iter().find(|act| act.name() == *name).ok_or_else(refuse)?;
        let [a, b, c] = [a, b, c].map(|word| number(word));
        let (a, b, c) = a.zip(b).zip(c).map(|((a, b), c)| (a, b, c)).ok_or_else(refuse)?;
        let half = |number: u64| u32::try_from(number).map_err(|_| refuse());
        Ok(Self { act: *act, a: half(a)?, b: half(b)?, c, twist: half(twist)? })
    }
}

/// A decimal number, or a hexadecimal one behind `0x`.
pub(super) fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_written_down_and_read_again_is_the_same() {
        for (twist, act) in (0..).zip(Act::ALL) {
            let step = Step { act: *act, a: 7, b: u32::MAX, c: u64::MAX, twist };
            assert_eq!(step.to_string().parse::<Step>().unwrap(), step);
        }
    }

    #[test]
    fn line_that_is_no_step_is_refused_with_its_text() {
        for line in ["", "kick", "kick 1 2 x", "dance 1 2 3", "kick 1 2 3 twist"] {
            let error = line.parse::<Step>().unwrap_err();
            assert_eq!(error.to_string(), format!("no step: {line:?}"));
        }
    }
}
