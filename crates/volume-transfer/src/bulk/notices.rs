//! What is told on the standard error while a run goes on, above its bar if there is one.

use super::report::called;
use bulk_transfer::{Event, Failed, Journal, Outage, Place};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Off a terminal, so many lines tell how far a run is.
const PARTS: usize = 10;

/// Where notices go: all of one run to the same place.
#[derive(Clone)]
pub(super) struct Notices(ProgressBar);

impl Notices {
    /// There is no bar yet.
    pub(super) fn new() -> Self {
        Self(ProgressBar::hidden())
    }

    /// A run goes on where nobody can hear of it any more.
    pub(super) fn say(&self, text: &str) {
        self.0.suspend(|| {
            let _ = writeln!(anstream::stderr(), "{text}");
        });
    }

    pub(super) fn tell(&self, outage: &Outage) {
        self.say(&match outage {
            Outage::Begun { cloud, said, again } => format!(
                "cloud {cloud:?} is not available, trying again in {again:?}, then less often: \
                 {said}"
            ),
            Outage::Over { cloud } => format!("cloud {cloud:?} is available again"),
        });
    }
}

/// How far a run is: a bar on a terminal, else a line for every tenth.
pub(super) struct Bar<'a> {
    journal: &'a Journal,
    notices: Notices,
    all: usize,
    done: AtomicUsize,
}

impl<'a> Bar<'a> {
    pub(super) fn new(journal: &'a Journal, notices: &Notices) -> Self {
        let places = journal.places();
        let done = |place: &Place| matches!(place, Place::Arrived | Place::Failed { .. });
        let done = places.iter().filter(|(_, place)| done(place)).count();
        let bar = &notices.0;
        bar.set_length(places.len() as u64);
        bar.set_position(done as u64);
        let template = "{wide_bar} {pos}/{len} volumes, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.reset_eta();
        bar.set_draw_target(ProgressDrawTarget::stderr());
        let (all, done) = (places.len(), AtomicUsize::new(done));
        Self { journal, notices: notices.clone(), all, done }
    }

    pub(super) fn show(&self, event: &Event) {
        if let Event::UnderWay(Failed { volume, reason }) = event {
            let volume = called(volume, self.journal.name(volume).as_deref());
            self.notices.say(&format!("still under way: {volume}: {reason}"));
            return;
        }
        let before = self.done.fetch_add(1, Ordering::Relaxed);
        self.notices.0.inc(1);
        if let Event::Failed(Failed { volume, reason }) = event {
            let volume = called(volume, self.journal.name(volume).as_deref());
            self.notices.say(&format!("failed: {volume}: {reason}"));
        }
        let part = |done: usize| done * PARTS / self.all.max(1);
        if self.notices.0.is_hidden() && part(before) < part(before + 1) {
            self.notices.say(&format!("{} of {} volumes", before + 1, self.all));
        }
    }

    pub(super) fn clear(&self) {
        self.notices.0.finish_and_clear();
    }
}
