//! Which protocol, in which world, with how many things going wrong.

use crate::upstream;
use crate::world::{ROWS, SLOTS, Secret};

/// A protocol: ours, or one that is known to be bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// The hand-over of `transfer-core`.
    HandOver,
    /// The four unprotected steps of Cinder 29.
    Upstream,
    /// Deletes the old secrets and commits then.
    DeleteBeforeCommit,
    /// Fills a shell whose id is not in the journal.
    ShellNotJournaled,
    /// Claims exclude nobody, and the commit does not look at what the rows were.
    NoClaim,
    /// Journal writes do not ask for the version.
    NoFence,
    /// Copies one key for all rows.
    MergeDistinctKeys,
    /// Deletes the shells and aborts then.
    DeleteShellBeforeAbort,
    /// Lets an administrator take an offer back, into his own project.
    CancelIntoCallersProject,
    /// Moves the quota in a transaction after the commit.
    QuotaAfterCommit,
    /// A claim has no lease: nobody ends what a dead driver has begun.
    NoLease,
}

impl Protocol {
    /// All of them, ours first.
    pub const ALL: [Self; 11] = [
        Self::HandOver,
        Self::Upstream,
        Self::DeleteBeforeCommit,
        Self::ShellNotJournaled,
        Self::NoClaim,
        Self::NoFence,
        Self::MergeDistinctKeys,
        Self::DeleteShellBeforeAbort,
        Self::CancelIntoCallersProject,
        Self::QuotaAfterCommit,
        Self::NoLease,
    ];

    /// The name by which commands and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HandOver => "hand-over",
            Self::Upstream => "upstream",
            Self::DeleteBeforeCommit => "delete-before-commit",
            Self::ShellNotJournaled => "shell-not-journaled",
            Self::NoClaim => "no-claim",
            Self::NoFence => "no-fence",
            Self::MergeDistinctKeys => "merge-distinct-keys",
            Self::DeleteShellBeforeAbort => "delete-shell-before-abort",
            Self::CancelIntoCallersProject => "cancel-into-callers-project",
            Self::QuotaAfterCommit => "quota-after-commit",
            Self::NoLease => "no-lease",
        }
    }
}

/// Where a run begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Start {
    /// X's volume is available.
    Available,
    /// X has offered it, and knows the auth key.
    Offered,
}

/// One world to explore.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Setting {
    /// What it is called.
    pub name: String,
    /// The protocol.
    pub protocol: Protocol,
    /// Where it begins.
    pub start: Start,
    /// The rows by place, and the key that each names.
    pub(crate) rows: [Option<Option<Secret>>; ROWS],
    /// The one step of the four unprotected ones that may fail, if not each of them.
    pub(crate) fails_at: Option<upstream::Next>,
    /// Which requests may come.
    pub requests: [bool; SLOTS],
    /// How many faults may happen.
    pub faults: u8,
    /// How many crashes and sleeps past the lease may happen.
    pub crashes: u8,
    /// Whether what nobody can tell apart any more counts as one; see the crate's documentation.
    pub reduced: bool,
}

/// Worlds whose closure is known, and how many distinct states it has.
const CLOSED: &[(&str, u64)] = &[
    ("everything-0-0", 384),
    ("everything-1-0", 13_706),
    ("everything-0-1", 4_684),
    ("everything-1-1", 138_475),
    ("everything-2-2", 9_848_295),
    ("everything-3-3", 395_540_293),
    ("unreduced-1-0", 28_357),
    ("unreduced-0-1", 96_266),
    ("unreduced-1-1", 8_783_540),
];

impl Setting {
    /// How many states its closure is known to have, for whoever waits for it.
    pub fn known_states(&self) -> Option<u64> {
        let known = CLOSED.iter().find(|(name, _)| *name == self.name);
        known.map(|(_, states)| *states)
    }

    /// The volume with two snapshots and two distinct keys, and every request.
    pub fn everything(faults: u8, crashes: u8) -> Self {
        Self {
            name: format!("everything-{faults}-{crashes}"),
            protocol: Protocol::HandOver,
            start: Start::Available,
            rows: [
                Some(Some(Secret::A)),
                Some(Some(Secret::A)),
                Some(Some(Secret::B)),
                Some(Some(Secret::C)),
            ],
            fails_at: None,
            requests: [true; SLOTS],
            faults,
            crashes,
            reduced: true,
        }
    }

    /// The same world, in which all that can be told apart is.
    #[must_use]
    pub fn unreduced(self) -> Self {
        let name = format!("unreduced-{}-{}", self.faults, self.crashes);
        Self { name, reduced: false, ..self }
    }

    /// The same world, where only these requests come.
    #[must_use]
    pub fn only(mut self, requests: &[usize]) -> Self {
        self.requests = std::array::from_fn(|slot| requests.contains(&slot));
        self
    }
}
