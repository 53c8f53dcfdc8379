//! How far an audit is, on standard error: a bar on a terminal, else a line now and then.

use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use transfer_audit::Event;

/// Off a terminal, the time between two lines.
const NOW_AND_THEN: Duration = Duration::from_secs(15);

/// How far an audit is.
pub(crate) struct Progress {
    bar: ProgressBar,
    said: Mutex<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { bar: ProgressBar::new(0), said: Mutex::new(Instant::now()) }
    }
}

impl Progress {
    pub(crate) fn show(&self, event: &Event) {
        match event {
            Event::Volumes(all) => {
                self.bar.set_length(*all);
                let template = "{wide_bar} {pos}/{len} volumes, {per_sec}, {eta} left";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    self.bar.set_style(style);
                }
                self.bar.reset_eta();
            }
            Event::Volume => {
                self.bar.inc(1);
                self.say_now_and_then();
            }
            Event::Strays => {
                if let Ok(style) = ProgressStyle::with_template("{spinner} secrets without a name")
                {
                    self.bar.set_style(style);
                }
                self.bar.tick();
            }
            Event::Found(_) => {}
        }
    }

    fn say_now_and_then(&self) {
        if !self.bar.is_hidden() {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= NOW_AND_THEN {
            *said = Instant::now();
            let all = self.bar.length().unwrap_or_default();
            anstream::eprintln!("{} of {all} volumes", self.bar.position());
        }
    }

    /// Does something with the bar out of the way.
    pub(crate) fn aside(&self, act: impl FnOnce()) {
        self.bar.suspend(act);
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
