//! The schedules as others see them: a run that finds nothing, mistakes that are found, replays.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroUsize;
use std::sync::Mutex;
use transfer_core::Invariant;
use transfer_core::invariants::OfferFate;
use transfer_model::Trace;
use transfer_schedules::{Depth, Options, Planted, Report, replay, run};

fn explore(depth: Depth, planted: Option<Planted>) -> Report {
    let options = Options { threads: NonZeroUsize::new(2).unwrap(), depth, planted };
    run(options, &|_progress| {}).unwrap()
}

fn last_fate(trace: &Trace) -> OfferFate {
    trace.steps.last().unwrap().world.offers.last().unwrap().fate.clone()
}

#[test]
fn the_hand_over_breaks_nothing_in_the_quick_schedules() {
    let seen = Mutex::new(Vec::new());
    let options = Options { threads: NonZeroUsize::MIN, depth: Depth::Quick, planted: None };
    let report = run(options, &|progress| seen.lock().unwrap().push(progress)).unwrap();
    assert_eq!(report.violation, None);
    assert_eq!(report.coverage.missing().collect::<Vec<_>>(), [] as [&str; 0]);
    let told = seen.into_inner().unwrap();
    assert_eq!(told.iter().map(|one| one.schedules).max(), Some(report.schedules));
    let each: u64 = report.scenarios.iter().map(|scenario| scenario.schedules).sum();
    assert_eq!(each, report.schedules);
    for step in ["claim", "create a shell", "save the state", "fill a shell", "commit"] {
        for outcome in ["done", "crash before", "crash after"] {
            assert!(report.coverage.steps[step].contains_key(outcome), "{step}: {outcome}");
        }
    }
}

#[test]
fn a_planted_mistake_is_found_and_its_schedule_tells_it_again() {
    for (planted, broken) in [
        (Planted::DeleteBeforeCommit, Invariant::ReferencedKeyIsLive),
        (Planted::RepointVolumeFirst, Invariant::RowsAgree),
    ] {
        let trace = explore(Depth::Quick, Some(planted)).violation.unwrap();
        assert_eq!(trace.protocol, planted.name());
        assert!(trace.broken().any(|violation| violation.invariant == broken), "{trace:?}");
        assert!(!trace.steps.last().unwrap().broken.is_empty(), "it ends where it breaks");
        assert_eq!(replay(&trace.replay).unwrap(), trace);
    }
}

#[test]
fn a_schedule_tells_the_same_each_time() {
    for schedule in [
        "offered-1:accept-y+cancel:abaaaaaa.",
        "offered-2:accept-y+cancel:aa1aEb.",
        "offered-1:accept-y+recovery:a!bbaaa.",
    ] {
        let first = replay(schedule).unwrap();
        assert_eq!(first.replay, schedule);
        assert_eq!(first.broken().count(), 0, "{schedule}");
        assert_eq!(replay(schedule).unwrap(), first);
    }
}

#[test]
fn a_commit_whose_reply_was_lost_is_read_back_and_one_that_failed_is_not() {
    let lost = replay("offered-1:accept-y:aaaaaKaa.").unwrap();
    let lost_step = &lost.steps[4];
    assert_eq!(
        (lost_step.what.as_str(), lost_step.fault.as_deref()),
        ("commit", Some("reply lost"))
    );
    let OfferFate::Accepted(project) = last_fate(&lost) else { panic!("{lost:?}") };
    assert_eq!(lost.names[&project], "Y");
    let failed = replay("offered-1:accept-y:aaaaaFaaa.").unwrap();
    let told: Vec<&str> = failed.steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(told[4..6], ["commit", "abort"]);
    assert_eq!(last_fate(&failed), OfferFate::Open);
    for trace in [&lost, &failed] {
        assert_eq!(trace.broken().count(), 0);
        assert_eq!(trace.steps.last().unwrap().world.debts, []);
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    for (schedule, reason) in [
        ("", "there is no `:` in it; those look like offered-1:accept-y+cancel:aabaR."),
        ("offered-1:a", "is not the name of a world, `:` and of acts"),
        ("offered-3:cancel:a", "no world is called \"offered-3\""),
        ("offered-1:cancel+steal:a", "nobody does \"steal\""),
        ("upstream/offered-1:cancel:a", "no protocol is called \"upstream\""),
        ("offered-1:cancel+cancel+cancel+cancel:a", "4 actors, at most 3 are known"),
        ("offered-1:cancel:aa?", "'?' at character 3 of the choices is none; a choice is an actor"),
        ("offered-1:cancel:", "the schedule ends early: nothing is broken yet, and possible next"),
        ("offered-1:cancel:aC", "the schedule ends early"),
        ("offered-1:cancel:aab", "step 3 chooses b, possible are: a aN aF aK aC aE !"),
        ("offered-1:cancel:a.", "step 2 chooses ., possible are: a aR"),
        ("offered-1:cancel:aCaa", "step 2 chooses a, possible are: ."),
    ] {
        let refused = replay(schedule).unwrap_err().to_string();
        assert!(refused.contains(reason), "{schedule}: {refused}");
    }
}
