// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A guest that runs: its shell, its end, and a report of its console when something goes wrong.

use std::io::{self, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow};

use super::console::{Console, Missed, Watch, text};

/// How long a guest may live, from its start to the end of its process.
pub(super) const LIFETIME: Duration = Duration::from_secs(90);

/// Which processes a guest consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Processes {
    /// The one that was started.
    One,
    /// Others too, in a process group that the started one made for itself. They outlive it.
    Group,
}

/// A running guest. When it is dropped its processes are killed.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    processes: Processes,
    console: Console,
    started: Instant,
    deadline: Instant,
    reported: bool,
}

impl Guest {
    /// Starts `command`, one process whose stdin and stdout are the guest's console, and which may
    /// live so long.
    ///
    /// # Errors
    /// It can't be started.
    pub fn of(command: Command, watch: Watch, lifetime: Duration) -> Result<Self> {
        Self::start(command, Processes::One, watch, lifetime)
    }

    /// Starts `command`, whose stdin and stdout are the guest's console.
    pub(super) fn start(
        mut command: Command,
        processes: Processes,
        watch: Watch,
        lifetime: Duration,
    ) -> Result<Self> {
        let (output, printed) = io::pipe().context("make a pipe for a guest's console")?;
        let errors = printed.try_clone().context("make a pipe for a guest's console")?;
        command.stdin(Stdio::piped()).stdout(printed).stderr(errors);
        let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
        // The command holds the writing ends of the pipe, which has to end with the guest.
        drop(command);
        let input = child.stdin.take().context("open the guest's console for typing")?;
        let started = Instant::now();
        Ok(Self {
            child,
            processes,
            console: Console::start(output, input, watch),
            started,
            deadline: started + lifetime,
            reported: false,
        })
    }

    /// Waits until the guest has booted from its disk and its shell shows a prompt. Returns how
    /// long that took since the guest's start.
    ///
    /// # Errors
    /// The guest ended, or did not get there before its deadline, 90 s after its start.
    pub fn wait_for_shell(&mut self) -> Result<Duration> {
        let prompt = |printed: &[u8]| prompt_at_end(printed).map(drop);
        match self.console.wait(0, self.deadline, prompt) {
            Ok(()) => Ok(self.started.elapsed()),
            Err(missed) => Err(self.report(missed, "show its shell's prompt")),
        }
    }

    /// Types a command into the guest's shell and returns what it printed, without the last line
    /// end.
    ///
    /// # Errors
    /// The command ended with another status than 0, the guest ended, or its deadline came.
    pub fn shell(&mut self, command: &str) -> Result<String> {
        let typed_at = self.console.len();
        self.console
            .type_line(command)
            .with_context(|| format!("type `{command}` into the guest's shell"))?;
        let answer = self.console.wait(typed_at, self.deadline, |printed| {
            let (output, status) = prompt_at_end(printed)?;
            Some((text(output), status))
        });
        let (output, status) =
            answer.map_err(|missed| self.report(missed, &format!("end `{command}`")))?;
        // The terminal echoes what is typed.
        let output = output.strip_prefix(command).unwrap_or(&output).trim_matches('\n');
        if status == 0 {
            Ok(output.to_owned())
        } else {
            Err(anyhow!("`{command}` ended with status {status} in the guest: {output}"))
        }
    }

    /// Waits until there is a shell again after `act`, which has the guest boot anew.
    ///
    /// # Errors
    /// `act` fails, the guest ended, or did not get there before its deadline.
    pub fn shell_after(&mut self, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let before = self.console.len();
        act()?;
        let prompt = |printed: &[u8]| prompt_at_end(printed).map(drop);
        let waited = self.console.wait(before, self.deadline, prompt);
        waited.map_err(|missed| self.report(missed, "show its shell's prompt again"))
    }

    /// Has the guest start again at once, as if its reset button were pressed, and waits for its shell.
    ///
    /// # Errors
    /// It did not get there before its deadline.
    pub fn reset(&mut self) -> Result<()> {
        let before = self.console.len();
        self.console
            .type_line("sync; reboot -f")
            .context("type `reboot` into the guest's shell")?;
        let prompt = |printed: &[u8]| prompt_at_end(printed).map(drop);
        let waited = self.console.wait(before, self.deadline, prompt);
        waited.map_err(|missed| self.report(missed, "show its shell's prompt after a reset"))
    }

    /// Says `poweroff` to the shell and waits for the end of the guest's process. Returns how long
    /// the guest lived.
    ///
    /// # Errors
    /// It does not end before its deadline, or ends with another exit code than 0.
    pub fn power_off(mut self) -> Result<Duration> {
        self.console.type_line("poweroff").context("type `poweroff` into the guest's shell")?;
        self.wait_for_end()
    }

    /// Waits for the end of the guest's process.
    pub(super) fn wait_for_end(&mut self) -> Result<Duration> {
        if let Err(missed) = self.console.record.wait_closed(self.deadline) {
            return Err(self.report(missed, "power off"));
        }
        let status = self.child.wait().context("wait for the end of the guest's process")?;
        if status.success() {
            Ok(self.started.elapsed())
        } else {
            self.reported = true;
            let said = self.console.transcript();
            Err(anyhow!("the guest's process ended with {status}; its console said:\n{said}"))
        }
    }

    /// The number of the guest's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that the guest's console said so far, at most its last 16 KiB.
    pub fn transcript(&self) -> String {
        self.console.transcript()
    }

    fn report(&mut self, missed: Missed, act: &str) -> Error {
        self.reported = true;
        let lived = self.started.elapsed().as_secs_f32();
        let how = match missed {
            Missed::Closed => "ended before it could",
            Missed::Deadline => "has not had the time to",
        };
        let said = self.console.transcript();
        anyhow!("after {lived:.1} s the guest {how} {act}; its console said:\n{said}")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // They may have ended by themselves, which is as good.
        if self.processes == Processes::Group {
            let kill = format!("kill -s KILL -- -{}", self.child.id());
            let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() && !self.reported {
            let said = self.console.transcript();
            let _ = writeln!(io::stderr(), "the guest's console said:\n{said}");
        }
    }
}

/// The prompt says how the last command ended: `[0] guest# `. Returns what comes before it, and
/// that status.
fn prompt_at_end(printed: &[u8]) -> Option<(&[u8], u32)> {
    let before = printed.strip_suffix(b"] guest# ")?;
    let bracket = before.iter().rposition(|byte| *byte == b'[')?;
    let status = std::str::from_utf8(&before[bracket + 1..]).ok()?.parse().ok()?;
    Some((&before[..bracket], status))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn guest(script: &str) -> Guest {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Guest::start(command, Processes::One, Watch::Record, Duration::from_secs(5)).unwrap()
    }

    /// A terminal that echoes, with the prompt of the guest's shell.
    const SHELL: &str = "printf '[0] guest# '; while read -r line; do \
        printf '%s\\r\\n' \"$line\"; eval \"$line\"; printf '[%d] guest# ' $?; done";

    #[test]
    fn shell_returns_what_the_command_printed() {
        let mut guest = guest(SHELL);
        guest.wait_for_shell().unwrap();

        assert_eq!(guest.shell("printf 'a\\r\\nb\\r\\n'").unwrap(), "a\nb");
    }

    #[test]
    fn shell_command_that_fails_is_an_error_with_its_output() {
        let mut guest = guest(SHELL);
        guest.wait_for_shell().unwrap();

        let error = guest.shell("echo no; (exit 3)").unwrap_err();

        assert_eq!(error.to_string(), "`echo no; (exit 3)` ended with status 3 in the guest: no");
    }

    #[test]
    fn guest_that_ends_too_soon_is_reported_with_its_console() {
        let mut guest = guest("echo kernel panic; echo on stderr >&2");

        let error = guest.wait_for_shell().unwrap_err().to_string();

        assert!(
            error.contains("the guest ended before it could show its shell's prompt"),
            "{error}"
        );
        assert!(error.ends_with("its console said:\nkernel panic\non stderr\n"), "{error}");
    }

    #[test]
    fn guest_that_hangs_is_reported_at_its_deadline_and_killed_when_dropped() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$; exec cat"]);
        let lifetime = Duration::from_millis(300);
        let mut guest = Guest::start(command, Processes::One, Watch::Record, lifetime).unwrap();

        let error = guest.wait_for_shell().unwrap_err().to_string();

        assert!(error.contains("has not had the time to show its shell's prompt"), "{error}");
        let process = format!("/proc/{}", guest.transcript().trim());
        assert!(Path::new(&process).exists(), "{process}");
        drop(guest);
        assert!(!Path::new(&process).exists(), "{process}");
    }

    #[test]
    fn guest_of_several_processes_is_killed_whole_when_dropped() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & printf '[0] guest# '; wait"]).process_group(0);
        let lifetime = Duration::from_secs(5);
        let mut guest = Guest::start(command, Processes::Group, Watch::Record, lifetime).unwrap();
        guest.wait_for_shell().unwrap();
        let record = Arc::clone(&guest.console.record);

        drop(guest);

        // It ends with the last process that has it open.
        record.wait_closed(Instant::now() + Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn guest_process_that_ends_with_an_error_is_an_error_of_power_off() {
        let mut guest = guest("printf '[0] guest# '; read -r line; echo got $line; exit 7");
        guest.wait_for_shell().unwrap();

        let error = guest.power_off().unwrap_err().to_string();

        assert!(error.contains("exit status: 7"), "{error}");
        assert!(error.contains("got poweroff"), "{error}");
    }
}
