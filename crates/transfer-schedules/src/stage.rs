//! One run: actors on a restored cloud, and the steps that the scheduler chooses.
//!
//! Everything of a run lives on one single-threaded runtime, and whatever still stands at a gate
//! when the run is over goes down with it, as a process does.

use crate::Broken;
use crate::choice::{Choice, Fault};
use crate::cloud::{Cloud, Moment};
use crate::doors::{DatabaseDoor, Mistake, SecretsDoor, note_effect};
use crate::footprint::{Footprint, Resource};
use crate::gates::{Ask, Gates, KnownOffer, Progress, Settled};
use crate::scenario::{Act, MOST_ACTORS, Scenario};
use cinder_db::AuthKey;
use openstack_http::Exchange as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use transfer_core::invariants::{Answer, Told};
use transfer_core::{Authority, History, VolumeId, World};
use transfer_engine::{Caller, Engine, Offer, Offered, TransferError};

/// No background work takes as long.
const LONG: Duration = Duration::from_secs(3600);

/// A run under way.
pub(crate) struct Stage<'a> {
    cloud: &'a Cloud,
    scenario: &'a Scenario,
    gates: Arc<Gates>,
    gone: Gone,
}

/// What has happened so far beside the actors.
#[derive(Clone)]
struct Gone {
    history: History,
    faulted: bool,
    expired: bool,
    rested: bool,
}

/// A moment at which nobody was under way: a run can begin there as well as at the start.
pub(crate) struct Kept {
    moment: Moment,
    settled: Settled,
    gone: Gone,
}

impl<'a> Stage<'a> {
    /// Restores the cloud and lets every actor come to its first gate.
    pub(crate) async fn set(cloud: &'a Cloud, scenario: &'a Scenario) -> Result<Self, Broken> {
        let mut history = History::default();
        history.observe(&cloud.world);
        let gone = Gone { history, faulted: false, expired: false, rested: false };
        let settled = Settled::new(scenario.acts.len(), cloud.offer.clone());
        Self::resume(cloud, scenario, &Kept { moment: cloud.start.clone(), settled, gone }).await
    }

    /// Goes back to a moment. Whoever had not begun comes to its first gate again; nothing that is
    /// shared may be touched on the way there, so that it makes no difference when that was.
    pub(crate) async fn resume(
        cloud: &'a Cloud,
        scenario: &'a Scenario,
        kept: &Kept,
    ) -> Result<Self, Broken> {
        cloud.restore(&kept.moment)?;
        let gates = Arc::new(Gates::new(kept.settled.clone()));
        let stage = Self { cloud, scenario, gates, gone: kept.gone.clone() };
        for (actor, progress) in stage.gates.progress().iter().enumerate() {
            if !progress.over && !progress.crashed {
                stage.enter(actor, scenario.acts[actor])?;
            }
        }
        stage.gates.quiet().await?;
        if stage.gates.take_footprint() != Footprint::default() {
            return Err(Broken::Stack("an actor touched something before its first gate".into()));
        }
        Ok(stage)
    }

    /// Keeps this moment, if nobody is under way, in a place that is free.
    pub(crate) fn keep(&self, place: usize) -> Result<Option<Kept>, Broken> {
        let Some(settled) = self.gates.settled() else { return Ok(None) };
        let moment = self.cloud.keep(place)?;
        Ok(moment.map(|moment| Kept { moment, settled, gone: self.gone.clone() }))
    }

    /// Puts an actor on the stage: a replica of its own, in tasks of its own.
    fn enter(&self, actor: usize, act: Act) -> Result<(), Broken> {
        let (cloud, gates) = (self.cloud, Arc::clone(&self.gates));
        let caller = act.caller().map(|letter| cloud.caller(letter, actor)).transpose()?;
        let door = SecretsDoor {
            actor,
            gates: Arc::clone(&gates),
            inner: cloud.barbican.clone(),
            caller: caller.as_ref().map(|c| (c.token.expose().to_owned(), c.project.clone())),
            service: cloud.service(),
            mistake: self.scenario.planted.map(|planted| Mistake {
                planted,
                raw: cloud.raw.clone(),
                read: Mutex::new(None),
            }),
        };
        let turnstile = DatabaseDoor::new(actor, Arc::clone(&gates), act.operation().is_some());
        let store = self.cloud.store.with_turnstile(Arc::new(turnstile));
        let engine = cloud.engine(store, Arc::new(door))?;
        let offer = cloud.offer_of();
        tokio::spawn(async move {
            if act == Act::Recovery {
                gates.stand(actor, Ask::Begin).await;
            }
            let outcome = match caller {
                None => engine.recover().await.map(|_recovered| ()).map_err(Into::into),
                Some(caller) => perform(&engine, &gates, actor, act, caller, offer).await,
            };
            let told = match &outcome {
                Ok(()) => Told::Done,
                Err(TransferError::InDoubt) => Told::Nothing,
                Err(_nothing_changed) => Told::Refused,
            };
            let was_taken_over = matches!(outcome, Err(TransferError::TakenOver));
            gates.answer(actor, told, was_taken_over);
            engine.shut_down(LONG).await;
            gates.end(actor);
        });
        Ok(())
    }

    /// What can be chosen in this world; what does not go wrong comes first. Nothing when the run
    /// is over.
    pub(crate) fn options(&self, world: &World) -> Vec<Choice> {
        let standing = self.gates.standing();
        let mut options = Vec::new();
        let mut faults = Vec::new();
        for (actor, asks) in &standing {
            for (gate, ask) in asks.iter().enumerate() {
                let pass = |fault| Choice::Pass { actor: *actor, gate, fault };
                options.push(pass(None));
                faults.extend(self.faults_at(*actor, ask).iter().map(|fault| pass(Some(*fault))));
            }
        }
        let all_ended = options.is_empty();
        if self.gates.late().is_some() {
            options.push(Choice::Land);
        }
        if all_ended && !self.gone.rested {
            options.push(Choice::Rest);
        }
        if !self.gone.faulted {
            options.extend(faults);
        }
        // Where nobody acts any more, leases run out before the rest.
        let leased = !all_ended && !world.hand_overs.is_empty();
        let crashed = self.gates.progress().iter().any(|progress| progress.crashed);
        if leased && !self.gone.expired && (!self.gone.faulted || crashed) {
            options.push(Choice::Expire);
        }
        options
    }

    fn faults_at(&self, actor: usize, ask: &Ask) -> &'static [Fault] {
        let paying = self.gates.progress()[actor].told.is_some();
        match ask {
            Ask::Begin => &[],
            Ask::Claim | Ask::Write => &Fault::AT_DATABASE,
            Ask::Delete(..) => &Fault::WHILE_PAYING,
            Ask::Create(_) | Ask::Fill(..) if paying => &Fault::WHILE_PAYING,
            Ask::Create(_) | Ask::Fill(..) => &Fault::WHILE_COPYING,
        }
    }

    /// Carries out one step, up to the next quiet moment; gives what it touched.
    pub(crate) async fn carry_out(&mut self, choice: Choice) -> Result<Footprint, Broken> {
        self.gone.faulted |= choice.is_fault();
        match choice {
            Choice::Pass { actor, gate, fault } => {
                self.shows_auth_key(actor)?;
                if !self.gates.open(actor, gate, fault) {
                    return Err(Broken::NotRepeatable(choice.to_string()));
                }
            }
            Choice::Expire => {
                self.gates.writes(Resource::Table("volume_transfer_hand_overs".to_owned()));
                self.gates.writes(Resource::Fault);
                self.cloud.raw.run(LEASES_END)?;
                self.gone.expired = true;
            }
            Choice::Land => {
                let Some(late) = self.gates.take_late() else {
                    return Err(Broken::NotRepeatable(choice.to_string()));
                };
                note_effect(&self.gates, late.actor, &late.ask);
                // Nobody waits for its reply any more.
                drop(self.cloud.barbican.exchange(late.request).await);
                self.gone.rested = false;
            }
            Choice::Rest => {
                self.gates.writes(Resource::Table("volume_transfer_hand_overs".to_owned()));
                self.rest().await?;
                self.gone.rested = true;
            }
        }
        self.gates.quiet().await?;
        Ok(self.gates.take_footprint())
    }

    /// Leases run out, a fresh replica recovers, and every project that owes comes back and pays.
    async fn rest(&self) -> Result<(), Broken> {
        let raw = &self.cloud.raw;
        raw.run(&format!("{LEASES_END}; UPDATE volume_transfer_debts SET due_at_ms = 0"))?;
        let barbican = Arc::new(self.cloud.barbican.clone());
        let engine = self.cloud.engine(self.cloud.store.clone(), barbican)?;
        engine.recover().await.map_err(|error| Broken::Stack(error.to_string()))?;
        let owed = self.world().await?.debts;
        for letter in ['X', 'Y', 'Z'] {
            let caller = self.cloud.caller(letter, MOST_ACTORS)?;
            if owed.iter().any(|debt| debt.authority == Authority::Project(caller.project.clone()))
            {
                engine.pay_debts_of(caller).await;
            }
        }
        if engine.shut_down(LONG).await { Ok(()) } else { Err(Broken::Stuck) }
    }

    fn shows_auth_key(&mut self, actor: usize) -> Result<(), Broken> {
        let act = self.scenario.acts[actor];
        if let (Act::AcceptY | Act::AcceptZ, Some(letter)) = (act, act.caller()) {
            let project = self.cloud.caller(letter, actor)?.project;
            let volume: VolumeId = self.cloud.offer_of().volume;
            self.gone.history.showed_auth_key(&self.cloud.world, &volume, &project);
        }
        Ok(())
    }

    /// The world as it stands.
    pub(crate) async fn world(&self) -> Result<World, Broken> {
        let world = self.cloud.simulator.world(&self.cloud.store).await;
        world.map_err(|error| Broken::Stack(error.to_string()))
    }

    /// The world after a step: what it has not written is as it was.
    pub(crate) async fn world_after(
        &self,
        before: World,
        footprint: &Footprint,
    ) -> Result<World, Broken> {
        if footprint.leaves_rows() {
            return Ok(World { secrets: self.cloud.simulator.world_secrets(), ..before });
        }
        self.world().await
    }

    /// What a watcher has seen so far. Whoever has begun and has no answer was told nothing.
    pub(crate) fn history(&self) -> Result<History, Broken> {
        let mut history = self.gone.history.clone();
        let Some(KnownOffer { transfer, .. }) = self.gates.offer() else { return Ok(history) };
        for (actor, progress) in self.gates.progress().iter().enumerate() {
            let act = self.scenario.acts[actor];
            if let (true, Some(operation), Some(letter)) =
                (progress.begun && act.ends_an_offer(), act.operation(), act.caller())
            {
                history.answers.push(Answer {
                    offer: transfer.clone(),
                    operation,
                    caller: self.cloud.caller(letter, actor)?.project,
                    told: progress.told.unwrap_or(Told::Nothing),
                });
            }
        }
        Ok(history)
    }

    /// Where everybody stands, and all else that decides what follows and that neither the database
    /// nor the key manager holds, in words.
    pub(crate) fn describe(&self) -> Result<String, Broken> {
        let Gone { faulted, expired, rested, history: _ } = self.gone;
        let gone = (faulted, expired, rested);
        let offer = self.gates.offer().map(|offer| offer.transfer);
        let mut lost = Vec::new();
        let progress = self.gates.progress();
        for (actor, act) in self.scenario.acts.iter().enumerate() {
            if let Some(letter) = act.caller().filter(|_| !progress[actor].is_gone()) {
                let token = self.cloud.caller(letter, actor)?.token;
                lost.push(self.gates.token_has_ended(actor, token.expose()));
            }
        }
        let (gates, history) = (self.gates.describe(), self.history()?);
        Ok(format!("{gone:?} {offer:?} {lost:?} {gates} {history:?}"))
    }

    /// What an actor's n-th gate is.
    pub(crate) fn ask_at(&self, actor: usize, gate: usize) -> Option<Ask> {
        self.gates.standing().get(actor).and_then(|(_, asks)| asks.get(gate)).cloned()
    }

    /// How far each actor has come.
    pub(crate) fn progress(&self) -> Vec<Progress> {
        self.gates.progress()
    }

    /// The effect that has not landed yet, and whose it is.
    pub(crate) fn late(&self) -> Option<(usize, Ask)> {
        self.gates.late()
    }

    /// Whether the next choice comes after everything was brought to rest.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.gone.rested
    }

    /// Ends a run in good order: its runtime may go down now.
    pub(crate) async fn clear(&self) -> Result<(), Broken> {
        self.cloud.idle().await
    }
}

const LEASES_END: &str = "UPDATE volume_transfer_hand_overs SET lease_expires_at_ms = 0";

async fn perform(
    engine: &Engine,
    gates: &Gates,
    actor: usize,
    act: Act,
    caller: Caller,
    offer: Offer,
) -> Result<(), TransferError> {
    if act.ends_an_offer() {
        let KnownOffer { transfer, auth_key } = gates.offered(actor).await;
        return match act {
            Act::Cancel => engine.cancel(caller, transfer).await,
            Act::AcceptY | Act::AcceptZ | Act::Initiate | Act::Recovery => {
                engine.accept(caller, transfer, AuthKey::new(&auth_key)).await
            }
        };
    }
    let Offered { transfer, auth_key } = engine.initiate(caller, offer).await?;
    let auth_key = auth_key.reveal().to_owned();
    gates.make_offer(actor, KnownOffer { transfer, auth_key });
    Ok(())
}
