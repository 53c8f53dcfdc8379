//! Debts: garbage on record, and the authority that it takes to remove it.
//!
//! A debt comes into being in the same transaction as the commit or the abort that made the
//! garbage, is paid by deleting the secret, and is never forgotten: a refusal or an unknown
//! outcome leaves it on record with the reason.

use crate::{Authority, HandOver, HandOverId, Payment, Phase, Refusal, SecretId};
use serde::{Deserialize, Serialize};

/// What is to be deleted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// This secret: an old key after a commit, a shell (filled or not) after an abort.
    Secret(SecretId),
    /// Empty shells of this name whose ids nobody recorded.
    Shells {
        /// The exact name.
        name: String,
    },
}

/// One debt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Debt {
    /// The hand-over that left it.
    pub hand_over: HandOverId,
    /// Whose authority its payment needs.
    pub authority: Authority,
    /// What is to be deleted.
    pub garbage: Garbage,
}

/// A debt's identity in the store: what it is *is* its identity, so recording it twice is once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DebtId(String);

impl DebtId {
    /// The text that the store keys the debt by, at most 255 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an attempt to pay came to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Settlement {
    /// The garbage is gone; the debt can be struck out.
    Paid,
    /// The key manager said no; the debt stays, with its words.
    Refused(Refusal),
    /// Nobody knows; the debt stays.
    Unknown(String),
}

impl Debt {
    /// The debt's identity.
    pub fn id(&self) -> DebtId {
        DebtId(match &self.garbage {
            Garbage::Secret(secret) => format!("secret:{secret}"),
            Garbage::Shells { name } => format!("shells:{name}"),
        })
    }

    /// What pays it.
    pub fn pending(&self) -> Payment {
        match &self.garbage {
            Garbage::Secret(secret) => {
                Payment::Delete { secret: secret.clone(), authority: self.authority.clone() }
            }
            Garbage::Shells { name } => {
                Payment::Sweep { name: name.clone(), authority: self.authority.clone() }
            }
        }
    }
}

impl HandOver {
    /// The debts that this hand-over's end leaves; none while it has not ended.
    ///
    /// After a commit the old secrets, and those that a restore replaced, are garbage, after an
    /// abort the shells are. A shell in doubt is swept by name either way: the sweep takes empty
    /// secrets only, so it can never reach the key that the commit installed.
    pub fn debts(&self) -> Vec<Debt> {
        match self.phase() {
            Phase::Copying | Phase::Aborting(_) => Vec::new(),
            Phase::Committed => {
                let old = self.keys().iter().map(|key| Garbage::Secret(key.old.clone()));
                let old = old.map(|secret| self.owe(self.giver(), secret));
                let replaced = self.replaced().iter().filter_map(|replaced| {
                    let secret = Garbage::Secret(replaced.secret.clone());
                    Some(self.owe(replaced.owner.clone()?, secret))
                });
                old.chain(replaced).chain(self.doubt()).collect()
            }
            Phase::Aborted(_) => self.debts_of_shells(),
        }
    }

    /// The debts of shells that are not to become anybody's key: those of an abort, and those of a
    /// driver that finds itself taken over, since whoever took over may not know of them.
    pub fn debts_of_shells(&self) -> Vec<Debt> {
        let shells = self.keys().iter().filter_map(|key| key.shell.clone());
        let shells = shells.map(|shell| self.owe(self.receiver(), Garbage::Secret(shell)));
        shells.chain(self.doubt()).collect()
    }

    /// The debt of shells whose ids nobody recorded, if there may be any.
    fn doubt(&self) -> Option<Debt> {
        let shells = Garbage::Shells { name: self.shell_name() };
        self.shell_in_doubt().then(|| self.owe(self.receiver(), shells))
    }

    fn owe(&self, authority: Authority, garbage: Garbage) -> Debt {
        Debt { hand_over: self.id().clone(), authority, garbage }
    }
}
