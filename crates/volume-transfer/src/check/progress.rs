//! How far a check has got: one line on standard error that is written over, on a terminal only.

use std::io::{IsTerminal as _, Write as _};
use transfer_model::{Progress, Setting};

/// The line.
pub(super) struct Bar {
    terminal: bool,
}

impl Bar {
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    /// How far an exploration is.
    pub(super) fn show(&self, setting: &Setting, progress: Progress) {
        let rate = rate(progress.states, progress.elapsed.as_secs_f64());
        self.say(&format!(
            "{}: {} states, {} a second, {} s",
            setting.name,
            grouped(progress.states),
            grouped(rate),
            progress.elapsed.as_secs()
        ));
    }

    /// How far the schedules of the real stack are.
    pub(super) fn show_schedules(&self, progress: &transfer_schedules::Progress) {
        self.say(&format!(
            "{} schedules, {} of {} scenarios, {} at {:.0} %",
            grouped(progress.schedules),
            progress.scenarios_done,
            progress.scenarios,
            progress.scenario,
            progress.share * 100.0
        ));
    }

    /// One line, over the last one.
    pub(super) fn say(&self, text: &str) {
        if self.terminal {
            // A terminal that is gone has nothing to be told.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        self.say("");
    }
}

/// So many each second.
pub(super) fn rate(number: u64, seconds: f64) -> u64 {
    let millis = std::time::Duration::from_secs_f64(seconds.max(0.001)).as_millis();
    let rate = u128::from(number) * 1000 / millis.max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
