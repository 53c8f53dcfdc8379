//! One volume on its way: offered, accepted, and what is done when nobody knows whether it was.
//!
//! After an outcome that is not known, and for a volume that an earlier run had begun with, the
//! clouds are looked at before anything is asked for again: a volume that the recipient has has
//! arrived, and an offer of this run whose auth key is lost is taken back.

use crate::block_storage::{BlockStorage, Transfer, Volume, pause};
use crate::journal::{Journal, JournalError, Place};
use openstack_http::{Failure, Password, Refusal};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use transfer_core::{ProjectId, TransferId, VolumeId};

/// How often an operation whose outcome is not known is begun again.
const TRIES: u32 = 6;
/// Between two looks at what is about to change, and how many there are: longer than a service
/// keeps at one operation.
const SETTLING: Duration = Duration::from_millis(500);
const LOOKS: u32 = 150;

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
}

/// What keeps a volume from arriving.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Its own: others may still arrive.
    Own(String),
    /// Everybody's. The volume is with the donor as before, or its offer is in the journal.
    Systemic(String),
    /// This volume's 403: nobody knows yet whether it is the others', too.
    Forbidden(String),
    /// Somebody asked to stop.
    Asked,
    /// Nothing can be written down any more.
    Journal(JournalError),
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Unknown(unknown) => {
                Self::Systemic(format!("the service does not answer: {unknown}"))
            }
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        match refusal.status {
            403 => Self::Forbidden(refusal.to_string()),
            401 | 405 | 406 | 413 => Self::Systemic(refusal.to_string()),
            _ => Self::Own(refusal.message),
        }
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
    pub(crate) stop: &'a CancellationToken,
}

impl Mover<'_> {
    /// Brings a volume from where it is to the recipient.
    pub(crate) async fn bring(&self, volume: &VolumeId, place: Place) -> Result<(), Trouble> {
        let resumed = self.journal.was_there();
        let mut way = Way {
            doubtful: resumed,
            gone_before: false,
            accepting: resumed,
            patience: Patience { tries: 0, stop: self.stop },
        };
        let mut place = place;
        loop {
            place = match place {
                Place::Planned | Place::Failed { .. } => self.offer(volume, &mut way).await?,
                Place::Offered { transfer, auth_key } => {
                    self.accept(volume, transfer, auth_key, &mut way).await?
                }
                Place::Arrived => return Ok(()),
            };
            self.journal.record(volume, place.clone())?;
        }
    }

    async fn offer(&self, volume: &VolumeId, way: &mut Way<'_>) -> Result<Place, Trouble> {
        if way.doubtful && matches!(self.look(volume).await?, Found::Arrived) {
            return Ok(Place::Arrived);
        }
        let failure = match self.donor.offer(volume, &self.journal.offer_name()).await {
            Ok((transfer, auth_key)) => return Ok(Place::Offered { transfer, auth_key }),
            Err(failure) => failure,
        };
        // Where nothing else is in the way, an earlier offer, whose reply was lost, is under way.
        let may_be_under_way = way.doubtful && way.patience.lasts();
        if let Failure::Refused(refusal) = &failure
            && !(refusal.status == 400 && may_be_under_way && self.is_available(volume).await?)
        {
            return Err(failure.into());
        }
        way.patience.wait(failure).await?;
        way.doubtful = true;
        Ok(Place::Planned)
    }

    async fn is_available(&self, volume: &VolumeId) -> Result<bool, Failure> {
        let found = self.donor.volume(volume).await?;
        Ok(found.is_some_and(|volume| volume.status == "available"))
    }

    async fn accept(
        &self,
        volume: &VolumeId,
        transfer: TransferId,
        auth_key: Password,
        way: &mut Way<'_>,
    ) -> Result<Place, Trouble> {
        match self.recipient.accept(&transfer, &auth_key).await {
            Ok(()) => Ok(Place::Arrived),
            Err(failure @ Failure::Unknown(_)) => {
                way.accepting = true;
                way.patience.wait(failure).await?;
                Ok(Place::Offered { transfer, auth_key })
            }
            // An earlier accept, whose reply was lost, may still be under way.
            Err(failure) if failure.is_refusal(400) && way.accepting && way.patience.lasts() => {
                way.patience.wait(failure).await?;
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
            Err(Failure::Refused(refusal)) => {
                self.donor.take_back(&transfer).await?;
                self.journal.record(volume, Place::Planned)?;
                Err(refusal.into())
            }
        }
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
            self.donor.take_back(offer).await?;
        }
        let found = self.look(volume).await?;
        let place = match found {
            Found::AtDonor => Place::Planned,
            Found::Arrived => Place::Arrived,
        };
        self.journal.record(volume, place)?;
        Ok(found)
    }

    pub(crate) async fn has_arrived(&self, id: &VolumeId) -> Result<bool, Failure> {
        let found = self.recipient.volume(id).await?;
        Ok(of(found, self.recipient.project()).is_some())
    }

    /// Where a volume is; an offer of this run is taken back on the way.
    async fn look(&self, id: &VolumeId) -> Result<Found, Trouble> {
        let mut missed = false;
        for _ in 0..LOOKS {
            if self.has_arrived(id).await? {
                return Ok(Found::Arrived);
            }
            let Some(volume) = of(self.donor.volume(id).await?, self.donor.project()) else {
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
            let offers = self.donor.transfers().await?;
            match offers.into_iter().find(|offer| offer.volume_id == *id) {
                Some(Transfer { id, name, .. }) if name == Some(self.journal.offer_name()) => {
                    self.donor.take_back(&id).await?;
                    return Ok(Found::AtDonor);
                }
                Some(Transfer { id, .. }) => {
                    return Err(Trouble::Own(format!("is on offer already, as transfer {id}")));
                }
                // It is being made, or has ended between both looks.
                None if self.stop.is_cancelled() => return Err(Trouble::Asked),
                None => tokio::time::sleep(SETTLING).await,
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
    stop: &'a CancellationToken,
}

impl Patience<'_> {
    /// Whether there is another try.
    fn lasts(&self) -> bool {
        self.tries + 1 < TRIES
    }

    async fn wait(&mut self, failure: Failure) -> Result<(), Trouble> {
        if !self.lasts() {
            return Err(failure.into());
        }
        self.tries += 1;
        tokio::select! {
            () = tokio::time::sleep(pause(&failure, self.tries)) => Ok(()),
            () = self.stop.cancelled() => Err(Trouble::Asked),
        }
    }
}
