//! What a check has found, as text.

use super::findings::{Findings, Rejected, Schedules, Verdict, World};
use super::progress::{grouped, rate};
use anstyle::{AnsiColor, Style};
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use transfer_model::{Coverage, Lane, Trace};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The findings, for whoever reads them on a terminal.
pub(super) fn of(findings: &Findings) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let out = &mut text;
    if !findings.worlds.is_empty() {
        tell_worlds(out, &findings.worlds)?;
        tell_coverage(out, &findings.coverage)?;
    }
    if let Some(run) = &findings.schedules {
        tell_schedules(out, run)?;
        tell_coverage(out, &run.coverage)?;
    }
    if !findings.rejected.is_empty() {
        tell_rejected(out, &findings.rejected)?;
    }
    for trace in &findings.traces {
        tell_run(out, trace)?;
    }
    writeln!(out)?;
    match findings.verdict() {
        Verdict::Holds if findings.worlds.is_empty() => {
            writeln!(out, "{GOOD}This run breaks no invariant.{GOOD:#}")?;
        }
        Verdict::Holds => writeln!(out, "{GOOD}Every invariant holds.{GOOD:#}")?,
        Verdict::Broken => writeln!(out, "{BAD}An invariant is broken.{BAD:#}")?,
        Verdict::ProvesNothing => {
            writeln!(out, "{BAD}Nothing is broken, and it proves nothing:{BAD:#}")?;
            for situation in findings.missing() {
                writeln!(out, "  never came about: {situation}")?;
            }
            for one in findings.rejected.iter().filter(|one| one.steps.is_none()) {
                writeln!(out, "  not rejected: {} in {}", one.protocol, one.scenario)?;
            }
        }
    }
    Ok(text)
}

fn tell_worlds(out: &mut String, worlds: &[World]) -> fmt::Result {
    writeln!(out, "{BOLD}Every interleaving, to closure{BOLD:#}")?;
    writeln!(
        out,
        "{DIM}{:16} {:>6} {:>7} {:>12} {:>14} {:>6} {:>4} {:>10}{DIM:#}",
        "world", "faults", "crashes", "states", "ways reached", "depth", "s", "states/s"
    )?;
    for world in worlds {
        writeln!(
            out,
            "{:16} {:6} {:7} {:>12} {:>14} {:>6} {:>4.0} {:>10}",
            world.name,
            world.faults,
            world.crashes,
            grouped(world.states),
            grouped(world.reached),
            world.depth,
            world.seconds,
            grouped(rate(world.states, world.seconds))
        )?;
    }
    Ok(())
}

fn tell_schedules(out: &mut String, run: &Schedules) -> fmt::Result {
    writeln!(out, "\n{BOLD}Every schedule of the real stack{BOLD:#}")?;
    for (operations, scenarios) in &run.scenarios {
        let of = ["", "operations by themselves", "pairs", "triples"].get(*operations);
        writeln!(out, "  {scenarios:3} {}", of.unwrap_or(&"larger scenarios"))?;
    }
    writeln!(
        out,
        "{} schedules: {} to rest, {} up to where all that can follow has been run; {} steps, \
         {:.0} s, {} schedules/s",
        grouped(run.schedules),
        grouped(run.schedules - run.cut),
        grouped(run.cut),
        grouped(run.steps),
        run.seconds,
        grouped(rate(run.schedules, run.seconds))
    )
}

fn tell_rejected(out: &mut String, rejected: &[Rejected]) -> fmt::Result {
    let protocols: BTreeSet<_> = rejected.iter().map(|one| one.protocol).collect();
    writeln!(
        out,
        "\n{BOLD}{} scenarios of {} known-bad protocols, each rejected by{BOLD:#}",
        rejected.len(),
        protocols.len()
    )?;
    for one in rejected {
        let steps = one.steps.map_or("NOT REJECTED".to_owned(), |n| format!("{n} steps"));
        writeln!(out, "  {:34} {:24} {steps}", one.scenario, one.breaks)?;
    }
    Ok(())
}

fn tell_coverage(out: &mut String, coverage: &Coverage) -> fmt::Result {
    writeln!(out, "\n{BOLD}Steps, and how often what became of them{BOLD:#}")?;
    for (step, outcomes) in &coverage.steps {
        let outcomes: Vec<_> =
            outcomes.iter().map(|(name, times)| format!("{name} {}", grouped(*times))).collect();
        writeln!(out, "  {step:24} {}", outcomes.join(", "))?;
    }
    let seen = coverage.situations.values().filter(|times| **times > 0).count();
    if !coverage.situations.is_empty() {
        writeln!(out, "Situations that must come about: {seen} of {}.", coverage.situations.len())?;
    }
    Ok(())
}

fn tell_run(out: &mut String, trace: &Trace) -> fmt::Result {
    writeln!(out, "\n{BOLD}{}{BOLD:#} {DIM}({}){DIM:#}", trace.scenario, trace.protocol)?;
    for (at, step) in trace.steps.iter().enumerate() {
        writeln!(out, "  {}", line(trace, at))?;
        for violation in &step.broken {
            writeln!(out, "     {BAD}✗ {violation}{BAD:#}")?;
        }
    }
    writeln!(out, "  {DIM}again: volume-transfer check --replay {}{DIM:#}", trace.replay)
}

/// One step in one line.
pub(super) fn line(trace: &Trace, at: usize) -> String {
    let step = &trace.steps[at];
    let to = match &step.to {
        Lane::Caller(name) | Lane::Replica(name) => name.clone(),
        Lane::Database => "database".to_owned(),
        Lane::Secrets(owner) => {
            let name = trace.names.get(owner).map_or(owner.as_str(), String::as_str);
            format!("{name}'s secrets")
        }
    };
    let fault = step.fault.as_ref().map_or(String::new(), |fault| format!(" [{fault}]"));
    format!("{:2}. {} → {to}: {}{fault}", at + 1, step.actor, step.what)
}
