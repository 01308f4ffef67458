// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `--block-backend`: all in one option, as Cloud Hypervisor's `vhost_user_block` has it.

use std::path::PathBuf;
use std::str::FromStr;

use crate::config::{self, Number};

/// What is typed behind `--block-backend`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockBackend {
    pub(crate) path: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) num_queues: u16,
    pub(crate) queue_size: u16,
    pub(crate) readonly: bool,
    pub(crate) direct: bool,
    /// Something was said about polling, which has an option of its own here.
    pub(crate) poll_queue: bool,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockBackendError {
    #[error("{0:?} is not NAME=VALUE")]
    NoValue(String),
    #[error(
        "there is no {0:?} among path, socket, num_queues, queue_size, readonly, direct, poll_queue"
    )]
    Name(String),
    #[error("{0}= is given twice")]
    Twice(&'static str),
    #[error("{0}= is missing")]
    Missing(&'static str),
    #[error("{name}={value}: not {kind}")]
    Value { name: &'static str, value: String, kind: &'static str },
}

/// The names, in the order of the fields.
const NAMES: [&str; 7] =
    ["path", "socket", "num_queues", "queue_size", "readonly", "direct", "poll_queue"];

impl FromStr for BlockBackend {
    type Err = BlockBackendError;

    fn from_str(text: &str) -> Result<Self, BlockBackendError> {
        let mut values = [None; NAMES.len()];
        for pair in text.split(',') {
            let (name, value) = pair
                .split_once('=')
                .filter(|(_, value)| !value.is_empty())
                .ok_or_else(|| BlockBackendError::NoValue(pair.to_owned()))?;
            let found = NAMES.iter().zip(&mut values).find(|(known, _)| **known == name);
            let (known, place) = found.ok_or_else(|| BlockBackendError::Name(name.to_owned()))?;
            if place.replace(value).is_some() {
                return Err(BlockBackendError::Twice(known));
            }
        }
        let [path, socket, num_queues, queue_size, readonly, direct, poll_queue] = values;
        Ok(Self {
            path: path.ok_or(BlockBackendError::Missing("path"))?.into(),
            socket: socket.ok_or(BlockBackendError::Missing("socket"))?.into(),
            num_queues: number("num_queues", num_queues, 1, config::NUM_QUEUES)?,
            queue_size: number("queue_size", queue_size, 128, config::QUEUE_SIZE)?,
            readonly: switch("readonly", readonly)?,
            direct: switch("direct", direct)?,
            poll_queue: poll_queue.is_some(),
        })
    }
}

fn number(
    name: &'static str,
    value: Option<&str>,
    default: u16,
    kind: Number,
) -> Result<u16, BlockBackendError> {
    let Some(value) = value else { return Ok(default) };
    let number = value.parse().ok().filter(|&number| (kind.is_one)(number));
    number.ok_or_else(|| BlockBackendError::Value {
        name,
        value: value.to_owned(),
        kind: kind.description,
    })
}

fn switch(name: &'static str, value: Option<&str>) -> Result<bool, BlockBackendError> {
    match value {
        None | Some("false" | "off") => Ok(false),
        Some("true" | "on") => Ok(true),
        Some(value) => {
            let kind = "true or false";
            Err(BlockBackendError::Value { name, value: value.to_owned(), kind })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<BlockBackend>().unwrap_err().to_string()
    }

    #[test]
    fn path_and_socket_are_enough() {
        let expected = BlockBackend {
            path: "/disk.img".into(),
            socket: "/s".into(),
            num_queues: 1,
            queue_size: 128,
            readonly: false,
            direct: false,
            poll_queue: false,
        };
        assert_eq!("path=/disk.img,socket=/s".parse(), Ok(expected));
    }

    #[test]
    fn all_the_names_are_taken_in_any_order() {
        let text = "poll_queue=true,direct=true,readonly=on,queue_size=256,num_queues=4,\
            socket=/s,path=a=b.img";
        let expected = BlockBackend {
            path: "a=b.img".into(),
            socket: "/s".into(),
            num_queues: 4,
            queue_size: 256,
            readonly: true,
            direct: true,
            poll_queue: true,
        };
        assert_eq!(text.parse(), Ok(expected));
    }

    #[test]
    fn what_is_missing_or_given_twice_is_named() {
        assert_eq!(refusal("socket=/s"), "path= is missing");
        assert_eq!(refusal("path=a"), "socket= is missing");
        assert_eq!(refusal("path=a,path=b"), "path= is given twice");
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert_eq!(refusal("path"), "\"path\" is not NAME=VALUE");
        assert_eq!(refusal("path="), "\"path=\" is not NAME=VALUE");
        assert_eq!(refusal(""), "\"\" is not NAME=VALUE");
        let names = "path, socket, num_queues, queue_size, readonly, direct, poll_queue";
        assert_eq!(refusal("iops=1"), format!("there is no \"iops\" among {names}"));
    }

    #[test]
    fn values_that_are_none_are_refused() {
        let text = "path=a,socket=b,";
        for value in ["x", "0", "257", "65536"] {
            let number = format!("num_queues={value}: not a number from 1 to 256");
            assert_eq!(refusal(&format!("{text}num_queues={value}")), number);
        }
        let number = "queue_size=100: not a power of two from 4 to 32768";
        assert_eq!(refusal(&format!("{text}queue_size=100")), number);
        let switch = "readonly=1: not true or false";
        assert_eq!(refusal(&format!("{text}readonly=1")), switch);
    }
}
