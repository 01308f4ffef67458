// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Messages to the owner of a queue, and its acks.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::Setup;
use crate::io::Finished;
use crate::memory::Loss;
use crate::ring::{Inflight, Request};
use crate::sys::Eventfd;

/// What the owner of a queue is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Start at this available index, or where the in-flight region says. Acked.
    Start { setup: Setup, next_avail: u16, inflight: Option<Inflight> },
    /// Go on like this. Acked.
    Update(Setup),
    /// Take no more requests, wait for those in flight, stop. Acked with the index.
    Stop,
    /// A request was finished elsewhere.
    Home { request: Request, written: u32 },
    /// An operation is done.
    Finished(Finished),
    /// The device has a reason to be called.
    Look,
    /// End the thread.
    Quit,
}

/// The owner has done what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// Which queue.
    pub(crate) queue: u16,
    /// After [`Command::Stop`]: the next available index.
    pub(crate) next_avail: u16,
}

/// The control thread's and the requests' end: tells the owner.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    sender: Sender<Command>,
    bell: Arc<Bell>,
}

/// The owner's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: Receiver<Command>,
    /// A command that was found when the owner was about to sleep.
    next: Option<Command>,
    bell: Arc<Bell>,
}

/// How a sleeping owner is woken.
#[derive(Debug)]
struct Bell {
    eventfd: Eventfd,
    asleep: AtomicBool,
    /// A [`Command::Look`] is on its way: one is as good as many.
    looks: AtomicBool,
}

impl Mailbox {
    pub(crate) fn new() -> io::Result<(Self, Inbox)> {
        let (sender, receiver) = channel();
        let bell = Arc::new(Bell {
            eventfd: Eventfd::new()?,
            asleep: AtomicBool::new(false),
            looks: AtomicBool::new(false),
        });
        Ok((Self { sender, bell: Arc::clone(&bell) }, Inbox { receiver, bell, next: None }))
    }

    pub(crate) fn send(&self, command: Command) {
        // The owner is gone only after it was told to quit; then nobody waits for an answer.
        let _ = self.sender.send(command);
        // We send, then read whether it sleeps; the owner says that it sleeps, then looks for
        // commands: with a fence between the two on both sides, one of us sees the other.
        fence(Ordering::SeqCst);
        let asleep = &self.bell.asleep;
        if asleep.load(Ordering::Relaxed) && asleep.swap(false, Ordering::SeqCst) {
            self.bell.eventfd.signal();
        }
    }

    /// The device has a reason to be called, unless it is about to be.
    pub(crate) fn look(&self) {
        if !self.bell.looks.swap(true, Ordering::AcqRel) {
            self.send(Command::Look);
        }
    }

    /// An operation of the queue's is done.
    pub(crate) fn finished(&self, finished: Finished) {
        self.send(Command::Finished(finished));
    }
}

impl Inbox {
    /// The next command, if there is one.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Command> {
        self.next.take().or_else(|| self.receiver.try_recv().ok())
    }

    /// A [`Command::Look`] has come, and the device is called next: who has a reason from now on says so
    /// again.
    pub(crate) fn looks(&self) {
        self.bell.looks.store(false, Ordering::Release);
    }

    /// Whether there is a command.
    #[inline]
    pub(crate) fn has_some(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.receiver.try_recv().ok();
        }
        self.next.is_some()
    }

    /// The owner is about to wait for [`Self::fd`]. Returns whether it must not: there is a command.
    pub(crate) fn fall_asleep(&mut self) -> bool {
        self.bell.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let awake = self.has_some();
        if awake {
            self.wake_up();
        }
        awake
    }

    /// The owner waits no more.
    pub(crate) fn wake_up(&self) {
        self.bell.asleep.store(false, Ordering::Relaxed);
    }

    /// Readable when there may be a command for an owner that has fallen asleep.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.bell.eventfd.as_fd()
    }

    /// The commands that are there have been seen, or will be by [`Self::next`].
    pub(crate) fn clear(&self) {
        self.bell.eventfd.clear();
    }
}

/// What an owner tells the control thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It has done what it was told.
    Ack(Ack),
    /// Pages of this memory could not be had. Nothing more is taken from the queue.
    Lost(Loss),
}

/// Where the requests of one queue belong.
pub(crate) struct Home {
    mailbox: Mailbox,
    /// Answers a request that was dropped with the device's error status.
    pub(crate) fail: fn(&Request) -> u32,
}

impl Home {
    pub(crate) fn new(mailbox: Mailbox, fail: fn(&Request) -> u32) -> Self {
        Self { mailbox, fail }
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    pub(crate) fn receive(&self, request: Request, written: u32) {
        self.mailbox.send(Command::Home { request, written });
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").finish_non_exhaustive()
    }
}

/// The control thread's end of the acks of all queues.
#[derive(Debug)]
pub(crate) struct Acks {
    receiver: Receiver<Report>,
    wake: Arc<Eventfd>,
}

/// An owner's end of the acks.
#[derive(Clone, Debug)]
pub(crate) struct AckSender {
    sender: Sender<Report>,
    wake: Arc<Eventfd>,
}

impl Acks {
    pub(crate) fn new() -> io::Result<(Self, AckSender)> {
        let (sender, receiver) = channel();
        let wake = Arc::new(Eventfd::new()?);
        Ok((Self { receiver, wake: Arc::clone(&wake) }, AckSender { sender, wake }))
    }

    /// Readable when there may be an ack.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// The reports that have come.
    pub(crate) fn take(&self) -> impl Iterator<Item = Report> + '_ {
        self.wake.clear();
        self.receiver.try_iter()
    }
}

impl AckSender {
    pub(super) fn send(&self, report: Report) {
        // The control thread is gone only when the process ends.
        let _ = self.sender.send(report);
        self.wake.signal();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::sys::{Wait, wait_readable};

    /// Waits as an owner does. Nothing takes that long unless a bell was missed.
    fn sleep(inbox: &mut Inbox) {
        if inbox.fall_asleep() {
            return;
        }
        let rung = wait_readable([Some(inbox.fd())], Some(Duration::from_secs(20)));
        assert_eq!(rung.expect("waited"), [Wait::Readable]);
        inbox.clear();
        inbox.wake_up();
    }

    #[test]
    fn owner_that_sleeps_is_woken_for_every_command() {
        let (there, mut inbox_there) = Mailbox::new().expect("a mailbox");
        let (here, mut inbox_here) = Mailbox::new().expect("a mailbox");
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    while inbox_there.next().is_none() {
                        sleep(&mut inbox_there);
                    }
                    here.send(Command::Stop);
                }
            });
            for _ in 0..20_000 {
                there.send(Command::Stop);
                while inbox_here.next().is_none() {
                    sleep(&mut inbox_here);
                }
            }
        });
    }

    #[test]
    fn owner_that_is_awake_hears_no_bell() {
        let (mailbox, mut inbox) = Mailbox::new().expect("a mailbox");
        mailbox.send(Command::Quit);
        let rung = wait_readable([Some(inbox.fd())], Some(Duration::ZERO)).expect("waited");
        assert_eq!(rung, [Wait::Nothing]);
        assert!(inbox.has_some());
        assert!(inbox.fall_asleep());
        assert!(matches!(inbox.next(), Some(Command::Quit)));
        assert!(!inbox.has_some());
    }
}
