// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How fast the driver would be if the device took no time: a device that only gives back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use super::driver::{Driver, Plan, Window};
use super::layout::{Layout, Shape};
use super::queue::LoadQueue;
use super::sys::Area;
use crate::driver::NO_NOTIFY;
use crate::memory::GuestMemory;
use crate::sys;

/// The device on a thread of its own, which polls.
pub(super) fn with_a_thread(shape: Shape, plan: Plan, time: Duration) -> Window {
    let (driver, mut device) = pair(shape, plan);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                if device.serve() == 0 {
                    std::hint::spin_loop();
                }
            }
        });
        let window = run(driver, time);
        stop.store(true, Relaxed);
        window
    })
}

/// The device between two turns of the driver, on the same thread: what a request costs the driver.
/// The time of the device is in it, too.
pub(super) fn alone(shape: Shape, plan: Plan, time: Duration) -> Window {
    let (mut driver, mut device) = pair(shape, plan);
    driver.begin();
    let begin = Instant::now();
    let mut requests = 0;
    while begin.elapsed() < time {
        for _ in 0..64 {
            requests += u64::from(device.serve());
            driver.one_turn();
        }
    }
    Window { requests, seconds: begin.elapsed().as_secs_f64(), ..Window::default() }
}

fn run(mut driver: Driver, time: Duration) -> Window {
    driver.begin();
    driver.go_on(time / 10);
    let window = driver.go_on(time);
    driver.drain();
    window
}

/// A driver and a device for its queue.
fn pair(shape: Shape, plan: Plan) -> (Driver, Device) {
    let len = u64::try_from(LoadQueue::memory_of(shape)).expect("a length in 64 bits");
    let memory = GuestMemory::new(len);
    let eventfd = || sys::eventfd().expect("make an eventfd");
    let queue = LoadQueue::new(&memory, shape, false, eventfd());
    let (memory, layout) = queue.shared();
    let device = Device { memory, layout, next: 0 };
    device.memory.u16(layout.used).store(NO_NOTIFY.to_le(), Relaxed);
    (Driver::new(vec![queue], shape.depth, plan, None, eventfd()), device)
}

/// Gives back what it is given.
struct Device {
    memory: Arc<Area>,
    layout: Layout,
    next: u16,
}

impl Device {
    /// Gives back all that is there; how much that was.
    fn serve(&mut self) -> u16 {
        let (memory, layout) = (&*self.memory, &self.layout);
        let index = u16::from_le(memory.u16(layout.available + 2).load(Acquire));
        let count = index.wrapping_sub(self.next);
        for _ in 0..count {
            let entry = usize::from(self.next & (layout.size - 1));
            let head = u16::from_le(memory.u16(layout.available + 4 + 2 * entry).load(Relaxed));
            let slot = layout.slot(head.into()).expect("a head that the driver added");
            memory.byte(layout.status(slot)).store(0, Relaxed);
            let used = layout.used + 4 + 8 * entry;
            memory.u32(used).store(u32::from(head).to_le(), Relaxed);
            memory.u32(used + 4).store(1u32.to_le(), Relaxed);
            self.next = self.next.wrapping_add(1);
        }
        if count > 0 {
            memory.u16(layout.used + 2).store(self.next.to_le(), Release);
        }
        count
    }
}
