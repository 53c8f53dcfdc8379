//! The hand-over in the model's world: claims, copies, ends, as engine and store do them.
//!
//! What comes next is always asked of `transfer-core`. Known-bad protocols differ from ours in one
//! place each, named by [`Protocol`]; those that are not hand-overs at all stand in `upstream`.

mod ends;

pub(crate) use ends::{
    can_take_over, crash, end, land_commit, late_quota, out_of_turn, read_back, take_over,
    wanted_out_of_turn,
};

use crate::action::{Action, Grant, How, Txn};
use crate::memo::{Happening, Held, Next, secret_id};
use crate::world::{
    Due, Entry, KEYS, Kept, Late, Outcome, Owed, Progress, Project, REQUESTS, State, Volume,
    hand_over_id, offer_id,
};
use crate::{Protocol, Setting};
use arrayvec::ArrayVec;
use transfer_core::invariants::Told;
use transfer_core::{HandOver, Operation, Parties, Phase, Step, UserId};

/// The offer that a request would make or end, if the rows allow it.
fn wants(setting: &Setting, state: &State, slot: usize) -> Option<usize> {
    let request = REQUESTS[slot];
    let owner = state.owner(request.volume)?;
    match request.operation {
        Operation::Initiate => {
            let free = !state.awaiting[request.volume as usize];
            (owner == request.project && free).then(|| state.free_offer(request.volume))
        }
        Operation::Accept => {
            let (offer, key_known) = state.open_offer(request.volume)?;
            (key_known && owner != request.project).then_some(offer)
        }
        Operation::Cancel => {
            let (offer, _) = state.open_offer(request.volume)?;
            let may =
                owner == request.project || setting.protocol == Protocol::CancelIntoCallersProject;
            may.then_some(offer)
        }
        // An operator's, of a volume that is damaged: here none is.
        Operation::Restore => None,
    }
}

/// Whether a live claim may be taken over: its driver is gone, or sleeps past its lease.
fn is_abandoned(setting: &Setting, state: &State, slot: usize) -> bool {
    setting.protocol != Protocol::NoLease
        && (!state.requests[slot].is_active() || state.crashes > 0)
}

/// The claims that can be granted now. A refused one changes nothing and is no step.
pub(crate) fn claims(setting: &Setting, state: &State, slot: usize, actions: &mut Vec<Action>) {
    let volume = REQUESTS[slot].volume;
    let mut before: ArrayVec<usize, 4> = ArrayVec::new();
    if setting.protocol != Protocol::NoClaim {
        before.extend(state.claims_on(volume));
    }
    let mut claim = |offer: usize, grant| {
        actions.push(Action::Claim { slot: slot as u8, offer: offer as u8, grant });
    };
    match before.first() {
        None => {
            if let Some(offer) = wants(setting, state, slot) {
                claim(offer, Grant::Free);
                if state.faults > 0 {
                    claim(offer, Grant::ReplyLost);
                }
            }
        }
        Some(other) if is_abandoned(setting, state, *other) => {
            let mut freed = state.clone();
            take_over(setting, &mut freed, *other);
            if let Some(offer) = wants(setting, &freed, slot) {
                claim(offer, Grant::TakesOver);
            }
        }
        Some(_live) => {}
    }
}

/// Grants a claim.
pub(crate) fn claim(setting: &Setting, state: &mut State, slot: usize, offer: usize, grant: Grant) {
    let request = REQUESTS[slot];
    if grant == Grant::TakesOver {
        let before: ArrayVec<usize, 4> = state.claims_on(request.volume).collect();
        for other in before {
            take_over(setting, state, other);
        }
    }
    let owner = state.owner(request.volume).unwrap_or(Project::X);
    match request.operation {
        Operation::Initiate => state.awaiting[request.volume as usize] = true,
        Operation::Accept => {
            if let Some(usage) = state.usage(request.project) {
                usage.reserved += 1;
            }
        }
        Operation::Cancel | Operation::Restore => {}
    }
    let donor = if setting.protocol == Protocol::CancelIntoCallersProject
        && request.operation == Operation::Cancel
    {
        request.project
    } else {
        owner
    };
    let volume = match request.volume {
        Volume::First => "volume",
        Volume::Second => "another-volume",
    };
    let held = Held::of(HandOver::claim(
        hand_over_id(slot).as_str().into(),
        request.operation,
        volume.into(),
        offer_id(offer).as_str().into(),
        Parties {
            donor: donor.name().into(),
            caller: request.project.name().into(),
            user: UserId::new(request.project.name()),
        },
        state.rows_of(request.volume).filter_map(|row| row.key).map(secret_id),
    ));
    state.journal[slot] = Some(Entry { held });
    for debt in state.debts.iter_mut().filter(|debt| debt.authority == request.project) {
        debt.at_hand = true;
    }
    state.debts.sort_unstable();
    let offer = offer as u8;
    state.requests[slot] = if grant == Grant::ReplyLost {
        state.faults -= 1;
        Progress::Over { offer, told: Told::Refused }
    } else {
        Progress::Copying { held, offer, outcomes: [Outcome::Waiting; KEYS], out_of_turn: false }
    };
}

/// Whether a driver has lost its claim: the database refuses it whatever it does.
pub(crate) fn has_lost_claim(setting: &Setting, state: &State, slot: usize) -> bool {
    match state.requests[slot] {
        Progress::Copying { held, .. } | Progress::ReadingBack { held, .. } => {
            !fence_holds(setting, state, slot, held)
        }
        Progress::Idle
        | Progress::Named
        | Progress::QuotaLeft { .. }
        | Progress::Upstream { .. }
        | Progress::Over { .. } => false,
    }
}

/// What a copying driver without a claim can do. Of each effect there is only one thing to know:
/// whether it takes place.
fn stale(state: &State, slot: usize, actions: &mut Vec<Action>) {
    let Progress::Copying { held, outcomes, .. } = state.requests[slot] else { return };
    let slot = slot as u8;
    for (key, step) in wanted(held).iter().enumerate() {
        if step.is_some() && outcomes[key] == Outcome::Waiting {
            actions.push(Action::Effect { slot, key: key as u8, how: How::Done });
        }
    }
    actions.push(Action::Save { slot, txn: Txn::Done });
}

/// What a copying driver can do next.
pub(crate) fn copying(setting: &Setting, state: &State, slot: usize, actions: &mut Vec<Action>) {
    let Progress::Copying { held, outcomes, out_of_turn, .. } = state.requests[slot] else {
        return;
    };
    if has_lost_claim(setting, state, slot) {
        return stale(state, slot, actions);
    }
    let slot = slot as u8;
    let wanted = wanted(held);
    let waiting = |key: usize| wanted[key].is_some() && outcomes[key] == Outcome::Waiting;
    if (0..KEYS).any(waiting) {
        for key in (0..KEYS).filter(|key| waiting(*key)) {
            let mut effect = |how| actions.push(Action::Effect { slot, key: key as u8, how });
            effect(How::Done);
            if state.faults > 0 {
                [How::Refused, How::Failed, How::ReplyLost, How::Late]
                    .into_iter()
                    .for_each(&mut effect);
                // Of the last one of a batch it says no more than a refusal does.
                if (0..KEYS).any(|other| other != key && waiting(other)) {
                    effect(How::TokenExpired);
                }
            }
        }
        return;
    }
    let (next, unknown) = after_batch(held, &outcomes);
    if matches!(next.info().next, Next::Effects(_)) {
        if setting.protocol == Protocol::ShellNotJournaled {
            actions.push(Action::GoOnUnsaved { slot });
        } else {
            actions.push(Action::Save { slot, txn: Txn::Done });
            if state.faults > 0 {
                actions.push(Action::Save { slot, txn: Txn::Failed });
                actions.push(Action::Save { slot, txn: Txn::ReplyLost });
            }
        }
        if unknown {
            ends(setting, state, slot, true, next.after(Happening::GaveUp), out_of_turn, actions);
        }
    } else {
        ends(setting, state, slot, false, next, out_of_turn, actions);
    }
}

fn ends(
    setting: &Setting,
    state: &State,
    slot: u8,
    gives_up: bool,
    last: Held,
    out_of_turn: bool,
    actions: &mut Vec<Action>,
) {
    let commits = last.info().next == Next::Commit;
    let first = match setting.protocol {
        Protocol::DeleteBeforeCommit => commits,
        Protocol::DeleteShellBeforeAbort => !commits,
        Protocol::HandOver
        | Protocol::Upstream
        | Protocol::ShellNotJournaled
        | Protocol::NoClaim
        | Protocol::NoFence
        | Protocol::MergeDistinctKeys
        | Protocol::CancelIntoCallersProject
        | Protocol::QuotaAfterCommit
        | Protocol::NoLease => false,
    };
    if first && !out_of_turn {
        actions.push(Action::OutOfTurn { slot });
        return;
    }
    let mut end = |txn| actions.push(Action::End { slot, gives_up, txn });
    end(Txn::Done);
    if state.crashes > 0 {
        end(Txn::CrashAfter);
    }
    if state.faults > 0 {
        if commits {
            end(Txn::ReplyLost);
            end(Txn::Late);
        } else {
            end(Txn::Failed);
        }
    }
}

fn wanted(held: Held) -> [Option<Step>; KEYS] {
    match held.info().next {
        Next::Effects(wanted) => wanted,
        Next::Commit | Next::Abort | Next::Rest => [None; KEYS],
    }
}

/// What the driver holds once its batch has been answered, and whether an outcome is unknown.
pub(crate) fn after_batch(held: Held, outcomes: &[Outcome; KEYS]) -> (Held, bool) {
    let wanted = wanted(held);
    let mut next = held;
    let mut unknown = false;
    for (key, outcome) in outcomes.iter().enumerate() {
        let Some(step) = wanted[key] else { continue };
        next = next.after(match outcome {
            Outcome::Created(shell) => Happening::Created(key, *shell),
            Outcome::Filled => Happening::Filled(key),
            Outcome::Refused => Happening::Refused(step),
            Outcome::Unknown | Outcome::Waiting => {
                unknown = true;
                Happening::Unknown(step)
            }
        });
    }
    (next, unknown)
}

/// An effect at the key manager.
///
/// A driver that has lost its claim may have read the old secret before it was deleted.
pub(crate) fn effect(setting: &Setting, state: &mut State, slot: usize, key: usize, how: How) {
    let stale = has_lost_claim(setting, state, slot);
    let Progress::Copying { held, mut outcomes, offer, out_of_turn } = state.requests[slot] else {
        return;
    };
    if how != How::Done {
        state.faults -= 1;
    }
    let info = held.info();
    let old = info.old[key];
    let source = state.kept(old).and_then(|kept| kept.material.map(|m| (kept.owner, m)));
    let readable = source.filter(|(owner, _)| *owner == info.giver).map(|(_, material)| material);
    let readable = readable.or(stale.then(|| old.original()));
    let works = matches!(how, How::Done | How::ReplyLost);
    let outcome = match (wanted(held)[key], readable) {
        (None, _) => return,
        (Some(_), None) => Outcome::Refused,
        (Some(Step::CreateShell), Some(_)) => {
            let shell = state.free_secret(old, info.receiver);
            let (owner, slot) = (info.receiver, slot as u8);
            if works {
                let shell_of = Some(slot);
                state.create(Kept { secret: shell, owner, material: None, shell_of });
            } else if how == How::Late {
                state.send(Late::Create { shell, owner, slot });
            }
            Outcome::Created(shell)
        }
        (Some(Step::Fill), Some(material)) => {
            let shell = info.shells[key].unwrap_or(old);
            let filled = !works || state.fill(shell, material);
            if how == How::Late {
                state.send(Late::Fill { shell, material });
            }
            if filled { Outcome::Filled } else { Outcome::Refused }
        }
    };
    outcomes[key] = match how {
        How::Done => outcome,
        How::Refused | How::TokenExpired => Outcome::Refused,
        How::Failed | How::ReplyLost | How::Late => Outcome::Unknown,
    };
    if how == How::TokenExpired {
        outcomes = outcomes.map(|o| if o == Outcome::Waiting { Outcome::Refused } else { o });
    }
    state.requests[slot] = Progress::Copying { held, offer, outcomes, out_of_turn };
}

/// Whether a journal write of this state would be let through.
pub(crate) fn fence_holds(setting: &Setting, state: &State, slot: usize, held: Held) -> bool {
    let saved = state.journal[slot].map(|entry| &entry.held.info().hand_over);
    let holds = saved.is_some_and(|saved| {
        !saved.has_ended() && saved.version() == held.info().hand_over.version()
    });
    holds || setting.protocol == Protocol::NoFence
}

/// The driver saves its state, or does not and goes on all the same.
pub(crate) fn save(setting: &Setting, state: &mut State, slot: usize, txn: Option<Txn>) {
    let Progress::Copying { held, offer, outcomes, out_of_turn } = state.requests[slot] else {
        return;
    };
    let (next, _) = after_batch(held, &outcomes);
    let goes_on =
        Progress::Copying { held: next, offer, outcomes: [Outcome::Waiting; KEYS], out_of_turn };
    let Some(txn) = txn else {
        state.requests[slot] = goes_on;
        return;
    };
    if txn != Txn::Done {
        state.faults -= 1;
    }
    if txn != Txn::Failed {
        if !fence_holds(setting, state, slot, next) {
            return fenced(state, slot, next, offer);
        }
        state.journal[slot] = Some(Entry { held: next });
    }
    state.requests[slot] =
        if txn == Txn::Done { goes_on } else { Progress::Over { offer, told: Told::Refused } };
}

/// The driver was taken over: what it alone knows of becomes debts.
fn fenced(state: &mut State, slot: usize, lost: Held, offer: u8) {
    let info = lost.info();
    for shell in info.shells.iter().flatten() {
        owe(state, Due::Secret { secret: *shell, is_old: false }, info.receiver, true);
    }
    if info.hand_over.shell_in_doubt() {
        let due = Due::Shells { slot: slot as u8, swept: false };
        owe(state, due, info.receiver, true);
    }
    over(state, slot, offer, Told::Refused);
}

fn owe(state: &mut State, due: Due, authority: Project, token: bool) {
    let at_hand = token || authority == Project::Service;
    state.owe(Owed { due, authority, at_hand });
}

fn owe_all(state: &mut State, slot: usize, ended: Held, token: bool) {
    let (secrets, in_doubt) = ended.info().debts();
    let is_old = *ended.info().hand_over.phase() == Phase::Committed;
    for (secret, authority) in secrets {
        owe(state, Due::Secret { secret, is_old }, authority, token);
    }
    if let Some(authority) = in_doubt {
        owe(state, Due::Shells { slot: slot as u8, swept: false }, authority, token);
    }
}

fn over(state: &mut State, slot: usize, offer: u8, told: Told) {
    if told == Told::Done {
        state.tell_auth_key(usize::from(offer));
    }
    let live = state.journal[slot].is_some_and(|entry| !entry.held.info().hand_over.has_ended());
    if !live {
        state.journal[slot] = None;
    }
    state.requests[slot] = Progress::Over { offer, told };
}
