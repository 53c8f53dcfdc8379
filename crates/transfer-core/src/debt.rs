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
    /// After a commit the old secrets are garbage, after an abort the shells are. A shell in doubt
    /// is swept by name either way: the sweep takes empty secrets only, so it can never reach the
    /// key that the commit installed.
    pub fn debts(&self) -> Vec<Debt> {
        let (authority, garbage): (Authority, Vec<SecretId>) = match self.phase() {
            Phase::Copying | Phase::Aborting(_) => return Vec::new(),
            Phase::Committed => {
                (self.giver(), self.keys().iter().map(|key| key.old.clone()).collect())
            }
            Phase::Aborted(_) => {
                (self.receiver(), self.keys().iter().filter_map(|key| key.shell.clone()).collect())
            }
        };
        let owe = |authority: Authority, garbage: Garbage| Debt {
            hand_over: self.id().clone(),
            authority,
            garbage,
        };
        let mut debts: Vec<Debt> = garbage
            .into_iter()
            .map(|secret| owe(authority.clone(), Garbage::Secret(secret)))
            .collect();
        if self.shell_in_doubt() {
            debts.push(owe(self.receiver(), Garbage::Shells { name: self.shell_name() }));
        }
        debts
    }
}
