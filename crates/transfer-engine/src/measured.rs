//! What the engine tells of itself in metrics: how operations end, how long their phases take.

use crate::TransferError;
use crate::debts::Payments;
use crate::recovery::Recovered;
use cinder_db::DbError;
use std::future::Future;
use tokio::time::Instant;
use transfer_metrics::{
    NO_LABELS, OPERATION_DURATION, OPERATIONS, PAYMENTS, PHASE_DURATION, RECOVERED, RECOVERY_PASSES,
};

/// Runs an operation, and tells how it ended.
pub(crate) async fn operation<T>(
    name: &'static str,
    work: impl Future<Output = Result<T, TransferError>>,
) -> Result<T, TransferError> {
    let begun = Instant::now();
    let ended = work.await;
    OPERATIONS.add([name, ended.as_ref().map_or_else(TransferError::outcome, |_| "done")], 1);
    OPERATION_DURATION.record([name], begun.elapsed());
    ended
}

/// Tells of an operation whose turn never came.
pub(crate) fn turned_away(name: &'static str, error: &TransferError) {
    OPERATIONS.add([name, error.outcome()], 1);
}

/// Runs one attempt at a phase, and tells how long it took.
pub(crate) async fn phase<T, E>(
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let begun = Instant::now();
    let ended = work.await;
    PHASE_DURATION.record([name, if ended.is_ok() { "done" } else { "failed" }], begun.elapsed());
    ended
}

/// Tells what came of a round of payments.
pub(crate) fn payments(round: &Payments) {
    let Payments { paid, refused, unknown } = *round;
    for (outcome, count) in [("paid", paid), ("refused", refused), ("unknown", unknown)] {
        PAYMENTS.add([outcome], count);
    }
}

/// Tells what came of a pass of recovery.
pub(crate) fn recovery(pass: &Result<Recovered, DbError>) {
    RECOVERY_PASSES.add([if pass.is_ok() { "done" } else { "failed" }], 1);
    if let Ok(recovered) = pass {
        RECOVERED.add(NO_LABELS, recovered.taken_over);
    }
}
