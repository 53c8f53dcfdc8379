//! The state machine's behaviour, as tables and for every event sequence of a bounded length.

use super::*;
use proptest::prelude::*;

fn claim(operation: Operation, keys: &[&str]) -> HandOver {
    HandOver::claim(
        "h1".into(),
        operation,
        "v1".into(),
        "t1".into(),
        Parties { donor: "x".into(), caller: "y".into(), user: "u".into() },
        keys.iter().map(|key| SecretId::from(*key)),
    )
}

fn refusal() -> Refusal {
    Refusal { status: 403, message: "no".to_owned() }
}

#[test]
fn a_plain_volume_goes_straight_to_the_commit() {
    for operation in [Operation::Initiate, Operation::Accept, Operation::Cancel] {
        assert_eq!(claim(operation, &[]).pending(), Pending::Commit);
    }
}

#[test]
fn authority_follows_the_operation() {
    let donor = Authority::Project("x".into());
    let recipient = Authority::Project("y".into());
    for (operation, giver, receiver) in [
        (Operation::Initiate, donor.clone(), Authority::Service),
        (Operation::Accept, Authority::Service, recipient),
        (Operation::Cancel, Authority::Service, donor),
    ] {
        let hand_over = claim(operation, &["k1"]);
        assert_eq!((hand_over.giver(), hand_over.receiver()), (giver, receiver), "{operation}");
    }
}

#[test]
fn a_restore_goes_from_whoever_has_the_key_and_leaves_what_it_replaces_as_debts() {
    let stranger = Authority::Project("z".into());
    let owner = Authority::Project("x".into());
    let of = |secret: &str, owner: Option<&Authority>| Replaced {
        secret: secret.into(),
        owner: owner.cloned(),
    };
    let replaced = vec![of("k3", None), of("k2", Some(&owner)), of("k1", None), of("k2", None)];
    let mut hand_over = HandOver::restore(
        "h1".into(),
        "v1".into(),
        "t1".into(),
        Parties { donor: "x".into(), caller: "x".into(), user: "u".into() },
        "k1".into(),
        Restoration { giver: stranger.clone(), receiver: owner.clone(), replaced },
    );
    assert_eq!((hand_over.giver(), hand_over.receiver()), (stranger.clone(), owner.clone()));
    let names: Vec<_> = hand_over.replaced().iter().map(|of| of.secret.as_str()).collect();
    assert_eq!(names, ["k2", "k3"], "each once, and never the key itself");
    let shell = |shell: &str| Event::ShellCreated { old: "k1".into(), shell: shell.into() };
    hand_over.apply(shell("k2")).expect_err("a secret that a row names is no shell");
    for event in [shell("s1"), Event::Filled { old: "k1".into() }, Event::Committed] {
        hand_over.apply(event).expect("a legal event");
    }
    let debts = hand_over.debts();
    let of: Vec<_> = debts.iter().map(|debt| (debt.id(), &debt.authority)).collect();
    let of: Vec<_> = of.iter().map(|(id, authority)| (id.as_str(), *authority)).collect();
    assert_eq!(of, [("secret:k1", &stranger), ("secret:k2", &owner)]);
}

#[test]
fn distinct_keys_are_copied_one_by_one_and_equal_ones_once() {
    let mut hand_over = claim(Operation::Initiate, &["k1", "k2", "k1"]);
    let Pending::Effects(effects) = hand_over.pending() else { panic!("no effects") };
    assert_eq!(effects.len(), 2);
    for (old, shell) in [("k1", "s1"), ("k2", "s2")] {
        hand_over
            .apply(Event::ShellCreated { old: old.into(), shell: shell.into() })
            .expect("a shell for each key");
    }
    hand_over.apply(Event::Filled { old: "k1".into() }).expect("filled");
    let Pending::Effects(effects) = hand_over.pending() else { panic!("no effects") };
    assert_eq!(
        effects,
        [Effect::Fill {
            from: "k2".into(),
            giver: hand_over.giver(),
            shell: "s2".into(),
            receiver: Authority::Service,
        }]
    );
    hand_over.apply(Event::Filled { old: "k2".into() }).expect("filled");
    assert_eq!(hand_over.pending(), Pending::Commit);
    hand_over.apply(Event::Committed).expect("committed");
    assert_eq!(hand_over.pending(), Pending::Rest);
    assert_eq!(hand_over.debts().len(), 2);
}

#[test]
fn a_refused_step_aborts_and_the_shell_becomes_the_receivers_debt() {
    let mut hand_over = claim(Operation::Accept, &["k1"]);
    hand_over.apply(Event::ShellCreated { old: "k1".into(), shell: "s1".into() }).expect("shell");
    hand_over.apply(Event::Refused { step: Step::Fill, refusal: refusal() }).expect("refused");
    assert_eq!(hand_over.pending(), Pending::Abort);
    assert!(hand_over.debts().is_empty(), "no debt before the database went back");
    hand_over.apply(Event::Aborted).expect("aborted");
    let debts = hand_over.debts();
    assert_eq!(debts.len(), 1);
    assert_eq!(
        debts[0].pending(),
        crate::Payment::Delete { secret: "s1".into(), authority: Authority::Project("y".into()) }
    );
}

#[test]
fn a_shell_that_arrives_while_aborting_is_recorded() {
    let mut hand_over = claim(Operation::Initiate, &["k1", "k2"]);
    hand_over
        .apply(Event::Refused { step: Step::CreateShell, refusal: refusal() })
        .expect("refused");
    hand_over
        .apply(Event::ShellCreated { old: "k2".into(), shell: "s2".into() })
        .expect("late shell");
    hand_over.apply(Event::Aborted).expect("aborted");
    let garbage: Vec<_> = hand_over.debts().into_iter().map(|debt| debt.garbage).collect();
    assert_eq!(garbage, [crate::Garbage::Secret("s2".into())]);
}

#[test]
fn an_unknown_shell_moves_no_phase_and_leaves_a_sweep() {
    let mut hand_over = claim(Operation::Initiate, &["k1"]);
    let before = hand_over.pending();
    hand_over.apply(Event::Unknown { step: Step::CreateShell }).expect("unknown");
    assert_eq!(hand_over.pending(), before);
    hand_over.apply(Event::GaveUp).expect("gave up");
    hand_over.apply(Event::Aborted).expect("aborted");
    assert_eq!(
        hand_over.debts()[0].pending(),
        crate::Payment::Sweep {
            name: "volume-transfer-h1".to_owned(),
            authority: Authority::Service
        }
    );
}

#[test]
fn a_take_over_raises_the_fence_and_aborts() {
    let mut hand_over = claim(Operation::Accept, &["k1"]);
    hand_over.apply(Event::TakenOver).expect("taken over");
    assert_eq!(hand_over.version(), 2);
    assert_eq!(hand_over.pending(), Pending::Abort);
    hand_over.apply(Event::Aborted).expect("aborted");
    assert_eq!(hand_over.debts().len(), 1, "a shell without a recorded id may exist");
}

#[test]
fn illegal_events_are_errors_and_change_nothing() {
    let copying = claim(Operation::Accept, &["k1", "k2"]);
    let mut shelled = copying.clone();
    let shell = Event::ShellCreated { old: "k1".into(), shell: "s1".into() };
    shelled.apply(shell.clone()).expect("shell");
    let mut committed = claim(Operation::Accept, &[]);
    committed.apply(Event::Committed).expect("committed");
    for (state, event) in [
        (&copying, Event::Committed),
        (&copying, Event::Aborted),
        (&copying, Event::Filled { old: "k1".into() }),
        (&copying, Event::ShellCreated { old: "k9".into(), shell: "s9".into() }),
        (&copying, Event::ShellCreated { old: "k1".into(), shell: "k1".into() }),
        (&shelled, shell),
        (&shelled, Event::ShellCreated { old: "k2".into(), shell: "s1".into() }),
        (&shelled, Event::Committed),
        (&committed, Event::TakenOver),
        (&committed, Event::Aborted),
        (&committed, Event::Committed),
        (&committed, Event::GaveUp),
    ] {
        let mut after = state.clone();
        assert!(after.apply(event.clone()).is_err(), "{event:?} on {:?}", state.phase());
        assert_eq!(after, *state);
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let key = prop_oneof![Just("k1"), Just("k2"), Just("k3")];
    let shell = prop_oneof![Just("s1"), Just("s2"), Just("s3")];
    let step = prop_oneof![Just(Step::CreateShell), Just(Step::Fill)];
    prop_oneof![
        4 => (key.clone(), shell)
            .prop_map(|(old, shell)| Event::ShellCreated { old: old.into(), shell: shell.into() }),
        4 => key.prop_map(|old| Event::Filled { old: old.into() }),
        1 => step.clone().prop_map(|step| Event::Refused { step, refusal: refusal() }),
        1 => step.prop_map(|step| Event::Unknown { step }),
        1 => Just(Event::GaveUp),
        1 => Just(Event::TakenOver),
        2 => Just(Event::Committed),
        2 => Just(Event::Aborted),
    ]
}

proptest! {
    /// Whatever happens: a shell once recorded stays on record, its end is in the debts or on the
    /// rows, an ended hand-over stays ended, and the journal brings back what it was given.
    #[test]
    fn no_event_sequence_loses_a_shell(events in proptest::collection::vec(any_event(), 0..24)) {
        let mut hand_over = claim(Operation::Accept, &["k1", "k2"]);
        for event in events {
            let before = hand_over.clone();
            let outcome = hand_over.apply(event);
            if outcome.is_err() || before.has_ended() {
                prop_assert_eq!(&hand_over, &before);
            }
            for (was, is) in before.keys().iter().zip(hand_over.keys()) {
                prop_assert!(was.shell.is_none() || was.shell == is.shell);
            }
            prop_assert!(hand_over.version() >= before.version());
            if hand_over.phase() == &Phase::Committed {
                prop_assert!(hand_over.keys().iter().all(|key| key.filled && key.shell.is_some()));
            }
            if matches!(hand_over.phase(), Phase::Aborted(_)) {
                let debts = hand_over.debts();
                for key in hand_over.keys().iter().filter_map(|key| key.shell.as_ref()) {
                    prop_assert!(debts.iter().any(
                        |debt| debt.garbage == crate::Garbage::Secret(key.clone())
                    ));
                }
            }
            let text = hand_over.to_journal().expect("serialises");
            prop_assert_eq!(HandOver::from_journal(&text).expect("loads"), hand_over.clone());
        }
    }
}
