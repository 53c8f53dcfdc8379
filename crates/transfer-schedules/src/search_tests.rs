//! Each reduction against the search without it.

use super::*;
use crate::scenario::Act;
use transfer_core::invariants::{OfferFate, Row, VolumeView};
use transfer_core::{Authority, Debt, ProjectId};

/// No reduction, and every run from the start.
const FULL: Bounds =
    Bounds { faults: true, reduced: false, matched: false, resumed: false, keeps_all: true };
const REDUCED: Bounds = Bounds { reduced: true, ..FULL };
const MATCHED: Bounds = Bounds { matched: true, ..REDUCED };
const RESUMED: Bounds = Bounds { resumed: true, ..MATCHED };

/// What a search came to, equals being taken for each other.
#[derive(PartialEq, Debug)]
struct Outcome {
    ends: BTreeSet<(World, Vec<Option<Told>>)>,
    broken: BTreeSet<(Invariant, &'static str)>,
    /// What it has come across, however often, beside faults at commits that do not come.
    visited: BTreeSet<String>,
}

fn explore(name: &str, bounds: Bounds) -> (Found, Outcome) {
    let scenario: Scenario = name.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cloud = runtime.block_on(Cloud::prepare(scenario.start)).unwrap();
    let mut search = Search::new(&cloud, &scenario, bounds);
    while search.next().unwrap() {}
    let found = search.found;
    let [y, z] = ['Y', 'Z'].map(|letter| cloud.caller(letter, 0).unwrap().project);
    let ends = found.ends.iter().cloned();
    let ends = ends.map(|end| without_order(end, &scenario, [&y, &z])).collect();
    let Coverage { steps, situations, .. } = &found.coverage;
    let steps = steps.iter().flat_map(|(step, outcomes)| {
        let in_vain = ["claim in vain", TRANSACTION].contains(&step.as_str());
        let outcomes =
            outcomes.keys().filter(move |outcome| !(in_vain && strikes_at_commit(outcome)));
        outcomes.map(move |outcome| format!("{step}: {outcome}"))
    });
    let situations = situations.iter().filter(|(_, count)| **count > 0);
    let visited = steps.chain(situations.map(|(name, _)| name.to_string())).collect();
    let broken = found.broken.clone();
    (found, Outcome { ends, broken, visited })
}

fn strikes_at_commit(outcome: &str) -> bool {
    ["commit fails", "reply lost", "crash after"].contains(&outcome)
}

/// An end in which nobody knows who of equals came first.
fn without_order(
    (world, told): (World, Vec<Option<Told>>),
    scenario: &Scenario,
    accepting: [&ProjectId; 2],
) -> (World, Vec<Option<Told>>) {
    let swapped = scenario.acts.contains(&Act::AcceptZ).then(|| {
        let other = |act| match act {
            Act::AcceptY => Act::AcceptZ,
            Act::AcceptZ => Act::AcceptY,
            Act::Initiate | Act::Cancel | Act::Recovery => act,
        };
        let acts = scenario.acts.iter().map(|act| other(*act)).collect::<Vec<_>>();
        (swap(&world, accepting), by_act(&acts, &told))
    });
    let end = (world, by_act(&scenario.acts, &told));
    swapped.into_iter().chain([end]).min().unwrap()
}

fn by_act(acts: &[Act], told: &[Option<Told>]) -> Vec<Option<Told>> {
    let mut sorted: Vec<_> = acts.iter().zip(told).collect();
    sorted.sort();
    sorted.into_iter().map(|(_, told)| *told).collect()
}

/// The world in which two projects have each other's place.
fn swap(world: &World, [one, other]: [&ProjectId; 2]) -> World {
    let project = |of: &ProjectId| match of {
        of if of == one => other.clone(),
        of if of == other => one.clone(),
        of => of.clone(),
    };
    let row = |row: &Row| Row { project: project(&row.project), ..row.clone() };
    let mut swapped = world.clone();
    for VolumeView { row: volume, snapshots, .. } in &mut swapped.volumes {
        *volume = row(volume);
        *snapshots = snapshots.iter().map(row).collect();
    }
    for secret in swapped.secrets.values_mut() {
        secret.owner = project(&secret.owner);
    }
    for offer in &mut swapped.offers {
        if let OfferFate::Accepted(by) = &mut offer.fate {
            *by = project(by);
        }
    }
    for Debt { authority, .. } in &mut swapped.debts {
        if let Authority::Project(of) = authority {
            *of = project(of);
        }
    }
    let usages = world.usages.iter();
    swapped.usages =
        usages.map(|((of, what), used)| ((project(of), what.clone()), *used)).collect();
    swapped
}

#[test]
fn the_reduction_reaches_every_end() {
    for (name, faults) in [
        ("offered-1:accept-y+cancel", false),
        ("offered-1:accept-y+accept-z", false),
        ("available-1:initiate+initiate", false),
        ("available-1:initiate+cancel", false),
        ("offered-1:initiate+recovery", true),
    ] {
        let (reduced, its) = explore(name, Bounds { faults, ..REDUCED });
        let (full, of_all) = explore(name, Bounds { faults, ..FULL });
        assert_eq!(its, of_all, "{name}");
        assert_eq!(its.broken, BTreeSet::new(), "{name}");
        assert_eq!(full.cut, 0, "{name}");
        assert!(reduced.schedules < full.schedules, "{name}: {}", full.schedules);
    }
}

#[test]
fn what_has_been_seen_would_come_to_nothing_new() {
    for (name, faults) in [
        ("offered-1:accept-y+recovery", true),
        ("offered-1:accept-y+accept-y+cancel", false),
        ("delete-before-commit/offered-1:accept-y+cancel", false),
        ("repoint-volume-first/offered-1:cancel", true),
    ] {
        let (matched, its) = explore(name, Bounds { faults, ..MATCHED });
        let (unmatched, of_all) = explore(name, Bounds { faults, ..REDUCED });
        assert_eq!(its, of_all, "{name}");
        assert_eq!(its.broken.is_empty(), !name.contains('/'), "{name}");
        assert!(matched.schedules < unmatched.schedules, "{name}: {}", matched.schedules);
    }
}

#[test]
fn a_run_from_a_moment_that_was_kept_goes_on_as_one_from_the_start() {
    for name in ["offered-1:accept-y+recovery", "delete-before-commit/offered-1:cancel"] {
        let (resumed, its) = explore(name, RESUMED);
        let (repeated, of_all) = explore(name, MATCHED);
        assert_eq!(its, of_all, "{name}");
        assert_eq!((resumed.schedules, resumed.cut), (repeated.schedules, repeated.cut), "{name}");
        assert!(resumed.steps < repeated.steps, "{name}: {}", resumed.steps);
    }
}
