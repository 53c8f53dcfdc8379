//! What must hold in a state, and what has been seen of all of them.
//!
//! The invariants are those of `transfer-core`, asked of the whole world. Many states differ only
//! in what drivers are about to do, so that verdicts are remembered by what the invariants can
//! see. Liveness is asked of every state: with nothing going wrong any more, and nobody sending new
//! requests, it comes to rest, and at rest everything holds.

use crate::action::{Action, BECAME, STEPS};
use crate::situations::SITUATIONS;
use crate::world::{Progress, State};
use crate::{Coverage, Setting, view};
use ahash::{HashMap, HashSet, RandomState};
use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use transfer_core::Violation;
use transfer_core::invariants::{Invariant, check, check_at_rest};

/// No world takes more steps to come to rest; more is going round in circles.
const LONGEST_REST: usize = 1000;

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Hunt {
    /// Anything that is broken anywhere.
    Anything,
    /// This invariant, anywhere.
    Anywhere(Invariant),
    /// This invariant, once every request has its answer or is dead, and nothing is under way. A
    /// protocol whose steps are not one transaction breaks it in between all the time.
    AtRest(Invariant),
}

/// Judges states and counts what it sees.
pub(crate) struct Inspector {
    setting: Setting,
    hunt: Hunt,
    visits: [[AtomicU64; BECAME.len()]; STEPS.len()],
    situations: [AtomicU64; SITUATIONS.len()],
}

#[derive(Default)]
struct Known {
    /// The setting that the rest is about.
    of: Option<Setting>,
    verdicts: HashMap<u64, u16>,
    rests: HashSet<u64>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Inspector {
    pub(crate) fn new(setting: &Setting, hunt: Hunt) -> Self {
        Self {
            setting: setting.clone(),
            hunt,
            visits: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            situations: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Counts a step.
    pub(crate) fn count(&self, action: Action) {
        let (step, became) = action.visit();
        self.visits[step][became].fetch_add(1, Ordering::Relaxed);
    }

    /// Whether nothing that is looked for is broken.
    pub(crate) fn is_sound(&self, state: &State) -> bool {
        for ((_, holds), times) in SITUATIONS.iter().zip(&self.situations) {
            if holds(state) {
                times.fetch_add(1, Ordering::Relaxed);
            }
        }
        KNOWN.with_borrow_mut(|known| {
            if known.of.as_ref() != Some(&self.setting) {
                *known = Known { of: Some(self.setting.clone()), ..Known::default() };
            }
            match self.hunt {
                Hunt::Anything => {
                    self.verdict(known, state) == 0 && self.comes_to_rest(known, state)
                }
                Hunt::AtRest(_) if !is_quiet(state) => true,
                Hunt::AtRest(Invariant::Drains) | Hunt::Anywhere(Invariant::Drains) => {
                    self.comes_to_rest(known, state)
                }
                Hunt::AtRest(one) | Hunt::Anywhere(one) => {
                    self.verdict(known, state) & bit(one) == 0
                }
            }
        })
    }

    fn verdict(&self, known: &mut Known, state: &State) -> u16 {
        let seen = seen_by_invariants(state);
        *known.verdicts.entry(seen).or_insert_with(|| {
            self.broken(state).iter().fold(0, |all, violation| all | bit(violation.invariant))
        })
    }

    /// What is broken in a world that may still be moving.
    pub(crate) fn broken(&self, state: &State) -> Vec<Violation> {
        check(&view::world(state), &view::history(&self.setting, state))
    }

    /// Lets a state come to rest; the steps to there, and what is broken then.
    pub(crate) fn rest(&self, state: &State) -> (Vec<(Action, State)>, Vec<Violation>) {
        let mut steps: Vec<(Action, State)> = Vec::new();
        let mut now = calm(state);
        while let Some(action) = self.next_towards_rest(&now) {
            now = self.setting.step(&now, action);
            steps.push((action, now.clone()));
            if steps.len() > LONGEST_REST {
                let what = "it goes round in circles".to_owned();
                return (steps, vec![Violation { invariant: Invariant::Drains, what }]);
            }
        }
        let broken = check_at_rest(&view::world(&now), &view::history(&self.setting, &now));
        (steps, broken)
    }

    fn comes_to_rest(&self, known: &mut Known, state: &State) -> bool {
        let mut now = calm(state);
        let mut way = Vec::new();
        loop {
            let fingerprint = hash(&now);
            if known.rests.contains(&fingerprint) {
                break;
            }
            way.push(fingerprint);
            match self.next_towards_rest(&now) {
                Some(_) if way.len() > LONGEST_REST => return false,
                Some(action) => now = self.setting.step(&now, action),
                None => {
                    let history = view::history(&self.setting, &now);
                    if !check_at_rest(&view::world(&now), &history).is_empty() {
                        return false;
                    }
                    break;
                }
            }
        }
        known.rests.extend(way);
        true
    }

    /// The first thing that happens by itself: not a new request.
    fn next_towards_rest(&self, state: &State) -> Option<Action> {
        let mut actions = Vec::new();
        self.setting.actions(state, &mut actions);
        actions.into_iter().find(|action| !matches!(action, Action::Claim { .. }))
    }

    /// What has been counted.
    pub(crate) fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        for (step, row) in STEPS.iter().zip(&self.visits) {
            for (became, times) in BECAME.iter().zip(row) {
                let times = times.load(Ordering::Relaxed);
                if times > 0 {
                    coverage.add_steps(step, became, times);
                }
            }
        }
        for ((name, _), times) in SITUATIONS.iter().zip(&self.situations) {
            coverage.situation(name, times.load(Ordering::Relaxed));
        }
        coverage
    }
}

/// Whether every request has its answer or is dead, and nothing is under way.
pub(crate) fn is_quiet(state: &State) -> bool {
    state.network.is_empty() && !state.requests.iter().any(|progress| progress.is_active())
}

/// The same state, in which nothing goes wrong any more.
fn calm(state: &State) -> State {
    State { faults: 0, crashes: 0, ..state.clone() }
}

fn bit(invariant: Invariant) -> u16 {
    1 << (invariant as u16)
}

/// A hash of all that the invariants can see of a state.
fn seen_by_invariants(state: &State) -> u64 {
    let mut hasher = hasher().build_hasher();
    (&state.rows, &state.awaiting, &state.offers, &state.secrets).hash(&mut hasher);
    (&state.debts, &state.usages).hash(&mut hasher);
    for (entry, progress) in state.journal.iter().zip(&state.requests) {
        entry.map(|entry| entry.held).hash(&mut hasher);
        match progress {
            Progress::Idle | Progress::Named => 0.hash(&mut hasher),
            Progress::Over { offer, told } => (1, offer, told).hash(&mut hasher),
            Progress::Copying { .. }
            | Progress::ReadingBack { .. }
            | Progress::QuotaLeft { .. }
            | Progress::Upstream { .. } => 2.hash(&mut hasher),
        }
    }
    hasher.finish()
}

fn hash(state: &State) -> u64 {
    hasher().hash_one(state)
}

fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}
