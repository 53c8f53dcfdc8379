//! A run: all volumes of a journal, so many at a time, until all have arrived or nothing can go on.

use crate::block_storage::BlockStorage;
use crate::journal::{Journal, JournalError, Place};
use crate::moving::{Failed, Mover, Stopped, Trouble};
use futures::StreamExt as _;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use transfer_core::VolumeId;

/// What a run needs.
pub struct Run<'a> {
    /// Whose volumes they are.
    pub donor: &'a BlockStorage,
    /// Whose they will be.
    pub recipient: &'a BlockStorage,
    /// Which volumes, and how far each is.
    pub journal: &'a Journal,
    /// How many at a time.
    pub jobs: NonZeroUsize,
    /// How long to wait before looking again at a volume that somebody is at: [`crate::SETTLING`].
    pub settling: Duration,
    /// Begin with no more volumes, and finish those under way.
    pub stop: CancellationToken,
}

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A volume has arrived.
    Arrived(VolumeId),
    /// A volume stays where it is.
    Failed(Failed),
    /// Somebody is at a volume: it waits for the next run.
    UnderWay(Failed),
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Volumes that arrived in this run.
    pub arrived: usize,
    /// Volumes that had arrived before it.
    pub arrived_before: usize,
    /// Volumes that stay with the donor, those of earlier runs included.
    pub failed: Vec<Failed>,
    /// Volumes that wait for the next run.
    pub left: usize,
    /// How many of those are on offer, with their auth keys in the journal.
    pub on_offer: usize,
    /// Those that wait because somebody else was at them, and the service's words.
    pub under_way: Vec<Failed>,
    /// Why it stopped before its end, if it did.
    pub stopped: Option<Stopped>,
    /// Why not all of this could be written down, if it could not. The journal may hold auth keys
    /// of offers that have ended then.
    pub unwritten: Option<String>,
    /// What it took.
    pub elapsed: Duration,
}

impl Summary {
    /// Whether every volume has arrived.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.left == 0 && self.unwritten.is_none()
    }
}

/// How far all volumes of a journal are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Volumes that have arrived.
    pub arrived: usize,
    /// Volumes that have been given up.
    pub failed: Vec<Failed>,
    /// Volumes that wait for the next run.
    pub left: usize,
    /// How many of those are on offer.
    pub on_offer: usize,
}

impl Standing {
    /// By the journal.
    pub fn of(journal: &Journal) -> Self {
        let mut standing = Self::default();
        for (volume, place) in journal.places() {
            match place {
                Place::Arrived => standing.arrived += 1,
                Place::Failed { reason } => standing.failed.push(Failed { volume, reason }),
                Place::Planned | Place::Refused => standing.left += 1,
                Place::Offered { .. } => {
                    standing.left += 1;
                    standing.on_offer += 1;
                }
            }
        }
        standing
    }
}

#[derive(Default)]
struct Counted {
    arrived: usize,
    under_way: Vec<Failed>,
    stopped: Option<Stopped>,
    broken: Option<JournalError>,
}

impl Run<'_> {
    /// Moves what is left. Offers that an earlier run has made are accepted first. When nothing can
    /// be written down any more, volumes under way are finished as far as they get, and no more are
    /// begun.
    pub async fn go(&self, show: &(dyn Fn(&Event) + Sync)) -> Summary {
        let begun = Instant::now();
        let arrived_before = Standing::of(self.journal).arrived;
        let rank = |place: &Place| match place {
            Place::Offered { .. } => Some(0),
            Place::Planned => Some(1),
            // What keeps only some from arriving keeps no others from it.
            Place::Refused => Some(2),
            Place::Arrived | Place::Failed { .. } => None,
        };
        let places = self.journal.places().into_iter();
        let mut todo: Vec<_> =
            places.filter_map(|(id, place)| Some((rank(&place)?, id, place))).collect();
        todo.sort_by_key(|(rank, ..)| *rank);
        let counted = Mutex::new(Counted::default());
        let jobs = self.jobs.get();
        futures::stream::iter(todo)
            .for_each_concurrent(jobs, |(_, volume, place)| {
                self.bring(volume, place, &counted, show)
            })
            .await;
        let counted = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
        let tidied = self.journal.tidy().err();
        let Standing { failed, left, on_offer, .. } = Standing::of(self.journal);
        Summary {
            arrived: counted.arrived,
            arrived_before,
            failed,
            left,
            on_offer,
            under_way: counted.under_way,
            stopped: counted.stopped,
            unwritten: counted.broken.or(tidied).map(|error| error.to_string()),
            elapsed: begun.elapsed(),
        }
    }

    /// Looks whether volumes that an earlier run has given up have arrived nevertheless: another
    /// run may have brought them.
    ///
    /// # Errors
    /// [`JournalError`] when that cannot be written down.
    pub async fn forgive(&self) -> Result<(), JournalError> {
        let is_failed = |place: &Place| matches!(place, Place::Failed { .. });
        for (volume, _) in self.journal.places().into_iter().filter(|(_, place)| is_failed(place)) {
            // Where that cannot be told, it stays as it was.
            if self.mover().has_arrived(&volume).await.unwrap_or(false) {
                self.journal.record(&volume, Place::Arrived)?;
            }
        }
        Ok(())
    }

    pub(crate) fn mover(&self) -> Mover<'_> {
        let Self { donor, recipient, journal, settling, stop, .. } = self;
        Mover { donor, recipient, journal, settling: *settling, stop }
    }

    async fn bring(
        &self,
        volume: VolumeId,
        place: Place,
        counted: &Mutex<Counted>,
        show: &(dyn Fn(&Event) + Sync),
    ) {
        let lock = || counted.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stop.is_cancelled() {
            lock().stopped.get_or_insert(Stopped::Asked);
            return;
        }
        let outcome = self.mover().bring(&volume, place).await;
        let fail = |reason: String| {
            let failed = Failed { volume: volume.clone(), reason };
            show(&Event::Failed(failed.clone()));
            self.journal.record(&volume, Place::Failed { reason: failed.reason })
        };
        let recorded = match outcome {
            Ok(()) => {
                lock().arrived += 1;
                show(&Event::Arrived(volume.clone()));
                Ok(())
            }
            Err(Trouble::Own(reason)) => fail(reason),
            Err(Trouble::UnderWay(reason)) => {
                let busy = Failed { volume, reason };
                show(&Event::UnderWay(busy.clone()));
                lock().under_way.push(busy);
                Ok(())
            }
            // As far as it has come, for the next run.
            Err(Trouble::Forbidden(reason)) => {
                self.halt(&mut lock(), Stopped::Systemic(reason));
                Ok(())
            }
            Err(Trouble::All(stopped)) => {
                self.halt(&mut lock(), stopped);
                Ok(())
            }
            Err(Trouble::Journal(error)) => Err(error),
        };
        if let Err(error) = recorded {
            self.halt(&mut lock(), Stopped::Systemic(error.to_string()));
            lock().broken.get_or_insert(error);
        }
    }

    /// No more volumes are begun.
    fn halt(&self, counted: &mut Counted, why: Stopped) {
        counted.stopped.get_or_insert(why);
        self.stop.cancel();
    }
}
