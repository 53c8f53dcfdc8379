//! Every scenario, spread over threads; and one schedule, run again.

use crate::choice::{ReplayError, parse, print};
use crate::cloud::Cloud;
use crate::scenario::{Act, Scenario, Start, alone, pairs, triples};
use crate::search::{Bounds, Search};
use crate::{Broken, Planted, situations, telling};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use transfer_model::{Coverage, Trace};

/// How often a thread reports while it is at one scenario.
const REPORT_EVERY: u64 = 64;

/// What to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// How many threads run schedules.
    pub threads: NonZeroUsize,
    /// How far to go.
    pub depth: Depth,
    /// A mistake to make on purpose.
    pub planted: Option<Planted>,
}

/// How far to go. A world has one key, or the volume and its second snapshot have a key each, so
/// that two copies are made side by side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Depth {
    /// Pairs without faults and each operation by itself with one fault, one key.
    Quick,
    /// Pairs and triples with one fault, one key; pairs without faults and each operation by itself
    /// with one fault, two keys.
    Standard,
    /// Pairs and triples with one fault, one key and two keys.
    Deep,
}

/// How far a run has got.
#[derive(Clone, PartialEq, Debug)]
pub struct Progress {
    /// Schedules so far, of all scenarios.
    pub schedules: u64,
    /// The scenario that this is about.
    pub scenario: String,
    /// How much of it has been explored, between 0 and 1; an estimate.
    pub share: f64,
    /// Scenarios that are done.
    pub scenarios_done: usize,
    /// All scenarios.
    pub scenarios: usize,
}

/// What one scenario came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScenarioReport {
    /// Its name.
    pub name: String,
    /// How many act in it.
    pub operations: usize,
    /// Whether one thing could go wrong in it.
    pub faults: bool,
    /// Schedules that were run, no two of them the same.
    pub schedules: u64,
    /// Those of them that were given up before they came to rest: all that could follow had been
    /// run in another order, or from the same situation.
    pub cut: u64,
    /// Steps, repeated ones included.
    pub steps: u64,
    /// What its thread spent on it.
    pub elapsed: Duration,
}

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Schedules that were run, no two of them the same.
    pub schedules: u64,
    /// Those of them that were given up before they came to rest: all that could follow had been
    /// run in another order, or from the same situation.
    pub cut: u64,
    /// Steps, repeated ones included.
    pub steps: u64,
    /// What was visited.
    pub coverage: Coverage,
    /// By scenario.
    pub scenarios: Vec<ScenarioReport>,
    /// A schedule that breaks an invariant, if one was found.
    pub violation: Option<Trace>,
    /// What it took.
    pub elapsed: Duration,
}

struct Job {
    scenario: Scenario,
    bounds: Bounds,
}

/// What threads share.
struct Shared<'a> {
    jobs: Vec<Job>,
    next: AtomicUsize,
    done: AtomicUsize,
    stop: AtomicBool,
    report: Mutex<Report>,
    progress: &'a (dyn Fn(Progress) + Sync),
}

/// Runs every schedule, up to the first violation.
///
/// # Errors
/// [`Broken`] when the stack does not work, or does not do the same thing twice.
pub fn run(options: Options, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report, Broken> {
    let begun = Instant::now();
    let mut coverage = Coverage::default();
    situations::expect(&mut coverage, options.depth > Depth::Quick);
    let shared = Shared {
        jobs: jobs(options),
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        report: Mutex::new(Report {
            schedules: 0,
            cut: 0,
            steps: 0,
            coverage,
            scenarios: Vec::new(),
            violation: None,
            elapsed: Duration::ZERO,
        }),
        progress,
    };
    std::thread::scope(|scope| {
        let shared = &shared;
        let workers: Vec<_> =
            (0..options.threads.get()).map(|_thread| scope.spawn(|| shared.work())).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let mut report = shared.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.scenarios.sort_by(|one, other| one.name.cmp(&other.name));
    report.elapsed = begun.elapsed();
    Ok(report)
}

/// Runs a schedule that a report has printed.
///
/// # Errors
/// [`ReplayError`] when it is none, or does not fit.
pub fn replay(schedule: &str) -> Result<Trace, ReplayError> {
    let (scenario, choices) = parse(schedule)?;
    let mut clouds = Clouds::new()?;
    telling::tell(clouds.of(scenario.start)?, &scenario, &choices)
}

fn jobs(options: Options) -> Vec<Job> {
    let with = |scenarios: Vec<Scenario>, faults| {
        scenarios.into_iter().map(move |scenario| Job {
            scenario: Scenario { planted: options.planted, ..scenario },
            bounds: Bounds { faults, ..Bounds::FAST },
        })
    };
    let mut jobs: Vec<Job> = match options.depth {
        Depth::Quick => with(pairs(false), false).chain(with(alone(false), true)).collect(),
        Depth::Standard => with(pairs(false), true)
            .chain(with(triples(false), true))
            .chain(with(alone(true), true))
            .chain(with(pairs(true), false))
            .collect(),
        Depth::Deep => with(alone(true), true)
            .chain([false, true].into_iter().flat_map(|two_keys| {
                with(pairs(two_keys), true).chain(with(triples(two_keys), true))
            }))
            .collect(),
    };
    // The longest first, as far as one can tell: what can happen after an initiate is most.
    jobs.sort_by_key(|job| {
        let Scenario { start, acts, .. } = &job.scenario;
        std::cmp::Reverse((job.bounds.faults, acts.len(), start.two_keys, initiates(acts)))
    });
    jobs
}

fn initiates(acts: &[Act]) -> usize {
    acts.iter().filter(|act| **act == Act::Initiate).count()
}

/// The clouds of one thread, prepared when they are needed.
struct Clouds {
    runtime: tokio::runtime::Runtime,
    clouds: BTreeMap<Start, Cloud>,
}

impl Clouds {
    fn new() -> Result<Self, Broken> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| Broken::Stack(error.to_string()))?;
        Ok(Self { runtime, clouds: BTreeMap::new() })
    }

    fn of(&mut self, start: Start) -> Result<&Cloud, Broken> {
        Ok(match self.clouds.entry(start) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.runtime.block_on(Cloud::prepare(start))?),
        })
    }
}

impl Shared<'_> {
    fn work(&self) -> Result<(), Broken> {
        let outcome = self.take_jobs();
        if outcome.is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn take_jobs(&self) -> Result<(), Broken> {
        let mut clouds = Clouds::new()?;
        while let Some(job) = self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            self.explore(job, clouds.of(job.scenario.start)?)?;
        }
        Ok(())
    }

    fn explore(&self, job: &Job, cloud: &Cloud) -> Result<(), Broken> {
        let begun = Instant::now();
        let mut search = Search::new(cloud, &job.scenario, job.bounds);
        let mut told = 0;
        loop {
            let more = search.next().map_err(|why| Broken::In {
                why: Box::new(why),
                schedule: print(&job.scenario, &search.choices()),
            })?;
            let runs = search.found.schedules + search.found.cut;
            if !more || runs.is_multiple_of(REPORT_EVERY) {
                let new = runs - told;
                told = runs;
                self.tell(job, new, search.share());
            }
            if !more || self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        let violation = search.found.violation.take();
        let trace = violation.map(|choices| telling::tell(cloud, &job.scenario, &choices));
        let trace = trace.transpose().map_err(|unfit| Broken::NotRepeatable(unfit.to_string()))?;
        self.done.fetch_add(1, Ordering::Relaxed);
        let mut report = self.lock();
        report.cut += search.found.cut;
        report.steps += search.found.steps;
        report.coverage.merge(&search.found.coverage);
        report.scenarios.push(ScenarioReport {
            name: job.scenario.to_string(),
            operations: job.scenario.acts.len(),
            faults: job.bounds.faults,
            schedules: search.found.schedules + search.found.cut,
            cut: search.found.cut,
            steps: search.found.steps,
            elapsed: begun.elapsed(),
        });
        if trace.is_some() {
            self.stop.store(true, Ordering::Relaxed);
            report.violation = report.violation.take().or(trace);
        }
        Ok(())
    }

    fn tell(&self, job: &Job, new: u64, share: f64) {
        let schedules = {
            let mut report = self.lock();
            report.schedules += new;
            report.schedules
        };
        (self.progress)(Progress {
            schedules,
            scenario: job.scenario.to_string(),
            share,
            scenarios_done: self.done.load(Ordering::Relaxed),
            scenarios: self.jobs.len(),
        });
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
