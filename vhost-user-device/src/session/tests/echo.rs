// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A device for the tests: three queues that answer a request with its own bytes.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::sync::{Arc, Mutex};

use crate::{
    ConfigRefused, ConfigWriter, Device, DeviceQueue, Request, Turn, VirtioFeatures, WhenDisabled,
};

/// Features that [`Echo`] offers: two bits that mean nothing here.
pub(super) const FEATURES: u64 = 1 << 5 | 1 << 9;
pub(super) const QUEUES: u16 = 3;
pub(super) const LONGEST: u16 = 256;
pub(super) const CONFIG: [u8; 8] = *b"a config";

/// What a queue does with its requests.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// Answers them at once.
    AtOnce,
    /// Keeps them until it is told to cancel.
    Park,
    /// Gives them to somebody else.
    Hand(Sender<Request>),
    /// Gives them to somebody else, and waits until they are taken.
    Meet(SyncSender<Request>),
}

/// What a queue was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Started(u16, VirtioFeatures),
    Submitted,
    Cancelled,
    Dropped,
}

/// What a test may set up in a device while its queues run.
#[derive(Debug, Default)]
struct Hooks {
    /// The next queue that is dropped waits for a message here, or until there can be none.
    gate: Option<Receiver<()>>,
    /// The next round of a queue is told here when its requests were taken.
    round: Option<Sender<()>>,
}

/// The device. `DISCARD`: its queues discard requests while they are disabled.
#[derive(Debug)]
pub(super) struct Echo<const DISCARD: bool = false> {
    way: Way,
    events: Sender<Event>,
    hooks: Arc<Mutex<Hooks>>,
}

#[derive(Debug)]
pub(super) struct EchoQueue<const DISCARD: bool> {
    way: Way,
    parked: Vec<Request>,
    events: Sender<Event>,
    hooks: Arc<Mutex<Hooks>>,
}

impl<const DISCARD: bool> Echo<DISCARD> {
    pub(super) fn new(way: Way) -> (Arc<Self>, Receiver<Event>) {
        let (events, receiver) = channel();
        (Arc::new(Self { way, events, hooks: Arc::default() }), receiver)
    }

    /// The next queue that is dropped waits until what this returns is dropped.
    pub(super) fn hold_drop(&self) -> Sender<()> {
        let (sender, receiver) = channel();
        self.hooks.lock().expect("not poisoned").gate = Some(receiver);
        sender
    }

    /// A message comes here from the next round of a queue.
    pub(super) fn next_round(&self) -> Receiver<()> {
        let (sender, receiver) = channel();
        self.hooks.lock().expect("not poisoned").round = Some(sender);
        receiver
    }
}

/// Writes what is in the readable part to the writable part; how many bytes these are.
pub(super) fn echo(request: &Request) -> u32 {
    let mut bytes = vec![0; request.readable().len()];
    request.readable().read(0, &mut bytes).expect("as many bytes");
    request.writable().write(0, &bytes).expect("as much room");
    u32::try_from(bytes.len()).expect("few bytes")
}

impl<const DISCARD: bool> Device for Echo<DISCARD> {
    type Queue = EchoQueue<DISCARD>;
    const NAME: &'static str = "echo";

    fn features(&self) -> VirtioFeatures {
        VirtioFeatures::from_bits(FEATURES)
    }

    fn num_queues(&self) -> u16 {
        QUEUES
    }

    fn max_queue_size(&self) -> u16 {
        LONGEST
    }

    fn read_config(&self, offset: u32, out: &mut [u8]) {
        for (at, byte) in (offset as usize..).zip(out) {
            *byte = CONFIG.get(at).copied().unwrap_or(0);
        }
    }

    /// The driver may write the first byte, a migration the second.
    fn write_config(
        &self,
        offset: u32,
        data: &[u8],
        writer: ConfigWriter,
    ) -> Result<(), ConfigRefused> {
        match (writer, offset, data.len()) {
            (ConfigWriter::Driver { .. }, 0, 1) | (ConfigWriter::Migration, 1, 1) => Ok(()),
            (_, offset, len) => Err(ConfigRefused { offset, len }),
        }
    }

    fn start_queue(&self, index: u16, acked: VirtioFeatures) -> Self::Queue {
        let events = self.events.clone();
        // A test that has no more use for events is no error.
        let _ = events.send(Event::Started(index, acked));
        let (way, hooks) = (self.way.clone(), Arc::clone(&self.hooks));
        EchoQueue { way, parked: Vec::new(), events, hooks }
    }
}

impl<const DISCARD: bool> EchoQueue<DISCARD> {
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

impl<const DISCARD: bool> DeviceQueue for EchoQueue<DISCARD> {
    const WHEN_DISABLED: WhenDisabled =
        if DISCARD { WhenDisabled::Discard } else { WhenDisabled::Leave };

    fn submit(&mut self, request: Request, turn: &mut Turn<'_>) {
        self.tell(Event::Submitted);
        match &self.way {
            Way::AtOnce => {
                let written = echo(&request);
                turn.complete(request, written);
            }
            Way::Park => self.parked.push(request),
            Way::Hand(to) => to.send(request).expect("somebody takes it"),
            Way::Meet(to) => to.send(request).expect("somebody takes it"),
        }
    }

    fn poll(&mut self, _turn: &mut Turn<'_>) {
        if let Some(round) = self.hooks.lock().expect("not poisoned").round.take() {
            let _ = round.send(());
        }
    }

    fn cancel(&mut self, turn: &mut Turn<'_>) {
        for request in self.parked.drain(..) {
            turn.complete(request, 0);
        }
        self.tell(Event::Cancelled);
    }

    fn fail(_request: &Request) -> u32 {
        0
    }
}

impl<const DISCARD: bool> Drop for EchoQueue<DISCARD> {
    fn drop(&mut self) {
        let gate = self.hooks.lock().expect("not poisoned").gate.take();
        self.tell(Event::Dropped);
        if let Some(gate) = gate {
            // An error says that nobody holds it shut any more.
            let _ = gate.recv();
        }
    }
}
