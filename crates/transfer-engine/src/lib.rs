//! Drives hand-overs: executes effects, keeps leases, recovers, pays debts, ends what has expired.
//!
//! [`Engine::initiate`], [`Engine::accept`] and [`Engine::cancel`] claim, copy and commit in a task
//! of their own, so that they go on when the caller hangs up. What the protocol asks for comes from
//! `transfer-core`; this crate decides only *when* to try again and when to stop.
//!
//! Invariants:
//! - an external effect is executed only as `Committed<Effect>`: its intent is in the journal;
//! - an unknown outcome moves no phase; it is tried again until the driver's patience ends, and
//!   then the hand-over is aborted, database first;
//! - success is answered only after the commit; an error means that the rows are as before, except
//!   [`TransferError::InDoubt`], which says that nobody knows;
//! - a caller's token lives no longer than the tasks of its request;
//! - only so many hand-overs are at it at once; who has to wait has nothing in the database.
//!
//! Does not: speak HTTP to callers, check policy, or know Cinder's tables.

mod admission;
mod copying;
mod debts;
mod drive;
mod error;
mod expiry;
mod known;
mod measured;
mod options;
mod recovery;
mod repairs;
mod rounds;

pub use debts::Payments;
pub use error::TransferError;
pub use options::{Options, OptionsError};
pub use recovery::Recovered;
pub use repairs::Repair;

use crate::measured::phase;
use admission::{Admission, Limits, Permit};
use barbican_client::Barbican;
use cinder_db::{AcceptClaim, AuthKey, CancelClaim, InitiateClaim, QuotaLimits, Store};
use debts::Ends;
use keystone_client::ServiceSession;
use known::Known;
use openstack_http::{RequestId, Token};
use rounds::Rounds;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};
use transfer_core::{HandOverId, ProjectId, TransferId, UserId, VolumeId};

/// Who calls, and the token that lends its authority for the length of the request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The project of the token.
    pub project: ProjectId,
    /// The user of the token.
    pub user: UserId,
    /// Whether the token carries the `admin` role.
    pub is_admin: bool,
    /// The token itself.
    pub token: Token,
}

impl Caller {
    fn row(&self) -> cinder_db::Caller {
        cinder_db::Caller {
            project: self.project.clone(),
            user: self.user.clone(),
            is_admin: self.is_admin,
        }
    }
}

/// What a caller offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The volume.
    pub volume: VolumeId,
    /// The offer's display name.
    pub name: Option<String>,
    /// Whether the snapshots stay behind.
    pub no_snapshots: bool,
    /// Whether the request's microversion and route allow an encrypted volume.
    pub encrypted_allowed: bool,
}

/// A committed offer. The auth key is shown to the caller once and kept nowhere.
#[derive(Debug)]
pub struct Offered {
    /// The offer's id.
    pub transfer: TransferId,
    /// What the recipient has to show.
    pub auth_key: AuthKey,
}

/// The driver of hand-overs. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// The service's accounts with Keystone.
pub struct Accounts {
    /// Its own, with whose authority keys are kept and deleted.
    pub own: Arc<ServiceSession>,
    /// The one whose token goes to Barbican beside a user's, if any does: Barbican then takes a
    /// user's token that has ended in the meantime.
    pub beside_users: Option<Arc<ServiceSession>>,
}

impl From<Arc<ServiceSession>> for Accounts {
    fn from(own: Arc<ServiceSession>) -> Self {
        Self { own, beside_users: None }
    }
}

struct Inner {
    store: Store,
    barbican: Barbican,
    accounts: Accounts,
    limits: QuotaLimits,
    options: Options,
    admission: Admission,
    tasks: TaskTracker,
    stopping: CancellationToken,
    ends: Ends,
    known: Known,
    /// Hand-overs that have ended, and whose debts are being paid.
    settling: Rounds<HandOverId>,
    paying: Rounds<ProjectId>,
    taking_back: Rounds<ProjectId>,
    /// Whether recovery has seen an expired offer, of whichever project.
    any_expired: AtomicBool,
}

impl Engine {
    /// An engine on this database, key manager and these accounts. Starts nothing by itself; see
    /// [`Engine::start_recovery`].
    pub fn new(
        store: Store,
        barbican: Barbican,
        accounts: impl Into<Accounts>,
        limits: QuotaLimits,
        options: Options,
    ) -> Self {
        let admission = Admission::new(Limits {
            at_once: options.hand_overs_at_once,
            waiting: options.hand_overs_waiting,
            patience: options.longest_wait,
        });
        Self(Arc::new(Inner {
            admission,
            store,
            barbican,
            accounts: accounts.into(),
            limits,
            options,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            ends: Ends::default(),
            known: Known::default(),
            settling: Rounds::default(),
            paying: Rounds::default(),
            taking_back: Rounds::default(),
            any_expired: AtomicBool::new(false),
        }))
    }

    /// The database, for reads that need no protocol.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Offers a volume (cinder: `transfer/api.py` create).
    ///
    /// # Errors
    /// [`TransferError`]; the rows are as before unless it says otherwise.
    pub async fn initiate(&self, caller: Caller, offer: Offer) -> Result<Offered, TransferError> {
        let engine = self.clone();
        self.detached("initiate", caller.project.clone(), async move {
            let claim = InitiateClaim {
                hand_over_id: new_hand_over_id(),
                // Those of one time lie beside each other in a table that keeps all of them.
                transfer_id: TransferId::new(uuid::Uuid::now_v7().to_string()),
                volume: offer.volume,
                caller: caller.row(),
                name: offer.name,
                no_snapshots: offer.no_snapshots,
                encrypted_allowed: offer.encrypted_allowed,
                expire_after: engine.0.options.expire_after,
                lengths: engine.0.options.lengths,
                lease: engine.0.options.lease,
            };
            let claimed = phase("claim", engine.0.store.claim_initiate(&claim)).await?;
            engine.drive(claimed.hand_over, &[caller]).await?;
            Ok(Offered { transfer: claim.transfer_id, auth_key: claimed.auth_key })
        })
        .await
    }

    /// Accepts an offer with its auth key (cinder: `transfer/api.py` accept).
    ///
    /// # Errors
    /// [`TransferError`]; the rows are as before unless it says otherwise.
    pub async fn accept(
        &self,
        caller: Caller,
        transfer: TransferId,
        auth_key: AuthKey,
    ) -> Result<(), TransferError> {
        let engine = self.clone();
        self.detached("accept", caller.project.clone(), async move {
            let claim = AcceptClaim {
                hand_over_id: new_hand_over_id(),
                transfer,
                auth_key,
                caller: caller.row(),
                limits: engine.0.limits.clone(),
                lease: engine.0.options.lease,
            };
            let claimed = phase("claim", engine.0.store.claim_accept(&claim)).await?;
            engine.drive(claimed, &[caller]).await
        })
        .await
    }

    /// Takes an offer back (cinder: `transfer/api.py` delete).
    ///
    /// # Errors
    /// [`TransferError`]; the rows are as before unless it says otherwise.
    pub async fn cancel(&self, caller: Caller, transfer: TransferId) -> Result<(), TransferError> {
        self.take_back("cancel", caller, transfer).await
    }

    /// Takes an offer back, for whichever reason metrics are to tell.
    pub(crate) async fn take_back(
        &self,
        why: &'static str,
        caller: Caller,
        transfer: TransferId,
    ) -> Result<(), TransferError> {
        let engine = self.clone();
        self.detached(why, caller.project.clone(), async move {
            let claim = CancelClaim {
                hand_over_id: new_hand_over_id(),
                transfer,
                caller: caller.row(),
                lease: engine.0.options.lease,
            };
            let claimed = phase("claim", engine.0.store.claim_cancel(&claim)).await?;
            engine.drive(claimed, &[caller]).await
        })
        .await
    }

    /// Stops taking part: drivers that wait for an unknown outcome give up at once, the others
    /// finish. Returns whether all did within the time; what is left is recovered by lease.
    pub async fn shut_down(&self, within: Duration) -> bool {
        self.0.stopping.cancel();
        self.0.tasks.close();
        tokio::time::timeout(within, self.0.tasks.wait()).await.is_ok()
    }

    /// Runs an operation in a task of its own, once it is the project's turn: from then on it goes
    /// on when its caller is gone.
    fn detached<T: Send + 'static>(
        &self,
        name: &'static str,
        project: ProjectId,
        operation: impl Future<Output = Result<T, TransferError>> + Send + 'static,
    ) -> impl Future<Output = Result<T, TransferError>> {
        // On the heap, before anything waits: whatever wraps a future holds it again.
        let operation = Box::pin(operation);
        async move {
            let turn = phase("turn", self.turn(&project)).await;
            let permit = turn.inspect_err(|error| measured::turned_away(name, error))?;
            let operation = async move {
                let outcome = operation.await;
                drop(permit);
                outcome
            };
            let span = measured::step(name);
            match self.spawn(span.clone(), measured::operation(name, span, operation)).await {
                Ok(outcome) => outcome,
                Err(failed) => match failed.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_cancelled) => Err(TransferError::InDoubt),
                },
            }
        }
    }

    /// Waits until the project may begin.
    async fn turn(&self, project: &ProjectId) -> Result<Permit, TransferError> {
        if self.0.stopping.is_cancelled() {
            return Err(TransferError::ShuttingDown);
        }
        tokio::select! {
            biased;
            entered = self.0.admission.enter(project) => entered.map_err(|_| TransferError::Busy),
            () = self.0.stopping.cancelled() => Err(TransferError::ShuttingDown),
        }
    }

    /// Begins a task that belongs to the request that runs: same request id, a step of the same
    /// trace, and in any case a span by which its request is known.
    fn spawn<T: Send + 'static>(
        &self,
        step: Span,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let task = RequestId::during(RequestId::current(), Box::pin(task));
        self.0.tasks.spawn(task.instrument(step.or_current()))
    }
}

fn new_hand_over_id() -> HandOverId {
    HandOverId::new(uuid::Uuid::new_v4().to_string())
}
