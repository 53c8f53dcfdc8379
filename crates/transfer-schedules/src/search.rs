//! Depth-first search over the choices of one scenario, by running it again and again.
//!
//! Nothing of a run can be kept, so the search is stateless: it remembers the choices, repeats them
//! up to the last one that has a sibling, takes the sibling, and goes on with the first choice at
//! each point. Worlds are checked where they are new, not where they are repeated.
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

use crate::choice::Choice;
use crate::cloud::Cloud;
use crate::footprint::Footprint;
use crate::labels::{TRANSACTION, label};
use crate::matching::{Follower, Memory, Seen};
use crate::scenario::Scenario;
use crate::stage::Stage;
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
    /// Whether sleep sets leave out what differs in the order of independent steps only.
    pub(crate) reduced: bool,
    /// Whether situations that have been seen are not continued.
    pub(crate) matched: bool,
    /// Whether the worlds at the end are kept, and what is broken does not end the search.
    pub(crate) keeps_all: bool,
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
        }
    }

    fn choice(&self) -> Choice {
        self.options[self.at]
    }

    fn sleeps(&self, choice: Choice) -> bool {
        self.asleep.iter().any(|one| one.choice == choice)
    }

    /// Goes on to the next sibling that does not sleep.
    fn advance(&mut self) -> bool {
        self.explored.extend(self.taken.take());
        let next = (self.at + 1..self.options.len()).find(|at| !self.sleeps(self.options[*at]));
        self.at = next.unwrap_or(self.options.len());
        next.is_some()
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
            if point.advance() {
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
        let mut stage = Stage::set(self.cloud, self.scenario).await?;
        let mut follower = match self.bounds.matched {
            true => Some(Follower::new(self.cloud, self.scenario).await?),
            false => None,
        };
        let repeated = self.path.len().saturating_sub(1);
        for point in &self.path[..repeated] {
            stage.carry_out(point.choice()).await?;
            self.found.steps += 1;
            if let Some(follower) = follower.as_mut().filter(|_| point.has_new_ids) {
                follower.look(Some(point.choice())).await?;
            }
        }
        if let (Some(follower), Some(last)) = (&mut follower, self.path[..repeated].last()) {
            follower.look(None).await?;
            follower.memories.clone_from(&last.memories);
        }
        let mut before = stage.world().await?;
        if !self.path.is_empty() {
            before = self.step(&mut stage, follower.as_mut(), before).await?;
        }
        while self.found.violation.is_none() {
            let last = self.path.last();
            let asleep = match last {
                Some(point) if self.bounds.reduced => point.asleep_after(),
                Some(_) | None => Vec::new(),
            };
            if let Some(follower) = &follower {
                let sleeping = asleep.iter().map(|one| one.choice).collect();
                if self.seen.covers(follower.situation(&stage)?, sleeping) {
                    self.found.cut += 1;
                    self.count_situations(&stage);
                    break;
                }
            }
            let mut options = stage.options(&before);
            options.retain(|choice| self.bounds.faults || !choice.is_fault());
            if options.is_empty() {
                self.found.schedules += 1;
                self.finish(&stage, &before);
                break;
            }
            let mut point = Point::new(options, asleep);
            if point.sleeps(point.choice()) && !point.advance() {
                self.found.cut += 1;
                break;
            }
            self.path.push(point);
            before = self.step(&mut stage, follower.as_mut(), before).await?;
        }
        stage.clear().await
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
        let after = stage.world().await?;
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
            point.has_new_ids = follower.step(stage, choice, ask, &footprint, label).await?;
            point.memories.clone_from(&follower.memories);
        }
        point.taken = Some(Taken { choice, footprint, label });
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
mod tests {
    use super::*;

    fn explore(name: &str, faults: bool, reduced: bool, matched: bool) -> Found {
        let scenario: Scenario = name.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cloud = runtime.block_on(Cloud::prepare(scenario.start)).unwrap();
        let bounds = Bounds { faults, reduced, matched, keeps_all: true };
        let mut search = Search::new(&cloud, &scenario, bounds);
        while search.next().unwrap() {}
        search.found
    }

    #[test]
    fn the_reduction_reaches_every_end() {
        for (name, faults) in [
            ("offered-1:accept-y+cancel", false),
            ("available-1:initiate+cancel", false),
            ("offered-1:initiate+recovery", true),
        ] {
            let (reduced, full) =
                (explore(name, faults, true, false), explore(name, faults, false, false));
            assert_eq!((&reduced.broken, &full.broken), (&BTreeSet::new(), &BTreeSet::new()));
            assert_eq!(reduced.ends, full.ends, "{name}");
            assert_eq!(full.cut, 0, "{name}");
            assert!(reduced.schedules < full.schedules, "{name}: {}", full.schedules);
        }
    }

    /// What a search has come across, however often.
    fn visited(found: &Found) -> BTreeSet<String> {
        let Coverage { steps, situations, .. } = &found.coverage;
        let steps = steps.iter().flat_map(|(step, outcomes)| {
            outcomes.keys().map(move |outcome| format!("{step}: {outcome}"))
        });
        let situations = situations.iter().filter(|(_, count)| **count > 0);
        steps.chain(situations.map(|(name, _)| name.to_string())).collect()
    }

    #[test]
    fn what_has_been_seen_would_come_to_nothing_new() {
        for (name, faults) in [
            ("offered-1:accept-y+recovery", true),
            ("delete-before-commit/offered-1:accept-y+cancel", false),
            ("repoint-volume-first/offered-1:cancel", true),
        ] {
            let matched = explore(name, faults, true, true);
            let unmatched = explore(name, faults, true, false);
            assert_eq!(matched.ends, unmatched.ends, "{name}");
            assert_eq!(matched.broken, unmatched.broken, "{name}");
            assert_eq!(matched.broken.is_empty(), !name.contains('/'), "{name}");
            assert_eq!(visited(&matched), visited(&unmatched), "{name}");
            assert!(matched.schedules < unmatched.schedules, "{name}: {}", matched.schedules);
        }
    }
}
