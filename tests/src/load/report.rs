// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What was found, as one JSON object in one line.

use std::fmt::Display;

use super::driver::Window;

/// Fields, one after the other.
#[derive(Debug, Default)]
pub(super) struct Report(String);

impl Report {
    /// The requests of a window.
    pub(super) fn of(window: &Window) -> Self {
        let mut report = Self::default();
        report.field("requests", window.requests);
        report.field("seconds", window.seconds);
        report.field("checked", window.checked);
        report.field("kicks", window.kicks);
        report.field("sleeps", window.sleeps);
        report
    }

    /// One number more. Its name needs no escaping.
    pub(super) fn field(&mut self, name: &str, value: impl Display) {
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0.push_str(&format!("{comma}\"{name}\":{value}"));
    }

    /// All of it.
    pub(super) fn line(&self) -> String {
        format!("{{{}}}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_an_object_of_numbers() {
        let window = Window { requests: 7, seconds: 1.5, checked: 1, kicks: 0, sleeps: 3 };
        let mut report = Report::of(&window);
        report.field("cpu", 0.25);
        let line = r#"{"requests":7,"seconds":1.5,"checked":1,"kicks":0,"sleeps":3,"cpu":0.25}"#;
        assert_eq!(report.line(), line);
    }
}
