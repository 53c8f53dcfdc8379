//! Histories: whatever anybody asks, in any order, over a cloud with faults, the service answers as
//! a small reference does, and its world is the reference's.
//!
//! A history that is not allowed shrinks to a short one, which is printed line by line.
//! `PROPTEST_CASES` runs more of them, `PROPTEST_RNG_SEED` others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../api/cloud.rs"]
mod cloud;
mod compare;
mod life;
mod machine;
mod operation;
mod reference;
mod request;
mod service;
mod tally;
mod telling;
mod watcher;

use operation::{Ask, By, Door, Life, Operation, Sabotage, What, history};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestError, TestRunner};
use reference::Mistake;
use std::cell::RefCell;
use tally::Tally;

const SEED: u64 = 20_260_101;
const CASES: u32 = 96;
const LONGEST: usize = 40;

/// What the histories of one run come across, whichever they are.
const EVERYTHING: [&str; 39] = [
    "offer 202",
    "offer 400",
    "offer 401",
    "offer 403",
    "offer 404",
    "offer 503",
    "accept 202",
    "accept 400",
    "accept 401",
    "accept 404",
    "accept 413",
    "accept 503",
    "delete 202",
    "delete 404",
    "show 200",
    "show 404",
    "list 200",
    "make volume 202",
    "make volume 413",
    "make snapshot 202",
    "make snapshot 413",
    "delete volume 202",
    "delete volume 400",
    "delete snapshot 202",
    "reset volume 202",
    "reset snapshot 202",
    "set quota 202",
    "pass 202",
    "restart 202",
    "recover 202",
    "in doubt and not done",
    "Barbican refused",
    "Barbican failed",
    "Barbican lost",
    "Barbican done, its reply lost",
    "Barbican done, its reply garbled",
    "Barbican given up",
    "Barbican killing the service",
    "Keystone",
];

fn config() -> Config {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories/regressions.txt");
    config.failure_persistence = Some(Box::new(FileFailurePersistence::Direct(regressions)));
    config.source_file = Some(file!());
    config.max_shrink_iters = 1000;
    config
}

/// The shortest history that is not allowed, line by line.
fn search(config: Config, mistake: Option<Mistake>, tally: &RefCell<Tally>) -> Result<(), String> {
    let outcome = TestRunner::new(config).run(&history(LONGEST), |history| {
        let outcome = machine::run(&history, mistake, &mut tally.borrow_mut());
        outcome.map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
        Err(TestError::Fail(reason, history)) => {
            let lines: Vec<String> = history.iter().map(|op| format!("  {op:?}")).collect();
            Err(format!("{}\n{reason}", lines.join("\n")))
        }
    }
}

#[test]
fn every_history_is_one_that_the_reference_allows() {
    let config = config();
    let cases = config.cases;
    println!("{:?}, {cases} cases", config.rng_seed);
    let tally = RefCell::default();
    let outcome = search(config, None, &tally);
    let tally = tally.take();
    println!("{tally}");
    if let Err(what) = outcome {
        panic!("this is not allowed:\n{what}");
    }
    // They get somewhere: everything succeeded, every refusal and every fault was met. Fewer
    // histories than usual may see less.
    for words in EVERYTHING {
        assert!(tally.of(words) > 0 || cases < CASES, "no history came across \"{words}\"");
    }
}

/// The histories are worth something only if a wrong rule is contradicted by one of them.
#[test]
fn a_reference_with_a_wrong_rule_is_contradicted() {
    for mistake in Mistake::ALL {
        let config = Config {
            cases: CASES,
            rng_seed: RngSeed::Fixed(SEED),
            failure_persistence: None,
            max_shrink_iters: 0,
            ..config()
        };
        let contradicted = search(config, Some(mistake), &RefCell::default());
        assert!(contradicted.is_err(), "nobody noticed {mistake:?}");
    }
}

/// The invariants, and the comparison with the reference, notice what nobody may do.
#[test]
fn sabotage_is_noticed_by_name() {
    for (sabotage, name) in [
        (Sabotage::SwapKey, "key_bytes_preserved"),
        (Sabotage::SplitKey, "rows_agree"),
        (Sabotage::DeleteKey, "referenced_key_is_live"),
        (Sabotage::Charge, "quota_conserved"),
        (Sabotage::Steal, "custodian_owns_key"),
        (Sabotage::EndOffer, "custodian_owns_key"),
        (Sabotage::Break, "the reference says"),
    ] {
        let offer = What::Offer { volume: 2, no_snapshots: None, named: false };
        let door = Door { legacy: false, project_in_path: false, minor: 70 };
        let offer = Operation::Ask(Ask { by: By::Owner, what: offer, door, fault: None });
        let history = [offer, Operation::Live(Life::Sabotage(sabotage))];
        let what = machine::run(&history, None, &mut Tally::default()).unwrap_err();
        assert!(what.contains(name), "{sabotage:?}: {what}");
        assert!(what.starts_with("sabotage"), "{sabotage:?}: {what}");
    }
}
