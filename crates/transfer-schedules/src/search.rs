//! Depth-first search over the choices of one scenario, by running it again and again.
//!
//! Nothing of an operation under way can be kept, so the search remembers the choices, repeats them
//! up to the last one that has a sibling, takes the sibling, and goes on with the first choice at
//! each point. A moment at which nobody is under way is kept, and a run begins at the last one that
//! its choices come by. Worlds are checked where they are new, not where they are repeated.
//!
//! **Sleep sets** (Godefroid, *Partial-Order Methods*, 1996) leave out orders that differ in
//! independent steps only. A choice that has been explored at a point *sleeps* in the subtrees of
//! its later siblings, until a step is taken that is not independent of it; a point where all
//! choices sleep is cut. Sleep sets leave out transitions and never states, so every world that can
//! come about is checked. The reduction relies on this:
//! - a footprint is complete: the tables, the secrets and the list of secrets are all that actors
//!   share, and every access to them passes a door (the invariants are asked outside of the doors
//!   and change nothing);
//! - a footprint that was recorded where a choice was explored is still right where it sleeps,
//!   since nothing that the step touched has been written meanwhile;
//! - steps of one actor, and a rest, are never taken for independent;
//! - ids of new secrets depend on the order of creation, and nothing but names depends on them.
//!
//! **Situations** that have been seen are not continued again; `matching` says what one is. The
//! choices that slept whenever a situation was explored are kept with it: where it comes about
//! again, those of them that are awake now are explored from it, and nothing else.
//!
//! **Symmetry**: of two equal actors that have not begun, the first one begins. What would follow
//! from the second one's choice is the same under other names; see `Scenario::has_twin_before`.
//!
//! **Faults at a commit that does not come**: where a transaction was tried without a fault and
//! came to no commit, a commit that fails or whose reply is lost would be the same, with the one
//! fault spent on nothing, and a crash after it the same as one before it.
//!
//! The tests hold each reduction against the search without it: the same ends, the same broken
//! invariants, the same steps with the same outcomes.

use crate::choice::Choice;
use crate::choice::Fault;
use crate::cloud::Cloud;
use crate::footprint::Footprint;
use crate::gates::Ask;
use crate::labels::{TRANSACTION, label};
use crate::matching::{Follower, Knowledge, Left, Memory, Seen};
use crate::scenario::Scenario;
use crate::stage::{Kept, Stage};
use crate::{Broken, situations, telling};
use std::collections::BTreeSet;
use transfer_core::invariants::{Told, check, check_at_rest};
use transfer_core::{Invariant, World};
use transfer_model::Coverage;

/// What a search runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    /// Whether one thing may go wrong.
    pub(crate) faults: bool,
    /// Whether sleep sets leave out what differs in the order of independent steps only, symmetry
    /// what differs in who of equals comes first; and whether faults that make no difference are
    /// left out.
    pub(crate) reduced: bool,
    /// Whether situations that have been seen are not continued.
    pub(crate) matched: bool,
    /// Whether runs begin at moments that were kept.
    pub(crate) resumed: bool,
    /// Whether the worlds at the end are kept, and what is broken does not end the search.
    pub(crate) keeps_all: bool,
}

impl Bounds {
    /// Everything that makes a search faster, up to the first violation.
    pub(crate) const FAST: Self =
        Self { faults: true, reduced: true, matched: true, resumed: true, keeps_all: false };
}

/// What a search has come to so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Runs that came to rest.
    pub(crate) schedules: u64,
    /// Runs that were given up because all that could follow had been run in another order, or from
    /// the same situation.
    pub(crate) cut: u64,
    /// Steps of all runs, repeated ones included.
    pub(crate) steps: u64,
    /// What was visited, each new step once.
    pub(crate) coverage: Coverage,
    /// The choices that led to the first violation.
    pub(crate) violation: Option<Vec<Choice>>,
    /// How runs ended, if that is kept: the world, ids renamed, and what each caller was told.
    pub(crate) ends: BTreeSet<(World, Vec<Option<Told>>)>,
    /// Which invariants were broken by which steps, if that is kept.
    pub(crate) broken: BTreeSet<(Invariant, &'static str)>,
}

/// A choice that has been taken, and what its step was.
#[derive(Clone)]
struct Taken {
    choice: Choice,
    footprint: Footprint,
    label: &'static str,
    /// Whether it passed a transaction that came to no commit.
    in_vain: bool,
}

/// A point where something was chosen.
struct Point {
    options: Vec<Choice>,
    /// Which of them is being explored.
    at: usize,
    /// What sleeps here: explored before, in another order.
    asleep: Vec<Taken>,
    /// Siblings that have been explored here.
    explored: Vec<Taken>,
    /// The step that was taken, once it was.
    taken: Option<Taken>,
    /// What actors remember after it, and whether it brought about new ids.
    memories: Vec<Memory>,
    has_new_ids: bool,
    /// The moment before, if it was kept.
    kept: Option<Before>,
}

/// A moment from which runs begin.
struct Before {
    stage: Kept,
    known: Option<Knowledge>,
    world: World,
}

/// The search of one scenario.
pub(crate) struct Search<'a> {
    cloud: &'a Cloud,
    scenario: &'a Scenario,
    bounds: Bounds,
    path: Vec<Point>,
    seen: Seen,
    pub(crate) found: Found,
}

impl Point {
    fn new(options: Vec<Choice>, asleep: Vec<Taken>) -> Self {
        Self {
            options,
            at: 0,
            asleep,
            explored: Vec::new(),
            taken: None,
            memories: Vec::new(),
            has_new_ids: false,
            kept: None,
        }
    }

    fn choice(&self) -> Choice {
        self.options[self.at]
    }

    fn has_siblings(&self) -> bool {
        self.options[self.at + 1..].iter().any(|choice| !self.sleeps(*choice))
    }

    fn sleeps(&self, choice: Choice) -> bool {
        self.asleep.iter().any(|one| one.choice == choice)
    }

    /// Goes on to the next sibling that is left.
    fn advance(&mut self, reduced: bool) -> bool {
        self.explored.extend(self.taken.take());
        let left = |at: &usize| {
            let choice = self.options[*at];
            !(self.sleeps(choice) || reduced && self.makes_no_difference(choice))
        };
        let next = (self.at + 1..self.options.len()).find(left);
        self.at = next.unwrap_or(self.options.len());
        next.is_some()
    }

    /// Whether a fault strikes at a commit that does not come. Then all that follows also follows
    /// where nothing goes wrong here, or where the process dies before.
    fn makes_no_difference(&self, choice: Choice) -> bool {
        let Choice::Pass { actor, gate, fault: Some(fault) } = choice else { return false };
        let at_commit = [Fault::NoCommit, Fault::CommitReplyLost, Fault::CrashAfter];
        let free = Choice::Pass { actor, gate, fault: None };
        at_commit.contains(&fault)
            && self.explored.iter().chain(&self.asleep).any(|one| one.choice == free && one.in_vain)
    }

    /// What sleeps after this point's step.
    fn asleep_after(&self) -> Vec<Taken> {
        let Some(taken) = &self.taken else { return Vec::new() };
        let earlier = self.asleep.iter().chain(&self.explored);
        earlier.filter(|one| are_independent(one, taken)).cloned().collect()
    }

    /// What a transaction at this gate is for, as far as an earlier try without fault has shown.
    fn purpose(&self, choice: Choice) -> Option<&'static str> {
        let Choice::Pass { actor, gate, .. } = choice else { return None };
        let free = Choice::Pass { actor, gate, fault: None };
        let mut tried = self.explored.iter().chain(&self.asleep);
        tried.find(|one| one.choice == free).map(|one| one.label)
    }
}

fn are_independent(one: &Taken, other: &Taken) -> bool {
    let rest = one.choice == Choice::Rest || other.choice == Choice::Rest;
    let same = one.choice.actor().is_some() && one.choice.actor() == other.choice.actor();
    !rest && !same && one.footprint.is_independent_of(&other.footprint)
}

impl<'a> Search<'a> {
    pub(crate) fn new(cloud: &'a Cloud, scenario: &'a Scenario, bounds: Bounds) -> Self {
        Self {
            cloud,
            scenario,
            bounds,
            path: Vec::new(),
            seen: Seen::default(),
            found: Found::default(),
        }
    }

    /// Runs the next schedule. False when there is none left, or a violation was found.
    pub(crate) fn next(&mut self) -> Result<bool, Broken> {
        // What is held at a gate goes down with its runtime.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| Broken::Stack(error.to_string()))?;
        runtime.block_on(self.run())?;
        drop(runtime);
        if self.found.violation.is_some() {
            return Ok(false);
        }
        while let Some(point) = self.path.last_mut() {
            if point.advance(self.bounds.reduced) {
                return Ok(true);
            }
            self.path.pop();
        }
        Ok(false)
    }

    /// The part of the scenario that has been explored, between 0 and 1.
    pub(crate) fn share(&self) -> f64 {
        let mut width = 1.0;
        let mut done = 0.0;
        for point in &self.path {
            width /= f64::from(u32::try_from(point.options.len()).unwrap_or(u32::MAX));
            done += width * f64::from(u32::try_from(point.at).unwrap_or(0));
        }
        done
    }

    pub(crate) fn choices(&self) -> Vec<Choice> {
        self.path.iter().map(Point::choice).collect()
    }

    async fn run(&mut self) -> Result<(), Broken> {
        let (mut stage, mut follower, mut before) = self.repeat().await?;
        if !self.path.is_empty() {
            before = self.step(&mut stage, follower.as_mut(), before).await?;
        }
        while self.found.violation.is_none() {
            let Some(mut point) = self.arrive(&stage, follower.as_ref(), &before)? else { break };
            if self.bounds.resumed && point.has_siblings() {
                let place = self.path.iter().filter(|point| point.kept.is_some()).count();
                point.kept = stage.keep(place)?.map(|stage| Before {
                    stage,
                    known: follower.as_ref().map(Follower::knowledge),
                    world: before.clone(),
                });
            }
            self.path.push(point);
            before = self.step(&mut stage, follower.as_mut(), before).await?;
        }
        stage.clear().await
    }

    /// Comes to where the last choice is to be taken; gives the world there.
    async fn repeat(&mut self) -> Result<(Stage<'a>, Option<Follower<'a>>, World), Broken> {
        let (cloud, scenario) = (self.cloud, self.scenario);
        let repeated = self.path.len().saturating_sub(1);
        let from = self.path.iter().rposition(|point| point.kept.is_some());
        let kept = from.and_then(|from| self.path[from].kept.as_ref());
        let mut stage = match kept {
            Some(kept) => Stage::resume(cloud, scenario, &kept.stage).await?,
            None => Stage::set(cloud, scenario).await?,
        };
        let mut follower = match kept {
            Some(kept) => kept.known.as_ref().map(|k| Follower::resume(cloud, scenario, k)),
            None if self.bounds.matched => Some(Follower::new(cloud, scenario)?),
            None => None,
        };
        let points = &self.path[from.unwrap_or(0)..repeated];
        if let (Some(kept), []) = (kept, points) {
            return Ok((stage, follower, kept.world.clone()));
        }
        for point in points {
            stage.carry_out(point.choice()).await?;
            self.found.steps += 1;
            if let Some(follower) = follower.as_mut().filter(|_| point.has_new_ids) {
                follower.look(Some(point.choice()))?;
            }
        }
        if let (Some(follower), Some(last)) = (&mut follower, points.last()) {
            if !last.has_new_ids {
                follower.look(None)?;
            }
            follower.memories.clone_from(&last.memories);
        }
        let world = stage.world().await?;
        Ok((stage, follower, world))
    }

    /// What can be chosen here and has not been explored from here; `None` ends the run.
    fn arrive(
        &mut self,
        stage: &Stage<'_>,
        follower: Option<&Follower<'_>>,
        world: &World,
    ) -> Result<Option<Point>, Broken> {
        let mut asleep = match self.path.last() {
            Some(point) if self.bounds.reduced => point.asleep_after(),
            Some(_) | None => Vec::new(),
        };
        let mut options = stage.options(world);
        options.retain(|choice| self.bounds.faults || !choice.is_fault());
        if self.bounds.reduced {
            let progress = stage.progress();
            options.retain(|choice| !self.scenario.has_twin_before(*choice, &progress));
        }
        if let Some(follower) = follower {
            let sleeping = asleep.iter().map(|one| one.choice).collect();
            match self.seen.visit(follower.situation(stage)?, &sleeping) {
                Left::Everything => {}
                Left::Awake { awake, asleep: still } => {
                    options.retain(|choice| awake.contains(choice));
                    asleep.retain(|one| still.contains(&one.choice));
                }
                Left::Nothing => {
                    self.found.cut += 1;
                    self.count_situations(stage);
                    return Ok(None);
                }
            }
        }
        if options.is_empty() {
            self.found.schedules += 1;
            self.finish(stage, world);
            return Ok(None);
        }
        let mut point = Point::new(options, asleep);
        if point.sleeps(point.choice()) && !point.advance(self.bounds.reduced) {
            self.found.cut += 1;
            return Ok(None);
        }
        Ok(Some(point))
    }

    /// Takes the last point's choice, for the first time.
    async fn step(
        &mut self,
        stage: &mut Stage<'_>,
        follower: Option<&mut Follower<'_>>,
        before: World,
    ) -> Result<World, Broken> {
        let Some(point) = self.path.last_mut() else { return Ok(before) };
        let choice = point.choice();
        let ask = match choice {
            Choice::Pass { actor, gate, .. } => stage.ask_at(actor, gate),
            Choice::Expire | Choice::Land | Choice::Rest => None,
        };
        let footprint = stage.carry_out(choice).await?;
        let after = stage.world_after(before.clone(), &footprint).await?;
        let mut label = label(choice, ask.as_ref(), &before, &after);
        if label == TRANSACTION {
            label = point.purpose(choice).unwrap_or(label);
        }
        self.found.steps += 1;
        self.found.coverage.step(label, outcome(choice));
        let history = stage.history()?;
        let broken = if stage.is_at_rest() {
            check_at_rest(&after, &history)
        } else {
            check(&after, &history)
        };
        if let Some(follower) = follower {
            let ask = ask.as_ref();
            point.has_new_ids = follower.step(stage, choice, ask, &footprint, label)?;
            point.memories.clone_from(&follower.memories);
        }
        let in_vain = matches!(ask, Some(Ask::Claim | Ask::Write)) && !footprint.commits();
        point.taken = Some(Taken { choice, footprint, label, in_vain });
        if self.bounds.keeps_all {
            self.found.broken.extend(broken.iter().map(|one| (one.invariant, label)));
        } else if !broken.is_empty() {
            self.found.violation = Some(self.choices());
        }
        Ok(after)
    }

    fn count_situations(&mut self, stage: &Stage<'_>) {
        let taken = self.path.iter().filter_map(|point| point.taken.as_ref());
        let steps: Vec<_> = taken.map(|taken| (taken.choice, taken.label)).collect();
        let coverage = &mut self.found.coverage;
        situations::count(coverage, self.scenario, &steps, &stage.progress());
    }

    fn finish(&mut self, stage: &Stage<'_>, world: &World) {
        self.count_situations(stage);
        if self.bounds.keeps_all {
            let told = stage.progress().iter().map(|one| one.told).collect();
            self.found.ends.insert((telling::without_names(world), told));
        }
    }
}

fn outcome(choice: Choice) -> &'static str {
    match choice {
        Choice::Pass { fault: Some(fault), .. } => fault.title(),
        Choice::Pass { fault: None, .. } | Choice::Expire | Choice::Land | Choice::Rest => "done",
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
