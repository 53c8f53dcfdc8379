//! How far a check has got, on standard error: on a terminal one line that is written over, else a
//! line for each part that is done, and one now and then while a part takes long.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use transfer_model::{Explored, Progress, Setting};

/// Off a terminal, a line tells this often how far the work is.
const PERIOD: Duration = Duration::from_secs(20);

/// The line, or the lines.
pub(super) struct Bar {
    terminal: bool,
    /// When the schedules began.
    begun: Instant,
    /// When something was told the last time.
    told: Mutex<Instant>,
}

impl Bar {
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, begun: Instant::now(), told: Mutex::new(Instant::now()) }
    }

    /// The same bar, for what begins now.
    pub(super) fn restarted(self) -> Self {
        Self { begun: Instant::now(), ..self }
    }

    /// How far an exploration is.
    pub(super) fn show(&self, setting: &Setting, progress: Progress) {
        let seconds = progress.elapsed.as_secs_f64();
        let (of, left) = match setting.known_states() {
            Some(all) => {
                let share = progress.states as f64 / all as f64;
                (format!(" of {}", grouped(all)), left(progress.elapsed, share))
            }
            None => (String::new(), String::new()),
        };
        self.over(&format!(
            "{}: {}{of} states, {} a second, {seconds:.0} s{left}",
            setting.name,
            grouped(progress.states),
            grouped(rate(progress.states, seconds)),
        ));
    }

    /// An exploration has come to its end.
    pub(super) fn explored(&self, setting: &Setting, explored: &Explored) {
        let seconds = explored.elapsed.as_secs_f64();
        self.line(&format!(
            "{}: {} states, all of them, {seconds:.0} s",
            setting.name,
            grouped(explored.states)
        ));
    }

    /// How far the schedules of the real stack are.
    pub(super) fn show_schedules(&self, progress: &transfer_schedules::Progress) {
        let (done, all) = (progress.scenarios_done as u64, progress.scenarios as u64);
        let share = (done as f64 + progress.share) / all.max(1) as f64;
        self.over(&format!(
            "{} schedules, {done} of {all} scenarios, {} at {:.0} %{}",
            grouped(progress.schedules),
            progress.scenario,
            progress.share * 100.0,
            left(self.begun.elapsed(), share)
        ));
    }

    /// What is going on, over the last line; off a terminal a line, if there was none for a while.
    pub(super) fn over(&self, text: &str) {
        if self.terminal {
            // A terminal that is gone has nothing to be told.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        } else if self.is_due() {
            self.line(text);
        }
    }

    /// Whether nothing was told for [`PERIOD`].
    fn is_due(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.elapsed() >= PERIOD;
        if due {
            *told = Instant::now();
        }
        due
    }

    /// A line that stays, where nothing is written over.
    fn line(&self, text: &str) {
        if !self.terminal {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.terminal {
            self.over("");
        }
    }
}

/// How long it takes yet, once there is something to tell it from.
fn left(elapsed: Duration, share: f64) -> String {
    if elapsed < Duration::from_secs(5) || share <= 0.001 {
        return String::new();
    }
    let seconds = elapsed.as_secs_f64() * (1.0 - share.min(1.0)) / share;
    if seconds < 90.0 {
        format!(", about {seconds:.0} s left")
    } else {
        format!(", about {:.0} min left", seconds / 60.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_estimated_from_what_is_done() {
        for (seconds, share, expected) in [
            (1, 0.5, ""),
            (60, 0.0, ""),
            (60, 0.5, ", about 60 s left"),
            (60, 0.1, ", about 9 min left"),
            (60, 1.2, ", about 0 s left"),
        ] {
            assert_eq!(left(Duration::from_secs(seconds), share), expected);
        }
    }
}
