//! What can happen in one step.

use crate::upstream;

/// How a request's claim is granted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Grant {
    /// The volume is free.
    Free,
    /// The claim before it has outlived its lease and is ended in the same transaction.
    TakesOver,
    /// The transaction happens and its reply is lost.
    ReplyLost,
}

/// What becomes of an effect at the key manager.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum How {
    /// It takes place, or is refused because of what there is.
    Done,
    /// Refused.
    Refused,
    /// The token has expired: refused, as is what else goes on under it.
    TokenExpired,
    /// No usable answer, and no effect.
    Failed,
    /// It takes place and the reply is lost.
    ReplyLost,
    /// No usable answer, and it takes place later.
    Late,
}

/// What becomes of a transaction of a driver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Txn {
    /// It happens, if the fence holds.
    Done,
    /// The database fails before it.
    Failed,
    /// It happens, and the database does not answer any more.
    ReplyLost,
    /// The reply is lost while it is still on its way.
    Late,
    /// It happens, and the driver's process dies before it says so.
    CrashAfter,
}

/// One step. Requests and debts by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action {
    /// A request is granted its claim.
    Claim {
        /// The request.
        slot: u8,
        /// The offer that it makes or ends.
        offer: u8,
        /// How.
        grant: Grant,
    },
    /// An effect of a copy.
    Effect {
        /// The request.
        slot: u8,
        /// The key.
        key: u8,
        /// What becomes of it.
        how: How,
    },
    /// The driver saves its state.
    Save {
        /// The request.
        slot: u8,
        /// What becomes of it.
        txn: Txn,
    },
    /// The driver goes on without saving its state (a known-bad protocol).
    GoOnUnsaved {
        /// The request.
        slot: u8,
    },
    /// The driver commits or aborts.
    End {
        /// The request.
        slot: u8,
        /// Whether it gives up after an unknown outcome.
        gives_up: bool,
        /// What becomes of it.
        txn: Txn,
    },
    /// A known-bad protocol deletes secrets before the transaction.
    OutOfTurn {
        /// The request.
        slot: u8,
    },
    /// The driver looks up what became of its commit, and aborts if nothing has.
    ReadBack {
        /// The request.
        slot: u8,
    },
    /// The quota follows the commit (a known-bad protocol).
    Quota {
        /// The request.
        slot: u8,
    },
    /// A step of the four unprotected steps.
    Upstream {
        /// The request.
        slot: u8,
        /// What becomes of it.
        how: upstream::How,
    },
    /// The process of a driver dies.
    Crash {
        /// The request.
        slot: u8,
    },
    /// Recovery ends a hand-over whose lease is over: its driver is gone, or asleep.
    TakeOver {
        /// The request.
        slot: u8,
    },
    /// A late effect takes place.
    Land {
        /// Its place in the network.
        at: u8,
    },
    /// A debt's secret is deleted.
    Delete {
        /// The debt's place.
        at: u8,
        /// What becomes of it.
        how: How,
    },
    /// A debt's empty shells are deleted.
    Sweep {
        /// The debt's place.
        at: u8,
    },
    /// A paid debt is struck out.
    Strike {
        /// The debt's place.
        at: u8,
    },
}

/// The steps, as coverage counts them.
pub(crate) const STEPS: [&str; 16] = [
    "claim",
    "create or fill a shell",
    "save",
    "commit or abort",
    "give up and abort",
    "read back",
    "crash",
    "take over",
    "land late",
    "pay: delete a secret",
    "pay: sweep shells",
    "pay: strike out",
    "go on unsaved",
    "delete before the database",
    "quota after the commit",
    "upstream's step",
];

/// What can become of a step.
pub(crate) const BECAME: [&str; 8] = [
    "done",
    "refused",
    "token expired",
    "failed without effect",
    "reply lost",
    "lands late",
    "crash after",
    "takes over",
];

impl Action {
    /// The places of the step and of what became of it in [`STEPS`] and [`BECAME`].
    pub(crate) fn visit(self) -> (usize, usize) {
        match self {
            Self::Claim { grant: Grant::Free, .. } => (0, 0),
            Self::Claim { grant: Grant::TakesOver, .. } => (0, 7),
            Self::Claim { grant: Grant::ReplyLost, .. } => (0, 4),
            Self::Effect { how, .. } => (1, how.became()),
            Self::Save { txn, .. } => (2, txn.became()),
            Self::End { gives_up: false, txn, .. } => (3, txn.became()),
            Self::End { gives_up: true, txn, .. } => (4, txn.became()),
            Self::ReadBack { .. } => (5, 0),
            Self::Crash { .. } => (6, 0),
            Self::TakeOver { .. } => (7, 0),
            Self::Land { .. } => (8, 0),
            Self::Delete { how, .. } => (9, how.became()),
            Self::Sweep { .. } => (10, 0),
            Self::Strike { .. } => (11, 0),
            Self::GoOnUnsaved { .. } => (12, 0),
            Self::OutOfTurn { .. } => (13, 0),
            Self::Quota { .. } => (14, 0),
            Self::Upstream { how: upstream::How::Done, .. } => (15, 0),
            Self::Upstream { how: upstream::How::Failed, .. } => (15, 3),
            Self::Upstream { how: upstream::How::ReplyLost, .. } => (15, 4),
        }
    }

    /// What went wrong with the step, if anything did.
    pub(crate) fn fault(self) -> Option<&'static str> {
        if matches!(self, Self::Crash { .. }) {
            return Some("crash");
        }
        match self.visit() {
            (8, _) => Some("lands late"),
            (_, 0 | 7) => None,
            (_, became) => Some(BECAME[became]),
        }
    }
}

impl How {
    fn became(self) -> usize {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::TokenExpired => 2,
            Self::Failed => 3,
            Self::ReplyLost => 4,
            Self::Late => 5,
        }
    }
}

impl Txn {
    fn became(self) -> usize {
        match self {
            Self::Done => 0,
            Self::Failed => 3,
            Self::ReplyLost => 4,
            Self::Late => 5,
            Self::CrashAfter => 6,
        }
    }
}
