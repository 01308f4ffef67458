// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::io::{ErrorKind, Read, Write};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};

use super::*;
use crate::config::SocketPath;
use crate::sys::test::Thread;

mod refreshing;
mod script;

use script::{Script, ScriptHost};

const DEADLINE: Duration = Duration::from_secs(10);

/// What the loop did to a session, as the session saw it.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Connected,
    /// The socket was ready, and this is what it had.
    Read(u8),
    /// The socket was ready for writing.
    Wrote,
    HungUp,
    Acked,
    Asked,
    /// The device looked at the host's side again.
    Refreshed,
    /// The device read what the host said.
    ChangesTaken,
    /// The front end was to be told of another config space.
    ConfigChanged,
}

/// A control loop on a thread of its own.
struct Loop {
    thread: Thread,
    joined: JoinHandle<Result<Served, ServeError>>,
    finished: Receiver<()>,
    events: Receiver<Event>,
    acks: UnixStream,
    turns: Arc<AtomicUsize>,
    /// Whether the device finds another config space when it looks again.
    changed: Arc<AtomicBool>,
    /// By which the host says something.
    changes: UnixStream,
}

impl Loop {
    fn start(socket: Socket) -> Self {
        Self::start_with_drain(socket, DEADLINE)
    }

    fn start_with_drain(socket: Socket, longest_drain: Duration) -> Self {
        let (acks, its_acks) = UnixStream::pair().unwrap();
        let (its_events, events) = mpsc::channel();
        let refreshed = its_events.clone();
        let (say_thread, thread) = mpsc::channel();
        let (say_finished, finished) = mpsc::channel();
        let turns = Arc::new(AtomicUsize::new(0));
        let its_turns = turns.clone();
        let changed = Arc::new(AtomicBool::new(true));
        let (changes, its_changes) = UnixStream::pair().unwrap();
        let changed_too = changed.clone();
        let joined = thread::spawn(move || {
            let host = ScriptHost { events: refreshed, changes: its_changes, changed: changed_too };
            let mut control = Control::new(
                Signals::block().unwrap(),
                Supervisor::default(),
                &host,
                Policy::default(),
            )
            .unwrap();
            control.longest_drain = longest_drain;
            say_thread.send(Thread::current()).unwrap();
            let mut script = Script { events: its_events, acks: its_acks, turns: its_turns };
            let served = control.serve(socket, &mut script);
            say_finished.send(()).unwrap();
            served
        });
        let thread = thread.recv().unwrap();
        Self { thread, joined, finished, events, acks, turns, changed, changes }
    }

    fn expect(&self, event: Event) {
        assert_eq!(self.events.recv_timeout(DEADLINE).as_ref(), Ok(&event));
    }

    /// Nothing happens for a moment, and the loop does not turn for nothing either.
    fn rests(&self) {
        let before = self.turns.load(Ordering::Relaxed);
        let moment = Duration::from_millis(50);
        assert_eq!(self.events.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
        let turns = self.turns.load(Ordering::Relaxed) - before;
        assert!(turns < 50, "{turns} turns");
    }

    fn ack(&mut self) {
        self.acks.write_all(b"a").unwrap();
    }

    fn sigterm(&self) {
        self.thread.signal(libc::SIGTERM);
    }

    fn sigusr1(&self) {
        self.thread.signal(libc::SIGUSR1);
    }

    fn host_says_something(&self) {
        (&self.changes).write_all(b"c").unwrap();
    }

    fn end(self) -> Served {
        self.finished.recv_timeout(DEADLINE).expect("the loop goes on");
        self.joined.join().unwrap().unwrap()
    }
}

struct Room {
    directory: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    fn listener(&self) -> Socket {
        Socket::Listening(UnixListener::bind(self.path()).unwrap())
    }

    fn front_end(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }
}

fn connecting(path: &Path) -> Socket {
    let path = SocketPath::parse("--connect", path.to_owned()).unwrap();
    Socket::Connecting(FrontEnd { path, moved: false })
}

fn is_closed(mut stream: &UnixStream) -> bool {
    stream.read(&mut [0]).unwrap() == 0
}

#[test]
fn listener_serves_one_connection_after_the_other() {
    let room = Room::new();
    let control = Loop::start(room.listener());
    for _ in 0..100 {
        let mut front_end = room.front_end();
        front_end.write_all(b"x").unwrap();
        control.expect(Event::Connected);
        control.expect(Event::Read(b'x'));
        drop(front_end);
        // The next one comes while the loop may not know yet that this one has left.
        let mut again = room.front_end();
        again.write_all(b"y").unwrap();
        control.expect(Event::HungUp);
        control.expect(Event::Connected);
        control.expect(Event::Read(b'y'));
        drop(again);
        control.expect(Event::HungUp);
    }
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn second_front_end_while_one_is_served_is_refused() {
    let room = Room::new();
    let control = Loop::start(room.listener());
    let mut first = room.front_end();
    control.expect(Event::Connected);
    assert!(is_closed(&room.front_end()));
    first.write_all(b"x").unwrap();
    control.expect(Event::Read(b'x'));
    control.sigterm();
    control.expect(Event::Asked);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn next_front_end_during_a_drain_waits_and_is_served() {
    let room = Room::new();
    let mut control = Loop::start(room.listener());
    let mut first = room.front_end();
    control.expect(Event::Connected);
    first.write_all(b"r").unwrap();
    control.expect(Event::Read(b'r'));
    drop(first);
    control.expect(Event::HungUp);
    let mut next = room.front_end();
    next.write_all(b"x").unwrap();
    control.rests();
    control.ack();
    control.expect(Event::Acked);
    control.expect(Event::Connected);
    control.expect(Event::Read(b'x'));
    control.sigterm();
    control.expect(Event::Asked);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn socket_during_a_message_that_waits_for_acks_is_left_alone() {
    let room = Room::new();
    let mut control = Loop::start(room.listener());
    let mut front_end = room.front_end();
    control.expect(Event::Connected);
    front_end.write_all(b"bx").unwrap();
    control.expect(Event::Read(b'b'));
    // That another one is refused shows that the loop has turned since.
    assert!(is_closed(&room.front_end()));
    control.ack();
    control.expect(Event::Acked);
    control.expect(Event::Read(b'x'));
    control.sigterm();
    control.expect(Event::Asked);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn front_end_that_left_during_a_message_can_connect_again() {
    let room = Room::new();
    let mut control = Loop::start(room.listener());
    let mut front_end = room.front_end();
    control.expect(Event::Connected);
    front_end.write_all(b"b").unwrap();
    control.expect(Event::Read(b'b'));
    drop(front_end);
    let mut again = room.front_end();
    again.write_all(b"x").unwrap();
    control.rests();
    control.ack();
    control.expect(Event::Acked);
    control.expect(Event::HungUp);
    control.expect(Event::Connected);
    control.expect(Event::Read(b'x'));
    control.sigterm();
    control.expect(Event::Asked);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn socket_with_an_answer_outstanding_is_written_before_it_is_read() {
    let (mut front_end, stream) = UnixStream::pair().unwrap();
    front_end.write_all(b"wx").unwrap();
    let control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    control.expect(Event::Read(b'w'));
    control.expect(Event::Wrote);
    control.expect(Event::Read(b'x'));
    drop(front_end);
    control.expect(Event::HungUp);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn connected_socket_is_served_once() {
    let (front_end, stream) = UnixStream::pair().unwrap();
    let control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    drop(front_end);
    control.expect(Event::HungUp);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigterm_while_nobody_is_there_ends_at_once() {
    let room = Room::new();
    let control = Loop::start(room.listener());
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sighup_while_serving_has_no_effect() {
    let (mut front_end, stream) = UnixStream::pair().unwrap();
    let control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    control.thread.signal(libc::SIGHUP);
    front_end.write_all(b"x").unwrap();
    control.expect(Event::Read(b'x'));
    drop(front_end);
    control.expect(Event::HungUp);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigterm_with_a_request_in_flight_waits_for_it() {
    let (mut front_end, stream) = UnixStream::pair().unwrap();
    front_end.write_all(b"r").unwrap();
    let mut control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    control.expect(Event::Read(b'r'));
    control.sigterm();
    control.expect(Event::Asked);
    control.ack();
    control.expect(Event::Acked);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigterm_with_a_request_that_never_ends_waits_for_the_bound_only() {
    let (mut front_end, stream) = UnixStream::pair().unwrap();
    front_end.write_all(b"r").unwrap();
    let control = Loop::start_with_drain(Socket::Connected(stream), Duration::from_millis(30));
    control.expect(Event::Connected);
    control.expect(Event::Read(b'r'));
    let start = Instant::now();
    control.sigterm();
    control.expect(Event::Asked);
    assert_eq!(control.end(), Served::InPart);
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[test]
fn sigterm_during_a_drain_bounds_it() {
    let room = Room::new();
    let control = Loop::start_with_drain(room.listener(), Duration::from_millis(30));
    let mut front_end = room.front_end();
    front_end.write_all(b"r").unwrap();
    drop(front_end);
    control.expect(Event::Connected);
    control.expect(Event::Read(b'r'));
    control.expect(Event::HungUp);
    control.sigterm();
    assert_eq!(control.end(), Served::InPart);
}

#[test]
fn sigterm_while_a_message_waits_for_acks_is_heard() {
    let (mut front_end, stream) = UnixStream::pair().unwrap();
    front_end.write_all(b"b").unwrap();
    let control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    control.expect(Event::Read(b'b'));
    control.sigterm();
    control.expect(Event::Asked);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn connecting_finds_a_front_end_that_comes_later_and_again() {
    let room = Room::new();
    let control = Loop::start(connecting(&room.path()));
    for _ in 0..2 {
        control.rests();
        let listener = UnixListener::bind(room.path()).unwrap();
        control.expect(Event::Connected);
        let (mut front_end, _) = listener.accept().unwrap();
        front_end.write_all(b"x").unwrap();
        control.expect(Event::Read(b'x'));
        drop(listener);
        std::fs::remove_file(room.path()).unwrap();
        drop(front_end);
        control.expect(Event::HungUp);
    }
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigterm_while_there_is_nobody_to_connect_to_ends_at_once() {
    let room = Room::new();
    let control = Loop::start(connecting(&room.path()));
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn connect_to_a_front_end_that_does_not_accept_does_not_wait() {
    let room = Room::new();
    let listener = sys::socket::unix_stream().unwrap();
    sys::socket::bind(listener.as_fd(), &room.path()).unwrap();
    sys::socket::listen(listener.as_fd(), 0).unwrap();
    let path = room.path();
    let mut waiting = Vec::new();
    let error = loop {
        match connect(&path) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}
