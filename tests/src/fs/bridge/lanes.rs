// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The threads between the kernel and the queues.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::init;
use super::lane::{self, Lane, MAX_WRITE, Returned, Slot};
use crate::deadline::Deadline;
use crate::eventfd::EventFd;
use crate::frontend::Frontend;
use crate::fs::sys;
use crate::fs::wire::{Fields, Header, IN_HEADER, INIT, OUT_HEADER, opcode};
use crate::memory::GuestMemory;

/// Room for what comes in a reply whose length the request does not say.
const ROOM: usize = 4096;

/// Faults of a daemon that are kept: the rest say no more.
const FAULTS: usize = 16;

/// All queues, and what their threads have in common.
#[derive(Debug)]
pub(super) struct Lanes {
    memory: GuestMemory,
    /// The high-priority one first.
    lanes: Vec<Lane>,
    stop: EventFd,
    offered: AtomicU64,
    agreed: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Lanes {
    /// Starts the high-priority queue and `requests` request queues.
    #[track_caller]
    pub(super) fn start(frontend: &mut Frontend, requests: u8) -> Self {
        let memory = lane::memory(requests);
        frontend.set_mem_table(&memory).expect("an ack of SET_MEM_TABLE");
        let lanes: Vec<Lane> = (0..=requests).map(|index| Lane::new(&memory, index)).collect();
        for (index, lane) in (0..=requests).zip(&lanes) {
            lane.with_queue(|queue| frontend.start(index, queue));
        }
        Self {
            memory,
            lanes,
            stop: EventFd::new(),
            offered: AtomicU64::new(0),
            agreed: AtomicU64::new(0),
            faults: Mutex::new(Vec::new()),
        }
    }

    /// Has threads carry requests from `device` and replies back, until the kernel or the daemon
    /// ends it, or [`Lanes::stop`].
    pub(super) fn run(
        this: &Arc<Self>,
        device: &Arc<File>,
        socket: UnixStream,
    ) -> Vec<JoinHandle<()>> {
        let spawn = |name: String, work: fn(&Self, &File, usize), index: usize| {
            let (lanes, device) = (Arc::clone(this), Arc::clone(device));
            let run = move || work(&lanes, &device, index);
            thread::Builder::new().name(name).spawn(run).expect("start a thread")
        };
        let all = 0..this.lanes.len();
        let back = all.clone().map(|i| spawn(format!("bridge-back-{i}"), Self::carry_back, i));
        let there = all.skip(1).map(|i| spawn(format!("bridge-there-{i}"), Self::carry_there, i));
        let mut threads: Vec<JoinHandle<()>> = back.chain(there).collect();
        let lanes = Arc::clone(this);
        threads.push(thread::spawn(move || {
            // It ends when the daemon does; what else it may say was not asked for.
            if Deadline::never().first_readable(&[lanes.stop.as_fd(), socket.as_fd()]) == Some(1) {
                lanes.stop();
            }
        }));
        threads
    }

    /// Ends all threads.
    pub(super) fn stop(&self) {
        self.stop.signal();
        self.lanes.iter().for_each(Lane::stop);
    }

    pub(super) fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn agreed(&self) -> u64 {
        self.agreed.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> Vec<u64> {
        self.lanes.iter().map(Lane::count).collect()
    }

    fn fault(&self, fault: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < FAULTS {
            faults.push(fault);
        }
    }
}

/// There.
impl Lanes {
    fn carry_there(&self, device: &File, index: usize) {
        let lane = &self.lanes[index];
        while let Some(slot) = lane.take() {
            let Some(len) = self.read(device, &slot) else { return };
            if let Some(unused) = self.send(index, slot, len) {
                lane.give_back(unused);
            }
        }
    }

    /// Reads a request, when there is one; `None` when all has ended.
    fn read(&self, device: &File, slot: &Slot) -> Option<usize> {
        loop {
            match sys::read(device, &slot.request) {
                Ok(len) => return Some(len),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let fds = [self.stop.as_fd(), device.as_fd()];
                    if Deadline::never().first_readable(&fds) != Some(1) {
                        return None;
                    }
                }
                // All has ended, before the read or in the middle of it.
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENODEV | libc::ECONNABORTED)) => {
                    return None;
                }
                // It was taken back before it was read.
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => (),
                Err(e) => {
                    self.fault(format!("read a request of the kernel: {e}"));
                    self.stop();
                    return None;
                }
            }
        }
    }

    /// Sends the request where it belongs, or gives the slot back, since it goes nowhere.
    fn send(&self, index: usize, slot: Slot, len: usize) -> Option<Slot> {
        let header = slot.header(&self.memory);
        match header.opcode {
            opcode::INTERRUPT => return Some(slot),
            opcode::FORGET | opcode::BATCH_FORGET => self.lanes[0].send(slot, header, len, 0),
            opcode::INIT => {
                let mut request = self.memory.read(slot.request.address(), len);
                self.offered.store(init::offer(&mut request), Ordering::Relaxed);
                slot.request.write(&request);
                self.lanes[index].send(slot, header, len, OUT_HEADER + INIT);
            }
            _ => {
                let room = OUT_HEADER + self.room(&slot, header.opcode, len);
                self.lanes[index].send(slot, header, len, room);
            }
        }
        None
    }

    /// How many bytes the kernel has room for, behind the header of the reply: no more than it asked
    /// for are any use.
    fn room(&self, slot: &Slot, opcode: u32, len: usize) -> usize {
        let at = match opcode {
            opcode::READ | opcode::READDIR | opcode::READDIRPLUS => IN_HEADER + 16,
            opcode::GETXATTR | opcode::LISTXATTR => IN_HEADER,
            opcode::IOCTL => IN_HEADER + 28,
            _ => return ROOM,
        };
        if len < at + 4 {
            return ROOM;
        }
        let start = slot.request.address() + u64::try_from(at).expect("a small offset");
        let size = Fields::of(&self.memory.read(start, 4)).u32();
        let size = usize::try_from(size).unwrap_or(MAX_WRITE).min(MAX_WRITE);
        match opcode {
            opcode::IOCTL => size + 16,
            // The length alone of an attribute is asked for without any room for it.
            opcode::GETXATTR | opcode::LISTXATTR => size.max(8),
            _ => size,
        }
    }
}

/// Back.
impl Lanes {
    fn carry_back(&self, device: &File, index: usize) {
        let lane = &self.lanes[index];
        loop {
            let returned = lane.returned();
            if returned.is_empty() {
                let fds = [self.stop.as_fd(), lane.call.as_fd()];
                if Deadline::never().first_readable(&fds) != Some(1) {
                    return;
                }
                take_calls(&lane.call);
                continue;
            }
            for one in returned {
                if one.answered {
                    self.answer(device, &one);
                }
                self.lanes[one.slot.home].give_back(one.slot);
            }
        }
    }

    /// Tells the kernel the reply, or its lack.
    fn answer(&self, device: &File, one: &Returned) {
        let Header { opcode, unique, .. } = one.header;
        let mut len = one.len;
        if len < OUT_HEADER || len > one.slot.reply.len() {
            self.fault(format!("opcode {opcode}: a reply of {len} bytes"));
            len = refuse(&one.slot, unique);
        } else if opcode == opcode::INIT {
            let mut reply = self.memory.read(one.slot.reply.address(), len);
            match init::accept(&mut reply, self.offered.load(Ordering::Relaxed)) {
                Ok(agreed) => {
                    self.agreed.store(agreed, Ordering::Relaxed);
                    one.slot.reply.write(&reply);
                }
                Err(fault) => {
                    self.fault(fault);
                    len = refuse(&one.slot, unique);
                }
            }
        }
        let Err(e) = sys::write(device, &one.slot.reply, len) else { return };
        if !matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::EPERM)) {
            let start = self.memory.read(one.slot.reply.address(), OUT_HEADER);
            self.fault(format!("opcode {opcode}: {len} bytes as a reply, {start:?}: {e}"));
            refuse_now(device, &one.slot, unique);
        }
        // Otherwise who asked has gone, or all has ended.
    }
}

/// Makes the reply EIO; its length.
fn refuse(slot: &Slot, unique: u64) -> usize {
    let len = u32::try_from(OUT_HEADER).expect("the length of a header");
    let mut reply = len.to_le_bytes().to_vec();
    reply.extend((-libc::EIO).to_le_bytes());
    reply.extend(unique.to_le_bytes());
    slot.reply.write(&reply);
    OUT_HEADER
}

/// Tells the kernel EIO, unless the request has gone by now.
fn refuse_now(device: &File, slot: &Slot, unique: u64) {
    let len = refuse(slot, unique);
    let _: io::Result<usize> = sys::write(device, &slot.reply, len);
}

/// Takes what was called so far.
fn take_calls(call: &File) {
    use std::io::Read;
    let mut count = [0; 8];
    // With nothing to take there is nothing to do.
    let _ = (&*call).read(&mut count);
}
