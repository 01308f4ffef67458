// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Between a front end and a back end: lets everything pass, and writes it down.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail};
use vhost::vhost_user::message::FrontendReq;

use super::descriptor::{Descriptor, Numbers};
use super::wire::{self, Whole};
use super::{Side, Step};
use crate::deadline::Deadline;

/// Listens in the place of a back end, and passes on what comes.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    steps: Arc<Mutex<Vec<Step>>>,
    /// A byte to it has the thread take the next order; one from it says that it has.
    bell: UnixStream,
    orders: Sender<Order>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What the thread is told to do, once all that has come is passed on.
#[derive(Debug)]
enum Order {
    Note(String),
    Disconnect,
    End,
}

impl Recorder {
    /// Listens on the socket `path`, which must not be there yet; each connection leads to one of
    /// its own to the back end that listens on `back_end`.
    ///
    /// # Errors
    /// There can be no such socket.
    pub fn start(path: &Path, back_end: &Path) -> Result<Self> {
        let listener = UnixListener::bind(path)
            .with_context(|| format!("listen on {} for a front end", path.display()))?;
        let (bell, heard) = UnixStream::pair().context("make a pair of sockets")?;
        let (orders, obeyed) = mpsc::channel();
        let desk = Desk { bell: heard, orders: obeyed };
        let steps = Arc::<Mutex<Vec<Step>>>::default();
        let tape = Tape { steps: Arc::clone(&steps), numbers: Numbers::default() };
        let back_end = back_end.to_owned();
        let thread = thread::spawn(move || pass_on(&listener, &desk, &back_end, tape));
        Ok(Self { path: path.to_owned(), steps, bell, orders, thread: Some(thread) })
    }

    /// Where the front end is to connect.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down what is about to be done to the front end or its guest, behind all that was
    /// said before.
    ///
    /// # Errors
    /// The recorder has ended.
    pub fn note(&self, text: &str) -> Result<()> {
        self.order(Order::Note(text.to_owned()))
    }

    /// What was recorded so far.
    pub fn steps(&self) -> Vec<Step> {
        locked(&self.steps).clone()
    }

    /// Ends the connection, as a back end does that dies. The front end may come again.
    ///
    /// # Errors
    /// The recorder has ended.
    pub fn disconnect(&self) -> Result<()> {
        self.order(Order::Disconnect)
    }

    /// Ends, with the connection if there is one, and returns what was recorded.
    ///
    /// # Errors
    /// Something could not be passed on.
    pub fn finish(mut self) -> Result<Vec<Step>> {
        // A recorder that failed has ended already; its thread says why.
        let _ = self.order(Order::End);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended?,
            _ => bail!("the recorder panicked"),
        }
        // Whoever looks for it again finds nothing, which is right.
        let _ = fs::remove_file(&self.path);
        Ok(self.steps())
    }

    /// Gives an order, and waits until it is obeyed.
    fn order(&self, order: Order) -> Result<()> {
        let act = format!("tell the recorder: {order:?}");
        self.orders.send(order).ok().context(act.clone())?;
        (&self.bell).write_all(&[0]).context(act.clone())?;
        (&self.bell).read_exact(&mut [0]).context(act)
    }
}

/// Where orders arrive.
struct Desk {
    bell: UnixStream,
    orders: Receiver<Order>,
}

impl Desk {
    /// The order that the bell was rung for.
    fn next(&self) -> Result<Order> {
        (&self.bell).read_exact(&mut [0]).context("hear of an order")?;
        self.orders.recv().context("take an order")
    }

    fn done(&self) -> Result<()> {
        (&self.bell).write_all(&[0]).context("say that an order was obeyed")
    }
}

fn locked(steps: &Mutex<Vec<Step>>) -> MutexGuard<'_, Vec<Step>> {
    steps.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one front end after the other until it is told to end.
fn pass_on(listener: &UnixListener, desk: &Desk, back_end: &Path, mut tape: Tape) -> Result<()> {
    loop {
        if ready(&[listener.as_fd(), desk.bell.as_fd()])? == 0 {
            let (front, _) = listener.accept().context("accept a front end")?;
            let back = UnixStream::connect(back_end)
                .with_context(|| format!("connect to {}", back_end.display()))?;
            tape.push(Step::Connected);
            let mut line = Line { front, back, channel: None, tape: &mut tape };
            let (closed, end) = line.run(desk)?;
            tape.push(Step::Closed(closed));
            if end {
                return desk.done();
            }
        } else {
            let order = desk.next()?;
            if let Order::Note(text) = &order {
                tape.push(Step::Note(text.clone()));
            }
            desk.done()?;
            if matches!(order, Order::End) {
                return Ok(());
            }
        }
    }
}

/// Waits for the first of `fds` that can be read from.
fn ready(fds: &[BorrowedFd<'_>]) -> Result<usize> {
    loop {
        if let Some(ready) = Deadline::new().first_readable(fds) {
            return Ok(ready);
        }
    }
}

/// What was recorded, and which descriptors came before.
struct Tape {
    steps: Arc<Mutex<Vec<Step>>>,
    numbers: Numbers,
}

impl Tape {
    fn push(&self, step: Step) {
        locked(&self.steps).push(step);
    }

    fn look_at(&mut self, fds: &[OwnedFd]) -> Result<Vec<Descriptor>> {
        let looked = fds.iter().map(|fd| self.numbers.of(fd)).collect::<Result<_, _>>();
        looked.context("look at descriptors")
    }
}

fn borrowed(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

/// One connection, and the back end's channel if the front end has opened one.
struct Line<'t> {
    front: UnixStream,
    back: UnixStream,
    /// The front end's socket, and ours, of which the back end has the other end.
    channel: Option<(UnixStream, UnixStream)>,
    tape: &'t mut Tape,
}

impl Line<'_> {
    /// Until one side closes, or an order says so. Returns which side has closed it, and whether all
    /// is to end.
    fn run(&mut self, desk: &Desk) -> Result<(Side, bool)> {
        loop {
            // What has come is passed on first, answers before questions.
            let mut fds = vec![self.back.as_fd(), self.front.as_fd()];
            if let Some((front, back)) = &self.channel {
                fds.extend([front.as_fd(), back.as_fd()]);
            }
            fds.push(desk.bell.as_fd());
            let (at, last) = (ready(&fds)?, fds.len() - 1);
            let passed = match at {
                0 => self.pass(Side::BackEnd)?,
                1 => self.pass(Side::FrontEnd)?,
                at if at == last => match desk.next()? {
                    Order::End => return Ok((Side::BackEnd, true)),
                    Order::Disconnect => {
                        desk.done()?;
                        return Ok((Side::BackEnd, false));
                    }
                    Order::Note(text) => {
                        self.tape.push(Step::Note(text));
                        desk.done()?;
                        Passed::On
                    }
                },
                2 => self.pass_on_channel(Side::FrontEnd)?,
                _ => self.pass_on_channel(Side::BackEnd)?,
            };
            if let Passed::Ended(side) = passed {
                return Ok((side, false));
            }
        }
    }

    /// Passes one message of `from` on to the other side.
    fn pass(&mut self, from: Side) -> Result<Passed> {
        let (source, sink) = match from {
            Side::FrontEnd => (&self.front, &self.back),
            Side::BackEnd => (&self.back, &self.front),
        };
        let Some(Whole { mut message, mut fds }) = wire::receive(source)? else {
            return Ok(Passed::Ended(from));
        };
        message.descriptors = self.tape.look_at(&fds)?;
        let opens_channel =
            from == Side::FrontEnd && message.request == u32::from(FrontendReq::SET_BACKEND_REQ_FD);
        self.tape.push(Step::Message(from, message.clone()));
        if opens_channel && let [fd] = fds.as_mut_slice() {
            let (ours, theirs) = UnixStream::pair().context("make a pair of sockets")?;
            let front = std::mem::replace(fd, theirs.into());
            self.channel = Some((front.into(), ours));
        }
        wire::send(sink, &message, &borrowed(&fds))?;
        Ok(Passed::On)
    }

    /// Passes one message of the back end's channel on. When that ends, the connection goes on.
    fn pass_on_channel(&mut self, from: Side) -> Result<Passed> {
        let Some((front, back)) = &self.channel else { return Ok(Passed::On) };
        let (source, sink) = match from {
            Side::FrontEnd => (front, back),
            Side::BackEnd => (back, front),
        };
        match wire::receive(source)? {
            None => self.channel = None,
            Some(Whole { mut message, fds }) => {
                message.descriptors = self.tape.look_at(&fds)?;
                self.tape.push(Step::Channel(from, message.clone()));
                wire::send(sink, &message, &borrowed(&fds))?;
            }
        }
        Ok(Passed::On)
    }
}

enum Passed {
    On,
    Ended(Side),
}
