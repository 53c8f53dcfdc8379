//! Offers that have expired: their keys go back with the token of whoever of their project calls
//! next, by the ordinary cancel. Until then nobody can accept them, and nothing else happens.

use crate::measured::step;
use crate::rounds::Round;
use crate::{Caller, Engine, TransferError};
use cinder_db::{ClaimError, DbError, ExpiredOffer, Scope};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use transfer_core::{ProjectId, TransferId};

impl Engine {
    /// Takes back the expired offers of the caller's project which the caller `may` take back, one
    /// after the other, in the background. One round at a time per project; after a round in which
    /// something failed the next one waits as long as recovery does between two passes. Gives the
    /// round, if one has begun, to whoever wants to wait for it.
    pub fn take_back_expired(
        &self,
        caller: Caller,
        may: impl Fn(&ExpiredOffer) -> bool + Send + Sync + 'static,
    ) -> Option<JoinHandle<()>> {
        if !self.0.any_expired.load(Ordering::Relaxed) {
            return None;
        }
        let round = self.begin_round(&self.0.taking_back, &caller.project)?;
        let engine = self.clone();
        Some(self.spawn(step("take_back_expired"), async move {
            let all_went = engine.take_back_each(caller, may).await;
            engine.end_round(round, all_went).await;
        }))
    }

    /// Looks whether any offer has expired, of whichever project: as long as none has, a request
    /// costs nothing more. Recovery does so from pass to pass.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn look_for_expired(&self) -> Result<(), DbError> {
        let found = self.0.store.has_expired_offers().await?;
        self.0.any_expired.store(found, Ordering::Relaxed);
        Ok(())
    }

    /// Whether whatever was tried went well. The caller's token is gone afterwards.
    pub(crate) async fn take_back_each(
        &self,
        caller: Caller,
        may: impl Fn(&ExpiredOffer) -> bool + Send + Sync,
    ) -> bool {
        let scope = Scope::Project(caller.project.clone());
        let mut all_went = true;
        let mut after: Option<TransferId> = None;
        loop {
            let limit = self.0.options.debts_per_pass;
            let page = self.0.store.expired_offers(&scope, Duration::ZERO, after.as_ref(), limit);
            let page = page.await.unwrap_or_else(|error| {
                tracing::warn!(project = %caller.project, %error, "expired offers not looked up");
                all_went = false;
                Vec::new()
            });
            let Some(last) = page.last() else { return all_went };
            after = Some(last.id.clone());
            for offer in page.iter().filter(|offer| may(offer)) {
                let ended = self.take_back("expire", caller.clone(), offer.id.clone()).await;
                let Some(error) = ended.err().filter(|error| !is_over(error)) else { continue };
                tracing::warn!(volume = %offer.volume, %error, "expired offer not taken back yet");
                all_went = false;
                if !is_of_the_offer(&error) {
                    return false;
                }
            }
        }
    }

    async fn end_round(&self, round: Round<ProjectId>, all_went: bool) {
        if !all_went {
            tokio::select! {
                () = tokio::time::sleep(self.0.options.recovery_period) => {}
                () = self.0.stopping.cancelled() => {}
            }
        }
        drop(round);
    }
}

/// Whether somebody else has ended the offer.
fn is_over(error: &TransferError) -> bool {
    matches!(error, TransferError::Claim(ClaimError::TransferNotFound(_)))
}

/// Whether the next offer may fare better: the reason lies neither in the token nor in a service
/// that does not answer.
fn is_of_the_offer(error: &TransferError) -> bool {
    match error {
        TransferError::Claim(claim) => !matches!(claim, ClaimError::Db(_)),
        TransferError::Refused { refusal, .. } => refusal.status != 401,
        TransferError::Conflict | TransferError::TakenOver => true,
        TransferError::Unavailable { .. }
        | TransferError::Database(_)
        | TransferError::InDoubt
        | TransferError::Busy
        | TransferError::ShuttingDown => false,
    }
}
