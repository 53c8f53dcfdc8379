//! What an operator has done: damaged volumes restored, garbage deleted that nothing has on record,
//! and single debts and abandoned hand-overs ended without waiting for their turn.
//!
//! All of it goes by the protocol: a restore is a hand-over, and what is to be deleted is a debt
//! before it is deleted.

use crate::debts::Payments;
use crate::{Caller, Engine, TransferError, new_hand_over_id};
use cinder_db::{DbError, RestoreClaim};
use transfer_core::{
    Authority, Debt, DebtId, HandOverId, ProjectId, Restoration, SecretId, UserId, VolumeId,
};

/// A damaged volume and what is to be done about it.
#[derive(Clone, Debug)]
pub struct Repair {
    /// The volume.
    pub volume: VolumeId,
    /// Its true key, which one of its rows names.
    pub key: SecretId,
    /// Whose that is, who has to have it, and what else the rows name.
    pub restoration: Restoration,
    /// Who has it done.
    pub by: (ProjectId, UserId),
}

impl Engine {
    /// Restores a damaged volume. `callers` lend the authority of their projects; the service's own
    /// is at hand.
    ///
    /// # Errors
    /// [`TransferError`]; the rows are as before unless it says otherwise.
    pub async fn restore(&self, callers: &[Caller], repair: Repair) -> Result<(), TransferError> {
        let (engine, callers) = (self.clone(), callers.to_vec());
        self.detached("restore", repair.by.0.clone(), async move {
            let claim = RestoreClaim {
                hand_over_id: new_hand_over_id(),
                volume: repair.volume,
                key: repair.key,
                restoration: repair.restoration,
                by: repair.by,
                lease: engine.0.options.lease,
            };
            let claimed = engine.0.store.claim_restore(&claim).await?;
            engine.drive(claimed, &callers).await
        })
        .await
    }

    /// Ends a hand-over whose lease is over by aborting it; false when there is nothing to end.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn take_over(&self, id: &HandOverId, volume: &VolumeId) -> Result<bool, DbError> {
        Ok(self.0.store.take_over_if_expired(id, volume).await?.is_some())
    }

    /// Puts something on record as garbage, and tries to delete it.
    ///
    /// # Errors
    /// [`DbError`]; if it is on record, it stays there until it is deleted.
    pub async fn discard(&self, debt: Debt, callers: &[Caller]) -> Result<Payments, DbError> {
        self.0.store.owe(std::slice::from_ref(&debt)).await?;
        self.pay_debt(&debt.authority, &debt.id(), callers).await
    }

    /// Tries to pay one debt now, whether or not it is due. Nothing is paid when it is no longer on
    /// record.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn pay_debt(
        &self,
        authority: &Authority,
        debt: &DebtId,
        callers: &[Caller],
    ) -> Result<Payments, DbError> {
        let mut owed = self.0.store.debts_of(authority, u64::from(u32::MAX)).await?;
        owed.retain(|owed| owed.id() == *debt);
        self.pay(&owed, callers).await
    }
}
