//! The model's world: rows, secrets, journal, debts, callers and network, a few bytes each.
//!
//! Every thing has one code, whatever led to it, so that equal situations are equal states: a
//! shell is called after the request, the key and the attempt that made it, a hand-over after its
//! request. What the world *does* stands in `protocol` and `upstream`; this module only says what
//! there is.

mod forgetting;
mod names;

pub(crate) use names::{
    KEYS, Project, REQUESTS, Request, SLOTS, Secret, Volume, hand_over_id, offer_id,
};

use crate::memo::Held;
use arrayvec::ArrayVec;
use std::fmt;
use transfer_core::invariants::Told;

/// A secret that exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Kept {
    /// Which secret.
    pub(crate) secret: Secret,
    /// Who owns it.
    pub(crate) owner: Project,
    /// The key at the start that it holds a copy of; none for an empty shell.
    pub(crate) material: Option<Secret>,
    /// While it is empty: the request by whose hand-over it is called.
    pub(crate) shell_of: Option<u8>,
}

/// A row that names a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Row {
    /// Who owns it.
    pub(crate) project: Project,
    /// The secret that it names.
    pub(crate) key: Option<Secret>,
}

/// The rows by place: the first volume, its two snapshots, the second volume.
pub(crate) const ROWS: usize = 4;

/// The place of the second volume's row.
pub(crate) const SECOND: usize = 3;

/// How an offer stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Fate {
    /// Anybody who was told the auth key may accept it.
    Open {
        /// Whether the donor was told.
        key_known: bool,
    },
    /// Accepted by this project.
    Accepted(Project),
    /// Taken back.
    Cancelled,
}

/// An offer. Numbers are used again once nobody speaks of the offer any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Offer {
    /// Of which volume.
    pub(crate) volume: Volume,
    /// How it stands.
    pub(crate) fate: Fate,
}

/// Offers that somebody can speak of at once: one for each request.
pub(crate) const OFFERS: usize = SLOTS;

/// A live row of the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Entry {
    /// The state that is saved.
    pub(crate) held: Held,
}

/// What a debt is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Due {
    /// This secret: an old key, or a shell.
    Secret {
        /// The secret.
        secret: Secret,
        /// Which of both.
        is_old: bool,
    },
    /// Empty shells of this request's hand-over whose ids nobody recorded.
    Shells {
        /// The request.
        slot: u8,
        /// Whether they have been swept, and only the record is left.
        swept: bool,
    },
}

/// A debt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Owed {
    /// What is to be deleted.
    pub(crate) due: Due,
    /// Whose authority its payment needs.
    pub(crate) authority: Project,
    /// Whether that authority is at hand: always for the service, for a project while a request
    /// of it is under way.
    pub(crate) at_hand: bool,
}

/// What became of one effect of a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Outcome {
    /// Not known yet.
    Waiting,
    /// A shell was created.
    Created(Secret),
    /// The shell was filled.
    Filled,
    /// Refused.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// How far a request has got. One that has not been granted a claim is idle: a refusal at the
/// claim changes nothing, so that it may come any number of times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Progress {
    /// Not granted yet.
    Idle,
    /// A driver is at it.
    Copying {
        /// What the driver holds.
        held: Held,
        /// The offer that it makes or ends.
        offer: u8,
        /// What became of the present batch.
        outcomes: [Outcome; KEYS],
        /// A known-bad protocol has done out of turn what it does out of turn.
        out_of_turn: bool,
    },
    /// The reply of the commit was lost and the commit may still be on its way.
    ReadingBack {
        /// What the driver holds.
        held: Held,
        /// The offer.
        offer: u8,
        /// As in `Copying`.
        out_of_turn: bool,
    },
    /// The rows are committed and the quota is not (a known-bad protocol).
    QuotaLeft {
        /// The offer.
        offer: u8,
    },
    /// The four unprotected steps.
    Upstream {
        /// The offer.
        offer: u8,
        /// What comes next.
        next: crate::upstream::Next,
        /// The key that the volume named when the request loaded it.
        old: Secret,
        /// The copy, once it has been stored.
        new: Option<Secret>,
        /// How many copies it has stored.
        copies: u8,
    },
    /// Over, and its answer does not matter any more; its hand-over's name is still in use.
    Named,
    /// The caller has its answer, or will never get one.
    Over {
        /// The offer.
        offer: u8,
        /// The answer.
        told: Told,
    },
}

impl Progress {
    /// The offer that it speaks of.
    pub(crate) fn offer(self) -> Option<usize> {
        match self {
            Self::Idle | Self::Named => None,
            Self::Copying { offer, .. }
            | Self::ReadingBack { offer, .. }
            | Self::QuotaLeft { offer }
            | Self::Upstream { offer, .. }
            | Self::Over { offer, .. } => Some(usize::from(offer)),
        }
    }

    /// Whether its driver knows the secret.
    pub(crate) fn knows(self, secret: Secret) -> bool {
        match self {
            Self::Copying { held, outcomes, .. } => {
                held.info().names(secret) || outcomes.contains(&Outcome::Created(secret))
            }
            Self::ReadingBack { held, .. } => held.info().names(secret),
            Self::Upstream { old, new, .. } => old == secret || new == Some(secret),
            Self::Idle | Self::Named | Self::QuotaLeft { .. } | Self::Over { .. } => false,
        }
    }

    /// Whether a driver is at it.
    pub(crate) fn is_active(self) -> bool {
        !matches!(self, Self::Idle | Self::Named | Self::Over { .. })
    }
}

/// An effect that takes place after its caller gave up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Late {
    /// A shell comes into being.
    Create {
        /// The shell.
        shell: Secret,
        /// Who will own it.
        owner: Project,
        /// The request that asked for it.
        slot: u8,
    },
    /// A payload arrives.
    Fill {
        /// The shell.
        shell: Secret,
        /// The payload.
        material: Secret,
    },
    /// A secret is deleted.
    Delete {
        /// The secret.
        secret: Secret,
    },
    /// A commit reaches the database.
    Commit {
        /// The request.
        slot: u8,
        /// The state that is committed.
        held: Held,
    },
}

impl Late {
    /// Whether it is about this secret.
    pub(crate) fn knows(self, secret: Secret) -> bool {
        match self {
            Self::Create { shell, .. } | Self::Fill { shell, .. } => shell == secret,
            Self::Delete { secret: gone } => gone == secret,
            Self::Commit { held, .. } => held.info().names(secret),
        }
    }
}

/// `volumes` of one project in `quota_usages`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Usage {
    /// In use.
    pub(crate) in_use: i8,
    /// Reserved.
    pub(crate) reserved: i8,
}

/// One state.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Rows by place; none where the world has no such row.
    pub(crate) rows: [Option<Row>; ROWS],
    /// Whether the volumes are `awaiting-transfer`.
    pub(crate) awaiting: [bool; 2],
    /// Offers, open and ended.
    pub(crate) offers: [Option<Offer>; OFFERS],
    /// Existing secrets, sorted.
    pub(crate) secrets: ArrayVec<Kept, 24>,
    /// The journal by request: live hand-overs, and ended ones that a driver may still look up.
    pub(crate) journal: [Option<Entry>; SLOTS],
    /// Debts on record, sorted.
    pub(crate) debts: ArrayVec<Owed, 16>,
    /// How far every request is.
    pub(crate) requests: [Progress; SLOTS],
    /// Effects under way, sorted.
    pub(crate) network: ArrayVec<Late, 4>,
    /// By tenant.
    pub(crate) usages: [Usage; 3],
    /// Faults that may still happen.
    pub(crate) faults: u8,
    /// Crashes and pauses that may still happen.
    pub(crate) crashes: u8,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("rows", &self.rows)
            .field("requests", &self.requests)
            .field("debts", &self.debts)
            .finish_non_exhaustive()
    }
}

impl State {
    /// The places of a volume's rows, its own first.
    pub(crate) fn places(volume: Volume) -> &'static [usize] {
        match volume {
            Volume::First => &[0, 1, 2],
            Volume::Second => &[SECOND],
        }
    }

    /// The rows of a volume.
    pub(crate) fn rows_of(&self, volume: Volume) -> impl Iterator<Item = &Row> {
        Self::places(volume).iter().filter_map(|place| self.rows[*place].as_ref())
    }

    /// The volume's own row.
    pub(crate) fn owner(&self, volume: Volume) -> Option<Project> {
        self.rows[Self::places(volume)[0]].map(|row| row.project)
    }

    /// What is in a secret, if it exists.
    pub(crate) fn kept(&self, secret: Secret) -> Option<&Kept> {
        self.secrets
            .binary_search_by_key(&secret, |kept| kept.secret)
            .ok()
            .map(|at| &self.secrets[at])
    }

    /// A secret comes into being.
    pub(crate) fn create(&mut self, kept: Kept) {
        if let Err(at) = self.secrets.binary_search_by_key(&kept.secret, |kept| kept.secret) {
            self.secrets.insert(at, kept);
        }
    }

    /// A payload arrives; false when there is no such secret, or other data in it.
    pub(crate) fn fill(&mut self, secret: Secret, material: Secret) -> bool {
        let Ok(at) = self.secrets.binary_search_by_key(&secret, |kept| kept.secret) else {
            return false;
        };
        let kept = &mut self.secrets[at];
        kept.shell_of = None;
        *kept.material.get_or_insert(material) == material
    }

    /// A secret is deleted; one that is gone stays gone.
    pub(crate) fn delete(&mut self, secret: Secret) {
        self.secrets.retain(|kept| kept.secret != secret);
    }

    /// The open offer of a volume, and whether its auth key is known.
    pub(crate) fn open_offer(&self, volume: Volume) -> Option<(usize, bool)> {
        self.offers.iter().enumerate().find_map(|(at, offer)| match offer {
            Some(Offer { volume: of, fate: Fate::Open { key_known } }) if *of == volume => {
                Some((at, *key_known))
            }
            Some(_) | None => None,
        })
    }

    /// The donor is told the auth key of its offer.
    pub(crate) fn tell_auth_key(&mut self, offer: usize) {
        if let Some(Offer { fate: Fate::Open { key_known }, .. }) = &mut self.offers[offer] {
            *key_known = true;
        }
    }

    /// The requests whose live claim is on the volume.
    pub(crate) fn claims_on(&self, volume: Volume) -> impl Iterator<Item = usize> {
        self.journal.iter().enumerate().filter_map(move |(slot, entry)| {
            let live = entry.is_some_and(|entry| !entry.held.info().hand_over.has_ended());
            (live && REQUESTS[slot].volume == volume).then_some(slot)
        })
    }

    /// Sends something on its way.
    pub(crate) fn send(&mut self, late: Late) {
        let at = self.network.binary_search(&late).unwrap_or_else(|at| at);
        self.network.insert(at, late);
    }

    /// Puts a debt on record, once.
    pub(crate) fn owe(&mut self, owed: Owed) {
        let same = |debt: &Owed| match (debt.due, owed.due) {
            (Due::Shells { slot: one, .. }, Due::Shells { slot: other, .. }) => one == other,
            (Due::Secret { secret: one, .. }, Due::Secret { secret: other, .. }) => one == other,
            (Due::Shells { .. }, Due::Secret { .. }) | (Due::Secret { .. }, Due::Shells { .. }) => {
                false
            }
        };
        if !self.debts.iter().any(same) {
            let at = self.debts.binary_search(&owed).unwrap_or_else(|at| at);
            self.debts.insert(at, owed);
        }
    }

    /// The usage of a project; the service and administrators have none.
    pub(crate) fn usage(&mut self, project: Project) -> Option<&mut Usage> {
        let at = Project::TENANTS.iter().position(|tenant| *tenant == project)?;
        Some(&mut self.usages[at])
    }
}
