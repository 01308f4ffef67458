// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a device type supplies: one [`Device`] for the daemon, one [`DeviceQueue`] for each
//! started virtqueue.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::VirtioFeatures;
use crate::io::Finished;
use crate::queue::Turn;
use crate::ring::Request;

/// A virtio device: its features, its config space, and how its queues start.
///
/// One value serves every connection of the daemon, one after the other. The control thread and
/// the queue threads share it, so what changes in it needs a lock or an atomic of its own.
pub trait Device: Send + Sync + 'static {
    /// What serves one virtqueue, on the thread that owns it.
    type Queue: DeviceQueue;

    /// The device's short name, lower case: `blk` names its queue threads `blk-q0`, `blk-q1`, ...
    const NAME: &'static str;

    /// The features of the device type (virtio 1.3, section 5, bits 0 to 23 and 50 to 63).
    ///
    /// The session adds those of the transport and the ring: VERSION_1, INDIRECT_DESC, EVENT_IDX.
    fn features(&self) -> VirtioFeatures;

    /// How many virtqueues a front end may start, at most: GET_QUEUE_NUM's answer.
    fn num_queues(&self) -> u16;

    /// The longest virtqueue that a front end may set, in descriptors: a power of two.
    fn max_queue_size(&self) -> u16;

    /// Whether the front end may ask for the config space (the protocol feature CONFIG). Some front ends
    /// make a config space up, and misbehave if there is another one.
    fn has_config(&self) -> bool {
        true
    }

    /// Copies the config space from `offset` (bytes) to `out`; beyond its end there are zeroes.
    ///
    /// Called on the control thread, for GET_CONFIG, at any time.
    fn read_config(&self, offset: u32, out: &mut [u8]);

    /// Takes what was written to the config space at `offset` (bytes): SET_CONFIG.
    ///
    /// Called on the control thread, at any time.
    ///
    /// # Errors
    /// The field is read-only, or the value is not one that it can take.
    fn write_config(
        &self,
        offset: u32,
        data: &[u8],
        writer: ConfigWriter,
    ) -> Result<(), ConfigRefused> {
        let _ = writer;
        Err(ConfigRefused { offset, len: data.len() })
    }

    /// Looks at the host's side again, and returns whether the config space has changed by that.
    ///
    /// Called on the control thread, at any time. The front end is told by
    /// [`Session::config_changed`](crate::Session::config_changed).
    fn refresh(&self) -> bool {
        false
    }

    /// Readable when the host has said something of what the device stands on, so that
    /// [`Device::take_changes`] is worth a call. None if it does not.
    fn changes(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Takes all that there is to be read of [`Device::changes`], and returns, as
    /// [`Device::refresh`] does, whether the config space has changed by that.
    ///
    /// Called on the control thread, at any time.
    fn take_changes(&self) -> bool {
        false
    }

    /// What has the operations done that its queues start.
    fn engine(&self) -> Engine {
        Engine::None
    }

    /// How many threads wait for the host with [`Engine::Threads`], or in the place of an io_uring.
    fn num_threads(&self) -> usize {
        32
    }

    /// Makes a thread ready for requests: each queue's, and those that wait for the host. Called on it once,
    /// while the process may still do what it will not be allowed to later.
    ///
    /// # Errors
    /// The system refuses.
    fn prepare_thread(&self) -> io::Result<()> {
        Ok(())
    }

    /// The driver begins anew, or there will be another one: RESET_DEVICE, or the end of the connection.
    ///
    /// Called on the control thread, when no queue runs and no request is in flight.
    fn reset(&self) {}

    /// Makes what serves the virtqueue `index` from now on, with the features that the driver
    /// acked.
    ///
    /// Called on the thread that owns the queue, before its first request of a run. The value is
    /// dropped on that thread when the queue has stopped and no request is in flight.
    fn start_queue(&self, index: u16, acked: VirtioFeatures) -> Self::Queue;
}

/// What serves one started virtqueue. It lives on the thread that owns the queue.
pub trait DeviceQueue {
    /// What happens to requests while the front end has disabled the queue (SET_VRING_ENABLE 0).
    const WHEN_DISABLED: WhenDisabled = WhenDisabled::Leave;

    /// Takes one request: completes it now, has something done for it ([`Turn::start`]), or keeps it
    /// to complete it later, from [`DeviceQueue::poll`] or by [`Request::send_home`].
    fn submit(&mut self, request: Request, turn: &mut Turn<'_>);

    /// Takes what [`Turn::start`] began and what is done now.
    fn finished(&mut self, finished: Finished, turn: &mut Turn<'_>) {
        let written = Self::fail(&finished.request);
        turn.complete(finished.request, written);
    }

    /// Called once per round, after the last [`DeviceQueue::submit`]: completes what is ready.
    fn poll(&mut self, turn: &mut Turn<'_>) {
        let _ = turn;
    }

    /// When [`DeviceQueue::poll`] is to be called although nothing has happened; `None`: not by itself.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Called when the queue drains: completes every request that waits for something which may
    /// never come. What is being executed is left to complete by itself.
    fn cancel(&mut self, turn: &mut Turn<'_>) {
        let _ = turn;
    }

    /// Writes the device's error status into a request that nobody will serve, and returns the
    /// number of bytes written to its device-writable part.
    ///
    /// Called for a request that was dropped without an answer: a bug of ours.
    fn fail(request: &Request) -> u32;
}

/// The policy for a started but disabled virtqueue (vhost-user, "Ring states").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDisabled {
    /// Requests stay in the ring until the queue is enabled again: block and file system.
    Leave,
    /// Requests are taken and completed with length 0, without an effect: net transmit.
    Discard,
}

/// What has operations done: see [`Turn::start`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The calling thread, which waits.
    #[default]
    None,
    /// An io_uring for each queue if there can be one, else threads.
    Auto,
    /// An io_uring for each queue.
    Uring,
    /// A fixed number of threads for all queues.
    Threads,
}

/// Who writes to the config space (the flags of SET_CONFIG).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigWriter {
    /// The driver.
    Driver {
        /// The features that it has acked so far.
        acked: VirtioFeatures,
    },
    /// The front end, which brings over what the config space was on another host.
    Migration,
}

/// The driver wrote to a part of the config space that does not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("config space takes no write of {len} bytes at offset {offset}")]
pub struct ConfigRefused {
    /// Where the write began, in bytes.
    pub offset: u32,
    /// Its length in bytes.
    pub len: usize,
}
