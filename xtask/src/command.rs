// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Programs that are started, waited for no longer than a limit, and judged by their exit status.

use std::io::{PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long what a program left behind may hold its output open after it has ended.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Runs a command with our own standard streams.
///
/// # Errors
/// It can't be started, fails, or hasn't ended by the limit and was killed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let what = describe(command);
    let mut child = command.spawn().with_context(|| format!("start {what}"))?;
    let Some(status) = ended_within(&mut child, limit)? else {
        child.kill().and_then(|()| child.wait()).with_context(|| format!("kill {what}"))?;
        bail!("{what} was killed: it had not ended after {} s", limit.as_secs());
    };
    ensure!(status.success(), "{what}: {status}");
    Ok(())
}

/// Runs a command and returns what it printed to standard output; the rest is ours.
///
/// # Errors
/// As [`run`], and output that is not UTF-8.
pub(crate) fn output(command: &mut Command, limit: Duration) -> Result<String> {
    let what = describe(command);
    let (mut reader, writer) = std::io::pipe().context("make a pipe")?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    let outcome = run(command.stdout(writer), limit);
    // The command has the pipe's other end; the reader waits for it to be closed.
    command.stdout(Stdio::null());
    let text = reader.join().expect("the reader does not panic");
    outcome?;
    text.with_context(|| format!("read the output of {what}"))
}

/// How a watched program ended, and all that it wrote.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) ending: Ending,
    pub(crate) output: String,
    pub(crate) took: Duration,
}

/// See [`Watched`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(ExitStatus),
    /// Killed at the limit, with all its children.
    TooLong,
    /// It ended, but children of its did not, and were killed.
    LeftChildren(ExitStatus),
}

/// Runs a command in a process group of its own, catches what it writes to either stream, and
/// leaves nothing of the group running.
///
/// # Errors
/// It can't be started or waited for.
pub(crate) fn watch(mut command: Command, limit: Duration) -> Result<Watched> {
    let what = describe(&command);
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    let both = writer.try_clone().context("make a pipe")?;
    command.stdin(Stdio::null()).stdout(writer).stderr(both).process_group(0);
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("start {what}"))?;
    drop(command);
    let reader = read_all(reader);

    let status = ended_within(&mut child, limit)?;
    let took = started.elapsed();
    let quiet = status.is_some() && finished_within(&reader, AFTERMATH);
    if !quiet {
        kill_group(child.id())?;
        child.wait().with_context(|| format!("wait for {what}"))?;
    }
    let ending = match status {
        None => Ending::TooLong,
        Some(status) if quiet => Ending::Exit(status),
        Some(status) => Ending::LeftChildren(status),
    };
    let bytes = reader.join().expect("the reader does not panic");
    Ok(Watched { ending, output: String::from_utf8_lossy(&bytes).into_owned(), took })
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The exit status, or `None` when the limit has passed before.
fn ended_within(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    // There is no wait with a limit in the standard library; a look costs a microsecond.
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().context("wait for a child process")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(20));
    }
}

fn read_all(mut reader: PipeReader) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is worth showing, and there is nobody else to tell.
        let _ = reader.read_to_end(&mut bytes);
        bytes
    })
}

fn finished_within<T>(thread: &JoinHandle<T>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while !thread.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    thread.is_finished()
}

fn kill_group(leader: u32) -> Result<()> {
    // The shell's own `kill` is on every machine, and an empty group is no news.
    let script = format!("kill -KILL -{leader} 2>/dev/null || true");
    run(Command::new("sh").args(["-c", &script]), AFTERMATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn run_of_a_failing_program_names_it_and_its_status() {
        let error = run(&mut shell("exit 3"), Duration::from_secs(20)).unwrap_err();
        assert_eq!(error.to_string(), "sh -c exit 3: exit status: 3");
    }

    #[test]
    fn run_beyond_its_limit_is_killed() {
        let error = run(Command::new("sleep").arg("1000"), Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "sleep 1000 was killed: it had not ended after 0 s");
    }

    #[test]
    fn output_is_what_the_program_wrote() {
        assert_eq!(output(&mut shell("echo one"), Duration::from_secs(20)).unwrap(), "one\n");
    }

    #[test]
    fn watch_catches_both_streams_in_order() {
        let watched = watch(shell("echo a; echo b >&2; echo c"), Duration::from_secs(20)).unwrap();
        assert_eq!(watched.output, "a\nb\nc\n");
        assert!(matches!(watched.ending, Ending::Exit(status) if status.success()));
    }

    #[test]
    fn watch_beyond_its_limit_kills_the_children_too() {
        let watched = watch(shell("echo a; sleep 1000 & wait"), Duration::from_secs(1)).unwrap();
        assert_eq!((watched.ending, watched.output.as_str()), (Ending::TooLong, "a\n"));
    }

    #[test]
    fn watch_tells_of_children_left_behind() {
        let watched = watch(shell("sleep 1000 & echo a"), Duration::from_secs(20)).unwrap();
        assert!(matches!(watched.ending, Ending::LeftChildren(status) if status.success()));
    }
}
