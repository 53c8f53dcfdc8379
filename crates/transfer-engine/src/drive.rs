//! From a claim to its end: the loop that asks the protocol what comes next.

use crate::copying::{Attempt, Copying};
use crate::measured::{phase, step};
use crate::{Caller, Engine, TransferError};
use cinder_db::{Committed, EndError, Ended, FenceError};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::Instant;
use transfer_core::{AbortCause, Event, HandOver, Pending, Phase};

/// How often a commit whose reply was lost is looked up before the answer is "in doubt".
const READ_BACKS: u32 = 5;

impl Engine {
    /// Drives a claimed hand-over to its end, and has its debts paid off the caller's path.
    pub(crate) async fn drive(
        &self,
        claimed: Committed<HandOver>,
        callers: &[Caller],
    ) -> Result<(), TransferError> {
        let mut last = String::new();
        let ended = self.run(claimed, callers, &mut last).await?;
        let outcome = match ended.hand_over.phase() {
            Phase::Committed => Ok(()),
            Phase::Aborted(AbortCause::Refused { step, refusal }) => {
                Err(TransferError::Refused { step: *step, refusal: refusal.clone() })
            }
            Phase::Aborted(AbortCause::TakenOver) => Err(TransferError::TakenOver),
            Phase::Aborted(AbortCause::GaveUp) => Err(TransferError::Unavailable { last }),
            Phase::Copying | Phase::Aborting(_) => Err(TransferError::InDoubt),
        };
        tracing::info!(
            hand_over = %ended.hand_over.id(),
            operation = %ended.hand_over.operation(),
            volume = %ended.hand_over.volume(),
            phase = phase_name(ended.hand_over.phase()),
            debts = ended.debts.len(),
            "hand-over ended"
        );
        self.settle_later(ended, callers);
        outcome
    }

    fn settle_later(&self, ended: Ended, callers: &[Caller]) {
        let (engine, callers) = (self.clone(), callers.to_vec());
        let round = self.0.settling.begin(ended.hand_over.id());
        let settling = async move {
            engine.settle_end(ended, &callers).await;
            drop(round);
        };
        self.spawn(step("settle"), settling);
    }

    async fn run(
        &self,
        claimed: Committed<HandOver>,
        callers: &[Caller],
        last: &mut String,
    ) -> Result<Ended, TransferError> {
        let copying = Copying::new(self, callers);
        let deadline = Instant::now() + self.0.options.patience;
        let mut pause = self.0.options.pause;
        let mut state = claimed;
        loop {
            if !matches!(state.pending(), Pending::Effects(_)) {
                return self.end(state.into_inner(), callers).await;
            }
            let attempts = join_all(state.effects().iter().map(|e| copying.attempt(e))).await;
            let mut next = state.into_inner();
            let mut wait = None;
            for Attempt { event, trouble } in attempts {
                if let Some(trouble) = trouble {
                    tracing::warn!(hand_over = %next.id(), %trouble, "outcome unknown");
                    wait = wait.max(Some(trouble.retry_after.unwrap_or(pause)));
                    *last = trouble.to_string();
                }
                apply(&mut next, event);
            }
            // A refusal of one key ends the hand-over, whatever became of the others.
            if !matches!(next.pending(), Pending::Effects(_)) {
                return self.end(next, callers).await;
            }
            if let Some(wait) = wait {
                if !self.keeps_trying(wait, deadline).await {
                    apply(&mut next, Event::GaveUp);
                    return self.end(next, callers).await;
                }
                pause *= 2;
            }
            state = self.save(next).await?;
        }
    }

    /// Waits before the next try. False when it would come after the deadline, or the server is
    /// stopping.
    async fn keeps_trying(&self, wait: Duration, deadline: Instant) -> bool {
        if Instant::now() + wait >= deadline {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.0.stopping.cancelled() => false,
        }
    }

    async fn save(&self, next: HandOver) -> Result<Committed<HandOver>, TransferError> {
        match self.0.store.save(next.clone(), self.0.options.lease).await {
            Ok(saved) => Ok(saved),
            Err(FenceError::Fenced) => {
                self.owe_unrecorded(&next).await;
                Err(TransferError::TakenOver)
            }
            Err(FenceError::Db(error)) => Err(error.into()),
        }
    }

    /// The hand-over was taken over before its shells were recorded: they become debts here, since
    /// whoever took over did not know of them. A shell in doubt may have come to be after it was
    /// swept.
    async fn owe_unrecorded(&self, lost: &HandOver) {
        if let Err(error) = self.0.store.owe(&lost.debts_of_shells()).await {
            tracing::warn!(hand_over = %lost.id(), %error, "empty shells could not be recorded");
        }
    }

    /// The commit or the abort; a lost reply is read back.
    async fn end(&self, next: HandOver, callers: &[Caller]) -> Result<Ended, TransferError> {
        let commits = next.pending() == Pending::Commit;
        let attempt = if commits {
            phase("commit", self.0.store.commit(next.clone())).await
        } else {
            phase("abort", self.0.store.abort(next.clone())).await
        };
        match attempt {
            Ok(ended) => Ok(ended),
            Err(EndError::Fenced) => {
                self.owe_unrecorded(&next).await;
                Err(TransferError::TakenOver)
            }
            Err(EndError::ConflictingRows) => {
                let mut back = next;
                apply(&mut back, Event::GaveUp);
                if let Some(ended) = self.abort_after(back).await? {
                    self.settle_later(ended, callers);
                }
                Err(TransferError::Conflict)
            }
            Err(EndError::Unknown(error)) if commits => self.read_back(next, error, callers).await,
            Err(EndError::Unknown(error) | EndError::Db(error)) => Err(error.into()),
        }
    }

    async fn abort_after(&self, back: HandOver) -> Result<Option<Ended>, TransferError> {
        match self.0.store.abort(back).await {
            Ok(ended) => Ok(Some(ended)),
            Err(EndError::Fenced) => Ok(None),
            Err(EndError::ConflictingRows) => Err(TransferError::Conflict),
            Err(EndError::Unknown(error) | EndError::Db(error)) => Err(error.into()),
        }
    }

    async fn read_back(
        &self,
        tried: HandOver,
        error: cinder_db::DbError,
        callers: &[Caller],
    ) -> Result<Ended, TransferError> {
        tracing::error!(hand_over = %tried.id(), %error, "the commit's reply was lost");
        for attempt in 0..READ_BACKS {
            tokio::time::sleep(self.0.options.pause * 2_u32.pow(attempt)).await;
            match self.0.store.ended(tried.id()).await {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => {}
                Err(again) => {
                    tracing::warn!(hand_over = %tried.id(), error = %again, "no answer");
                    continue;
                }
            }
            // The commit may still be on its way. The abort is fenced by the same row, so that
            // exactly one of the two happens.
            let mut back = tried.clone();
            apply(&mut back, Event::GaveUp);
            if let Ok(ended) = self.0.store.abort(back).await {
                self.settle_later(ended, callers);
                return Err(TransferError::Database(error));
            }
        }
        Err(TransferError::InDoubt)
    }
}

/// Applies an event that this very driver produced from this very state.
fn apply(state: &mut HandOver, event: Event) {
    if let Err(illegal) = state.apply(event) {
        // The executor answers only effects that the state asked for.
        tracing::error!(error = %illegal, "event without effect");
        debug_assert!(false, "{illegal}");
    }
}

fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Copying => "copying",
        Phase::Aborting(_) => "aborting",
        Phase::Committed => "committed",
        Phase::Aborted(_) => "aborted",
    }
}
