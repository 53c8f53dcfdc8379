//! One hand-over: the state machine from claim to commit or abort.
//!
//! Invariants of this module:
//! - `Committed` is reached only when every key has a filled shell;
//! - a shell once recorded is never forgotten: it ends on a row (commit) or in a debt (abort);
//! - no secret is two of a hand-over's keys and shells, so that no debt reaches what a row names;
//! - an event that the phase does not allow is an error and changes nothing.
//!
//! The claim, the commit and the abort are database transactions and belong to the store, which
//! fences each of them with [`HandOver::version`].

use crate::{
    Authority, Effect, HandOverId, ProjectId, Refusal, SecretId, Step, TransferId, UserId, VolumeId,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The operation that a hand-over carries out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The donor offers the volume: its key goes to the service.
    Initiate,
    /// The recipient takes it: the key goes from the service to the recipient.
    Accept,
    /// The donor takes the offer back: the key goes from the service to the donor.
    Cancel,
    /// A damaged volume is set right: its key goes to its custodian, and all its rows name it. No
    /// offer begins or ends.
    Restore,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiate => "initiate",
            Self::Accept => "accept",
            Self::Cancel => "cancel",
            Self::Restore => "restore",
        })
    }
}

/// Who takes part in a hand-over.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Parties {
    /// The project that owns the volume before the hand-over.
    pub donor: ProjectId,
    /// The project of the caller's token: the recipient of an accept, else the donor (or, for a
    /// plain volume, an administrator's project).
    pub caller: ProjectId,
    /// The caller; becomes the volume's user when it accepts.
    pub user: UserId,
}

/// What a restore has to know beside the one key that it copies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Restoration {
    /// Whose the key is now.
    pub giver: Authority,
    /// Whose it has to be: the volume's project, or the service while an offer is open.
    pub receiver: Authority,
    /// Other secrets that rows of the volume name, which are to name the key instead.
    pub replaced: Vec<Replaced>,
}

/// A secret that no row is going to name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Replaced {
    /// The secret.
    pub secret: SecretId,
    /// Whose it is; nobody's when there is no such secret.
    pub owner: Option<Authority>,
}

/// The copy of one distinct key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct KeyCopy {
    /// The secret that the rows name now.
    pub old: SecretId,
    /// The secret that they will name, once it has been created.
    pub shell: Option<SecretId>,
    /// Whether the payload is known to be in the shell.
    pub filled: bool,
}

/// Why a hand-over was aborted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortCause {
    /// A service refused a step.
    Refused {
        /// The step.
        step: Step,
        /// Its words.
        refusal: Refusal,
    },
    /// The outcome of a step stayed unknown until the driver's time or patience ran out.
    GaveUp,
    /// The driver's lease expired and somebody else ended the hand-over.
    TakenOver,
}

/// Where a hand-over stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Claimed; shells are being created and filled. Rows are as before.
    Copying,
    /// Given up; the database has not been told yet.
    Aborting(AbortCause),
    /// The rows name the new secrets; the old ones are debts.
    Committed,
    /// The rows are as before; the shells are debts.
    Aborted(AbortCause),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// A shell was created for the key `old`.
    ShellCreated {
        /// The key.
        old: SecretId,
        /// The new, empty secret.
        shell: SecretId,
    },
    /// The shell of `old` holds the payload.
    Filled {
        /// The key.
        old: SecretId,
    },
    /// A step was refused: nothing happened.
    Refused {
        /// The step.
        step: Step,
        /// Why.
        refusal: Refusal,
    },
    /// A step's outcome is unknown: it may or may not have happened, or happen later.
    Unknown {
        /// The step.
        step: Step,
    },
    /// The driver stops trying.
    GaveUp,
    /// The lease expired and another driver took the claim.
    TakenOver,
    /// The commit transaction happened.
    Committed,
    /// The abort transaction happened.
    Aborted,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pending {
    /// External effects, independent of each other. Persist the state, then execute them.
    Effects(Vec<Effect>),
    /// The commit transaction.
    Commit,
    /// The abort transaction.
    Abort,
    /// Nothing: the hand-over has ended and its debts are on record.
    Rest,
}

/// An event that the state does not allow. The state is unchanged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("hand-over {id} in phase {phase:?} does not allow {event:?}")]
pub struct IllegalEvent {
    id: HandOverId,
    phase: Phase,
    event: Event,
}

/// One hand-over of one volume's distinct keys. A plain volume has none and goes straight to the
/// commit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct HandOver {
    id: HandOverId,
    version: u64,
    operation: Operation,
    volume: VolumeId,
    transfer: TransferId,
    parties: Parties,
    keys: Vec<KeyCopy>,
    shell_in_doubt: bool,
    phase: Phase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restoration: Option<Restoration>,
}

impl HandOver {
    /// A freshly claimed hand-over. `keys` are the keys that the volume's rows name; duplicates
    /// collapse, so that each distinct key is copied once.
    pub fn claim(
        id: HandOverId,
        operation: Operation,
        volume: VolumeId,
        transfer: TransferId,
        parties: Parties,
        keys: impl IntoIterator<Item = SecretId>,
    ) -> Self {
        let mut distinct: Vec<KeyCopy> = Vec::new();
        for old in keys {
            if !distinct.iter().any(|key| key.old == old) {
                distinct.push(KeyCopy { old, shell: None, filled: false });
            }
        }
        Self {
            id,
            version: 1,
            operation,
            volume,
            transfer,
            parties,
            keys: distinct,
            shell_in_doubt: false,
            phase: Phase::Copying,
            restoration: None,
        }
    }

    /// A freshly claimed restore, which copies `key`. `transfer` is the open offer of the volume,
    /// or nobody's id.
    pub fn restore(
        id: HandOverId,
        volume: VolumeId,
        transfer: TransferId,
        parties: Parties,
        key: SecretId,
        mut restoration: Restoration,
    ) -> Self {
        restoration.replaced.retain(|replaced| replaced.secret != key);
        restoration.replaced.sort();
        restoration.replaced.dedup_by(|again, kept| {
            let same = again.secret == kept.secret;
            if same && kept.owner.is_none() {
                kept.owner = again.owner.take();
            }
            same
        });
        let claimed = Self::claim(id, Operation::Restore, volume, transfer, parties, [key]);
        Self { restoration: Some(restoration), ..claimed }
    }

    /// The hand-over's id.
    pub fn id(&self) -> &HandOverId {
        &self.id
    }

    /// The fence: a journal write is valid only while the journal still holds this version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The operation.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The volume that changes hands.
    pub fn volume(&self) -> &VolumeId {
        &self.volume
    }

    /// The offer that is made or ended.
    pub fn transfer(&self) -> &TransferId {
        &self.transfer
    }

    /// Who takes part.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// The copies, one for each distinct key.
    pub fn keys(&self) -> &[KeyCopy] {
        &self.keys
    }

    /// Where it stands.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether a shell may exist whose id nobody recorded.
    pub fn shell_in_doubt(&self) -> bool {
        self.shell_in_doubt
    }

    /// Whether commit or abort has happened, so that the volume is free for the next operation.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Committed | Phase::Aborted(_))
    }

    /// Whether it is known what is to be restored: of a restore, and of no other operation.
    pub(crate) fn is_restoration(&self) -> bool {
        self.restoration.is_some()
    }

    /// What a restore replaces; nothing for any other operation.
    pub fn replaced(&self) -> &[Replaced] {
        self.restoration.as_ref().map_or(&[], |restoration| &restoration.replaced)
    }

    /// Who reads, and at the end loses, the old secret.
    pub fn giver(&self) -> Authority {
        match (&self.restoration, self.operation) {
            (Some(restoration), _) => restoration.giver.clone(),
            (None, Operation::Initiate) => Authority::Project(self.parties.donor.clone()),
            (None, Operation::Accept | Operation::Cancel | Operation::Restore) => {
                Authority::Service
            }
        }
    }

    /// Who owns the new secret.
    pub fn receiver(&self) -> Authority {
        match (&self.restoration, self.operation) {
            (Some(restoration), _) => restoration.receiver.clone(),
            (None, Operation::Initiate | Operation::Restore) => Authority::Service,
            (None, Operation::Accept) => Authority::Project(self.parties.caller.clone()),
            (None, Operation::Cancel) => Authority::Project(self.parties.donor.clone()),
        }
    }

    /// The name of this hand-over's shells.
    pub fn shell_name(&self) -> String {
        format!("volume-transfer-{}", self.id)
    }

    /// What comes next: a pure function of the state.
    pub fn pending(&self) -> Pending {
        match &self.phase {
            Phase::Copying => {
                let effects: Vec<Effect> =
                    self.keys.iter().filter_map(|key| self.effect_of(key)).collect();
                if effects.is_empty() { Pending::Commit } else { Pending::Effects(effects) }
            }
            Phase::Aborting(_) => Pending::Abort,
            Phase::Committed | Phase::Aborted(_) => Pending::Rest,
        }
    }

    fn effect_of(&self, key: &KeyCopy) -> Option<Effect> {
        match &key.shell {
            None => Some(Effect::CreateShell {
                like: key.old.clone(),
                giver: self.giver(),
                receiver: self.receiver(),
                name: self.shell_name(),
            }),
            Some(shell) if !key.filled => Some(Effect::Fill {
                from: key.old.clone(),
                giver: self.giver(),
                shell: shell.clone(),
                receiver: self.receiver(),
            }),
            Some(_) => None,
        }
    }

    /// Moves the state on.
    ///
    /// Effects of one batch run side by side, so their events may still arrive while the
    /// hand-over is already aborting; they are recorded, since they name garbage.
    ///
    /// # Errors
    /// [`IllegalEvent`] when the state does not allow the event; nothing has changed then.
    pub fn apply(&mut self, event: Event) -> Result<(), IllegalEvent> {
        match (&self.phase, &event) {
            (Phase::Copying | Phase::Aborting(_), Event::ShellCreated { shell, .. })
                if self.names(shell) =>
            {
                return Err(self.illegal(event));
            }
            (Phase::Copying | Phase::Aborting(_), Event::ShellCreated { old, shell }) => {
                match self.keys.iter_mut().find(|key| key.old == *old) {
                    Some(key) if key.shell.is_none() => key.shell = Some(shell.clone()),
                    Some(_) | None => return Err(self.illegal(event)),
                }
            }
            (Phase::Copying | Phase::Aborting(_), Event::Filled { old }) => {
                match self.keys.iter_mut().find(|key| key.old == *old) {
                    Some(key) if key.shell.is_some() => key.filled = true,
                    Some(_) | None => return Err(self.illegal(event)),
                }
            }
            (Phase::Copying | Phase::Aborting(_), Event::Unknown { step }) => {
                self.shell_in_doubt |= *step == Step::CreateShell;
            }
            (Phase::Copying, Event::Refused { step, refusal }) => {
                self.phase =
                    Phase::Aborting(AbortCause::Refused { step: *step, refusal: refusal.clone() });
            }
            (Phase::Aborting(_), Event::Refused { .. } | Event::GaveUp) => {}
            (Phase::Copying, Event::GaveUp) => self.phase = Phase::Aborting(AbortCause::GaveUp),
            (Phase::Copying | Phase::Aborting(_), Event::TakenOver) => {
                self.version += 1;
                self.shell_in_doubt |= self.keys.iter().any(|key| key.shell.is_none());
                self.phase = Phase::Aborting(AbortCause::TakenOver);
            }
            (Phase::Copying, Event::Committed) if self.pending() == Pending::Commit => {
                self.phase = Phase::Committed;
            }
            (Phase::Aborting(cause), Event::Aborted) => self.phase = Phase::Aborted(cause.clone()),
            (Phase::Copying, Event::Committed | Event::Aborted)
            | (Phase::Aborting(_), Event::Committed)
            | (Phase::Committed | Phase::Aborted(_), _) => return Err(self.illegal(event)),
        }
        Ok(())
    }

    fn names(&self, secret: &SecretId) -> bool {
        self.keys.iter().any(|key| key.old == *secret || key.shell.as_ref() == Some(secret))
            || self.replaced().iter().any(|replaced| replaced.secret == *secret)
    }

    fn illegal(&self, event: Event) -> IllegalEvent {
        IllegalEvent { id: self.id.clone(), phase: self.phase.clone(), event }
    }
}

#[cfg(test)]
#[path = "hand_over_tests.rs"]
mod tests;
