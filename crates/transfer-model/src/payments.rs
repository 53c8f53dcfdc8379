//! Debts being paid, by whoever has the authority at hand.
//!
//! Recovery, the request that made a debt and later requests of its project all pay alike: they
//! look whether a row or the journal names the secret, delete it, and strike the debt out. Who does
//! it leaves no trace, so that a payment has no payer here and may happen at any time at which
//! anybody could make it.
//!
//! *Reduction.* A debt that nobody else can touch any more (no driver and nothing under way knows
//! its secret) is paid before anything else happens. Its payment commutes with every other step,
//! and a secret less and a debt less break no invariant that held with them: the secret is named by
//! no row. The states before, in the midst of, and after the payment are all visited.

use crate::Setting;
use crate::action::{Action, How};
use crate::protocol::has_lost_claim;
use crate::world::{Due, Late, Owed, Project, SLOTS, Secret, State};

/// What debts allow: `true` when the payment of one of them has to come first.
pub(crate) fn payments(setting: &Setting, state: &State, actions: &mut Vec<Action>) -> bool {
    for (at, owed) in state.debts.iter().enumerate() {
        if is_untouchable(setting, state, owed) && pay(setting, state, at, false, actions) {
            return true;
        }
    }
    for at in 0..state.debts.len() {
        pay(setting, state, at, true, actions);
    }
    false
}

fn pay(setting: &Setting, state: &State, at: usize, late: bool, actions: &mut Vec<Action>) -> bool {
    let owed = state.debts[at];
    // Requests of every project come by at any time.
    if !owed.at_hand && !setting.reduced {
        return false;
    }
    let place = u8::try_from(at).unwrap_or(u8::MAX);
    match owed.due {
        Due::Secret { secret, .. } if state.kept(secret).is_none() => {
            actions.push(Action::Strike { at: place });
        }
        Due::Secret { secret, .. } if is_named(state, secret) => return false,
        Due::Secret { .. } => {
            let mut delete = |how| actions.push(Action::Delete { at: place, how });
            delete(How::Done);
            if state.faults > 0 {
                // For the service's debts these leave things as they are, or as the success does.
                if owed.authority != Project::Service {
                    delete(How::Refused);
                    delete(How::ReplyLost);
                }
                if late {
                    delete(How::Late);
                }
            }
        }
        Due::Shells { swept: true, .. } => actions.push(Action::Strike { at: place }),
        Due::Shells { swept: false, .. } => actions.push(Action::Sweep { at: place }),
    }
    true
}

/// Whether a row or a live hand-over names the secret.
pub(crate) fn is_named(state: &State, secret: Secret) -> bool {
    let rows = state.rows.iter().flatten().any(|row| row.key == Some(secret));
    let journal = state.journal.iter().flatten().map(|entry| entry.held.info());
    rows || journal.filter(|info| !info.hand_over.has_ended()).any(|info| info.names(secret))
}

/// Whether no driver that still has a claim can touch what the debt is about.
///
/// A driver without one, and a payload or a deletion under way, may meet the payment. In whatever
/// order they do, the secret is gone in the end, and nobody can tell.
fn is_untouchable(setting: &Setting, state: &State, owed: &Owed) -> bool {
    let at_work =
        |slot: &usize| state.requests[*slot].is_active() && !has_lost_claim(setting, state, *slot);
    match owed.due {
        Due::Secret { secret, .. } if state.kept(secret).is_none() => true,
        Due::Secret { secret, .. } => {
            let commits = state.network.iter().any(|late| match late {
                Late::Commit { held, .. } => held.info().names(secret),
                Late::Create { .. } | Late::Fill { .. } | Late::Delete { .. } => false,
            });
            let known = |slot: usize| state.requests[slot].knows(secret);
            !commits && !(0..SLOTS).filter(at_work).any(known)
        }
        Due::Shells { slot, .. } => {
            let late = state.network.iter().any(|late| match late {
                // Before the sweep or after it: an empty shell is gone, or means nothing.
                Late::Create { slot: by, .. } => *by == slot && !setting.reduced,
                Late::Commit { slot: by, .. } => *by == slot,
                Late::Fill { .. } | Late::Delete { .. } => false,
            });
            !late && !at_work(&usize::from(slot))
        }
    }
}

/// Deletes a debt's secret.
pub(crate) fn delete(state: &mut State, at: usize, how: How) {
    let Due::Secret { secret, .. } = state.debts[at].due else { return };
    if how != How::Done {
        state.faults -= 1;
    }
    match how {
        How::Done | How::ReplyLost => state.delete(secret),
        How::Late => state.send(Late::Delete { secret }),
        How::Refused | How::TokenExpired | How::Failed => {}
    }
    if how != How::Done && state.debts[at].authority != Project::Service {
        state.debts[at].at_hand = false;
        state.debts.sort_unstable();
    }
}

/// Deletes the empty shells that a debt is about.
pub(crate) fn sweep(state: &mut State, at: usize) {
    let Due::Shells { slot, swept } = &mut state.debts[at].due else { return };
    *swept = true;
    let slot = *slot;
    let shells: Vec<Secret> = state
        .secrets
        .iter()
        .filter(|kept| kept.shell_of == Some(slot))
        .map(|kept| kept.secret)
        .filter(|shell| !is_named(state, *shell))
        .collect();
    for shell in shells {
        state.delete(shell);
    }
    state.debts.sort_unstable();
}
