//! What can be wrong, by name.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use transfer_core::invariants::Invariant;
use transfer_core::{ProjectId, SecretId, VolumeId};

/// A way in which an invariant is broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A row names a secret that does not exist.
    KeyGone,
    /// A row names a secret without a payload.
    KeyEmpty,
    /// A snapshot names another secret than its volume.
    SnapshotKeyDiffers,
    /// Of a volume and its snapshot only one names a secret.
    SnapshotKeyMissing,
    /// A snapshot is in another project than its volume.
    SnapshotProjectDiffers,
    /// The key is with the service and the volume is not on offer.
    KeyWithService,
    /// The volume is on offer and the key is not with the service.
    KeyNotWithService,
    /// The key is neither with the volume's project nor with the service.
    KeyWithStranger,
    /// A copy of a volume's key that nothing names.
    StrayCopy,
    /// A key of the service's own that nothing names, and of which no volume is known.
    StrayKey,
    /// An empty secret that a hand-over made and nothing names.
    StrayShell,
    /// A hand-over whose driver has not been heard of for longer than its lease.
    ClaimExpired,
    /// Garbage on record that has not been deleted for long.
    DebtUnpaid,
    /// The volume awaits a transfer, and there is no offer.
    AwaitingWithoutOffer,
    /// There is an offer that nobody can accept, since the volume does not await it.
    OfferWithoutAwaiting,
    /// The volume has several open offers.
    SeveralOffers,
    /// An offer expired long ago, and its volume still awaits the transfer.
    OfferExpired,
}

impl Kind {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 17] = [
        Self::KeyGone,
        Self::KeyEmpty,
        Self::SnapshotKeyDiffers,
        Self::SnapshotKeyMissing,
        Self::SnapshotProjectDiffers,
        Self::KeyWithService,
        Self::KeyNotWithService,
        Self::KeyWithStranger,
        Self::StrayCopy,
        Self::StrayKey,
        Self::StrayShell,
        Self::ClaimExpired,
        Self::DebtUnpaid,
        Self::AwaitingWithoutOffer,
        Self::OfferWithoutAwaiting,
        Self::SeveralOffers,
        Self::OfferExpired,
    ];

    /// The name by which reports and documents call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyGone => "key_gone",
            Self::KeyEmpty => "key_empty",
            Self::SnapshotKeyDiffers => "snapshot_key_differs",
            Self::SnapshotKeyMissing => "snapshot_key_missing",
            Self::SnapshotProjectDiffers => "snapshot_project_differs",
            Self::KeyWithService => "key_with_service",
            Self::KeyNotWithService => "key_not_with_service",
            Self::KeyWithStranger => "key_with_stranger",
            Self::StrayCopy => "stray_copy",
            Self::StrayKey => "stray_key",
            Self::StrayShell => "stray_shell",
            Self::ClaimExpired => "claim_expired",
            Self::DebtUnpaid => "debt_unpaid",
            Self::AwaitingWithoutOffer => "awaiting_without_offer",
            Self::OfferWithoutAwaiting => "offer_without_awaiting",
            Self::SeveralOffers => "several_offers",
            Self::OfferExpired => "offer_expired",
        }
    }

    /// The invariant that it breaks.
    pub fn invariant(self) -> Invariant {
        match self {
            Self::KeyGone | Self::KeyEmpty => Invariant::ReferencedKeyIsLive,
            Self::SnapshotKeyDiffers | Self::SnapshotKeyMissing | Self::SnapshotProjectDiffers => {
                Invariant::RowsAgree
            }
            Self::KeyWithService | Self::KeyNotWithService | Self::KeyWithStranger => {
                Invariant::CustodianOwnsKey
            }
            Self::StrayCopy | Self::StrayKey => Invariant::NoStrayKeyMaterial,
            Self::StrayShell
            | Self::ClaimExpired
            | Self::DebtUnpaid
            | Self::AwaitingWithoutOffer
            | Self::OfferExpired => Invariant::Drains,
            Self::OfferWithoutAwaiting | Self::SeveralOffers => Invariant::OneOutcome,
        }
    }

    /// What to do about it, in a line.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::KeyGone | Self::KeyEmpty => {
                "repair takes the key from the volume's other rows if one has it; else the data \
                 is lost, restore a backup"
            }
            Self::SnapshotKeyDiffers => {
                "repair lets all rows name one copy of the key, if their secrets hold the same one"
            }
            Self::SnapshotKeyMissing => "look at the snapshot by hand: its data may be unencrypted",
            Self::SnapshotProjectDiffers => {
                "have the snapshot's project delete it, or give the volume back by a transfer"
            }
            Self::KeyWithService => {
                "repair copies the key to the volume's project, with a cloud of that project"
            }
            Self::KeyNotWithService => {
                "repair copies the key to the service, with a cloud of the project that has it; \
                 then the offer can be accepted or taken back"
            }
            Self::KeyWithStranger => {
                "repair copies the key to the volume's project, with a cloud of that project and \
                 of the one that has the key"
            }
            Self::StrayCopy => "repair deletes the copy once the volume's own key is in order",
            Self::StrayKey => {
                "audit with clouds of more projects to learn whose it is; delete it by hand only \
                 if no volume has lost its key"
            }
            Self::StrayShell => "repair deletes the empty secret",
            Self::ClaimExpired => "repair takes it over and aborts it, as any replica does",
            Self::DebtUnpaid => "repair pays it, with a cloud of the project that it needs",
            Self::AwaitingWithoutOffer => "openstack volume set --state available VOLUME",
            Self::OfferWithoutAwaiting => {
                "its project takes the offer back: openstack volume transfer request delete"
            }
            Self::SeveralOffers => "its project takes back all offers but one",
            Self::OfferExpired => {
                "any request of its project takes it back; or repair, with a cloud of that project"
            }
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// The same whenever the same thing is found.
    pub id: String,
    /// The name of the broken invariant.
    pub invariant: &'static str,
    /// The name of the way in which it is broken.
    pub kind: &'static str,
    /// The volume that it is about, where one is known.
    pub volume: Option<VolumeId>,
    /// The project that it is about: the volume's, or the one that has the secret.
    pub project: Option<ProjectId>,
    /// The secret that it is about.
    pub secret: Option<SecretId>,
    /// What is wrong, in words.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
    /// For those who go on from it.
    #[serde(skip)]
    pub of: Kind,
    /// The hand-over or the debt that it is about.
    #[serde(skip)]
    pub record: Option<String>,
}

impl Finding {
    /// Something is wrong, with what is said of it later added.
    pub(crate) fn new(of: Kind, what: String) -> Self {
        let (kind, invariant, remedy) = (of.name(), of.invariant().name(), of.remedy());
        let nothing = (None, None, None, None);
        let (volume, project, secret, record) = nothing;
        let found = Self {
            id: String::new(),
            invariant,
            kind,
            volume,
            project,
            secret,
            what,
            remedy,
            of,
            record,
        };
        found.named()
    }

    pub(crate) fn at(mut self, volume: &VolumeId, project: &ProjectId) -> Self {
        (self.volume, self.project) = (Some(volume.clone()), Some(project.clone()));
        self.named()
    }

    pub(crate) fn in_project(mut self, project: &ProjectId) -> Self {
        self.project = Some(project.clone());
        self.named()
    }

    pub(crate) fn with_secret(mut self, secret: &SecretId) -> Self {
        self.secret = Some(secret.clone());
        self.named()
    }

    pub(crate) fn on_record(mut self, record: &str) -> Self {
        self.record = Some(record.to_owned());
        self.named()
    }

    /// Its id follows from what it is about.
    fn named(mut self) -> Self {
        let mut digest = Sha256::new();
        let volume = self.volume.as_ref().map_or("", VolumeId::as_str);
        let secret = self.secret.as_ref().map_or("", SecretId::as_str);
        for part in [self.kind, volume, secret, self.record.as_deref().unwrap_or("")] {
            digest.update(part);
            digest.update([0]);
        }
        self.id = hex::encode(&digest.finalize()[..6]);
        self
    }
}
