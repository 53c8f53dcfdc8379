//! Every known-bad protocol is rejected, by the invariant that it is known to break.

use std::collections::BTreeSet;
use transfer_core::Invariant;
use transfer_model::{Lane, Protocol, replay, scenarios};

/// Scenario, invariant, steps of a shortest counterexample.
const SHORTEST: &[(&str, &str, usize)] = &[
    ("upstream-failed-delete", "custodian_owns_key", 6),
    ("upstream-accept-against-cancel", "custodian_owns_key", 12),
    ("upstream-accept-against-accept", "custodian_owns_key", 11),
    ("upstream-crash-between-rows", "rows_agree", 4),
    ("upstream-foreign-admin", "custodian_owns_key", 6),
    ("upstream-lost-reply", "no_stray_key_material", 3),
    ("upstream-told-wrong", "one_outcome", 12),
    ("upstream-quota", "quota_conserved", 2),
    ("upstream-distinct-keys", "key_bytes_preserved", 5),
    ("delete-before-commit", "referenced_key_is_live", 7),
    ("shell-not-journaled", "no_stray_key_material", 5),
    ("no-claim", "one_outcome", 14),
    ("no-fence", "referenced_key_is_live", 10),
    ("merge-distinct-keys", "rows_agree", 7),
    ("merge-distinct-keys-bytes", "key_bytes_preserved", 7),
    ("delete-shell-before-abort", "referenced_key_is_live", 9),
    ("cancel-into-callers-project", "custodian_owns_key", 7),
    ("cancel-into-callers-project-copy", "no_unauthorised_copy", 5),
    ("quota-after-commit", "quota_conserved", 7),
    ("no-lease", "drains", 2),
];

#[test]
fn every_scenario_breaks_what_it_says_in_as_few_steps_as_ever() {
    let mut found = Vec::new();
    for scenario in scenarios() {
        let trace = scenario.counterexample();
        let trace = trace.unwrap_or_else(|| panic!("{} is not rejected", scenario.name));
        let broken: BTreeSet<_> = trace.broken().map(|violation| violation.invariant).collect();
        assert!(broken.contains(&scenario.breaks), "{}: {broken:?}", scenario.name);
        found.push((scenario.name, scenario.breaks.name(), trace.steps.len()));
    }
    assert_eq!(found, SHORTEST);
}

#[test]
fn every_invariant_is_broken_by_a_scenario_and_every_bad_protocol_breaks_one() {
    let broken: BTreeSet<_> = scenarios().iter().map(|scenario| scenario.breaks).collect();
    assert_eq!(broken, BTreeSet::from(Invariant::ALL));
    let bad: BTreeSet<_> = scenarios().iter().map(|scenario| scenario.setting.protocol).collect();
    let all: BTreeSet<_> = Protocol::ALL.into_iter().collect();
    assert_eq!(all.difference(&bad).collect::<Vec<_>>(), [&Protocol::HandOver]);
}

/// The exploration that finds nothing wrong with the hand-over finds what is wrong with others.
#[test]
fn an_exploration_of_a_bad_protocol_ends_with_a_violation() {
    for scenario in scenarios() {
        if scenario.setting.protocol != Protocol::Upstream {
            let explored = scenario.setting.explore(2, &|_progress| ());
            let trace = explored.violation.unwrap_or_else(|| panic!("{}", scenario.name));
            assert!(trace.broken().next().is_some(), "{}", scenario.name);
        }
    }
}

#[test]
fn a_counterexample_runs_again_from_its_text() {
    for scenario in scenarios() {
        let trace = scenario.counterexample().unwrap();
        assert_eq!(replay(&trace.replay).unwrap(), trace, "{}", scenario.name);
    }
}

/// A step that goes to a project's secrets changes those of no other project.
#[test]
fn a_step_leads_to_whoever_owns_what_it_changes() {
    for scenario in scenarios() {
        let trace = scenario.counterexample().unwrap();
        let mut before = &trace.start;
        for step in &trace.steps {
            if let Lane::Secrets(owner) = &step.to {
                let (then, now) = (&before.secrets, &step.world.secrets);
                let changed = then.iter().filter(|(id, secret)| now.get(*id) != Some(secret));
                let changed = changed.chain(now.iter().filter(|(id, _)| !then.contains_key(*id)));
                let owners: BTreeSet<_> = changed.map(|(_, secret)| &secret.owner).collect();
                assert!(owners.iter().all(|one| *one == owner), "{}: {step:?}", scenario.name);
            }
            before = &step.world;
        }
    }
}

/// The reductions hide nothing that bad protocols do.
#[test]
fn every_scenario_breaks_as_much_without_the_reductions() {
    for mut scenario in scenarios() {
        let reduced = scenario.counterexample().unwrap();
        scenario.setting = scenario.setting.unreduced();
        let unreduced = scenario.counterexample().unwrap();
        assert!(unreduced.steps.len() <= reduced.steps.len(), "{}", scenario.name);
    }
}

#[test]
fn the_hand_over_stands_where_the_bad_protocols_fall() {
    for scenario in scenarios() {
        let mut setting = scenario.setting;
        setting.protocol = Protocol::HandOver;
        let explored = setting.explore(1, &|_progress| ());
        assert_eq!(explored.violation, None, "{}", scenario.name);
    }
}

#[test]
fn a_text_that_is_no_run_says_why() {
    let malformed = "that is no run of the model: those look like model/WORLD/1.0.2";
    let table = [
        ("", malformed),
        ("model/everything-1-1", malformed),
        ("model/everything-1-1/", malformed),
        ("model/everything-1-1/0..0", malformed),
        ("model/everything-1-1/0.", malformed),
        ("model/everything-1-1/0.x", malformed),
        ("model/nowhere/0", "there is no world \"nowhere\""),
        ("model/everything-1-1/77", "step 1 asks for choice 77, and there are 4"),
    ];
    for (text, why) in table {
        assert_eq!(replay(text).unwrap_err().to_string(), why);
    }
}
