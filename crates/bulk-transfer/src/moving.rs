//! One volume on its way: offered, accepted, and what is done when nobody knows whether it was.
//!
//! After an outcome that is not known, and for a volume that an earlier run had begun with, the
//! clouds are looked at before anything is asked for again: a volume that the recipient has has
//! arrived, and an offer of this run whose auth key is lost is taken back.

use crate::block_storage::{BlockStorage, TRIES, Transfer, Volume, Waiting, pause};
use crate::journal::{Journal, JournalError, Place};
use openstack_http::{Failure, Password, Refusal};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use transfer_core::{ProjectId, TransferId, VolumeId};

/// Between two looks at what is about to change.
pub const SETTLING: Duration = Duration::from_millis(500);
/// How many looks there are: together longer than a service keeps at one operation.
const LOOKS: u32 = 150;
/// With these words a service says that somebody is at a volume at this moment.
const UNDER_WAY: &str = "Another transfer operation on volume";

/// A volume that stays with the donor, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The volume.
    pub volume: VolumeId,
    /// The service's words.
    pub reason: String,
}

/// Why a run has stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Somebody asked for it.
    Asked,
    /// What went wrong would go wrong with every other volume.
    Systemic(String),
    /// A service did not answer for too long. It may pass.
    Outage(String),
}

impl Stopped {
    /// By what a service has said, and whose.
    pub(crate) fn by(failure: &Failure, whose: &str) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Systemic(format!("{whose}: {refusal}")),
            Failure::Unknown(unknown) => {
                Self::Outage(format!("{whose}: the service does not answer: {unknown}"))
            }
        }
    }
}

/// What keeps a volume from arriving.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Its own: others may still arrive.
    Own(String),
    /// Everybody's. The volume is with the donor as before, or its offer is in the journal.
    All(Stopped),
    /// This volume's 403: nobody knows yet whether it is the others', too.
    Forbidden(String),
    /// Somebody is at it, and goes on for longer than is waited for. The journal is as it was.
    UnderWay(String),
    /// Nothing can be written down any more.
    Journal(JournalError),
}

impl Trouble {
    /// By what a service has said, and whose: a volume's own is in its words alone.
    fn by(failure: Failure, whose: &str) -> Self {
        match failure {
            Failure::Refused(Refusal { status: 401 | 405 | 406 | 413, .. })
            | Failure::Unknown(_) => Self::All(Stopped::by(&failure, whose)),
            Failure::Refused(refusal) if refusal.status == 403 => {
                Self::Forbidden(format!("{whose}: {refusal}"))
            }
            Failure::Refused(refusal) if is_under_way(&refusal) => Self::UnderWay(refusal.message),
            Failure::Refused(refusal) => Self::Own(refusal.message),
        }
    }
}

fn is_under_way(refusal: &Refusal) -> bool {
    refusal.status == 400 && refusal.message.contains(UNDER_WAY)
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Where a volume is found.
pub(crate) enum Found {
    AtDonor,
    Arrived,
}

/// What all volumes of a run share.
pub(crate) struct Mover<'a> {
    pub(crate) donor: &'a BlockStorage,
    pub(crate) recipient: &'a BlockStorage,
    pub(crate) journal: &'a Journal,
    pub(crate) settling: Duration,
    pub(crate) stop: &'a CancellationToken,
}

impl<'a> Mover<'a> {
    /// Brings a volume from where it is to the recipient.
    pub(crate) async fn bring(&self, volume: &VolumeId, place: Place) -> Result<(), Trouble> {
        let resumed = self.journal.was_there();
        let mut way = Way {
            doubtful: resumed,
            gone_before: false,
            accepting: resumed,
            patience: Patience { tries: 0, waiting: Waiting::default(), stop: self.stop },
        };
        let mut place = place;
        loop {
            place = match place {
                Place::Planned | Place::Refused | Place::Failed { .. } => {
                    self.offer(volume, &mut way).await?
                }
                Place::Offered { transfer, auth_key } => {
                    self.accept(volume, transfer, auth_key, &mut way).await?
                }
                Place::Arrived => return Ok(()),
            };
            self.journal.record(volume, place.clone())?;
        }
    }

    async fn offer(&self, volume: &VolumeId, way: &mut Way<'a>) -> Result<Place, Trouble> {
        if way.doubtful && matches!(self.look(volume).await?, Found::Arrived) {
            way.patience.waiting.answered();
            return Ok(Place::Arrived);
        }
        let outcome = self.donor.offer(volume, &self.journal.offer_name()).await;
        way.patience.waiting.hear(&outcome);
        let failure = match outcome {
            Ok((transfer, auth_key)) => return Ok(Place::Offered { transfer, auth_key }),
            Err(failure) => failure,
        };
        // Where nothing else is in the way, an earlier offer, whose reply was lost, is under way.
        let may_be_under_way = way.doubtful && way.patience.lasts();
        if let Failure::Refused(refusal) = &failure
            && !(refusal.status == 400 && may_be_under_way && self.is_available(volume).await?)
        {
            return Err(self.refused(volume, self.donor, failure));
        }
        self.wait(self.donor, failure, way).await?;
        way.doubtful = true;
        Ok(Place::Planned)
    }

    async fn is_available(&self, volume: &VolumeId) -> Result<bool, Trouble> {
        let found = self.donor.volume(volume).await.map_err(self.by(self.donor))?;
        Ok(found.is_some_and(|volume| volume.status == "available"))
    }

    async fn accept(
        &self,
        volume: &VolumeId,
        transfer: TransferId,
        auth_key: Password,
        way: &mut Way<'a>,
    ) -> Result<Place, Trouble> {
        // An earlier accept, whose reply was lost, may still be under way.
        let ask = async || self.recipient.accept(&transfer, &auth_key).await;
        let outcome = self.once_settled(ask).await?;
        way.patience.waiting.hear(&outcome);
        match outcome {
            Ok(()) => Ok(Place::Arrived),
            Err(Failure::Refused(refusal)) if is_under_way(&refusal) => {
                Err(Trouble::UnderWay(refusal.message))
            }
            Err(failure @ Failure::Unknown(_)) => {
                way.accepting = true;
                self.wait(self.recipient, failure, way).await?;
                Ok(Place::Offered { transfer, auth_key })
            }
            // Not every service says so.
            Err(failure) if failure.is_refusal(400) && way.accepting && way.patience.lasts() => {
                self.wait(self.recipient, failure, way).await?;
                Ok(Place::Offered { transfer, auth_key })
            }
            // The offer is gone, because an earlier accept got through or somebody took it back;
            // or, the second time, something that the accept needs.
            Err(failure) if failure.is_refusal(404) && !way.gone_before => {
                way.gone_before = true;
                Ok(match self.look(volume).await? {
                    Found::Arrived => Place::Arrived,
                    Found::AtDonor => Place::Planned,
                })
            }
            Err(failure @ Failure::Refused(_)) => {
                self.end(&transfer).await?;
                Err(self.refused(volume, self.recipient, failure))
            }
        }
    }

    /// A side's no to a volume that is with the donor, as it was: written down, and told.
    fn refused(&self, volume: &VolumeId, side: &BlockStorage, failure: Failure) -> Trouble {
        let is_forbidden = failure.is_refusal(403);
        let place = if is_forbidden { Place::Refused } else { Place::Planned };
        match self.journal.record(volume, place) {
            Ok(()) => Trouble::by(failure, &self.whose(side)),
            Err(error) => error.into(),
        }
    }

    async fn wait(
        &self,
        side: &'a BlockStorage,
        failure: Failure,
        way: &mut Way<'a>,
    ) -> Result<(), Trouble> {
        if !way.patience.lasts() {
            return Err(Trouble::by(failure, &self.whose(side)));
        }
        way.patience.wait(side, &failure).await
    }

    /// What it means that a side has said no, or nothing.
    fn by(&self, side: &BlockStorage) -> impl FnOnce(Failure) -> Trouble {
        let whose = self.whose(side);
        move |failure| Trouble::by(failure, &whose)
    }

    /// Whose quota, roles or service it is.
    pub(crate) fn whose(&self, side: &BlockStorage) -> String {
        let role = if std::ptr::eq(side, self.donor) { "donor" } else { "recipient" };
        format!("{role} {}", side.party())
    }

    /// The open offers of this run, by their volumes.
    pub(crate) async fn own_offers(&self) -> Result<Vec<(VolumeId, TransferId)>, Failure> {
        let name = self.journal.offer_name();
        let offers = self.donor.transfers().await?.into_iter();
        let own = offers.filter(|offer| offer.name.as_ref() == Some(&name));
        Ok(own.map(|offer| (offer.volume_id, offer.id)).collect())
    }

    /// Takes the run's offer of a volume back, unless it was accepted, and writes down which.
    pub(crate) async fn take_back(
        &self,
        volume: &VolumeId,
        offer: Option<&TransferId>,
    ) -> Result<Found, Trouble> {
        if let Some(offer) = offer {
            self.end(offer).await?;
        }
        let found = self.look(volume).await?;
        let place = match found {
            Found::AtDonor => Place::Planned,
            Found::Arrived => Place::Arrived,
        };
        self.journal.record(volume, place)?;
        Ok(found)
    }

    pub(crate) async fn has_arrived(&self, id: &VolumeId) -> Result<bool, Trouble> {
        let found = self.recipient.volume(id).await.map_err(self.by(self.recipient))?;
        Ok(of(found, self.recipient.project()).is_some())
    }

    /// Takes an offer back, once nobody is at its volume.
    async fn end(&self, offer: &TransferId) -> Result<(), Trouble> {
        let ended = self.once_settled(async || self.donor.take_back(offer).await).await?;
        ended.map_err(self.by(self.donor))
    }

    /// Asks again while what somebody has asked for earlier is under way.
    async fn once_settled<T>(
        &self,
        ask: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>, Trouble> {
        for _ in 0..LOOKS {
            match ask().await {
                Err(Failure::Refused(refusal)) if is_under_way(&refusal) => self.rest().await?,
                outcome => return Ok(outcome),
            }
        }
        Ok(ask().await)
    }

    /// Between two looks.
    async fn rest(&self) -> Result<(), Trouble> {
        let rested = self.stop.run_until_cancelled(tokio::time::sleep(self.settling)).await;
        rested.ok_or(Trouble::All(Stopped::Asked))
    }

    /// Where a volume is; an offer of this run is taken back on the way.
    async fn look(&self, id: &VolumeId) -> Result<Found, Trouble> {
        let mut missed = false;
        for _ in 0..LOOKS {
            if self.has_arrived(id).await? {
                return Ok(Found::Arrived);
            }
            let Some(volume) =
                of(self.donor.volume(id).await.map_err(self.by(self.donor))?, self.donor.project())
            else {
                if std::mem::replace(&mut missed, true) {
                    let nobodys = "is neither the donor's nor the recipient's";
                    return Err(Trouble::Own(nobodys.to_owned()));
                }
                // It may have gone from the one to the other between both looks.
                continue;
            };
            if volume.status != "awaiting-transfer" {
                return Ok(Found::AtDonor);
            }
            let offers = self.donor.transfers().await.map_err(self.by(self.donor))?;
            match offers.into_iter().find(|offer| offer.volume_id == *id) {
                Some(Transfer { id, name, .. }) if name == Some(self.journal.offer_name()) => {
                    self.end(&id).await?;
                    return Ok(Found::AtDonor);
                }
                Some(Transfer { id, .. }) => {
                    return Err(Trouble::Own(format!("is on offer already, as transfer {id}")));
                }
                // It is being made, or has ended between both looks.
                None => self.rest().await?,
            }
        }
        Err(Trouble::Own("is awaiting-transfer, and there is no offer of it".to_owned()))
    }
}

/// A volume if it is the project's: an administrator sees those of others, too, and whose they are.
fn of(volume: Option<Volume>, project: &ProjectId) -> Option<Volume> {
    volume.filter(|volume| volume.project.as_ref().is_none_or(|owner| owner == project))
}

/// What is known of a volume on its way.
struct Way<'a> {
    /// Whether something may have happened that the journal does not tell.
    doubtful: bool,
    /// Whether its offer was gone once.
    gone_before: bool,
    /// Whether an accept may be under way that nobody waits for.
    accepting: bool,
    patience: Patience<'a>,
}

/// How often it is tried again.
struct Patience<'a> {
    tries: u32,
    waiting: Waiting<'a>,
    stop: &'a CancellationToken,
}

impl<'a> Patience<'a> {
    /// Whether there is another try.
    fn lasts(&self) -> bool {
        self.tries + 1 < TRIES
    }

    async fn wait(&mut self, side: &'a BlockStorage, failure: &Failure) -> Result<(), Trouble> {
        self.tries += 1;
        let again = pause(failure, self.tries);
        self.waiting.begin(side.watch(), failure, again);
        tokio::select! {
            () = tokio::time::sleep(again) => Ok(()),
            () = self.stop.cancelled() => Err(Trouble::All(Stopped::Asked)),
        }
    }
}
