//! The model that stateright explores: what can happen in a state, what it leads to, what must
//! hold.

use crate::action::Action;
use crate::verdict::Inspector;
use crate::world::{Kept, Late, Progress, REQUESTS, SLOTS, State};
use crate::{Protocol, Setting, payments, protocol, upstream};
use stateright::Property;
use std::sync::Arc;

/// The one property: nothing that is looked for is broken.
pub(crate) const SOUND: &str = "every invariant holds";

/// A world with its inspector.
pub(crate) struct Model {
    pub(crate) setting: Setting,
    pub(crate) inspector: Arc<Inspector>,
}

impl Setting {
    /// Everything that can happen in a state.
    pub(crate) fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if payments::payments(self, state, actions) {
            return;
        }
        for at in 0..state.network.len() {
            actions.push(Action::Land { at: at as u8 });
        }
        for slot in 0..SLOTS {
            let number = slot as u8;
            if protocol::can_take_over(self, state, slot) {
                actions.push(Action::TakeOver { slot: number });
            }
            match state.requests[slot] {
                Progress::Idle => self.claims(state, slot, actions),
                Progress::Copying { .. } => protocol::copying(self, state, slot, actions),
                Progress::ReadingBack { out_of_turn, .. } => {
                    if self.protocol == Protocol::DeleteShellBeforeAbort && !out_of_turn {
                        actions.push(Action::OutOfTurn { slot: number });
                    }
                    actions.push(Action::ReadBack { slot: number });
                }
                Progress::QuotaLeft { .. } => actions.push(Action::Quota { slot: number }),
                Progress::Upstream { .. } => upstream::steps(self, state, slot, actions),
                Progress::Named | Progress::Over { .. } => {}
            }
            let stale = protocol::has_lost_claim(self, state, slot);
            if state.crashes > 0 && state.requests[slot].is_active() && !stale {
                actions.push(Action::Crash { slot: number });
            }
        }
    }

    fn claims(&self, state: &State, slot: usize, actions: &mut Vec<Action>) {
        let first = REQUESTS[slot].after.is_none_or(|one| state.requests[one] != Progress::Idle);
        if self.requests[slot] && first {
            if self.protocol == Protocol::Upstream {
                upstream::claims(state, slot, actions);
            } else {
                protocol::claims(self, state, slot, actions);
            }
        }
    }

    /// What an action leads to.
    pub(crate) fn step(&self, before: &State, action: Action) -> State {
        let mut state = before.clone();
        if self.protocol != Protocol::Upstream {
            state.forget();
        }
        let next = &mut state;
        match action {
            Action::Claim { slot, offer, grant } => {
                let (slot, offer) = (usize::from(slot), usize::from(offer));
                if self.protocol == Protocol::Upstream {
                    upstream::claim(next, slot, offer);
                } else {
                    protocol::claim(self, next, slot, offer, grant);
                }
            }
            Action::Effect { slot, key, how } => {
                protocol::effect(self, next, usize::from(slot), usize::from(key), how);
            }
            Action::Save { slot, txn } => protocol::save(self, next, usize::from(slot), Some(txn)),
            Action::GoOnUnsaved { slot } => protocol::save(self, next, usize::from(slot), None),
            Action::End { slot, gives_up, txn } => {
                protocol::end(self, next, usize::from(slot), gives_up, txn);
            }
            Action::OutOfTurn { slot } => protocol::out_of_turn(self, next, usize::from(slot)),
            Action::ReadBack { slot } => protocol::read_back(self, next, usize::from(slot)),
            Action::Quota { slot } => protocol::late_quota(next, usize::from(slot)),
            Action::Upstream { slot, how } => upstream::step(next, usize::from(slot), how),
            Action::Crash { slot } => protocol::crash(next, usize::from(slot)),
            Action::TakeOver { slot } => protocol::take_over(self, next, usize::from(slot)),
            Action::Land { at } => self.land(next, usize::from(at)),
            Action::Delete { at, how } => payments::delete(next, usize::from(at), how),
            Action::Sweep { at } => payments::sweep(next, usize::from(at)),
            Action::Strike { at } => {
                next.debts.remove(usize::from(at));
            }
        }
        state.forget_orphans(|state, slot, held| protocol::fence_holds(self, state, slot, held));
        state
    }

    fn land(&self, state: &mut State, at: usize) {
        match state.network.remove(at) {
            Late::Create { shell, owner, slot } => {
                let shell_of = Some(slot);
                state.create(Kept { secret: shell, owner, material: None, shell_of });
            }
            Late::Fill { shell, material } => {
                state.fill(shell, material);
            }
            Late::Delete { secret } => state.delete(secret),
            Late::Commit { slot, held } => {
                protocol::land_commit(self, state, usize::from(slot), held);
            }
        }
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.setting.start_state()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.setting.actions(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.inspector.count(action);
        Some(self.setting.step(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(SOUND, |model: &Self, state| model.inspector.is_sound(state))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::is_quiet;
    use crate::world::{Fate, Project, ROWS};
    use std::collections::{BTreeSet, HashSet};

    /// Who has what once everything has come to rest, whatever secrets are called.
    #[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
    struct Rest {
        /// The row's owner and its key's.
        rows: Vec<Option<(Project, Option<Project>)>>,
        awaiting: [bool; 2],
        usages: Vec<(i8, i8)>,
        open_offers: usize,
    }

    fn rests(setting: &Setting) -> BTreeSet<Rest> {
        let start = setting.start_state();
        let mut known = HashSet::from([start.clone()]);
        let mut todo = vec![start];
        let mut rests = BTreeSet::new();
        while let Some(state) = todo.pop() {
            let mut actions = Vec::new();
            setting.actions(&state, &mut actions);
            let idle = state.debts.is_empty() && state.journal.iter().all(Option::is_none);
            if is_quiet(&state) && idle {
                let row = |place: usize| {
                    let row = state.rows[place]?;
                    let owner = row.key.and_then(|key| state.kept(key)).map(|kept| kept.owner);
                    Some((row.project, owner))
                };
                let usages = state.usages.iter().map(|usage| (usage.in_use, usage.reserved));
                let open = |fate: &Fate| matches!(fate, Fate::Open { .. });
                let offers = state.offers.iter().flatten().filter(|offer| open(&offer.fate));
                rests.insert(Rest {
                    rows: (0..ROWS).map(row).collect(),
                    awaiting: state.awaiting,
                    usages: usages.collect(),
                    open_offers: offers.count(),
                });
            }
            for action in actions {
                let next = setting.step(&state, action);
                if known.insert(next.clone()) {
                    todo.push(next);
                }
            }
        }
        rests
    }

    #[test]
    fn the_reductions_lead_to_the_same_rests() {
        for (faults, crashes) in [(0, 0), (1, 0), (0, 1)] {
            let setting = Setting::everything(faults, crashes);
            let reduced = rests(&setting);
            assert!(reduced.len() > 5);
            assert_eq!(reduced, rests(&setting.unreduced()), "{faults} faults, {crashes} crashes");
        }
    }
}
