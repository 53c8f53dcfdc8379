//! Every interleaving of hand-overs, in a world as small as it can be.

mod trace;

pub use trace::{Coverage, Lane, Step, Trace};
