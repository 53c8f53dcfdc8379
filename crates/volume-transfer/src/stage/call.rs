//! What a client asks of the transfer API, as far as it changes anything.

use std::fmt;
use transfer_core::Operation;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Call {
    /// To offer a volume.
    Initiate,
    /// To take a volume that is on offer.
    Accept,
    /// To take an offer back.
    Cancel,
}

impl From<Call> for Operation {
    fn from(call: Call) -> Self {
        match call {
            Call::Initiate => Self::Initiate,
            Call::Accept => Self::Accept,
            Call::Cancel => Self::Cancel,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiate => "initiate",
            Self::Accept => "accept",
            Self::Cancel => "cancel",
        })
    }
}
