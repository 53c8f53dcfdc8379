//! The four unprotected steps, as Cinder 29 runs them (cinder: `transfer/api.py`,
//! `keymgr/transfer.py`), with its exception handlers.
//!
//! Get and store, save the volume, save the snapshots one by one, delete; no claim, no journal. All
//! rows get the volume's new key. Reads are no steps of their own: they come with the store.

use crate::Setting;
use crate::action::Action;
use crate::world::{Fate, Kept, Offer, Progress, Project, REQUESTS, Row, Secret, State, Volume};
use transfer_core::Operation;
use transfer_core::invariants::Told;

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Next {
    /// Read the old secret and store a copy.
    Store,
    /// The row at this place gets the new key.
    Save(u8),
    /// Delete the old secret.
    Delete,
    /// The transaction that ends the operation: `transfer_accept` or `transfer_destroy`.
    Finish,
    /// `QUOTAS.commit`.
    Quota,
    /// The handler of a failed initiate: `transfer_destroy`.
    Destroy,
    /// The handler of a failed accept: `QUOTAS.rollback`.
    RollBack,
}

/// What becomes of a step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum How {
    /// It takes place, or fails because of what there is.
    Done,
    /// An exception, and no effect.
    Failed,
    /// It takes place, and an exception.
    ReplyLost,
}

/// The offer that a request would make or end; checks and rows are read without a claim.
pub(crate) fn claims(state: &State, slot: usize, actions: &mut Vec<Action>) {
    let request = REQUESTS[slot];
    let offer = match request.operation {
        Operation::Initiate => (state.owner(request.volume) == Some(request.project)
            && !state.awaiting[request.volume as usize])
            .then(|| state.free_offer(request.volume)),
        Operation::Accept => {
            state.open_offer(request.volume).filter(|(_, key_known)| *key_known).map(|(at, _)| at)
        }
        Operation::Cancel => state.open_offer(request.volume).map(|(at, _)| at),
        Operation::Restore => None,
    };
    if let Some(offer) = offer {
        let grant = crate::action::Grant::Free;
        actions.push(Action::Claim { slot: slot as u8, offer: offer as u8, grant });
    }
}

/// The request begins: it loads the volume, and makes the offer or reserves the quota.
pub(crate) fn claim(state: &mut State, slot: usize, offer: usize) {
    let request = REQUESTS[slot];
    match request.operation {
        Operation::Initiate => {
            state.awaiting[request.volume as usize] = true;
            let fate = Fate::Open { key_known: false };
            state.offers[offer] = Some(Offer { volume: request.volume, fate });
        }
        Operation::Accept => {
            if let Some(usage) = state.usage(request.project) {
                usage.reserved += 1;
            }
        }
        Operation::Cancel | Operation::Restore => {}
    }
    let row = state.rows[State::places(request.volume)[0]];
    state.requests[slot] = Progress::Upstream {
        offer: offer as u8,
        next: Next::Store,
        old: row.and_then(|row| row.key).unwrap_or(Secret::A),
        new: None,
        copies: 0,
    };
}

/// What can become of the next step.
pub(crate) fn steps(setting: &Setting, state: &State, slot: usize, actions: &mut Vec<Action>) {
    let Progress::Upstream { next, .. } = state.requests[slot] else { return };
    let slot = slot as u8;
    actions.push(Action::Upstream { slot, how: How::Done });
    if state.faults > 0 && setting.fails_at.is_none_or(|at| at == next) {
        actions.push(Action::Upstream { slot, how: How::Failed });
        actions.push(Action::Upstream { slot, how: How::ReplyLost });
    }
}

/// The next step of a request.
pub(crate) fn step(state: &mut State, slot: usize, how: How) {
    let Progress::Upstream { offer, next, old, new, copies } = state.requests[slot] else { return };
    let request = REQUESTS[slot];
    let mut driver = Driver { slot, offer, old, new, copies, volume: request.volume };
    if how != How::Done {
        state.faults -= 1;
    }
    let worked = how != How::Failed && driver.acts(state, next);
    let after =
        if worked && how == How::Done { driver.after(state, next) } else { driver.handler(next) };
    state.requests[slot] = match after {
        Ok(next) => Progress::Upstream {
            offer,
            next,
            old: driver.old,
            new: driver.new,
            copies: driver.copies,
        },
        Err(told) => {
            if told == Told::Done {
                state.tell_auth_key(usize::from(offer));
            }
            Progress::Over { offer, told }
        }
    };
}

/// The projects that this copy of a request is made from and for, counted from 1: the second copy
/// of an accept goes back to the service.
pub(crate) fn parties(slot: usize, copy: u8) -> (Project, Project) {
    let caller = REQUESTS[slot].project;
    let to_service = match REQUESTS[slot].operation {
        Operation::Initiate => true,
        Operation::Accept => copy > 1,
        Operation::Cancel | Operation::Restore => false,
    };
    if to_service { (caller, Project::Service) } else { (Project::Service, caller) }
}

struct Driver {
    slot: usize,
    offer: u8,
    old: Secret,
    new: Option<Secret>,
    copies: u8,
    volume: Volume,
}

impl Driver {
    fn operation(&self) -> Operation {
        REQUESTS[self.slot].operation
    }

    /// Whether a failed accept is moving the key back to the service.
    fn moves_back(&self) -> bool {
        self.operation() == Operation::Accept && self.copies > 1
    }

    /// The effect of a step; false when it raises by itself.
    fn acts(&mut self, state: &mut State, next: Next) -> bool {
        let request = REQUESTS[self.slot];
        match next {
            Next::Store => {
                let (from, to) = parties(self.slot, self.copies + 1);
                let Some(material) = readable(state, self.old, from) else { return false };
                let copy = state.free_secret(self.old, to);
                self.copies += 1;
                self.new = Some(copy);
                state.create(Kept {
                    secret: copy,
                    owner: to,
                    material: Some(material),
                    shell_of: None,
                });
                true
            }
            Next::Save(place) => {
                if let Some(row) = &mut state.rows[usize::from(place)] {
                    row.key = self.new;
                }
                true
            }
            Next::Delete => {
                let (from, _) = parties(self.slot, self.copies);
                let there = state.kept(self.old).is_some_and(|kept| kept.owner == from);
                if there {
                    state.delete(self.old);
                }
                there
            }
            Next::Finish if self.operation() == Operation::Accept => {
                if !state.awaiting[self.volume as usize] {
                    return false;
                }
                state.awaiting[self.volume as usize] = false;
                for place in State::places(self.volume) {
                    if let Some(Row { project, .. }) = &mut state.rows[*place] {
                        *project = request.project;
                    }
                }
                self.end_offer(state, Fate::Accepted(request.project));
                true
            }
            Next::Finish | Next::Destroy => {
                state.awaiting[self.volume as usize] = false;
                self.end_offer(state, Fate::Cancelled);
                true
            }
            Next::Quota => {
                if let Some(donor) = state.usage(Project::X) {
                    donor.in_use -= 1;
                }
                if let Some(recipient) = state.usage(request.project) {
                    recipient.in_use += 1;
                    recipient.reserved -= 1;
                }
                true
            }
            Next::RollBack => {
                if let Some(recipient) = state.usage(request.project) {
                    recipient.reserved -= 1;
                }
                true
            }
        }
    }

    /// An offer that has been accepted keeps that on record.
    fn end_offer(&self, state: &mut State, fate: Fate) {
        if let Some(offer) = &mut state.offers[usize::from(self.offer)]
            && matches!(offer.fate, Fate::Open { .. })
        {
            offer.fate = fate;
        }
    }

    /// What follows a step that went well.
    fn after(&mut self, state: &State, next: Next) -> Result<Next, Told> {
        let places = State::places(self.volume);
        match next {
            Next::Store => Ok(Next::Save(places[0] as u8)),
            Next::Save(place) => {
                let more = places
                    .iter()
                    .map(|place| *place as u8)
                    .find(|more| *more > place && state.rows[usize::from(*more)].is_some());
                Ok(more.map_or(Next::Delete, Next::Save))
            }
            Next::Delete if self.moves_back() => Ok(Next::RollBack),
            Next::Delete if self.operation() == Operation::Initiate => Err(Told::Done),
            Next::Delete => Ok(Next::Finish),
            Next::Finish if self.operation() == Operation::Accept => Ok(Next::Quota),
            Next::Finish | Next::Quota => Err(Told::Done),
            Next::Destroy | Next::RollBack => Err(Told::Refused),
        }
    }

    /// What follows an exception.
    fn handler(&mut self, next: Next) -> Result<Next, Told> {
        match (self.operation(), next) {
            (_, Next::Destroy | Next::RollBack) | (Operation::Cancel | Operation::Restore, _) => {
                Err(Told::Refused)
            }
            (Operation::Initiate, _) => Ok(Next::Destroy),
            // The key has been transferred: it is transferred back, old for new.
            (Operation::Accept, Next::Finish | Next::Quota) => {
                self.old = self.new.unwrap_or(self.old);
                Ok(Next::Store)
            }
            // An exception of the handler itself skips the rollback.
            (Operation::Accept, _) if self.moves_back() => Err(Told::Refused),
            (Operation::Accept, _) => Ok(Next::RollBack),
        }
    }
}

fn readable(state: &State, secret: Secret, by: Project) -> Option<Secret> {
    state.kept(secret).filter(|kept| kept.owner == by).and_then(|kept| kept.material)
}
