// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The life of a daemon, seen from outside its process.

#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod daemon;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use libc::SIGUSR1;

use daemon::{Daemon, Room, Supervisor, accept, end_by_pid_file, full_pipe, output_of};

/// Request 1, version 1, no payload.
const GET_FEATURES: [u8; 12] = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn print_capabilities_amid_nonsense_prints_json_and_ends_well() {
    let room = Room::new();
    let ended = output_of(room.daemon(&["--nonsense", "--fd=x", "--print-capabilities", "-s"]));
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.stdout,
        "{\n  \"type\": \"rng\",\n  \"features\": [\n    \"nothing\"\n  ]\n}\n"
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn unknown_option_is_the_operators() {
    let ended = output_of(Room::new().daemon(&["--nonsense"]));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("unexpected argument '--nonsense'"), "{}", ended.stderr);
}

#[test]
fn help_goes_to_standard_output() {
    let ended = output_of(Room::new().daemon(&["--help"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("--socket-path <PATH>"), "{}", ended.stdout);
}

#[test]
fn no_socket_at_all_is_the_operators() {
    let ended = output_of(Room::new().daemon(&[]));
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "null-daemon: no socket: one of --socket-path, --fd and --connect is needed, \
         or a service manager that passes a socket (LISTEN_FDS)\n"
    );
}

#[test]
fn device_that_cannot_be_opened_is_the_operators_and_no_socket_appears() {
    let room = Room::new();
    let args = ["--socket-path=socket", "--pid-file=pid", "--file=missing"];
    let ended = output_of(room.daemon(&args));
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "null-daemon: open \"missing\": No such file or directory (os error 2)\n"
    );
    assert!(!room.has("socket") && !room.has("pid"));
}

#[test]
fn socket_and_pid_file_are_there_while_it_lives_and_gone_afterwards() {
    for signal in ["TERM", "INT"] {
        let room = Room::new();
        let daemon = Daemon::listening(room.daemon(&["-s", "socket", "--pid-file=pid"]));
        assert_eq!(fs::read_to_string(room.path("pid")).unwrap(), format!("{}\n", daemon.pid()));
        assert_eq!(fs::metadata(room.path("socket")).unwrap().mode() & 0o7777, 0o600);
        let _front_end = room.connect();
        daemon.says("front end connected");
        daemon.signal(signal);
        let (code, said) = daemon.end();
        assert_eq!(code, Some(0), "{said:#?}");
        assert!(!room.has("socket") && !room.has("pid"), "{said:#?}");
    }
}

#[test]
fn half_a_message_does_not_hold_up_the_end() {
    let room = Room::new();
    let daemon = Daemon::listening(room.daemon(&["-s", "socket"]));
    let mut front_end = room.connect();
    front_end.write_all(&[1, 0, 0, 0, 1]).unwrap();
    daemon.says("front end connected");
    daemon.signal("TERM");
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn front_end_is_answered_connection_after_connection() {
    let room = Room::new();
    let daemon = Daemon::listening(room.daemon(&["-s", "socket"]));
    for _ in 0..2 {
        let mut front_end = room.connect();
        // The reply has flag 4 and 8 bytes.
        front_end.write_all(&GET_FEATURES).unwrap();
        let mut reply = [0; 20];
        front_end.read_exact(&mut reply).unwrap();
        assert_eq!(reply[..12], [1, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0]);
        drop(front_end);
        daemon.says("front end disconnected");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn files_of_a_killed_daemon_are_taken_over() {
    let room = Room::new();
    let args = ["-s", "socket", "--pid-file=pid"];
    let daemon = Daemon::listening(room.daemon(&args));
    daemon.signal("KILL");
    assert_eq!(daemon.end().0, None);
    assert!(room.has("socket") && room.has("pid"));
    let daemon = Daemon::listening(room.daemon(&args));
    room.connect();
    daemon.signal("TERM");
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn second_daemon_on_the_same_socket_is_refused_and_the_first_lives_on() {
    let room = Room::new();
    let first = Daemon::listening(room.daemon(&["-s", "socket"]));
    let ended = output_of(room.daemon(&["-s", "socket"]));
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        format!(
            "null-daemon: socket \"socket\" is in use by null-daemon (process {})\n",
            first.pid()
        )
    );
    let _front_end = room.connect();
    first.says("front end connected");
    first.signal("TERM");
    assert_eq!(first.end().0, Some(0));
}

#[test]
fn second_daemon_on_the_same_pid_file_is_refused_before_its_socket_appears() {
    let room = Room::new();
    let first = Daemon::listening(room.daemon(&["-s", "socket", "--pid-file=pid"]));
    let ended = output_of(room.daemon(&["-s", "other", "--pid-file=pid"]));
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        format!("null-daemon: pid file \"pid\" is locked by process {}\n", first.pid())
    );
    assert!(!room.has("other"));
}

#[test]
fn inherited_listening_socket_is_served_and_never_removed() {
    let room = Room::new();
    let listener = UnixListener::bind(room.path("socket")).unwrap();
    let daemon = Daemon::listening(room.daemon_inheriting(listener, "", &["--fd=3"]));
    for _ in 0..2 {
        let front_end = room.connect();
        daemon.says("front end connected");
        drop(front_end);
        daemon.says("front end disconnected");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.end().0, Some(0));
    assert!(room.has("socket"));
}

#[test]
fn inherited_connection_is_served_once() {
    let room = Room::new();
    let (front_end, stream) = UnixStream::pair().unwrap();
    let daemon = Daemon::start(room.daemon_inheriting(stream, "", &["--fd=3"]));
    daemon.says("front end connected");
    drop(front_end);
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn inherited_file_that_is_no_socket_is_the_operators() {
    let room = Room::new();
    let file = File::create(room.path("file")).unwrap();
    let ended = output_of(room.daemon_inheriting(file, "", &["--fd=3"]));
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "null-daemon: file descriptor 3 is no socket: \
         Socket operation on non-socket (os error 88)\n"
    );
}

#[test]
fn socket_of_a_service_manager_is_served() {
    let room = Room::new();
    let listener = UnixListener::bind(room.path("socket")).unwrap();
    let variables = "LISTEN_PID=$$ LISTEN_FDS=1";
    let daemon = Daemon::listening(room.daemon_inheriting(listener, variables, &[]));
    let _front_end = room.connect();
    daemon.says("front end connected");
    daemon.signal("TERM");
    assert_eq!(daemon.end().0, Some(0));
    assert!(room.has("socket"));
}

#[test]
fn two_sockets_of_a_service_manager_are_one_too_many() {
    let room = Room::new();
    let listener = UnixListener::bind(room.path("socket")).unwrap();
    let script = "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$@\" 3<&0 4<&0";
    let mut command = room.daemon_in_shell(script, &[]);
    command.stdin(std::os::fd::OwnedFd::from(listener));
    let ended = output_of(command);
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "null-daemon: the service manager passed 2 sockets where there must be one\n"
    );
}

#[test]
fn front_end_that_listens_later_is_found() {
    let room = Room::new();
    let daemon = Daemon::start(room.daemon(&["--connect=socket"]));
    daemon.says("connect to \"socket\": No such file or directory");
    let listener = UnixListener::bind(room.path("socket")).unwrap();
    let _daemon_side = accept(listener);
    daemon.says("front end connected");
    daemon.signal("TERM");
    assert_eq!(daemon.end().0, Some(0));
    assert!(room.has("socket"), "it is the front end's");
}

#[test]
fn service_manager_hears_of_readiness_and_of_the_end() {
    let room = Room::new();
    let manager = Supervisor::at(room.path("notify"));
    let mut command = room.daemon(&["-s", "socket"]);
    command.env("NOTIFY_SOCKET", room.path("notify"));
    let daemon = Daemon::start(command);
    assert_eq!(manager.hears(), "READY=1\n");
    room.connect();
    daemon.signal("TERM");
    assert_eq!(manager.hears(), "STOPPING=1\n");
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn journal_gets_priorities_and_no_name() {
    let room = Room::new();
    let journal = File::create(room.path("journal")).unwrap();
    let metadata = journal.metadata().unwrap();
    let (front_end, stream) = UnixStream::pair().unwrap();
    drop(front_end);
    let mut command = room.daemon_inheriting(stream, "", &["--fd=3"]);
    command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
    command.stderr(journal);
    assert!(command.status().unwrap().success());
    assert_eq!(
        fs::read_to_string(room.path("journal")).unwrap(),
        "<6>front end connected\n<6>front end disconnected\n"
    );
}

#[test]
fn log_level_error_leaves_out_what_is_usual() {
    let room = Room::new();
    let (front_end, stream) = UnixStream::pair().unwrap();
    drop(front_end);
    let args = ["--fd=3", "--log-level=error"];
    let ended = output_of(room.daemon_inheriting(stream, "", &args));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn limit_on_descriptors_is_raised_as_far_as_it_may_be() {
    let room = Room::new();
    let script = "ulimit -S -n 64; exec \"$@\"";
    let daemon = Daemon::listening(room.daemon_in_shell(script, &["-s", "socket"]));
    let limits = daemon.file("limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard] = [0, 1].map(|at| line.split_whitespace().nth(at).unwrap());
    assert_eq!(soft, hard);
    assert_ne!(soft, "64", "the limit of this test itself is as low: it shows nothing");
    daemon.signal("TERM");
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn standard_error_that_nobody_reads_holds_up_nothing() {
    let room = Room::new();
    let (nobody, stderr) = full_pipe();
    let manager = Supervisor::at(room.path("notify"));
    let mut command = room.daemon(&["-s", "socket"]);
    command.env("NOTIFY_SOCKET", room.path("notify")).stderr(stderr);
    let daemon = Daemon::unheard(command);
    assert_eq!(manager.hears(), "READY=1\n");
    let mut front_end = room.connect();
    front_end.write_all(&GET_FEATURES).unwrap();
    front_end.read_exact(&mut [0; 20]).unwrap();
    daemon.signal("TERM");
    assert_eq!(manager.hears(), "STOPPING=1\n");
    assert_eq!(front_end.read(&mut [0]).unwrap(), 0);
    assert_eq!(daemon.code(), Some(0));
    drop(nobody);
}

#[test]
fn sigusr1_is_harmless_whenever_it_comes() {
    let room = Room::new();
    let fifo = room.fifo("fifo");
    let daemon = Daemon::start(room.daemon(&["-s", "socket", "--file=fifo"]));
    // It waits for somebody to write.
    daemon.wait_until_it_blocks(SIGUSR1);
    assert!(!room.has("socket"));
    daemon.signal("USR1");
    File::options().write(true).open(fifo).unwrap();
    daemon.says("Waiting for vhost-user socket connection");
    for _ in 0..2 {
        daemon.signal("USR1");
        let mut front_end = room.connect();
        front_end.write_all(&GET_FEATURES).unwrap();
        front_end.read_exact(&mut [0; 20]).unwrap();
        daemon.signal("USR1");
        drop(front_end);
        daemon.says("front end disconnected");
    }
    daemon.signal("USR1");
    daemon.signal("TERM");
    daemon.signal("USR1");
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn daemonized_process_serves_when_the_started_one_has_ended() {
    let room = Room::new();
    // That the output ends shows that no stream of it was kept.
    let ended = output_of(room.daemon(&["-s", "socket", "--pid-file=pid", "--daemonize"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("warning: the log ends here"), "{}", ended.stderr);
    room.connect();
    end_by_pid_file(&room);
    assert!(!room.has("socket") && !room.has("pid"));
}

#[test]
fn daemonized_process_keeps_the_pid_file_locked() {
    let room = Room::new();
    let args = ["-s", "socket", "--pid-file=pid", "--daemonize"];
    assert_eq!(output_of(room.daemon(&args)).code, Some(0));
    let pid = fs::read_to_string(room.path("pid")).unwrap();
    let ended = output_of(room.daemon(&args));
    end_by_pid_file(&room);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stderr, format!("null-daemon: pid file \"pid\" is locked by process {pid}"));
}

#[test]
fn daemonized_process_keeps_a_log_in_a_file() {
    let room = Room::new();
    let mut command = room.daemon(&["-s", "socket", "--pid-file=pid", "--daemonize"]);
    command.stderr(File::create(room.path("log")).unwrap());
    assert!(command.status().unwrap().success());
    end_by_pid_file(&room);
    let log = fs::read_to_string(room.path("log")).unwrap();
    assert!(log.ends_with("null-daemon: info: SIGTERM: ending\n"), "{log}");
    assert!(!log.contains("the log ends here"), "{log}");
}

#[test]
fn daemonized_process_keeps_working_directory_and_umask() {
    let room = Room::new();
    let args = ["--connect=socket", "--pid-file=pid", "--daemonize", "--log-level=error"];
    let script = "umask 051; exec \"$@\"";
    assert_eq!(output_of(room.daemon_in_shell(script, &args)).code, Some(0));
    let listener = UnixListener::bind(room.path("socket")).unwrap();
    let _daemon_side = accept(listener);
    let pid = fs::read_to_string(room.path("pid")).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim_end())).unwrap();
    end_by_pid_file(&room);
    assert!(status.contains("Umask:\t0051\n"), "{status}");
}

#[test]
fn daemonized_process_that_cannot_be_had_is_a_failure_with_its_text() {
    let room = Room::new();
    let ended = output_of(room.daemon(&["-s", "missing/socket", "--daemonize"]));
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "null-daemon: open the directory of socket \"missing/socket\": \
         No such file or directory (os error 2)\n"
    );
}

#[test]
fn start_with_too_few_descriptors_fails_aloud_and_leaves_nothing_behind() {
    let room = Room::new();
    let args = ["-s", "socket", "--pid-file=pid", "--daemonize", "--log-level=error"];
    let mut failures = 0;
    for limit in 4..256 {
        let script = format!("ulimit -n {limit}; exec \"$@\"");
        let ended = output_of(room.daemon_in_shell(&script, &args));
        if ended.code == Some(0) {
            break;
        }
        failures += 1;
        let causes = ["Too many open files", "errno 24", "open descriptors, and the limit is"];
        assert!(causes.iter().any(|cause| ended.stderr.contains(cause)), "{limit}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{limit}: {ended:?}");
        assert!(!room.has("socket") && !room.has("pid"), "{limit}: {ended:?}");
    }
    end_by_pid_file(&room);
    assert!(failures > 5, "only {failures} limits were too low");
}

#[test]
fn daemonized_process_killed_before_it_is_ready_is_a_failure() {
    let room = Room::new();
    // A manager that does not read lets the process wait while it says that it is ready.
    let manager = UnixDatagram::bind(room.path("notify")).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.connect(room.path("notify")).unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send(b"full").is_ok() {}
    assert_eq!(filler.send(b"full").unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut command = room.daemon(&["-s", "socket", "--pid-file=pid", "--daemonize"]);
    command.env("NOTIFY_SOCKET", room.path("notify"));
    let started = Daemon::start(command);
    started.says("the log ends here");
    let pid = loop {
        let pid = fs::read_to_string(room.path("pid")).unwrap();
        if pid.ends_with('\n') {
            break pid;
        }
    };
    daemon::kill("KILL", pid.trim_end());
    let (code, said) = started.end();
    drop(manager);
    assert_eq!(code, Some(1));
    assert_eq!(
        said,
        ["null-daemon: the process in the background ended before front ends could connect"]
    );
    assert!(!room.has("socket") && !room.has("pid"));
}
