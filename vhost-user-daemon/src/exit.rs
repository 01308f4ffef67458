// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How the process ends: 0 if it was asked to, 1 for a failure at run time, 2 for what the
//! operator can repair.

use std::error::Error;
use std::process::ExitCode;

/// Why the process ends, and the exit code that says whose turn it is.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    cause: Box<dyn Error + Send + Sync>,
}

impl Failure {
    pub(crate) const AT_RUN_TIME: u8 = 1;
    pub(crate) const OF_THE_OPERATOR: u8 = 2;

    /// What the system refused, or we got wrong.
    pub(crate) fn at_run_time(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code: Self::AT_RUN_TIME, cause: cause.into() }
    }

    /// What the operator got wrong.
    pub(crate) fn of_the_operator(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code: Self::OF_THE_OPERATOR, cause: cause.into() }
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Says it, as the program `name`, and gives the exit code for it.
    pub(crate) fn report(&self, name: &'static str) -> ExitCode {
        crate::log::last_words(name, &chain(&*self.cause));
        ExitCode::from(self.code)
    }
}

/// Ends the process now: no thread is waited for, nothing is dropped.
#[expect(clippy::exit, reason = "the one place where the process may end without unwinding")]
pub(crate) fn now(code: u8) -> ! {
    std::process::exit(code.into())
}

/// The error and its causes, from the outermost in, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("open disk image {path:?}")]
    struct Outer {
        path: &'static str,
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("read its size")]
    struct Inner(#[source] io::Error);

    #[test]
    fn chain_of_causes_is_one_line_from_the_outside_in() {
        let source = Inner(io::Error::from_raw_os_error(libc::EIO));
        assert_eq!(
            chain(&Outer { path: "a.img", source }),
            "open disk image \"a.img\": read its size: Input/output error (os error 5)"
        );
    }

    #[test]
    fn failure_says_whose_it_is_by_its_code() {
        assert_eq!(Failure::at_run_time("a").code(), 1);
        assert_eq!(Failure::of_the_operator("a").code(), 2);
    }
}
