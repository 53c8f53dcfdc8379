//! The offers of a run, taken back: none of them stays open, whether or not its auth key is known.

use crate::journal::{JournalError, Place};
use crate::moving::{Failed, Found, Mover, Stopped, Trouble};
use crate::run::Run;
use futures::StreamExt as _;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use transfer_core::{TransferId, VolumeId};

/// What became of the offers of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenBack {
    /// Volumes that are the donor's again, free for the next run.
    pub taken_back: usize,
    /// Volumes whose offer had been accepted.
    pub arrived: usize,
    /// Offers that are still open, by their volumes, and why.
    pub failed: Vec<Failed>,
    /// Why it stopped before its end, if it did.
    pub stopped: Option<Stopped>,
}

impl TakenBack {
    /// Whether no offer of the run is left.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.stopped.is_none()
    }
}

impl Run<'_> {
    /// Takes back what the run has offered and nobody has accepted. Its volumes are planned then:
    /// the run can still be gone on with.
    ///
    /// # Errors
    /// [`JournalError`] when nothing can be written down any more.
    pub async fn take_back(&self) -> Result<TakenBack, JournalError> {
        let mover = self.mover();
        let open = match mover.own_offers().await {
            Ok(open) => open,
            Err(failure) => {
                let stopped = Some(Stopped::by(&failure, &mover.whose(self.donor)));
                return Ok(TakenBack { stopped, ..TakenBack::default() });
            }
        };
        let mut offered: BTreeMap<VolumeId, Option<TransferId>> = BTreeMap::new();
        for (volume, place) in self.journal.places() {
            if matches!(place, Place::Offered { .. }) {
                offered.insert(volume, None);
            }
        }
        offered.extend(open.into_iter().map(|(volume, offer)| (volume, Some(offer))));
        let counted = Mutex::new((TakenBack::default(), None));
        futures::stream::iter(offered)
            .for_each_concurrent(self.jobs.get(), |(volume, offer)| {
                self.bring_back(&mover, volume, offer, &counted)
            })
            .await;
        let (taken, broken) = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = broken {
            return Err(error);
        }
        self.journal.tidy()?;
        Ok(taken)
    }

    async fn bring_back(
        &self,
        mover: &Mover<'_>,
        volume: VolumeId,
        offer: Option<TransferId>,
        counted: &Mutex<(TakenBack, Option<JournalError>)>,
    ) {
        let found = if self.stop.is_cancelled() {
            Err(Trouble::All(Stopped::Asked))
        } else {
            mover.take_back(&volume, offer.as_ref()).await
        };
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, broken) = &mut *counted;
        let stopped = match found {
            Ok(Found::AtDonor) => {
                taken.taken_back += 1;
                return;
            }
            Ok(Found::Arrived) => {
                taken.arrived += 1;
                return;
            }
            Err(Trouble::Own(reason) | Trouble::Forbidden(reason) | Trouble::UnderWay(reason)) => {
                taken.failed.push(Failed { volume, reason });
                return;
            }
            Err(Trouble::All(stopped)) => stopped,
            Err(Trouble::Journal(error)) => {
                let stopped = Stopped::Systemic(error.to_string());
                broken.get_or_insert(error);
                stopped
            }
        };
        taken.stopped.get_or_insert(stopped);
        self.stop.cancel();
    }
}
