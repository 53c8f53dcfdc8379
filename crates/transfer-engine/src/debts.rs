//! Paying debts: by the request that made them, by the next request of their project, by recovery.
//!
//! A secret that a row names is never deleted, whatever a debt says.

use crate::{Caller, Engine, measured};
use cinder_db::{Committed, DbError, Ended, SettledEnd};
use openstack_http::Failure;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use transfer_core::{Authority, Debt, DebtId, Payment, Refusal, SecretId, Settlement};

/// What a round of payments came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Payments {
    /// Struck out.
    pub paid: u64,
    /// The key manager said no; they stay.
    pub refused: u64,
    /// No usable answer; they stay.
    pub unknown: u64,
}

/// How many ends are recorded in one transaction.
const ENDS_AT_ONCE: usize = 64;

/// Ends whose debts have been tried. Whoever's turn it is records those of all who wait; a task
/// that ends before its turn leaves its own to the next one.
#[derive(Default)]
pub(crate) struct Ends {
    waiting: Mutex<Vec<SettledEnd>>,
    turn: tokio::sync::Mutex<()>,
}

impl Ends {
    fn waiting(&self) -> MutexGuard<'_, Vec<SettledEnd>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Pays what the caller's project owes at this moment, in the background. One round at a time
    /// per project. Only the look-up is waited for, so that the round does not meet the debts that
    /// the caller's own request is about to make.
    pub async fn pay_debts_of(&self, caller: Caller) {
        let Some(round) = self.begin_round(&self.0.paying, &caller.project) else { return };
        let authority = Authority::Project(caller.project.clone());
        let debts = self.0.store.debts_of(&authority, self.0.options.debts_per_pass).await;
        let debts = debts.unwrap_or_else(|error| {
            tracing::warn!(project = %caller.project, %error, "debts could not be looked up");
            Vec::new()
        });
        if debts.is_empty() {
            return;
        }
        let engine = self.clone();
        self.spawn(measured::step("pay_debts"), async move {
            if let Err(error) = engine.pay_those(debts, &authority, &caller).await {
                tracing::warn!(project = %caller.project, %error, "payments not recorded");
            }
            drop(round);
        });
    }

    /// Pays each of these debts once. Those that an earlier request is paying just now are left to
    /// it; what it could not pay is tried when it is done.
    async fn pay_those(
        &self,
        mut debts: Vec<Committed<Debt>>,
        authority: &Authority,
        caller: &Caller,
    ) -> Result<(), DbError> {
        let callers = std::slice::from_ref(caller);
        let settling = &self.0.settling;
        let mut others: Vec<(DebtId, CancellationToken)> = Vec::new();
        debts.retain(|debt| {
            let end = settling.end(&debt.hand_over);
            others.extend(end.clone().map(|end| (debt.id(), end)));
            end.is_none()
        });
        self.pay(&debts, callers).await?;
        if others.is_empty() {
            return Ok(());
        }
        for (_, end) in &others {
            end.cancelled().await;
        }
        let mut left = self.0.store.debts_of(authority, self.0.options.debts_per_pass).await?;
        left.retain(|debt| others.iter().any(|(id, _)| *id == debt.id()));
        self.pay(&left, callers).await.map(|_payments| ())
    }

    /// Pays what a hand-over left, while its caller's token is still in memory, and forgets it.
    pub(crate) async fn settle_end(&self, ended: Ended, callers: &[Caller]) {
        let id = ended.hand_over.id();
        if let Err(error) = self.pay_and_forget(&ended, callers).await {
            tracing::warn!(hand_over = %id, %error, "left to recovery");
        }
    }

    async fn pay_and_forget(&self, ended: &Ended, callers: &[Caller]) -> Result<(), DbError> {
        let mut debts = Vec::new();
        for debt in &ended.debts {
            debts.push(((**debt).clone(), self.try_to_pay(debt, callers).await?));
        }
        let ends = &self.0.ends;
        ends.waiting().push(SettledEnd { hand_over: ended.hand_over.id().clone(), debts });
        let _turn = ends.turn.lock().await;
        let next: Vec<SettledEnd> = {
            let mut waiting = ends.waiting();
            let count = waiting.len().min(ENDS_AT_ONCE);
            waiting.drain(..count).collect()
        };
        if next.is_empty() { Ok(()) } else { self.0.store.settle_ends(&next).await }
    }

    /// Tries each debt once.
    pub(crate) async fn pay(
        &self,
        debts: &[Committed<Debt>],
        callers: &[Caller],
    ) -> Result<Payments, DbError> {
        let mut payments = Payments::default();
        for debt in debts {
            let settlement = self.try_to_pay(debt, callers).await?;
            match &settlement {
                Settlement::Paid => payments.paid += 1,
                Settlement::Refused(_) => payments.refused += 1,
                Settlement::Unknown(_) => payments.unknown += 1,
            }
            self.0.store.settle(debt, &settlement).await?;
        }
        measured::payments(&payments);
        Ok(payments)
    }

    async fn try_to_pay(
        &self,
        debt: &Committed<Debt>,
        callers: &[Caller],
    ) -> Result<Settlement, DbError> {
        let (id, span) = (debt.id(), measured::step("payment"));
        let payment = debt.payment();
        let attempt = self.delete_garbage(&payment, callers).instrument(span.clone()).await?;
        measured::ended(
            &span,
            match &attempt {
                Ok(()) => "paid",
                Err(Failure::Refused(_)) => "refused",
                Err(Failure::Unknown(_)) => "unknown",
            },
        );
        Ok(match attempt {
            Ok(()) => Settlement::Paid,
            Err(Failure::Refused(no)) => {
                let refusal = Refusal { status: no.status, message: no.message };
                tracing::warn!(debt = id.as_str(), %refusal, "debt refused");
                Settlement::Refused(refusal)
            }
            Err(Failure::Unknown(unknown)) => {
                let why = unknown.to_string();
                tracing::warn!(debt = id.as_str(), why, "debt not paid yet");
                Settlement::Unknown(why)
            }
        })
    }

    async fn delete_garbage(
        &self,
        payment: &Committed<Payment>,
        callers: &[Caller],
    ) -> Result<Result<(), Failure>, DbError> {
        match &**payment {
            Payment::Delete { secret, authority } => {
                self.delete_unnamed(secret, authority, callers).await
            }
            Payment::Sweep { name, authority } => self.sweep(name, authority, callers).await,
        }
    }

    async fn delete_unnamed(
        &self,
        secret: &SecretId,
        authority: &Authority,
        callers: &[Caller],
    ) -> Result<Result<(), Failure>, DbError> {
        if self.0.store.is_named(secret).await? {
            let message = format!(
                "secret {secret} is still named by a volume, a snapshot, a backup or a hand-over"
            );
            return Ok(Err(openstack_http::Refusal { status: 409, message }.into()));
        }
        let barbican = &self.0.barbican;
        let deleted = self.with_authority(authority, callers, move |token| async move {
            barbican.delete(&token, secret).await
        });
        Ok(deleted.await)
    }

    /// Deletes the empty secrets of this name that no row names.
    async fn sweep(
        &self,
        name: &str,
        authority: &Authority,
        callers: &[Caller],
    ) -> Result<Result<(), Failure>, DbError> {
        let barbican = &self.0.barbican;
        let listed = self.with_authority(authority, callers, move |token| async move {
            barbican.list_by_name(&token, name).await
        });
        let shells = match listed.await {
            Ok(shells) => shells,
            Err(failure) => return Ok(Err(failure)),
        };
        for shell in shells.iter().filter(|shell| shell.content_type.is_none()) {
            if self.0.store.is_named(&shell.id).await? {
                continue;
            }
            let id = &shell.id;
            let deleted = self.with_authority(authority, callers, move |token| async move {
                barbican.delete(&token, id).await
            });
            if let Err(failure) = deleted.await {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(()))
    }
}
