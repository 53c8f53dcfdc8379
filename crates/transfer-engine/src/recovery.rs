//! Recovery: what any replica does at start and every few seconds, for all of them.
//!
//! It takes over claims whose lease is over, aborts them, and pays what the service owes. It knows
//! no caller's token, so a user's debts, and offers that have expired, wait for their project, or
//! for an operator who has its credentials.

use crate::debts::Payments;
use crate::{Caller, Engine, measured};
use cinder_db::DbError;
use transfer_core::Authority;

/// What one pass of recovery did.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Recovered {
    /// Hand-overs taken over from drivers that were gone, and aborted.
    pub taken_over: u64,
    /// Payments of the service's debts.
    pub payments: Payments,
}

impl Engine {
    /// One pass.
    ///
    /// # Errors
    /// [`DbError`] when the database does not answer; what was done stays done.
    pub async fn recover(&self) -> Result<Recovered, DbError> {
        let pass = self.pass().await;
        measured::recovery(&pass);
        pass
    }

    async fn pass(&self) -> Result<Recovered, DbError> {
        let mut recovered = Recovered::default();
        let per_pass = self.0.options.debts_per_pass;
        for ended in self.0.store.take_over_expired(per_pass).await? {
            tracing::warn!(
                hand_over = %ended.hand_over.id(),
                operation = %ended.hand_over.operation(),
                volume = %ended.hand_over.volume(),
                "taken over and aborted"
            );
            recovered.taken_over += 1;
        }
        let due = self.0.store.due_service_debts(per_pass).await?;
        recovered.payments = self.pay(&due, &[]).await?;
        self.0.store.forget_ended(self.0.options.remember_ended).await?;
        Ok(recovered)
    }

    /// Ends what waits for the caller's project, as its next request would, and all of it: debts,
    /// due or not, and offers that have expired.
    ///
    /// # Errors
    /// [`DbError`]; what was done stays done.
    pub async fn recover_for(&self, caller: &Caller) -> Result<Payments, DbError> {
        let authority = Authority::Project(caller.project.clone());
        let owed = self.0.store.debts_of(&authority, u64::from(u32::MAX)).await?;
        let payments = self.pay(&owed, std::slice::from_ref(caller)).await?;
        self.take_back_each(caller.clone(), |_offer| true).await;
        Ok(payments)
    }

    /// Runs passes until the engine shuts down: one at once, then one each period.
    pub fn start_recovery(&self) {
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(engine.0.options.recovery_period);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = engine.0.stopping.cancelled() => return,
                }
                let looked = match engine.recover().await {
                    Ok(_recovered) => engine.look_for_expired().await,
                    Err(error) => Err(error),
                };
                if let Err(error) = looked {
                    tracing::error!(%error, "recovery pass failed; the next one tries again");
                }
            }
        });
    }
}
