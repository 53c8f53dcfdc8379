//! A real database that does what the model does, and the names by which each calls a thing.

use super::compare::agree;
use crate::action::{Action, Grant, Txn};
use crate::memo::{Held, secret_id};
use crate::{Setting, payments, protocol};

use crate::world::{Due, Late, OFFERS, Outcome, Progress, Project, REQUESTS, SLOTS, State, Volume};
use cinder_db::{
    AcceptClaim, AuthKey, Caller, CancelClaim, ClaimError, Committed, EndError, FenceError,
    InitiateClaim, NewSnapshot, NewVolume, QuotaLimits, Scope, Store, StoreConfig,
};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqlitePool;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;
use transfer_core::{
    AbortCause, Event, Garbage, HandOver, HandOverId, Operation, Phase, Refusal, SecretId,
    Settlement, Step, TransferId, VolumeId,
};

const LEASE: Duration = Duration::from_secs(3600);

/// A database, and who is who on it.
pub(super) struct Mirror {
    pub(super) store: Store,
    raw: SqlitePool,
    _directory: tempfile::TempDir,
    fresh: u32,
    /// By the model's id.
    pub(super) secrets: BTreeMap<SecretId, SecretId>,
    pub(super) hand_overs: [Option<HandOverId>; SLOTS],
    pub(super) offers: [Option<(TransferId, AuthKey)>; OFFERS],
    /// What the driver of each request holds, and what it has on its way to the database.
    drivers: [Option<HandOver>; SLOTS],
    late: BTreeMap<(u8, Held), HandOver>,
}

impl Mirror {
    /// The model's start: two volumes of X, one with two snapshots, and three keys.
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:///{}/cinder.db?mode=rwc", directory.path().display());
        let config = StoreConfig { url: url.clone(), max_connections: 2 };
        let store = Store::connect(&config).await.unwrap();
        store.create_cinder_tables().await.unwrap();
        store.migrate().await.unwrap();
        let keys = ["A-X", "B-X", "C-X"].map(SecretId::new);
        for (id, key) in [("volume", &keys[0]), ("another-volume", &keys[2])] {
            store.create_volume(&volume(id, key), &QuotaLimits::default()).await.unwrap();
        }
        for id in ["snapshot-1", "snapshot-2"] {
            let limits = QuotaLimits::default();
            store.create_snapshot(&Scope::All, &snapshot(id), &limits).await.unwrap();
        }
        let mirror = Self {
            store,
            raw: SqlitePool::connect(&url).await.unwrap(),
            _directory: directory,
            fresh: 0,
            secrets: keys.into_iter().map(|key| (key.clone(), key)).collect(),
            hand_overs: [const { None }; SLOTS],
            offers: [const { None }; OFFERS],
            drivers: [const { None }; SLOTS],
            late: BTreeMap::new(),
        };
        mirror.sql("UPDATE snapshots SET encryption_key_id = 'B-X' WHERE id = 'snapshot-2'").await;
        mirror
    }

    /// Changes the database behind the store's back.
    pub(super) async fn sql(&self, statement: &str) {
        sqlx::query(AssertSqlSafe(statement)).execute(&self.raw).await.unwrap();
    }

    fn fresh(&mut self, what: &str) -> String {
        self.fresh += 1;
        format!("{what}-{}", self.fresh)
    }

    /// Does what the model has just done.
    pub(super) async fn follow(
        &mut self,
        setting: &Setting,
        before: &State,
        action: Action,
        after: &State,
    ) -> Result<(), String> {
        match action {
            Action::Claim { slot, offer, grant } => {
                let (slot, offer) = (usize::from(slot), usize::from(offer));
                if grant == Grant::TakesOver {
                    let others: Vec<usize> = before.claims_on(REQUESTS[slot].volume).collect();
                    for other in others {
                        self.expire(other).await?;
                    }
                }
                let claimed = self.claim(slot, offer, None).await;
                let claimed = claimed.map_err(|error| format!("a claim is refused: {error}"))?;
                let keeps = grant != Grant::ReplyLost;
                self.hand_overs[slot] = Some(claimed.id().clone());
                self.drivers[slot] = keeps.then(|| claimed.into_inner());
            }
            Action::Effect { slot, key, .. } => {
                if let Progress::Copying { outcomes, .. } = after.requests[usize::from(slot)]
                    && let Outcome::Created(shell) = outcomes[usize::from(key)]
                {
                    let id = SecretId::new(self.fresh("shell"));
                    self.secrets.insert(secret_id(shell), id);
                }
            }
            Action::Save { slot, txn } => self.save(setting, before, slot, txn).await?,
            Action::End { slot, gives_up, txn } => {
                self.end(before, slot, gives_up, txn, after).await?;
            }
            Action::ReadBack { slot } => self.read_back(usize::from(slot), before).await?,
            Action::Crash { slot } => self.drivers[usize::from(slot)] = None,
            Action::TakeOver { slot } => {
                self.expire(usize::from(slot)).await?;
                let ended = self.store.take_over_expired(9).await.map_err(words)?;
                agree("hand-overs taken over", &ended.len(), &1)?;
            }
            Action::Land { at } => {
                if let Late::Commit { slot, held } = before.network[usize::from(at)] {
                    let Some(commit) = self.late.remove(&(slot, held)) else {
                        return Err("a commit lands that nobody sent".to_owned());
                    };
                    self.store.commit(commit).await.map_err(words)?;
                }
            }
            // Secrets are not in the database.
            Action::Delete { .. } | Action::Sweep { .. } => {}
            Action::Strike { at } => {
                let garbage = self.garbage(before.debts[usize::from(at)].due);
                let debts = self.store.debts().await.map_err(words)?;
                let row = debts.into_iter().find(|row| row.debt.garbage == garbage);
                let row = row.ok_or_else(|| format!("no debt of {garbage:?}"))?;
                self.store.settle(&row.debt, &Settlement::Paid).await.map_err(words)?;
            }
            Action::GoOnUnsaved { .. }
            | Action::OutOfTurn { .. }
            | Action::Quota { .. }
            | Action::Upstream { .. } => return Err(format!("not of this protocol: {action:?}")),
        }
        self.forget_late(after).await
    }

    /// A commit that is no longer on its way in the model would not get through here.
    async fn forget_late(&mut self, after: &State) -> Result<(), String> {
        let under_way: BTreeSet<(u8, Held)> = after
            .network
            .iter()
            .filter_map(|late| match late {
                Late::Commit { slot, held } => Some((*slot, *held)),
                Late::Create { .. } | Late::Fill { .. } | Late::Delete { .. } => None,
            })
            .collect();
        let (_, lost): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.late.clone().into_iter().partition(|(sent, _)| under_way.contains(sent));
        for (sent, commit) in lost {
            self.late.remove(&sent);
            match self.store.commit(commit).await {
                Err(EndError::Fenced) => {}
                other => return Err(format!("a commit in vain: {other:?}")),
            }
        }
        Ok(())
    }

    /// Tries one thing of each kind that the model does not let happen. That nothing has changed
    /// is for [`Mirror::compare`] to tell.
    pub(super) async fn try_in_vain(
        &mut self,
        setting: &Setting,
        state: &State,
        draw: usize,
    ) -> Result<(), String> {
        let slot = draw % SLOTS;
        let request = REQUESTS[slot];
        let mut granted = Vec::new();
        protocol::claims(setting, state, slot, &mut granted);
        if granted.is_empty() {
            let known = state.open_offer(request.volume);
            // The last place is the second volume's.
            let places = 0..OFFERS - 1;
            let last = places.rev().find(|at| self.offers[*at].is_some());
            let offer = known.map(|(offer, _)| offer).or(last);
            let guess = known.is_some_and(|(_, key_known)| !key_known);
            let guess = guess.then(|| AuthKey::new("0123456789abcdef"));
            if request.operation == Operation::Initiate || offer.is_some() {
                match self.claim(slot, offer.unwrap_or(0), guess).await {
                    Err(ClaimError::Db(error)) => return Err(words(error)),
                    Err(_refused) => {}
                    Ok(granted) => return Err(format!("a claim in vain: {granted:?}")),
                }
            }
        }
        for kept in &state.secrets {
            let Some(secret) = self.secrets.get(&secret_id(kept.secret)) else { continue };
            let named = self.store.is_named(secret).await.map_err(words)?;
            agree(&format!("{secret} in use"), &named, &payments::is_named(state, kept.secret))?;
        }
        Ok(())
    }

    async fn expire(&self, slot: usize) -> Result<(), String> {
        let id = self.hand_overs[slot].as_ref().ok_or("a claim that was never made")?;
        self.sql(&format!(
            "UPDATE volume_transfer_hand_overs SET lease_expires_at_ms = 0 WHERE id = '{id}'"
        ))
        .await;
        Ok(())
    }

    async fn claim(
        &mut self,
        slot: usize,
        offer: usize,
        guess: Option<AuthKey>,
    ) -> Result<Committed<HandOver>, ClaimError> {
        let request = REQUESTS[slot];
        let hand_over_id = HandOverId::new(self.fresh("hand-over"));
        let caller = Caller {
            project: request.project.id(),
            user: request.project.name().into(),
            is_admin: request.project == Project::Admin,
        };
        let (lease, limits) = (LEASE, QuotaLimits::default());
        if request.operation == Operation::Initiate {
            let transfer_id = TransferId::new(self.fresh("transfer"));
            let claim = InitiateClaim {
                hand_over_id,
                transfer_id: transfer_id.clone(),
                volume: volume_id(request.volume),
                caller,
                name: None,
                no_snapshots: false,
                encrypted_allowed: true,
                expire_after: None,
                lengths: cinder_db::Lengths::default(),
                lease,
            };
            let offered = self.store.claim_initiate(&claim).await?;
            self.offers[offer] = Some((transfer_id, offered.auth_key));
            return Ok(offered.hand_over);
        }
        let Some((transfer, auth_key)) = self.offers[offer].clone() else {
            return Err(ClaimError::TransferNotFound("never offered".into()));
        };
        if request.operation == Operation::Accept {
            let auth_key = guess.unwrap_or(auth_key);
            let claim = AcceptClaim { hand_over_id, transfer, auth_key, caller, limits, lease };
            self.store.claim_accept(&claim).await
        } else {
            self.store.claim_cancel(&CancelClaim { hand_over_id, transfer, caller, lease }).await
        }
    }

    async fn save(
        &mut self,
        setting: &Setting,
        before: &State,
        slot: u8,
        txn: Txn,
    ) -> Result<(), String> {
        let slot = usize::from(slot);
        let Progress::Copying { held, outcomes, .. } = before.requests[slot] else {
            return Err("nobody to save".to_owned());
        };
        let (next, _) = protocol::after_batch(held, &outcomes);
        let driver = self.carried_on(slot, next)?;
        self.drivers[slot] = None;
        if txn == Txn::Failed {
            return Ok(());
        }
        let holds = protocol::fence_holds(setting, before, slot, next);
        match self.store.save(driver.clone(), LEASE).await {
            Ok(saved) => {
                agree("the fence", &true, &holds)?;
                self.drivers[slot] = (txn == Txn::Done).then(|| saved.into_inner());
            }
            Err(FenceError::Fenced) => {
                agree("the fence", &false, &holds)?;
                self.store.owe(&driver.debts_of_shells()).await.map_err(words)?;
            }
            Err(FenceError::Db(error)) => return Err(words(error)),
        }
        Ok(())
    }

    async fn end(
        &mut self,
        before: &State,
        slot: u8,
        gives_up: bool,
        txn: Txn,
        after: &State,
    ) -> Result<(), String> {
        let at = usize::from(slot);
        let Progress::Copying { held, outcomes, .. } = before.requests[at] else {
            return Err("nobody to end".to_owned());
        };
        let (next, _) = protocol::after_batch(held, &outcomes);
        let mut last = self.carried_on(at, next)?;
        if gives_up {
            last.apply(Event::GaveUp).map_err(words)?;
        }
        self.drivers[at] = None;
        match txn {
            Txn::Failed => return Ok(()),
            Txn::Late => {
                if let Progress::ReadingBack { held, .. } = after.requests[at] {
                    self.late.insert((slot, held), last.clone());
                }
                self.drivers[at] = Some(last);
                return Ok(());
            }
            Txn::Done | Txn::ReplyLost | Txn::CrashAfter => {}
        }
        let ended = match last.phase() {
            Phase::Copying => self.store.commit(last).await,
            Phase::Aborting(_) | Phase::Committed | Phase::Aborted(_) => {
                self.store.abort(last).await
            }
        };
        ended.map(|_ended| ()).map_err(words)
    }

    async fn read_back(&mut self, slot: usize, before: &State) -> Result<(), String> {
        let Some(mut tried) = self.drivers[slot].take() else {
            return Err("nobody to read back".to_owned());
        };
        let found = self.store.ended(tried.id()).await.map_err(words)?;
        let saved = before.journal[slot].map(|entry| &entry.held.info().hand_over);
        let committed = found.as_ref().map(|ended| *ended.hand_over.phase() == Phase::Committed);
        let expected = saved.filter(|saved| saved.has_ended());
        let expected = expected.map(|saved| *saved.phase() == Phase::Committed);
        // The model forgets an ended hand-over that can only be one that was taken over.
        agree("what is read back", &committed.unwrap_or(false), &expected.unwrap_or(false))?;
        if found.is_none() {
            tried.apply(Event::GaveUp).map_err(words)?;
            self.store.abort(tried).await.map_err(words)?;
        }
        Ok(())
    }

    /// What the driver of a request holds once it has come as far as the model's has.
    fn carried_on(&self, slot: usize, next: Held) -> Result<HandOver, String> {
        let mut driver = self.drivers[slot].clone().ok_or("a request without a driver")?;
        let next = &next.info().hand_over;
        let mut events = Vec::new();
        for (mine, key) in driver.keys().iter().zip(next.keys()) {
            if mine.shell.is_none()
                && let Some(shell) = &key.shell
            {
                let shell = self.secrets.get(shell).ok_or("an unknown shell")?.clone();
                events.push(Event::ShellCreated { old: mine.old.clone(), shell });
            }
            if key.filled && !mine.filled {
                events.push(Event::Filled { old: mine.old.clone() });
            }
        }
        if next.shell_in_doubt() && !driver.shell_in_doubt() {
            events.push(Event::Unknown { step: Step::CreateShell });
        }
        if let Phase::Aborting(AbortCause::Refused { step, .. }) = next.phase() {
            let refusal = Refusal { status: 403, message: "refused".to_owned() };
            events.push(Event::Refused { step: *step, refusal });
        }
        for event in events {
            driver.apply(event).map_err(words)?;
        }
        Ok(driver)
    }

    pub(super) fn garbage(&self, due: Due) -> Garbage {
        match due {
            Due::Secret { secret, .. } => {
                let id = secret_id(secret);
                Garbage::Secret(self.secrets.get(&id).cloned().unwrap_or(id))
            }
            Due::Shells { slot, .. } => {
                let id = self.hand_overs[usize::from(slot)].as_ref();
                Garbage::Shells {
                    name: id.map_or_else(String::new, |id| format!("volume-transfer-{id}")),
                }
            }
        }
    }
}

fn volume(id: &str, key: &SecretId) -> NewVolume {
    NewVolume {
        id: id.into(),
        project: Project::X.id(),
        user: "X".into(),
        size_gb: 1,
        status: "available".to_owned(),
        name: None,
        description: None,
        volume_type: None,
        key: Some(key.clone()),
        snapshot_id: None,
        source_volume_id: None,
        availability_zone: None,
        metadata: BTreeMap::new(),
    }
}

fn snapshot(id: &str) -> NewSnapshot {
    NewSnapshot {
        id: id.into(),
        volume: "volume".into(),
        user: "X".into(),
        status: "available".to_owned(),
        name: None,
        description: None,
        force: false,
    }
}

pub(super) fn volume_id(volume: Volume) -> VolumeId {
    match volume {
        Volume::First => "volume".into(),
        Volume::Second => "another-volume".into(),
    }
}

pub(super) fn words(error: impl Debug) -> String {
    format!("{error:?}")
}
