//! Situations that must come about somewhere, lest the check prove nothing.

use crate::choice::{Choice, Fault};
use crate::gates::Progress;
use crate::scenario::{Act, Scenario};
use transfer_core::Operation;
use transfer_core::invariants::Told;
use transfer_model::Coverage;

const ACCEPT_WINS: &str = "an accept wins against a cancel";
const CANCEL_WINS: &str = "a cancel wins against an accept";
const ONE_ACCEPT: &str = "one of two accepts wins";
const RECOVERY_TAKES_OVER: &str = "recovery takes over a live claim";
const CLAIM_TAKES_OVER: &str = "a claim takes over another one";
const COMES_BACK: &str = "a driver comes back after it was taken over";
const READ_BACK: &str = "a commit whose reply was lost is read back";
const LATEST: &str = "an effect lands after everything came to rest";
const DIES_OWING: &str = "a process dies between its commit and its payments";

/// Says what is expected, with or without faults.
pub(crate) fn expect(coverage: &mut Coverage, faults: bool) {
    let always = [ACCEPT_WINS, CANCEL_WINS, ONE_ACCEPT];
    let with_faults =
        [RECOVERY_TAKES_OVER, CLAIM_TAKES_OVER, COMES_BACK, READ_BACK, LATEST, DIES_OWING];
    for name in always.into_iter().chain(with_faults.into_iter().filter(|_| faults)) {
        coverage.situation(name, 0);
    }
}

/// Counts what came about in a whole run; `steps` are its choices and what each was.
pub(crate) fn count(
    coverage: &mut Coverage,
    scenario: &Scenario,
    steps: &[(Choice, &'static str)],
    progress: &[Progress],
) {
    let mut came_about = |name: &str, so: bool| {
        if so {
            coverage.situation(name, 1);
        }
    };
    let told = |operation: Operation, told: Told| {
        let actors = scenario.acts.iter().zip(progress);
        let fitting = actors
            .filter(|(act, one)| act.operation() == Some(operation) && one.told == Some(told));
        fitting.count()
    };
    let (accepted, cancelled) =
        (told(Operation::Accept, Told::Done), told(Operation::Cancel, Told::Done));
    let (not_accepted, not_cancelled) =
        (told(Operation::Accept, Told::Refused), told(Operation::Cancel, Told::Refused));
    came_about(ACCEPT_WINS, accepted > 0 && not_cancelled > 0);
    came_about(CANCEL_WINS, cancelled > 0 && not_accepted > 0);
    came_about(ONE_ACCEPT, accepted > 0 && not_accepted > 0);
    came_about(COMES_BACK, progress.iter().any(|one| one.was_taken_over));
    for (index, (choice, what)) in steps.iter().enumerate() {
        let by_recovery = choice.actor().is_some_and(|actor| scenario.acts[actor] == Act::Recovery);
        came_about(RECOVERY_TAKES_OVER, *what == "take over" && by_recovery);
        came_about(CLAIM_TAKES_OVER, *what == "take over and claim");
        let rested = steps[..index].iter().any(|(earlier, _)| *earlier == Choice::Rest);
        came_about(LATEST, *choice == Choice::Land && rested);
        if let Choice::Pass { actor, fault: Some(fault), .. } = choice {
            let done = progress[*actor].told == Some(Told::Done);
            let commits = *what == "commit";
            came_about(READ_BACK, commits && *fault == Fault::CommitReplyLost && done);
            let owes = (commits && *fault == Fault::CrashAfter) || (done && fault.is_crash());
            came_about(DIES_OWING, owes);
        }
    }
}
