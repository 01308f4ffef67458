// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where log messages go: to standard error, or to syslog if the operator wants that.
//!
//! A message is written as one line, in one system call unless it is very long. Control characters
//! are escaped, so that text which a driver or a front end chose cannot pass for a line of ours.

mod stderr;
mod syslog;

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use log::{Level, Log, Metadata, Record};

use self::stderr::Stderr;
use self::syslog::Syslog;
use crate::config::LogConfig;

/// The socket on which syslog takes messages.
const DEV_LOG: &str = "/dev/log";

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Sends what is logged from now on where `config` says, under the program's `name`; `may_lack` says that
/// standard error does for a syslog that is not there.
///
/// # Errors
/// There is no syslog.
pub(crate) fn init(name: &'static str, config: LogConfig, may_lack: bool) -> Result<(), LogError> {
    let mut lack = None;
    let syslog = match config.syslog.then(|| connect(name, Path::new(DEV_LOG))) {
        Some(Ok(syslog)) => Some(Mutex::new(syslog)),
        Some(Err(error)) if may_lack => {
            lack = Some(error);
            None
        }
        Some(Err(error)) => return Err(error),
        None => None,
    };
    let panics_are_heard = syslog.is_none();
    let logger = LOGGER.get_or_init(|| Logger { stderr: Stderr::new(name), syslog });
    // An error says that there is a logger already: this one, since no other is ever set.
    let _ = log::set_logger(logger);
    log::set_max_level(config.level);
    if let Some(LogError::NoSyslog { path, source }) = lack {
        log::warn!("open syslog at {path:?}: {source}; the log comes here");
    }
    if !panics_are_heard {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            log::error!("{panic}");
            usual(panic);
        }));
    }
    Ok(())
}

fn connect(name: &'static str, path: &Path) -> Result<Syslog, LogError> {
    Syslog::connect(name, path)
        .map_err(|source| LogError::NoSyslog { path: path.to_owned(), source })
}

/// From now on there is no way to another syslog: if this one goes away, the log goes to standard error
/// for good.
pub(crate) fn expect_no_return() {
    if let Some(Logger { syslog: Some(syslog), .. }) = LOGGER.get() {
        locked(syslog).expect_no_return();
    }
}

/// Says why the program `name` ends, on standard error and, if the log goes there, to syslog.
pub(crate) fn last_words(name: &'static str, text: &str) {
    match LOGGER.get() {
        Some(Logger { stderr, syslog }) => {
            if let Some(syslog) = syslog {
                // It has been said on standard error in any case.
                let _ = locked(syslog).send(Level::Error, &escaped(text));
            }
            stderr.last_words(text);
        }
        None => Stderr::new(name).last_words(text),
    }
}

#[derive(Debug)]
struct Logger {
    stderr: Stderr,
    syslog: Option<Mutex<Syslog>>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = record.level();
        let text = record.args().to_string();
        match &self.syslog {
            None => self.stderr.message(level, &text),
            Some(syslog) => {
                let mut syslog = locked(syslog);
                let fell_silent = !syslog.is_silent();
                if let Err(error) = syslog.send(level, &escaped(&text)) {
                    if fell_silent {
                        let how_long =
                            if syslog.is_gone() { "from now on" } else { "until it is back" };
                        let text = format!("syslog: {error}; the log comes here {how_long}");
                        self.stderr.message(Level::Warn, &text);
                    }
                    self.stderr.message(level, &text);
                }
            }
        }
    }

    fn flush(&self) {}
}

fn locked(syslog: &Mutex<Syslog>) -> std::sync::MutexGuard<'_, Syslog> {
    syslog.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text with every control character written as an escape.
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            // Writing to a string cannot fail.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// There is no place for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("open syslog at {path:?}")]
    NoSyslog { path: PathBuf, source: io::Error },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_is_a_single_line_without_terminal_codes() {
        assert_eq!(escaped("a\nb\r\x1b[31mc\u{85}"), "a\\nb\\r\\u{1b}[31mc\\u{85}");
    }

    #[test]
    fn escaped_text_keeps_what_can_be_read() {
        assert_eq!(escaped("größer \"1\" \\n"), "größer \"1\" \\n");
    }

    #[test]
    fn syslog_that_is_missing_is_named_with_its_path() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let LogError::NoSyslog { path: named, source } = connect("daemon", &path).unwrap_err();
        assert_eq!((named, source.kind()), (path, io::ErrorKind::NotFound));
    }
}
