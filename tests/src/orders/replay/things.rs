// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Descriptors of a recorded session, made anew.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::deadline::Deadline;
use crate::eventfd::EventFd;
use crate::orders::sys;
use crate::orders::{Descriptor, Kind};

/// All that was made so far, by its number.
#[derive(Debug, Default)]
pub(super) struct Things(HashMap<usize, Thing>);

/// One thing, with the end that is sent and the end that is kept.
#[derive(Debug)]
enum Thing {
    File(File),
    Counter(EventFd),
    /// A pipe or a socket.
    Ends {
        sent: OwnedFd,
        kept: File,
    },
}

impl Things {
    /// Makes what the descriptor stands for, unless it is there already.
    pub(super) fn make(&mut self, descriptor: Descriptor) -> Result<()> {
        if let Entry::Vacant(vacant) = self.0.entry(descriptor.number) {
            let made = Thing::of(descriptor.kind).with_context(|| format!("make {descriptor}"))?;
            vacant.insert(made);
        }
        Ok(())
    }

    /// Takes `fd`, which the back end has sent, for what the descriptor stands for.
    pub(super) fn take(&mut self, descriptor: Descriptor, fd: OwnedFd) {
        self.0.insert(descriptor.number, Thing::File(fd.into()));
    }

    /// The end that is sent.
    pub(super) fn sent(&self, number: usize) -> Result<BorrowedFd<'_>> {
        Ok(match self.get(number)? {
            Thing::File(file) => file.as_fd(),
            Thing::Counter(counter) => counter.as_fd(),
            Thing::Ends { sent, .. } => sent.as_fd(),
        })
    }

    /// The file of this number.
    pub(super) fn file(&self, number: usize) -> Result<&File> {
        match self.get(number)? {
            Thing::File(file) => Ok(file),
            other => bail!("descriptor {number} is no file: {other:?}"),
        }
    }

    /// Our end of the socket of this number.
    pub(super) fn socket(&self, number: usize) -> Result<UnixStream> {
        match self.get(number)? {
            Thing::Ends { kept, .. } => Ok(OwnedFd::from(kept.try_clone()?).into()),
            other => bail!("descriptor {number} is no socket: {other:?}"),
        }
    }

    /// Notifies the back end through this descriptor.
    pub(super) fn signal(&self, number: usize) -> Result<()> {
        match self.get(number)? {
            Thing::Counter(counter) => counter.signal(),
            Thing::Ends { kept, .. } => {
                (&*kept).write_all(&1_u64.to_ne_bytes()).context("write to a pipe or socket")?;
            }
            Thing::File(_) => bail!("descriptor {number} is for memory"),
        }
        Ok(())
    }

    /// Waits until the back end has notified us through this descriptor, and takes that; `false`
    /// if it hasn't after `patience`.
    pub(super) fn notified(&self, number: usize, patience: Duration) -> Result<bool> {
        let deadline = Deadline::after(patience);
        match self.get(number)? {
            Thing::Counter(counter) => Ok(counter.wait(deadline) > 0),
            Thing::Ends { kept, .. } => {
                let some = deadline.readable(kept);
                if some {
                    (&*kept).read(&mut [0; 512]).context("read from a pipe or socket")?;
                }
                Ok(some)
            }
            Thing::File(_) => bail!("descriptor {number} is for memory"),
        }
    }

    fn get(&self, number: usize) -> Result<&Thing> {
        self.0.get(&number).with_context(|| format!("find descriptor {number}"))
    }
}

impl Thing {
    fn of(kind: Kind) -> Result<Self> {
        Ok(match kind {
            Kind::Memfd { len, seals } => {
                let file = sys::sealable_memfd(len)?;
                sys::seal(file.as_fd(), seals)?;
                Self::File(file)
            }
            // Whether there are huge pages is the machine's affair; a back end sees no difference.
            Kind::Hugetlbfs { len } => Self::File(sys::sealable_memfd(len)?),
            Kind::File { len } => {
                let file = tempfile::tempfile()?;
                file.set_len(len)?;
                Self::File(file)
            }
            Kind::EventFd => Self::Counter(EventFd::new()),
            Kind::Pipe { write } => {
                let (reader, writer) = io::pipe()?;
                let [reader, writer] = [OwnedFd::from(reader), OwnedFd::from(writer)];
                let (sent, kept) = if write { (writer, reader) } else { (reader, writer) };
                Self::Ends { sent, kept: kept.into() }
            }
            Kind::Socket => {
                let (sent, kept) = UnixStream::pair()?;
                Self::Ends { sent: sent.into(), kept: OwnedFd::from(kept).into() }
            }
            Kind::Other => bail!("nobody knows what it was"),
        })
    }
}
