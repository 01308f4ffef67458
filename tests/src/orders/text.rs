// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Orders as text.
//!
//! ```text
//! # SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! front-end: QEMU 7.2.22
//! device: blk
//!
//! connected
//! > GET_FEATURES
//! < GET_FEATURES 0000000150000000
//! > SET_VRING_ADDR 00000000 00000000 ~00007f3c12001000 ~00007f3c12002000 ~00007f3c12001800 0000000000000000
//! > SET_VRING_KICK need_reply 0000000000000000 [eventfd#4]
//! < SET_VRING_KICK 0000000000000000
//! -- the guest's shell is there
//! closed by the front end
//! ```
//!
//! - First come lines `word: text`, which say what is known of the order.
//! - `>` and `<` begin a message on the connection and its answer, `>>` and `<<` those on the back
//!   end's channel: the arrow points away from the virtual machine for what it says. Then comes the
//!   request, then `need_reply` or `flags=` with a hexadecimal number if they are not just the
//!   version of the protocol (and, of an answer, that it is one).
//! - The payload follows as numbers in hexadecimal: as many digits as they have, two for a byte.
//!   They are in the machine's byte order in the message. A `~` marks what differs from run to run:
//!   addresses in the front end's process. `zero*N` is N bytes of zeroes, and `bytes:` begins a
//!   string of bytes.
//! - Descriptors are in brackets: the kind with a number, by which one that comes again can be told,
//!   then its length or which end of a pipe it is.
//! - A line that begins with blanks goes on with the one before.
//! - `--` begins a note: what was done just then to the front end or its guest.
//! - `#` begins a comment, at a line's beginning or behind blanks.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use super::descriptor::{Descriptor, Kind};
use super::layout::{self, Field};
use super::names::{name, number};
use super::{Order, Payload, Side, Step};
use crate::frontend::{NEED_REPLY, REPLY, VERSION};

const LICENCE: &str = "# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause";

/// Zeroes in a row that are counted instead of written.
const MANY: usize = 4;

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{LICENCE}")?;
        for (word, text) in &self.about {
            writeln!(f, "{word}: {text}")?;
        }
        writeln!(f)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Closed(Side::FrontEnd) => f.write_str("closed by the front end"),
            Self::Closed(Side::BackEnd) => f.write_str("closed by the back end"),
            Self::Note(text) => write!(f, "-- {text}"),
            Self::Message(side, message) => {
                let arrow = if *side == Side::FrontEnd { ">" } else { "<" };
                write!(f, "{arrow} {}", written(Side::FrontEnd, *side, message))
            }
            Self::Channel(side, message) => {
                let arrow = if *side == Side::FrontEnd { ">>" } else { "<<" };
                write!(f, "{arrow} {}", written(Side::BackEnd, *side, message))
            }
        }
    }
}

/// A message of `side`, about a request of `asking`.
fn written(asking: Side, side: Side, message: &Payload) -> String {
    let mut text = name(asking, message.request);
    match message.flags ^ usual_flags(asking, side) {
        0 => {}
        NEED_REPLY if asking == side => text.push_str(" need_reply"),
        _ => push(&mut text, format_args!(" flags={:x}", message.flags)),
    }
    let fields = if asking == Side::FrontEnd { layout::of(side, message) } else { Vec::new() };
    let mut rest = message.bytes.as_slice();
    for field in fields {
        let (mark, len) = match field {
            Field::Line => {
                text.push_str("\n   ");
                continue;
            }
            Field::Number(len) => ("", len),
            Field::Address => ("~", 8),
        };
        let Some((bytes, more)) = rest.split_at_checked(len) else { break };
        let digits: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
        push(&mut text, format_args!(" {mark}{digits}"));
        rest = more;
    }
    push_bytes(&mut text, rest);
    for descriptor in &message.descriptors {
        push(&mut text, format_args!(" {descriptor}"));
    }
    text
}

fn push(text: &mut String, more: fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a text takes all that is written to it");
}

/// Bytes without a structure: hexadecimal, with rows of zeroes counted.
fn push_bytes(text: &mut String, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
        if zeroes >= MANY || zeroes == bytes.len() {
            push(text, format_args!(" zero*{zeroes}"));
            bytes = &bytes[zeroes..];
            continue;
        }
        let many = |at: &usize| bytes[*at..].iter().take(MANY).all(|byte| *byte == 0);
        let len = (zeroes..bytes.len()).find(many).unwrap_or(bytes.len());
        let digits: String = bytes[..len].iter().map(|byte| format!("{byte:02x}")).collect();
        push(text, format_args!(" bytes:{digits}"));
        bytes = &bytes[len..];
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number;
        match self.kind {
            Kind::Memfd { len, seals: 0 } => write!(f, "[memfd#{number} {len:#x}]"),
            Kind::Memfd { len, seals } => write!(f, "[memfd#{number} {len:#x} seals={seals:x}]"),
            Kind::Hugetlbfs { len } => write!(f, "[hugetlbfs#{number} {len:#x}]"),
            Kind::File { len } => write!(f, "[file#{number} {len:#x}]"),
            Kind::EventFd => write!(f, "[eventfd#{number}]"),
            Kind::Pipe { write: true } => write!(f, "[pipe#{number} write]"),
            Kind::Pipe { write: false } => write!(f, "[pipe#{number} read]"),
            Kind::Socket => write!(f, "[socket#{number}]"),
            Kind::Other => write!(f, "[other#{number}]"),
        }
    }
}

fn usual_flags(asking: Side, side: Side) -> u32 {
    if asking == side { VERSION } else { VERSION | REPLY }
}

impl FromStr for Order {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        ensure!(lines.next() == Some(LICENCE), "line 1 is not `{LICENCE}`");
        let mut order = Self::default();
        let mut steps: Vec<(usize, String)> = Vec::new();
        for (at, line) in lines.enumerate() {
            let line = without_comment(line);
            if line.trim().is_empty() {
            } else if line.starts_with(' ') {
                let (_, before) = steps.last_mut().context("a first line that goes on")?;
                before.push_str(line);
            } else if let Some((word, said)) = about(line).filter(|_| steps.is_empty()) {
                order.about.push((word.to_owned(), said.to_owned()));
            } else {
                steps.push((at + 2, line.to_owned()));
            }
        }
        for (at, line) in steps {
            let step = line.parse().with_context(|| format!("line {at}: `{line}`"))?;
            order.steps.push(step);
        }
        Ok(order)
    }
}

/// A `#` in a descriptor's name has no blank before it.
fn without_comment(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or(line).trim_end() }
}

fn about(line: &str) -> Option<(&str, &str)> {
    let (word, text) = line.split_once(": ")?;
    let is_word = word.chars().all(|char| char.is_ascii_lowercase() || char == '-');
    is_word.then_some((word, text))
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        Ok(match (first, rest.trim()) {
            ("connected", "") => Self::Connected,
            ("closed", "by the front end") => Self::Closed(Side::FrontEnd),
            ("closed", "by the back end") => Self::Closed(Side::BackEnd),
            ("--", text) => Self::Note(text.to_owned()),
            (">", rest) => {
                Self::Message(Side::FrontEnd, read(Side::FrontEnd, Side::FrontEnd, rest)?)
            }
            ("<", rest) => Self::Message(Side::BackEnd, read(Side::FrontEnd, Side::BackEnd, rest)?),
            (">>", rest) => {
                Self::Channel(Side::FrontEnd, read(Side::BackEnd, Side::FrontEnd, rest)?)
            }
            ("<<", rest) => Self::Channel(Side::BackEnd, read(Side::BackEnd, Side::BackEnd, rest)?),
            _ => bail!("begins with none of connected, closed, --, >, <, >> and <<"),
        })
    }
}

/// A message of `side`, about a request of `asking`.
fn read(asking: Side, side: Side, text: &str) -> Result<Payload> {
    let mut words = text.split_whitespace().peekable();
    let request = words.next().context("a message without a request")?;
    let request = number(asking, request).with_context(|| format!("no request {request}"))?;
    let flags = usual_flags(asking, side);
    let (bytes, descriptors) = (Vec::new(), Vec::new());
    let mut message = Payload { request, flags, bytes, descriptors };
    while let Some(word) = words.next() {
        if word == "need_reply" {
            message.flags |= NEED_REPLY;
        } else if let Some(flags) = word.strip_prefix("flags=") {
            message.flags = u32::from_str_radix(flags, 16).context("read the flags")?;
        } else if let Some(kind) = word.strip_prefix('[') {
            let mut parts = vec![kind];
            while !parts.last().is_some_and(|part| part.ends_with(']')) {
                parts.push(words.next().context("a descriptor without its end")?);
            }
            let whole = parts.join(" ");
            message.descriptors.push(whole.trim_end_matches(']').parse()?);
        } else {
            read_bytes(word, &mut message.bytes).with_context(|| format!("read {word}"))?;
        }
    }
    Ok(message)
}

fn read_bytes(word: &str, bytes: &mut Vec<u8>) -> Result<()> {
    if let Some(count) = word.strip_prefix("zero*") {
        bytes.resize(bytes.len() + count.parse::<usize>()?, 0);
        return Ok(());
    }
    let (digits, is_number) = match word.strip_prefix("bytes:") {
        Some(digits) => (digits, false),
        None => (word.trim_start_matches('~'), true),
    };
    ensure!(digits.is_ascii() && digits.len().is_multiple_of(2), "there is half a byte");
    let pairs = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
    let mut read = pairs.collect::<Result<Vec<u8>, _>>()?;
    if is_number {
        ensure!(matches!(read.len(), 1 | 2 | 4 | 8), "no number has so many digits");
        read.reverse();
    }
    bytes.extend(read);
    Ok(())
}

impl FromStr for Descriptor {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, number) = text.split_once('#').context("a descriptor without a number")?;
        let mut words = number.split(' ');
        let number = words.next().unwrap_or_default().parse().context("a descriptor's number")?;
        let hex = |word: Option<&str>| -> Result<u64> {
            let digits = word.unwrap_or_default().trim_start_matches("0x");
            u64::from_str_radix(digits, 16).with_context(|| format!("read the length of {text}"))
        };
        let kind = match kind {
            "memfd" => {
                let len = hex(words.next())?;
                let seals = words.next().and_then(|word| word.strip_prefix("seals="));
                let seals = seals.map_or(Ok(0), |digits| u32::from_str_radix(digits, 16));
                Kind::Memfd { len, seals: seals.context("read the seals")? }
            }
            "hugetlbfs" => Kind::Hugetlbfs { len: hex(words.next())? },
            "file" => Kind::File { len: hex(words.next())? },
            "eventfd" => Kind::EventFd,
            "pipe" => Kind::Pipe { write: words.next() == Some("write") },
            "socket" => Kind::Socket,
            "other" => Kind::Other,
            _ => bail!("there is no kind {kind} of descriptors"),
        };
        Ok(Self { kind, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
front-end: QEMU 7.2.22
command: qemu -a b: c

connected
> GET_FEATURES
< GET_FEATURES 0000000150000000
> SET_MEM_TABLE need_reply 00000001 00000000
    0000000000000000 0000000010000000 ~00007f0000000000 0000000000000000 [memfd#1 0x10000000 seals=6]
< SET_MEM_TABLE 0000000000000000
> SET_VRING_KICK 0000000000000000 [pipe#2 write]
> 99 flags=f1 bytes:01000203 zero*5
-- stop
<< CONFIG_CHANGE_MSG
>> CONFIG_CHANGE_MSG zero*8
closed by the front end
";

    #[test]
    fn order_read_and_written_is_the_same_text() {
        let order: Order = TEXT.parse().unwrap();
        assert_eq!(order.about("command"), "qemu -a b: c");
        assert_eq!(order.to_string(), TEXT);
    }

    #[test]
    fn numbers_are_bytes_in_the_order_of_the_machine() {
        let order: Order = TEXT.parse().unwrap();
        let table = order.messages().nth(1).unwrap();
        assert!(table.needs_reply());
        assert_eq!(
            (table.u32(0), table.u64(16), table.u64(24)),
            (1, 0x1000_0000, 0x7f00_0000_0000)
        );
        let descriptor = Descriptor { kind: Kind::Memfd { len: 1 << 28, seals: 6 }, number: 1 };
        assert_eq!(table.descriptors, [descriptor]);
    }

    #[test]
    fn comments_and_empty_lines_mean_nothing() {
        let text = TEXT.replace("-- stop", "# why\n\n-- stop # and so on");
        assert_eq!(text.parse::<Order>().unwrap(), TEXT.parse().unwrap());
    }

    #[test]
    fn line_that_makes_no_sense_is_named() {
        for (line, why) in [
            ("hello", "begins with none of connected, closed, --, >, <, >> and <<"),
            ("> NOTHING", "no request NOTHING"),
            ("> GET_FEATURES 123", "there is half a byte"),
            ("> GET_FEATURES 123456", "no number has so many digits"),
            ("> SET_VRING_KICK [stick#1]", "there is no kind stick of descriptors"),
        ] {
            let error = format!("{TEXT}{line}\n").parse::<Order>().unwrap_err();
            let error = format!("{error:#}");
            assert!(error.starts_with(&format!("line 17: `{line}`: ")), "{error}");
            assert!(error.ends_with(why), "{error}");
        }
    }
}
