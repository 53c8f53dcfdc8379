//! What a check has found, as text, as JSON and as a page.

use super::progress::{grouped, rate};
use super::text;
use anyhow::Context as _;
use check_page::Page;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use transfer_model::{Coverage, Explored, Protocol, Scenario, Setting, Trace, scenarios};

/// What it comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is broken, everything came about, and every bad protocol was rejected.
    Holds,
    /// An invariant is broken.
    Broken,
    /// Nothing is broken, but the check has not seen what it must see, or rejects too little.
    ProvesNothing,
}

/// One explored world.
#[derive(Clone, Debug, Serialize)]
pub struct World {
    /// Its name.
    pub name: String,
    /// How many faults may strike in a run.
    pub faults: u8,
    /// How many crashes and sleeps past the lease.
    pub crashes: u8,
    /// Distinct states.
    pub states: u64,
    /// States reached, counting each way to one.
    pub reached: u64,
    /// The longest way that was gone.
    pub depth: u64,
    /// What it took.
    pub seconds: f64,
}

/// The schedules of the real stack.
#[derive(Clone, Debug, Serialize)]
pub struct Schedules {
    /// Schedules that were run, no two of them the same.
    pub schedules: u64,
    /// Those of them that were given up before they came to rest: all that could follow had been
    /// run in another order, or from the same situation.
    pub cut: u64,
    /// Steps, repeated ones included.
    pub steps: u64,
    /// Scenarios, by how many operations act in each.
    pub scenarios: BTreeMap<usize, usize>,
    /// What they took.
    pub seconds: f64,
    /// What was visited.
    pub coverage: Coverage,
}

/// One known-bad protocol in one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Rejected {
    /// The protocol.
    pub protocol: &'static str,
    /// The scenario.
    pub scenario: String,
    /// What happens.
    pub about: String,
    /// The invariant that it has to break.
    pub breaks: String,
    /// How many steps it takes; none says that it was not rejected.
    pub steps: Option<usize>,
}

impl Rejected {
    /// What a scenario came to.
    pub fn new(scenario: &Scenario, trace: Option<&Trace>) -> Self {
        Self {
            protocol: scenario.setting.protocol.name(),
            scenario: scenario.name.to_owned(),
            about: scenario.about.to_owned(),
            breaks: scenario.breaks.name().to_owned(),
            steps: trace.map(|trace| trace.steps.len()),
        }
    }
}

/// What a check has found.
#[derive(Clone, Debug)]
pub struct Findings {
    protocol: String,
    threads: usize,
    pub(super) worlds: Vec<World>,
    pub(super) schedules: Option<Schedules>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) traces: Vec<Trace>,
    pub(super) coverage: Coverage,
}

#[derive(Serialize)]
struct Document<'a> {
    protocol: &'a str,
    verdict: Verdict,
    threads: usize,
    worlds: &'a [World],
    schedules: Option<&'a Schedules>,
    rejected: &'a [Rejected],
    coverage: &'a Coverage,
    missing: Vec<&'a str>,
    runs: Vec<ToldRun<'a>>,
}

#[derive(Serialize)]
struct ToldRun<'a> {
    scenario: &'a str,
    broken: Vec<String>,
    steps: Vec<String>,
    replay: &'a str,
}

impl Findings {
    fn new(protocol: &str, threads: usize) -> Self {
        Self {
            protocol: protocol.to_owned(),
            threads,
            worlds: Vec::new(),
            schedules: None,
            rejected: Vec::new(),
            traces: Vec::new(),
            coverage: Coverage::default(),
        }
    }

    /// The findings of one run.
    pub(super) fn of_run(trace: Trace) -> Self {
        Self { traces: vec![described(trace.clone())], ..Self::new(&trace.protocol, 1) }
    }

    /// The findings of a protocol that is known to be bad: where it fails, scenario by scenario.
    pub(super) fn of_bad_protocol(
        protocol: Protocol,
        tried: impl Iterator<Item = (Scenario, Option<Trace>)>,
    ) -> Self {
        let mut findings = Self::new(protocol.name(), 1);
        for (scenario, trace) in tried {
            findings.rejected(Rejected::new(&scenario, trace.as_ref()));
            findings.traces.extend(trace.map(described));
        }
        findings
    }

    /// Findings to be filled.
    pub(super) fn of_hand_over(threads: usize) -> Self {
        Self::new(Protocol::HandOver.name(), threads)
    }

    /// Adds a world.
    pub(super) fn explored(&mut self, setting: &Setting, explored: Explored) {
        self.worlds.push(World {
            name: setting.name.clone(),
            faults: setting.faults,
            crashes: setting.crashes,
            states: explored.states,
            reached: explored.reached,
            depth: explored.depth,
            seconds: explored.elapsed.as_secs_f64(),
        });
        self.coverage.merge(&explored.coverage);
        self.traces.extend(explored.violation);
    }

    /// Adds the schedules of the real stack.
    pub(super) fn ran(&mut self, report: transfer_schedules::Report) {
        self.traces.extend(report.violation);
        let mut scenarios = BTreeMap::new();
        for scenario in &report.scenarios {
            *scenarios.entry(scenario.operations).or_default() += 1;
        }
        self.schedules = Some(Schedules {
            schedules: report.schedules,
            cut: report.cut,
            steps: report.steps,
            scenarios,
            seconds: report.elapsed.as_secs_f64(),
            coverage: report.coverage,
        });
    }

    /// Adds a scenario.
    pub(super) fn rejected(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let broken = self.traces.iter().any(|trace| trace.broken().next().is_some());
        let toothless = self.rejected.iter().any(|one| one.steps.is_none());
        if broken {
            Verdict::Broken
        } else if toothless || self.missing().next().is_some() {
            Verdict::ProvesNothing
        } else {
            Verdict::Holds
        }
    }

    /// What never came about.
    pub(super) fn missing(&self) -> impl Iterator<Item = &str> {
        let of_schedules = self.schedules.iter().flat_map(|run| run.coverage.missing());
        self.coverage.missing().chain(of_schedules)
    }

    /// Prints them.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        let text = if json {
            serde_json::to_string_pretty(&self.document())? + "\n"
        } else {
            text::of(self)?
        };
        let mut output = anstream::stdout();
        let printed = output.write_all(text.as_bytes()).and_then(|()| output.flush());
        printed.context("the findings cannot be written to standard output")
    }

    fn document(&self) -> Document<'_> {
        let told = |trace: &'_ Trace| {
            let steps = trace.steps.iter().enumerate();
            (
                trace.broken().map(ToString::to_string).collect(),
                steps.map(|(at, _)| text::line(trace, at)).collect(),
            )
        };
        Document {
            protocol: &self.protocol,
            verdict: self.verdict(),
            threads: self.threads,
            worlds: &self.worlds,
            schedules: self.schedules.as_ref(),
            rejected: &self.rejected,
            coverage: &self.coverage,
            missing: self.missing().collect(),
            runs: self
                .traces
                .iter()
                .map(|trace| {
                    let (broken, steps) = told(trace);
                    let (scenario, replay) = (&trace.scenario, &trace.replay);
                    ToldRun { scenario, broken, steps, replay }
                })
                .collect(),
        }
    }

    /// The page.
    pub(super) fn page(&self) -> Page {
        let states = self.worlds.iter().map(|world| world.states).sum();
        let seconds: f64 = self.worlds.iter().map(|world| world.seconds).sum();
        let mut facts = vec![("protocol".to_owned(), self.protocol.clone())];
        for world in &self.worlds {
            facts.push((
                format!("{}: states", world.name),
                format!("{} in {:.0} s", grouped(world.states), world.seconds),
            ));
        }
        if !self.worlds.is_empty() {
            facts.push(("states a second".to_owned(), grouped(rate(states, seconds))));
            facts.push(("threads".to_owned(), self.threads.to_string()));
        }
        if !self.rejected.is_empty() {
            let rejected = self.rejected.iter().filter(|one| one.steps.is_some()).count();
            let all = self.rejected.len();
            facts.push((
                "scenarios of known-bad protocols rejected".to_owned(),
                format!("{rejected} of {all}"),
            ));
        }
        if let Some(run) = &self.schedules {
            let text = format!(
                "{} of {} scenarios in {:.0} s",
                grouped(run.schedules),
                run.scenarios.values().sum::<usize>(),
                run.seconds
            );
            facts.push(("schedules of the real stack".to_owned(), text));
        }
        let mut coverage = Vec::new();
        if !self.worlds.is_empty() {
            coverage.push(("the model".to_owned(), self.coverage.clone()));
        }
        if let Some(run) = &self.schedules {
            coverage.push(("the real stack".to_owned(), run.coverage.clone()));
        }
        Page {
            title: format!("volume-transfer check: {}", self.protocol),
            facts,
            traces: self.traces.clone(),
            coverage,
        }
    }
}

/// A run of a known scenario tells what happens in it.
fn described(trace: Trace) -> Trace {
    let known = scenarios().into_iter().find(|known| known.name == trace.scenario);
    let scenario = known.map(|known| format!("{}: {}", trace.scenario, known.about));
    Trace { scenario: scenario.unwrap_or(trace.scenario), ..trace }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Findings {
        let mut findings = Findings::of_hand_over(1);
        findings.coverage.situation("a race", 1);
        findings.rejected(rejected(Some(3)));
        findings
    }

    fn rejected(steps: Option<usize>) -> Rejected {
        let text = |text: &str| text.to_owned();
        Rejected {
            protocol: "p",
            scenario: text("s"),
            about: text("a"),
            breaks: text("drains"),
            steps,
        }
    }

    #[test]
    fn a_check_that_saw_too_little_or_rejected_too_little_proves_nothing() {
        assert_eq!(sound().verdict(), Verdict::Holds);

        let mut unseen = sound();
        unseen.coverage.situation("another race", 0);
        assert_eq!(unseen.verdict(), Verdict::ProvesNothing);

        let mut toothless = sound();
        toothless.rejected(rejected(None));
        assert_eq!(toothless.verdict(), Verdict::ProvesNothing);
    }

    #[test]
    fn a_bad_protocol_that_is_not_rejected_is_no_success() {
        let scenario = scenarios().remove(0);
        let protocol = scenario.setting.protocol;
        let missed = Findings::of_bad_protocol(protocol, [(scenario, None)].into_iter());
        assert_eq!(missed.verdict(), Verdict::ProvesNothing);
        let told = text::of(&missed).unwrap();
        assert!(told.contains(&format!("not rejected: {}", protocol.name())), "{told}");
    }

    #[test]
    fn a_broken_invariant_outweighs_all_else() {
        let trace = transfer_model::replay("model/upstream-foreign-admin/0.0.0.0.0.0");
        let mut broken = sound();
        broken.traces.extend(trace);
        broken.rejected(rejected(None));
        assert_eq!(broken.verdict(), Verdict::Broken);
    }
}
