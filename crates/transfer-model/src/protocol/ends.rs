//! How a hand-over ends: commit, abort, take-over, crash.

use super::{after_batch, fence_holds, fenced, has_lost_claim, is_abandoned, over, owe_all};
use crate::action::Txn;
use crate::memo::{Happening, Held, Next};
use crate::world::{
    Due, Entry, Fate, KEYS, Late, Offer, Progress, Project, REQUESTS, Secret, State,
};
use crate::{Protocol, Setting};
use arrayvec::ArrayVec;
use transfer_core::invariants::Told;
use transfer_core::{Operation, Phase};

/// The driver commits or aborts.
pub(crate) fn end(setting: &Setting, state: &mut State, slot: usize, gives_up: bool, txn: Txn) {
    let Progress::Copying { held, offer, outcomes, out_of_turn, .. } = state.requests[slot] else {
        return;
    };
    let (mut last, _) = after_batch(held, &outcomes);
    if gives_up {
        last = last.after(Happening::GaveUp);
    }
    match txn {
        Txn::Done => {}
        Txn::CrashAfter => state.crashes -= 1,
        Txn::Failed | Txn::ReplyLost | Txn::Late => state.faults -= 1,
    }
    match txn {
        Txn::Failed => return over(state, slot, offer, Told::Refused),
        Txn::Late => {
            state.send(Late::Commit { slot: slot as u8, held: last });
            state.requests[slot] = Progress::ReadingBack { held: last, offer, out_of_turn };
            return;
        }
        Txn::Done | Txn::ReplyLost | Txn::CrashAfter => {}
    }
    if !fence_holds(setting, state, slot, last) {
        fenced(state, slot, last, offer);
        if txn == Txn::CrashAfter {
            over(state, slot, offer, Told::Nothing);
        }
        return;
    }
    let token = txn == Txn::Done;
    let commits = last.info().next == Next::Commit;
    let committed = commits && commit(setting, state, slot, offer, last, token);
    if !committed {
        let gave_up = if commits { last.after(Happening::GaveUp) } else { last };
        abort(state, slot, gave_up, token);
    }
    if txn != Txn::Done {
        return over(state, slot, offer, Told::Nothing);
    }
    if committed && is_late_with_quota(setting, slot) {
        state.journal[slot] = None;
        state.requests[slot] = Progress::QuotaLeft { offer };
    } else {
        over(state, slot, offer, if committed { Told::Done } else { Told::Refused });
    }
}

fn is_late_with_quota(setting: &Setting, slot: usize) -> bool {
    let accepts = REQUESTS[slot].operation == Operation::Accept;
    setting.protocol == Protocol::QuotaAfterCommit && accepts
}

/// The commit's transaction; false, and no change, when the rows are not as at the claim.
fn commit(
    setting: &Setting,
    state: &mut State,
    slot: usize,
    offer: u8,
    last: Held,
    token: bool,
) -> bool {
    let request = REQUESTS[slot];
    let info = last.info();
    let blind = matches!(setting.protocol, Protocol::NoClaim | Protocol::NoFence);
    let new = |place: usize, old: Secret| -> Option<Secret> {
        if setting.protocol == Protocol::MergeDistinctKeys {
            return info.shells[0];
        }
        let key = info.old.iter().position(|key| *key == old);
        // Whoever does not look writes to the row what it has for its key at the claim.
        let key = key.or(blind.then_some(usize::from(place == 2 && info.old.len() > 1)));
        info.shells[key?]
    };
    let offered = state.offers[usize::from(offer)].map(|offer| offer.fate);
    let open = matches!(offered, Some(Fate::Open { .. }));
    if !blind && request.operation != Operation::Initiate && !open {
        return false;
    }
    let mut rows = state.rows;
    for place in State::places(request.volume) {
        let Some(row) = &mut rows[*place] else { continue };
        if let Some(old) = row.key {
            let Some(shell) = new(*place, old) else { return false };
            row.key = Some(shell);
        }
        if request.operation == Operation::Accept {
            row.project = request.project;
        }
    }
    let donor = state.owner(request.volume);
    state.rows = rows;
    let fate = match request.operation {
        Operation::Initiate => Fate::Open { key_known: false },
        Operation::Accept => Fate::Accepted(request.project),
        // `deleted` is set on the row, and `accepted` stays.
        Operation::Cancel => match offered {
            Some(accepted @ Fate::Accepted(_)) => accepted,
            Some(Fate::Open { .. } | Fate::Cancelled) | None => Fate::Cancelled,
        },
        // Nobody here asks for one.
        Operation::Restore => return false,
    };
    state.offers[usize::from(offer)] = Some(Offer { volume: request.volume, fate });
    if request.operation != Operation::Initiate {
        state.awaiting[request.volume as usize] = false;
    }
    if request.operation == Operation::Accept && !is_late_with_quota(setting, slot) {
        move_quota(state, donor, request.project);
    }
    let ended = last.after(Happening::Committed);
    owe_all(state, slot, ended, token);
    if setting.protocol == Protocol::DeleteBeforeCommit {
        state.debts.retain(|debt| !matches!(debt.due, Due::Secret { is_old: true, .. }));
    }
    close(state, slot, ended);
    true
}

fn move_quota(state: &mut State, donor: Option<Project>, recipient: Project) {
    if let Some(usage) = donor.and_then(|donor| state.usage(donor)) {
        usage.in_use -= 1;
    }
    if let Some(usage) = state.usage(recipient) {
        usage.in_use += 1;
        usage.reserved -= 1;
    }
}

/// The quota of an accept, after its commit.
pub(crate) fn late_quota(state: &mut State, slot: usize) {
    if let Progress::QuotaLeft { offer } = state.requests[slot] {
        move_quota(state, Some(Project::X), REQUESTS[slot].project);
        over(state, slot, offer, Told::Done);
    }
}

/// The abort's transaction.
fn abort(state: &mut State, slot: usize, last: Held, token: bool) {
    let request = REQUESTS[slot];
    let ended = last.after(Happening::Aborted);
    match request.operation {
        Operation::Initiate => state.awaiting[request.volume as usize] = false,
        Operation::Accept => {
            if let Some(usage) = state.usage(request.project) {
                usage.reserved -= 1;
            }
        }
        Operation::Cancel | Operation::Restore => {}
    }
    owe_all(state, slot, ended, token);
    close(state, slot, ended);
}

/// The journal row of an ended hand-over stays for as long as its driver may look it up.
fn close(state: &mut State, slot: usize, ended: Held) {
    let reads_back = matches!(state.requests[slot], Progress::ReadingBack { .. });
    state.journal[slot] = reads_back.then_some(Entry { held: ended });
}

/// The claims that recovery can end now.
pub(crate) fn can_take_over(setting: &Setting, state: &State, slot: usize) -> bool {
    let live = state.journal[slot].is_some_and(|entry| !entry.held.info().hand_over.has_ended());
    live && is_abandoned(setting, state, slot)
}

/// Ends a hand-over whose lease is over; that its driver is asleep counts as a crash.
pub(crate) fn take_over(setting: &Setting, state: &mut State, slot: usize) {
    state.crashes -= u8::from(state.requests[slot].is_active());
    if let Some(entry) = state.journal[slot] {
        abort(state, slot, entry.held.after(Happening::TakenOver), false);
    }
    // All that its driver can still do is ask for effects on shells that are due to be deleted,
    // and be refused by the database.
    if let Some(offer) = state.requests[slot].offer()
        && setting.reduced
        && has_lost_claim(setting, state, slot)
    {
        state.journal[slot] = None;
        over(state, slot, offer as u8, Told::Refused);
    }
}

/// The driver looks up its commit.
pub(crate) fn read_back(setting: &Setting, state: &mut State, slot: usize) {
    let Progress::ReadingBack { held, offer, .. } = state.requests[slot] else { return };
    let found = state.journal[slot].map(|entry| entry.held.info().hand_over.phase());
    let told = match found {
        Some(Phase::Committed) => Told::Done,
        Some(Phase::Aborted(_)) => Told::Refused,
        Some(Phase::Copying | Phase::Aborting(_)) => {
            if fence_holds(setting, state, slot, held) {
                abort(state, slot, held.after(Happening::GaveUp), true);
            }
            Told::Refused
        }
        None => Told::Nothing,
    };
    over(state, slot, offer, told);
}

/// A commit that was on its way reaches the database.
pub(crate) fn land_commit(setting: &Setting, state: &mut State, slot: usize, held: Held) {
    let Some(offer) = state.requests[slot].offer() else { return };
    if fence_holds(setting, state, slot, held) {
        let active = state.requests[slot].is_active();
        commit(setting, state, slot, offer as u8, held, active);
    }
}

/// Deletes at a known-bad moment.
pub(crate) fn out_of_turn(setting: &Setting, state: &mut State, slot: usize) {
    let (_, secrets) = wanted_out_of_turn(setting, state, slot);
    if let Progress::Copying { out_of_turn, .. } | Progress::ReadingBack { out_of_turn, .. } =
        &mut state.requests[slot]
    {
        *out_of_turn = true;
    }
    for secret in secrets {
        state.delete(secret);
    }
}

/// What a known-bad protocol deletes too early, and whose it is: the old secrets before the commit,
/// or the shells before the abort.
pub(crate) fn wanted_out_of_turn(
    setting: &Setting,
    state: &State,
    slot: usize,
) -> (Project, ArrayVec<Secret, KEYS>) {
    let (Progress::Copying { held, .. } | Progress::ReadingBack { held, .. }) =
        &state.requests[slot]
    else {
        return (Project::Service, ArrayVec::new());
    };
    let info = held.info();
    if setting.protocol == Protocol::DeleteBeforeCommit {
        (info.giver, info.old.clone())
    } else {
        (info.receiver, info.shells.iter().flatten().copied().collect())
    }
}

/// The process of a driver dies; what it was asked for goes unanswered.
pub(crate) fn crash(state: &mut State, slot: usize) {
    state.crashes -= 1;
    let Some(offer) = state.requests[slot].offer() else { return };
    over(state, slot, offer as u8, Told::Nothing);
    let project = REQUESTS[slot].project;
    let mut others = state.requests.iter().enumerate();
    let others = others.any(|(at, other)| other.is_active() && REQUESTS[at].project == project);
    if !others && project != Project::Service {
        for debt in state.debts.iter_mut().filter(|debt| debt.authority == project) {
            debt.at_hand = false;
        }
        state.debts.sort_unstable();
    }
}
