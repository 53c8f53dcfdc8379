//! The promises of a hand-over: of every state, of every move, and of the way to the end.
//!
//! They are said from outside, by the public face of `transfer-core`, and not by a second copy of
//! its state machine.

use crate::hand_over::next;
use std::collections::BTreeSet;
use transfer_core::{
    Authority, Debt, Effect, Event, Garbage, HandOver, KeyCopy, Pending, Phase, SecretId, Step,
};

/// What holds in every state, however it came about.
pub(crate) fn check_state(state: &HandOver) {
    let keys = state.keys();
    let named: Vec<&SecretId> =
        keys.iter().flat_map(|key| [Some(&key.old), key.shell.as_ref()]).flatten().collect();
    let distinct: BTreeSet<&SecretId> = named.iter().copied().collect();
    assert_eq!(distinct.len(), named.len(), "a secret has two parts to play: {keys:?}");
    for key in keys {
        assert!(key.shell.is_some() || !key.filled, "{key:?} is filled without a shell");
        assert!(key.filled || *state.phase() != Phase::Committed, "{key:?} was committed empty");
    }
    check_pending(state);
    check_debts(state);

    let row = state.to_journal().expect("every state can be written");
    let loaded = HandOver::from_journal(&row).expect("what was written loads");
    assert_eq!(loaded, *state, "the journal brings back another state");
}

/// Each key that is not yet copied has its one effect, and the transactions wait for nothing else.
fn check_pending(state: &HandOver) {
    let open: Vec<&KeyCopy> = state.keys().iter().filter(|key| !key.filled).collect();
    match (state.phase(), state.pending()) {
        (Phase::Copying, Pending::Effects(effects)) => {
            assert!(!effects.is_empty(), "nothing to wait for");
            assert_eq!(effects.len(), open.len(), "{effects:?} for {open:?}");
            for (key, effect) in open.into_iter().zip(effects) {
                check_effect(state, key, effect);
            }
        }
        (Phase::Copying, Pending::Commit) => assert!(open.is_empty(), "commit without {open:?}"),
        (Phase::Aborting(_), Pending::Abort)
        | (Phase::Committed | Phase::Aborted(_), Pending::Rest) => {}
        (
            phase,
            pending @ (Pending::Effects(_) | Pending::Commit | Pending::Abort | Pending::Rest),
        ) => {
            panic!("{pending:?} in {phase:?}")
        }
    }
    assert_eq!(state.has_ended(), state.pending() == Pending::Rest);
}

fn check_effect(state: &HandOver, key: &KeyCopy, effect: Effect) {
    let (giver, receiver) = (state.giver(), state.receiver());
    let like = key.old.clone();
    let expected = match key.shell.clone() {
        None => Effect::CreateShell { like, giver, receiver, name: state.shell_name() },
        Some(shell) => Effect::Fill { from: like, giver, shell, receiver },
    };
    assert_eq!(effect, expected);
}

/// An end leaves exactly its garbage on record: the old secrets or the shells, and a sweep for the
/// shells in doubt.
fn check_debts(state: &HandOver) {
    let owed = state.debts();
    if !state.has_ended() {
        assert_eq!(owed, [], "a debt before the end");
        return;
    }
    let olds = state.keys().iter().map(|key| &key.old);
    let shells = state.keys().iter().filter_map(|key| key.shell.as_ref());
    let (garbage, authority): (Vec<&SecretId>, Authority) = match state.phase() {
        Phase::Committed => (olds.collect(), state.giver()),
        Phase::Copying | Phase::Aborting(_) | Phase::Aborted(_) => {
            (shells.collect(), state.receiver())
        }
    };
    let debt = |authority, garbage| Debt { hand_over: state.id().clone(), authority, garbage };
    let secret = |id: &SecretId| debt(authority.clone(), Garbage::Secret(id.clone()));
    let sweep = || debt(state.receiver(), Garbage::Shells { name: state.shell_name() });
    let expected: BTreeSet<Debt> =
        garbage.into_iter().map(secret).chain(state.shell_in_doubt().then(sweep)).collect();
    let ids: BTreeSet<_> = owed.iter().map(Debt::id).collect();
    assert_eq!(ids.len(), owed.len(), "two debts under one id: {owed:?}");
    assert_eq!(owed.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// What holds of every event that was legal.
pub(crate) fn check_move(before: &HandOver, event: &Event, after: &HandOver) {
    assert!(!before.has_ended(), "{event:?} moved a hand-over that had ended: {before:?}");
    let bound = |state: &HandOver| {
        let olds: Vec<_> = state.keys().iter().map(|key| key.old.clone()).collect();
        let place = (state.volume().clone(), state.transfer().clone());
        (state.id().clone(), state.operation(), place, state.parties().clone(), olds)
    };
    assert_eq!(bound(before), bound(after), "{event:?} changed what the claim had bound");
    for (was, is) in before.keys().iter().zip(after.keys()) {
        assert!(
            was.shell.is_none() || was.shell == is.shell,
            "{event:?} lost the shell of {was:?}"
        );
        assert!(is.filled || !was.filled, "{event:?} emptied {was:?}");
    }
    assert!(after.shell_in_doubt() || !before.shell_in_doubt(), "{event:?} dispelled a doubt");
    let raised = u64::from(*event == Event::TakenOver);
    assert_eq!(after.version(), before.version() + raised, "the fence after {event:?}");
    check_phase(before.phase(), event, after.phase());
    check_report(event, before, after);
}

fn check_phase(before: &Phase, event: &Event, after: &Phase) {
    let taken_over = *event == Event::TakenOver;
    let fits = match (before, after) {
        (Phase::Copying, Phase::Committed) => *event == Event::Committed,
        (Phase::Copying, Phase::Copying | Phase::Aborting(_)) => true,
        (Phase::Aborting(was), Phase::Aborting(is)) => was == is || taken_over,
        (Phase::Aborting(was), Phase::Aborted(is)) => was == is && *event == Event::Aborted,
        (Phase::Copying, Phase::Aborted(_))
        | (Phase::Aborting(_), Phase::Copying | Phase::Committed)
        | (Phase::Committed | Phase::Aborted(_), _) => false,
    };
    assert!(fits, "{event:?} led from {before:?} to {after:?}");
}

/// What an event reports is on record afterwards, and an unknown outcome moves nothing.
fn check_report(event: &Event, before: &HandOver, after: &HandOver) {
    match event {
        Event::ShellCreated { old, shell } => {
            let copy = after.keys().iter().find(|key| key.old == *old);
            assert_eq!(copy.and_then(|key| key.shell.as_ref()), Some(shell), "{event:?} was lost");
        }
        Event::Filled { old } => {
            assert!(after.keys().iter().any(|key| key.old == *old && key.filled));
        }
        Event::Unknown { step } => {
            assert_eq!((after.phase(), after.keys()), (before.phase(), before.keys()));
            assert!(after.shell_in_doubt() || *step == Step::Fill, "{step:?} leaves no doubt");
        }
        Event::TakenOver => {
            let open = after.keys().iter().any(|key| key.shell.is_none());
            assert!(after.shell_in_doubt() || !open, "a shell may be on its way: {after:?}");
            assert_eq!(after.pending(), Pending::Abort);
        }
        Event::Refused { .. } | Event::GaveUp => assert_eq!(after.pending(), Pending::Abort),
        Event::Committed | Event::Aborted => assert_eq!(after.pending(), Pending::Rest),
    }
}

/// From every state the end is near: by doing what is pending, and by giving up.
pub(crate) fn check_end(state: HandOver) {
    let mut given_up = state.clone();
    if given_up.apply(Event::GaveUp).is_ok() {
        finish(given_up);
    } else {
        assert!(state.has_ended(), "nobody may give up {state:?}");
    }
    finish(state);
}

fn finish(mut state: HandOver) {
    let commits = matches!(state.phase(), Phase::Copying | Phase::Committed);
    // a shell and a fill for each key, then the transaction
    for step in 0..=2 * state.keys().len() {
        let made = unused(&state, step);
        let Some(event) = next(&state, made) else { break };
        let before = state.clone();
        state.apply(event.clone()).expect("what is pending may happen");
        check_move(&before, &event, &state);
        check_state(&state);
    }
    assert_eq!(state.pending(), Pending::Rest, "no end in sight: {state:?}");
    assert_eq!(*state.phase() == Phase::Committed, commits);
}

/// A secret that the hand-over does not name.
fn unused(state: &HandOver, step: usize) -> SecretId {
    let named = |id: &SecretId| {
        state.keys().iter().any(|key| key.old == *id || key.shell.as_ref() == Some(id))
    };
    (step..).map(|n| SecretId::new(format!("made-{n}"))).find(|id| !named(id)).expect("a free id")
}
