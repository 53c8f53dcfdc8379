//! One run: its words, its diagram with the keys beside it, and how to run it again.

use crate::cast::{Cast, worlds};
use crate::diagram::Lanes;
use crate::holdings::Holdings;
use crate::keys::Columns;
use crate::meaning::meaning;
use crate::signs::{bolt, cross, tick};
use maud::{Markup, html};
use std::collections::BTreeSet;
use transfer_core::{Invariant, Violation};
use transfer_model::{Step, Trace};

/// The section of the `number`th run.
pub(crate) fn section(trace: &Trace, number: usize) -> Markup {
    let cast = Cast::new(trace);
    let run = Run {
        trace,
        id: format!("run-{number}"),
        lanes: Lanes::new(&cast, trace),
        columns: Columns::new(&cast, trace),
    };
    html! {
        section id=(run.id) aria-labelledby=(format!("{}-title", run.id)) {
            p.above { "Run " (number) " · protocol " b { (trace.protocol) } }
            h2 id=(format!("{}-title", run.id)) { (trace.scenario) }
            (run.verdict())
            (run.table())
            (legend())
            (again(trace))
        }
    }
}

/// How a run ends, in a few words.
pub(crate) fn outcome(trace: &Trace) -> String {
    let names: BTreeSet<_> = trace.broken().map(|violation| violation.invariant.name()).collect();
    if names.is_empty() {
        return "breaks nothing".to_owned();
    }
    format!("breaks {}", names.into_iter().collect::<Vec<_>>().join(", "))
}

struct Run<'a> {
    trace: &'a Trace,
    id: String,
    lanes: Lanes<'a>,
    columns: Columns<'a>,
}

impl<'a> Run<'a> {
    /// Every invariant that breaks, with its step and its meaning.
    fn verdict(&self) -> Markup {
        html! {
            @if self.trace.broken().next().is_none() {
                p.verdict.holds { (tick()) "Every invariant holds after each step." }
            } @else {
                ul.violations {
                    @for (number, step) in (1..).zip(&self.trace.steps) {
                        @for (invariant, _) in broken(step) {
                            li {
                                p {
                                    (cross()) "Step "
                                    a href=(format!("#{}", self.step_id(number))) { (number) }
                                    " breaks " code { (invariant.name()) }
                                }
                                p { (meaning(invariant)) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn table(&self) -> Markup {
        let holdings: Vec<_> = worlds(self.trace).map(Holdings::of).collect();
        let changes = self.trace.steps.iter().zip(holdings.windows(2));
        html! {
            div.scroll tabindex="0" role="region" aria-label={ "Diagram: " (self.trace.scenario) } {
                table.run {
                    caption.unseen {
                        "What happens step by step, and who holds the keys after each step"
                    }
                    thead {
                        tr {
                            th.words scope="col" rowspan="2" { "Step" }
                            th.diagram scope="col" rowspan="2" { (self.lanes.head()) }
                            th.group scope="colgroup" colspan=(self.columns.count()) {
                                "Who holds the keys afterwards"
                            }
                        }
                        tr { (self.columns.head()) }
                    }
                    tbody {
                        tr.start {
                            th.words scope="row" { p.what { "At the start" } }
                            td.diagram { (self.lanes.quiet_row()) }
                            (self.columns.cells(&holdings[0], &holdings[0]))
                        }
                        @for (number, (step, around)) in (1..).zip(changes) {
                            (self.step(number, step, &around[0], &around[1]))
                        }
                    }
                }
            }
        }
    }

    fn step(
        &self,
        number: usize,
        step: &'a Step,
        before: &Holdings<'a>,
        after: &Holdings<'a>,
    ) -> Markup {
        let (from, to) = (self.lanes.title(&step.from), self.lanes.title(&step.to));
        html! {
            tr.step.broken[!step.broken.is_empty()] id=(self.step_id(number)) {
                th.words scope="row" {
                    p.what { span.number { (number) } (step.what) }
                    p.who { (step.actor) }
                    p.way { (from) @if from != to { " → " (to) } }
                    @if let Some(fault) = &step.fault { p.fault { (bolt()) "fault: " (fault) } }
                }
                td.diagram { (self.lanes.row(step, number)) }
                (self.columns.cells(before, after))
            }
            @for (invariant, found) in broken(step) {
                tr.violation {
                    td colspan=(2 + self.columns.count()) {
                        div.callout {
                            p {
                                (cross()) "Step " (number) " breaks "
                                code { (invariant.name()) }
                            }
                            @for what in found { p.what { (what) } }
                        }
                    }
                }
            }
        }
    }

    fn step_id(&self, number: usize) -> String {
        format!("{}-step-{number}", self.id)
    }
}

/// The invariants that a step broke, in order, and where each is broken.
fn broken(step: &Step) -> Vec<(Invariant, Vec<&str>)> {
    let mut found: Vec<(Invariant, Vec<&str>)> = Vec::new();
    for Violation { invariant, what } in &step.broken {
        match found.iter_mut().find(|(other, _)| other == invariant) {
            Some((_, places)) => places.push(what),
            None => found.push((*invariant, vec![what])),
        }
    }
    found
}

fn legend() -> Markup {
    html! {
        ul.legend aria-label="Legend" {
            li { span.chip.plain { "key" } " a filled secret, with the rows that name it" }
            li { span.chip.plain.empty { "shell" } " an empty secret" }
            li { span.chip.plain.changed { "key" span.tag { "new" } } " changed by the step" }
            li { span.custodian { "custodian" } " who should own the keys" }
            li { span.fault { (bolt()) "fault" } " something went wrong on the way" }
        }
    }
}

/// The command that runs it again.
fn again(trace: &Trace) -> Markup {
    html! {
        h3 { "Run it again" }
        pre.command tabindex="0" {
            code { "volume-transfer check --replay " (quoted(&trace.replay)) }
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_quoted_where_a_shell_would_take_it_apart() {
        for (word, expected) in [
            ("model/upstream-crash/1.0.2", "model/upstream-crash/1.0.2"),
            ("stack: a b", "'stack: a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
