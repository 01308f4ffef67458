// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where the threads of the queues get from what has their operations done.

use std::io;

use super::Io;
use super::pool::{Pool, PoolEnd};
use crate::device::Engine;
use crate::queue::Mailbox;
use crate::sys::Uring;

/// How many threads there are in the place of an io_uring.
const POOL: usize = 32;

/// How many there are beside one, for what it cannot do.
const SMALL_POOL: usize = 4;

/// What all queues share of it.
#[derive(Debug)]
pub(crate) struct Supply {
    uring: bool,
    pool: Option<Pool>,
}

/// What one queue's thread gets.
#[derive(Debug)]
pub(crate) struct Portion {
    uring: bool,
    pool: Option<PoolEnd>,
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
    /// or on any.
    pub(crate) fn new(name: &str, engine: Engine, cpus: &[usize]) -> Result<Self, SupplyError> {
        let uring = match engine {
            Engine::None => return Ok(Self { uring: false, pool: None }),
            Engine::Threads => false,
            Engine::Uring => Uring::new().map(|_| true).map_err(SupplyError::Uring)?,
            Engine::Auto => uring_or_else(),
        };
        let count = if uring { SMALL_POOL } else { POOL };
        let pool = Pool::start(name, count, cpus).map_err(SupplyError::Pool)?;
        Ok(Self { uring, pool: Some(pool) })
    }

    /// What the queue with this mailbox gets.
    pub(crate) fn portion(&self, home: &Mailbox) -> Portion {
        Portion { uring: self.uring, pool: self.pool.as_ref().map(|pool| pool.end(home.clone())) }
    }
}

impl Portion {
    /// Makes what the calling thread alone will use.
    pub(crate) fn make(self) -> Result<Io, SupplyError> {
        let uring = self.uring.then(Uring::new).transpose().map_err(SupplyError::Uring)?;
        Ok(Io::new(uring, self.pool))
    }
}

/// Whether there can be an io_uring. If not, the log says what there is instead.
fn uring_or_else() -> bool {
    let made = Uring::new();
    if let Err(error) = &made {
        log::warn!("no io_uring ({error}): {POOL} threads wait for the host instead");
    }
    made.is_ok()
}
