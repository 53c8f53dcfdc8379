//! What the engine tells of itself in metrics and traces: how operations end, how long their phases
//! take.
//!
//! A step has a span that is there for traces alone: where nobody collects them it is never made,
//! and the step runs in the span that is there already. Names and outcomes are words of this crate.

use crate::TransferError;
use crate::debts::Payments;
use crate::recovery::Recovered;
use cinder_db::DbError;
use std::future::Future;
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};
use transfer_metrics::{
    NO_LABELS, OPERATION_DURATION, OPERATIONS, PAYMENTS, PHASE_DURATION, RECOVERED, RECOVERY_PASSES,
};

/// The span of a step, for traces.
pub(crate) fn step(name: &'static str) -> Span {
    tracing::trace_span!(
        target: "transfer_engine::step",
        "step",
        otel.name = name,
        outcome = field::Empty,
        otel.status_code = field::Empty,
    )
}

/// Says in its span how a step ended.
pub(crate) fn ended(step: &Span, outcome: &'static str) {
    step.record("outcome", outcome);
    if !matches!(outcome, "done" | "paid") {
        step.record("otel.status_code", "ERROR");
    }
}

/// Runs an operation in its span, and tells how it ended.
pub(crate) async fn operation<T>(
    name: &'static str,
    span: Span,
    work: impl Future<Output = Result<T, TransferError>>,
) -> Result<T, TransferError> {
    let begun = Instant::now();
    let outcome = work.await;
    let word = outcome.as_ref().map_or_else(TransferError::outcome, |_| "done");
    ended(&span, word);
    OPERATIONS.add([name, word], 1);
    OPERATION_DURATION.record([name], begun.elapsed());
    outcome
}

/// Tells of an operation whose turn never came.
pub(crate) fn turned_away(name: &'static str, error: &TransferError) {
    OPERATIONS.add([name, error.outcome()], 1);
}

/// Runs one attempt at a phase, and tells how long it took.
///
/// A phase is on the heap, for as long as it runs: an operation that waits for its turn, or for
/// Barbican, does not hold the room that the largest of its transactions needs.
pub(crate) fn phase<T, E>(
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    let work = Box::pin(work);
    async move {
        let (begun, span) = (Instant::now(), step(name));
        let outcome = work.instrument(span.clone()).await;
        let word = if outcome.is_ok() { "done" } else { "failed" };
        ended(&span, word);
        PHASE_DURATION.record([name, word], begun.elapsed());
        outcome
    }
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
