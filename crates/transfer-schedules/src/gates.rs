//! Where actors stand until the scheduler lets them pass, and how it knows that nothing moves.
//!
//! Between two choices the stack is *quiet*: every actor stands at a gate, has ended or has
//! crashed, and no transaction and no request is under way. So a step is all that happens between
//! one choice and the next quiet moment, and whatever is touched meanwhile is its footprint.
//!
//! Does not decide anything, and does not know what a fault means; see `doors`.

use crate::Broken;
use crate::choice::Fault;
use crate::footprint::{Footprint, Resource};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use transfer_core::invariants::Told;
use transfer_core::{ProjectId, SecretId, TransferId};

/// Turns of the runtime without news after which nothing is expected to come any more: what an
/// actor does between a reply and its next gate takes fewer.
const TURNS: u32 = 32;

/// After this long an actor is not believed to come to a gate again.
pub(crate) const STUCK: Duration = Duration::from_secs(20);

/// What an actor wants to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    /// Begin a pass of recovery, which reads before it writes.
    Begin,
    /// Run the transaction that an operation begins with.
    Claim,
    /// Run any other transaction that may write.
    Write,
    /// Create a secret in this project.
    Create(ProjectId),
    /// Fill a secret of this project.
    Fill(ProjectId, SecretId),
    /// Delete a secret of this project.
    Delete(ProjectId, SecretId),
}

/// An effect whose reply was lost before it took place.
#[derive(Clone)]
pub(crate) struct Late {
    pub(crate) actor: usize,
    pub(crate) ask: Ask,
    pub(crate) request: http::Request<Bytes>,
}

/// An offer, as whoever made it knows it.
#[derive(Clone)]
pub(crate) struct KnownOffer {
    pub(crate) transfer: TransferId,
    pub(crate) auth_key: String,
}

struct Standing {
    actor: usize,
    ask: Ask,
    pass: oneshot::Sender<Option<Fault>>,
}

/// How far an actor has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Whether it has passed a gate.
    pub(crate) begun: bool,
    /// What its caller was told.
    pub(crate) told: Option<Told>,
    /// Whether it was told that another driver has ended its hand-over.
    pub(crate) was_taken_over: bool,
    /// Whether nothing of it goes on in the background either.
    pub(crate) over: bool,
    /// Whether its process has died.
    pub(crate) crashed: bool,
    ended_tokens: BTreeSet<String>,
}

#[derive(Default)]
struct State {
    standing: Vec<Standing>,
    /// Who waits for an offer.
    waiting: Vec<(usize, oneshot::Sender<KnownOffer>)>,
    actors: Vec<Progress>,
    under_way: u32,
    news: u64,
    footprint: Footprint,
    late: Option<Late>,
    offer: Option<KnownOffer>,
}

/// What is known where nobody is under way: whoever acts has not begun, has ended or has crashed.
#[derive(Clone)]
pub(crate) struct Settled {
    actors: Vec<Progress>,
    late: Option<Late>,
    offer: Option<KnownOffer>,
}

/// All gates of one run.
pub(crate) struct Gates {
    state: Mutex<State>,
    changed: Notify,
}

/// A request or a transaction that is under way, until it is dropped.
pub(crate) struct UnderWay<'a>(&'a Gates);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.over_one();
    }
}

impl Progress {
    /// Whether nothing more comes of it.
    pub(crate) fn is_gone(&self) -> bool {
        self.over || self.crashed
    }
}

impl Settled {
    /// At the start.
    pub(crate) fn new(actors: usize, offer: Option<KnownOffer>) -> Self {
        Self { actors: vec![Progress::default(); actors], late: None, offer }
    }
}

impl Gates {
    pub(crate) fn new(settled: Settled) -> Self {
        let Settled { actors, late, offer } = settled;
        let state = State { actors, late, offer, ..State::default() };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// What is known, if nobody is under way.
    pub(crate) fn settled(&self) -> Option<Settled> {
        let State { actors, late, offer, .. } = &*self.lock();
        let rests = |one: &Progress| !one.begun || one.is_gone();
        actors.iter().all(rests).then(|| Settled {
            actors: actors.clone(),
            late: late.clone(),
            offer: offer.clone(),
        })
    }

    /// Stands at a gate until the scheduler says how to pass it. Never returns to a crashed actor.
    pub(crate) async fn stand(&self, actor: usize, ask: Ask) -> Option<Fault> {
        let (pass, passed) = oneshot::channel();
        self.change(|state| {
            if !state.actors[actor].crashed {
                state.standing.push(Standing { actor, ask, pass });
            }
        });
        match passed.await {
            Ok(fault) => fault,
            Err(_crashed) => std::future::pending().await,
        }
    }

    /// Waits until there is an offer.
    pub(crate) async fn offered(&self, actor: usize) -> KnownOffer {
        let (tell, told) = oneshot::channel();
        let known = self.change(|state| {
            if state.offer.is_none() {
                state.waiting.push((actor, tell));
            }
            state.offer.clone()
        });
        match known {
            Some(offer) => offer,
            None => match told.await {
                Ok(offer) => offer,
                Err(_over) => std::future::pending().await,
            },
        }
    }

    /// Lets an actor pass the n-th gate that it stands at. False when nobody stands there.
    pub(crate) fn open(&self, actor: usize, gate: usize, fault: Option<Fault>) -> bool {
        self.change(|state| {
            let mut own = state.standing.iter().enumerate().filter(|(_, one)| one.actor == actor);
            let Some((place, _)) = own.nth(gate) else { return false };
            let Standing { pass, .. } = state.standing.remove(place);
            state.actors[actor].begun = true;
            if fault.is_some() {
                state.footprint.write(Resource::Fault);
            }
            if fault.is_some_and(Fault::is_crash) {
                state.actors[actor].crashed = true;
                state.standing.retain(|one| one.actor != actor);
            }
            // A dead process does not even come to ask.
            fault == Some(Fault::CrashBefore) || pass.send(fault).is_ok()
        })
    }

    /// What each actor stands at, in the order in which each came to its gates.
    pub(crate) fn standing(&self) -> Vec<(usize, Vec<Ask>)> {
        let state = self.lock();
        let of = |actor: usize| {
            let own = state.standing.iter().filter(move |one| one.actor == actor);
            (actor, own.map(|one| one.ask.clone()).collect())
        };
        (0..state.actors.len()).map(of).collect()
    }

    /// Waits until nothing moves.
    pub(crate) async fn quiet(&self) -> Result<(), Broken> {
        let mut seen = self.lock().news;
        let mut turns = 0;
        while turns < TURNS {
            if self.moves() {
                self.something_changes().await?;
                turns = 0;
                continue;
            }
            tokio::task::yield_now().await;
            turns += 1;
            let news = self.lock().news;
            if news != seen {
                (seen, turns) = (news, 0);
            }
        }
        Ok(())
    }

    /// Waits for news. Second by second: if the whole process stands still, it is one of them.
    async fn something_changes(&self) -> Result<(), Broken> {
        let mut changed = pin!(self.changed.notified());
        for _second in 0..STUCK.as_secs() {
            if tokio::time::timeout(Duration::from_secs(1), changed.as_mut()).await.is_ok() {
                return Ok(());
            }
        }
        Err(Broken::Stuck)
    }

    fn moves(&self) -> bool {
        let state = self.lock();
        let stands = |actor: usize| state.standing.iter().any(|one| one.actor == actor);
        let waits = |actor: usize| state.waiting.iter().any(|(one, _)| *one == actor);
        let rests = |(actor, progress): (usize, &Progress)| {
            progress.over || progress.crashed || stands(actor) || waits(actor)
        };
        state.under_way > 0 || !state.actors.iter().enumerate().all(rests)
    }

    /// Something is under way that has no gate of its own.
    pub(crate) fn begin_one(&self) {
        self.change(|state| state.under_way += 1);
    }

    pub(crate) fn over_one(&self) {
        self.change(|state| state.under_way -= 1);
    }

    pub(crate) fn under_way(&self) -> UnderWay<'_> {
        self.begin_one();
        UnderWay(self)
    }

    pub(crate) fn reads(&self, resource: Resource) {
        self.lock().footprint.read(resource);
    }

    pub(crate) fn writes(&self, resource: Resource) {
        self.lock().footprint.write(resource);
    }

    /// A transaction has committed what it has written.
    pub(crate) fn commits(&self, written: impl Iterator<Item = Resource>) {
        let mut state = self.lock();
        state.footprint.commit();
        written.for_each(|resource| state.footprint.write(resource));
    }

    /// What was touched since the last time.
    pub(crate) fn take_footprint(&self) -> Footprint {
        std::mem::take(&mut self.lock().footprint)
    }

    pub(crate) fn answer(&self, actor: usize, told: Told, was_taken_over: bool) {
        self.change(|state| {
            let progress = &mut state.actors[actor];
            if !progress.crashed {
                (progress.told, progress.was_taken_over) = (Some(told), was_taken_over);
            }
        });
    }

    pub(crate) fn end(&self, actor: usize) {
        self.change(|state| state.actors[actor].over = true);
    }

    pub(crate) fn progress(&self) -> Vec<Progress> {
        self.lock().actors.clone()
    }

    pub(crate) fn has_crashed(&self, actor: usize) -> bool {
        self.lock().actors[actor].crashed
    }

    pub(crate) fn end_token(&self, actor: usize, token: &str) {
        self.lock().actors[actor].ended_tokens.insert(token.to_owned());
    }

    pub(crate) fn token_has_ended(&self, actor: usize, token: &str) -> bool {
        self.lock().actors[actor].ended_tokens.contains(token)
    }

    pub(crate) fn delay(&self, late: Late) {
        self.lock().late = Some(late);
    }

    pub(crate) fn late(&self) -> Option<(usize, Ask)> {
        self.lock().late.as_ref().map(|late| (late.actor, late.ask.clone()))
    }

    pub(crate) fn take_late(&self) -> Option<Late> {
        self.lock().late.take()
    }

    /// Where everybody stands, how far each has come, and what has not landed yet, in words. The
    /// service's tokens are told by their number, as long as anybody uses them: one that has ended
    /// is not used again.
    pub(crate) fn describe(&self) -> String {
        let standing = self.standing();
        let state = self.lock();
        let come = state.actors.iter().map(|one| {
            let Progress { begun, told, was_taken_over, over, crashed, ended_tokens } = one;
            let ended_tokens = if one.is_gone() { 0 } else { ended_tokens.len() };
            (begun, told, was_taken_over, over, crashed, ended_tokens)
        });
        let late = state.late.as_ref().map(|late| (late.actor, &late.ask, late.request.body()));
        format!("{standing:?} {:?} {late:?}", come.collect::<Vec<_>>())
    }

    pub(crate) fn offer(&self) -> Option<KnownOffer> {
        self.lock().offer.clone()
    }

    pub(crate) fn make_offer(&self, actor: usize, offer: KnownOffer) {
        self.change(|state| {
            if state.actors[actor].crashed {
                return;
            }
            let offer = state.offer.get_or_insert(offer).clone();
            for (_, tell) in state.waiting.drain(..) {
                // Who waits lives as long as the run.
                let _gone = tell.send(offer.clone());
            }
        });
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let changed = {
            let mut state = self.lock();
            state.news += 1;
            act(&mut state)
        };
        self.changed.notify_one();
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
