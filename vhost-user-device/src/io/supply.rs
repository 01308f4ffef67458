// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where the threads of the queues get from what has their operations done.

use std::io;
use std::sync::{Arc, Once};

use super::Io;
use super::pool::{Pool, PoolEnd, Prepare};
use crate::device::Engine;
use crate::queue::Mailbox;
use crate::sys::Uring;

/// How many there are beside one, for what it cannot do.
const SMALL_POOL: usize = 4;

/// What all queues share of it.
#[derive(Debug)]
pub(crate) struct Supply {
    uring: Wish,
    pool: Option<Pool>,
}

/// What one queue's thread gets.
#[derive(Debug)]
pub(crate) struct Portion {
    uring: Wish,
    pool: Option<PoolEnd>,
}

/// Whether a queue's thread makes an io_uring.
#[derive(Clone, Debug)]
enum Wish {
    No,
    /// If it can. The first one that cannot says so.
    IfPossible(Arc<Once>),
    Yes,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// There is no io_uring for us.
    #[error("make an io_uring")]
    Uring(#[source] io::Error),
    /// The threads could not be made.
    #[error("start threads for I/O")]
    Pool(#[source] io::Error),
}

impl Engine {
    /// Whether it can be had here, so that an operator's choice can be judged before anything is
    /// started.
    ///
    /// # Errors
    /// There is no io_uring for us.
    pub fn check(self) -> Result<(), SupplyError> {
        match self {
            Self::Uring => Uring::new().map(drop).map_err(SupplyError::Uring),
            Self::None | Self::Auto | Self::Threads => Ok(()),
        }
    }
}

impl Supply {
    /// For the queues of the device type `name`. Threads that all of them share run on these CPUs,
    /// or on any, after they have called `prepare`; in the place of an io_uring there are `most` of them.
    pub(crate) fn new(
        name: &str,
        engine: Engine,
        most: usize,
        cpus: &[usize],
        prepare: &Prepare,
    ) -> Result<Self, SupplyError> {
        let uring = match engine {
            Engine::None => return Ok(Self { uring: Wish::No, pool: None }),
            Engine::Threads => Wish::No,
            Engine::Uring => Uring::new().map(|_| Wish::Yes).map_err(SupplyError::Uring)?,
            Engine::Auto => uring_or_else(most),
        };
        let count = if let Wish::No = uring { most } else { SMALL_POOL };
        let pool = Pool::start(name, count, cpus, prepare).map_err(SupplyError::Pool)?;
        Ok(Self { uring, pool: Some(pool) })
    }

    /// What the queue with this mailbox gets.
    pub(crate) fn portion(&self, home: &Mailbox) -> Portion {
        Portion {
            uring: self.uring.clone(),
            pool: self.pool.as_ref().map(|pool| pool.end(home.clone())),
        }
    }
}

impl Portion {
    /// Makes what the calling thread alone will use.
    pub(crate) fn make(self) -> Result<Io, SupplyError> {
        let uring = match self.uring {
            Wish::No => None,
            Wish::IfPossible(complaint) => {
                let say = |error: &io::Error| {
                    log::warn!("no further io_uring ({error}): {SMALL_POOL} threads wait instead");
                };
                Uring::new().inspect_err(|error| complaint.call_once(|| say(error))).ok()
            }
            Wish::Yes => Some(Uring::new().map_err(SupplyError::Uring)?),
        };
        Ok(Io::new(uring, self.pool))
    }
}

/// Whether there can be an io_uring. If not, the log says what there is instead.
fn uring_or_else(threads: usize) -> Wish {
    match Uring::new() {
        Ok(_) => Wish::IfPossible(Arc::new(Once::new())),
        Err(error) => {
            log::warn!("no io_uring ({error}): {threads} threads wait for the host instead");
            Wish::No
        }
    }
}
