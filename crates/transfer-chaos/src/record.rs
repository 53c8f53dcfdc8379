//! What the clients did and were told, each with the moments of asking and of being told.
//!
//! One clock for all clients. A request without an answer has no end: it may take effect at any
//! later moment.

use std::collections::BTreeSet;
use transfer_core::invariants::Told;
use transfer_core::{ProjectId, TransferId, VolumeId};
use volume_transfer::stage::Call;

/// Microseconds since the run began.
pub(crate) type Moment = u64;

/// From a request to the end of waiting for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) began: Moment,
    pub(crate) ended: Moment,
}

impl Span {
    /// Whether it has a moment in common with another span.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.began <= other.ended && other.began <= self.ended
    }
}

/// One offer, accept or cancel.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) operation: Call,
    pub(crate) volume: VolumeId,
    /// The offer that is accepted or taken back; of an initiate, the offer that it was told of.
    pub(crate) offer: Option<TransferId>,
    pub(crate) project: ProjectId,
    /// Whether the auth key is the offer's own.
    pub(crate) right_key: bool,
    pub(crate) span: Span,
    pub(crate) answer: Answer,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// None when the connection broke or the client gave up.
    pub(crate) status: Option<u16>,
    /// What it promises.
    pub(crate) told: Told,
}

impl Answer {
    pub(crate) const NONE: Self = Self { status: None, told: Told::Nothing };

    /// A reply. An error of the server promises nothing, unless it says that nothing has changed.
    pub(crate) fn of(status: u16, words: &str) -> Self {
        let told = match status {
            200..300 => Told::Done,
            400..500 => Told::Refused,
            _ if words.contains("Nothing has changed") => Told::Refused,
            _ => Told::Nothing,
        };
        Self { status: Some(status), told }
    }
}

/// One list of a project's open offers.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) project: ProjectId,
    pub(crate) span: Span,
    pub(crate) offers: BTreeSet<TransferId>,
}

/// Everything that the clients saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) asked: Vec<Asked>,
    pub(crate) listed: Vec<Listed>,
}
