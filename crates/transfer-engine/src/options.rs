//! How long the engine waits, and for what; what new offers are like.

use cinder_db::Lengths;
use std::time::Duration;

/// The engine's times, and its choices.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a claim excludes others without a sign of life, on the database's clock.
    pub lease: Duration,
    /// How long a driver tries again after unknown outcomes before it aborts.
    pub patience: Duration,
    /// The pause after the first unknown outcome; it doubles each time, up to `patience`.
    pub pause: Duration,
    /// The time between two passes of recovery.
    pub recovery_period: Duration,
    /// How many debts one pass, or one call of a project, tries to pay.
    pub debts_per_pass: u64,
    /// How many hand-overs are at it at once; the others wait, their projects in turn.
    pub hand_overs_at_once: usize,
    /// How many wait at most; the rest is told to come again.
    pub hand_overs_waiting: usize,
    /// How long one waits at most.
    pub longest_wait: Duration,
    /// How long an offer can be accepted, in whole seconds; without it, until it is taken back.
    pub expire_after: Option<Duration>,
    /// How long the auth keys of new offers, and their salts, are.
    pub lengths: Lengths,
    /// How long an ended hand-over stays in the journal, so that a lost commit can be read back.
    pub remember_ended: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60),
            patience: Duration::from_secs(15),
            pause: Duration::from_millis(200),
            recovery_period: Duration::from_secs(5),
            debts_per_pass: 64,
            hand_overs_at_once: 64,
            hand_overs_waiting: 1024,
            longest_wait: Duration::from_secs(10),
            expire_after: None,
            lengths: Lengths::default(),
            remember_ended: Duration::from_secs(3600),
        }
    }
}

/// Options that contradict each other.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionsError {
    /// A driver could still be trying when its claim is taken over. Harmless, but every slow
    /// request would then fail at its commit.
    #[error(
        "lease of {lease:?} is too short: patience {patience:?} and one more call of \
         {call_limit:?} must fit in; raise the lease"
    )]
    LeaseTooShort {
        /// The lease.
        lease: Duration,
        /// The patience.
        patience: Duration,
        /// The time limit of one call to the key manager.
        call_limit: Duration,
    },
}

impl Options {
    /// Checks that a driver ends before its lease does.
    ///
    /// # Errors
    /// [`OptionsError::LeaseTooShort`].
    pub fn check(&self, call_limit: Duration) -> Result<(), OptionsError> {
        if self.lease < self.patience + call_limit {
            return Err(OptionsError::LeaseTooShort {
                lease: self.lease,
                patience: self.patience,
                call_limit,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_to_outlast_the_patience_and_one_more_call() {
        let seconds = Duration::from_secs;
        for (lease, patience, call_limit, is_enough) in [
            (60, 15, 30, true),
            (45, 15, 30, true),
            (44, 15, 30, false),
            (30, 15, 30, false),
            (10, 15, 30, false),
        ] {
            let (lease, patience) = (seconds(lease), seconds(patience));
            let options = Options { lease, patience, ..Options::default() };
            let call_limit = seconds(call_limit);
            let too_short = OptionsError::LeaseTooShort { lease, patience, call_limit };
            let expected = if is_enough { Ok(()) } else { Err(too_short) };
            assert_eq!(options.check(call_limit), expected);
        }
    }
}
