//! What was visited: a matrix of steps and outcomes, and the situations that must come about.

use crate::signs::{cross, tick};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};
use transfer_model::Coverage;

/// How many shades there are above nothing.
const SHADES: u32 = 6;

/// The section of the `number`th coverage.
pub(crate) fn section(name: &str, coverage: &Coverage, number: usize) -> Markup {
    let id = format!("coverage-{number}");
    html! {
        section id=(id) aria-labelledby=(format!("{id}-title")) {
            p.above { "Coverage" }
            h2 id=(format!("{id}-title")) { (name) }
            h3 { "Steps and what became of them" }
            (matrix(coverage, name))
            h3 { "Situations that must come about" }
            (situations(coverage))
        }
    }
}

/// What was visited, in a few words.
pub(crate) fn outcome(coverage: &Coverage) -> String {
    match coverage.missing().count() {
        0 => format!("all {} situations came about", coverage.situations.len()),
        missing => format!("{missing} of {} situations missing", coverage.situations.len()),
    }
}

fn matrix(coverage: &Coverage, name: &str) -> Markup {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (outcome, times) in coverage.steps.values().flatten() {
        *totals.entry(outcome).or_default() += times;
    }
    let mut outcomes: Vec<_> = totals.iter().map(|(outcome, times)| (*outcome, *times)).collect();
    outcomes.sort_by_key(|(outcome, times)| (std::cmp::Reverse(*times), *outcome));
    let most = coverage.steps.values().flat_map(BTreeMap::values).copied().max().unwrap_or(0);
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Steps and outcomes: " (name) } {
            table.matrix {
                caption.unseen { "How often each step had each outcome" }
                thead {
                    tr {
                        th.words scope="col" { "Step" }
                        @for (outcome, _) in &outcomes { th scope="col" { (outcome) } }
                        th.total scope="col" { "all" }
                    }
                }
                tbody {
                    @for (step, became) in &coverage.steps {
                        tr {
                            th.words scope="row" { (step) }
                            @for (outcome, _) in &outcomes { (cell(became.get(*outcome), most)) }
                            td.total { (grouped(became.values().sum())) }
                        }
                    }
                }
                tfoot {
                    tr {
                        th.words scope="row" { "all" }
                        @for (_, times) in &outcomes { td.total { (grouped(*times)) } }
                        td.total { (grouped(outcomes.iter().map(|(_, times)| times).sum())) }
                    }
                }
            }
        }
        p.scale aria-hidden="true" {
            "never " span.swatch.never { }
            @for shade in 1..=SHADES { span class=(format!("swatch h{shade}")) {} }
            " " (grouped(most)) " (logarithmic)"
        }
    }
}

/// A cell: shaded by the logarithm of its count, empty where nothing was ever counted.
fn cell(times: Option<&u64>, most: u64) -> Markup {
    html! {
        @match times {
            None | Some(0) => td.never { span aria-hidden="true" { "·" } span.unseen { "never" } },
            Some(times) => td class=(format!("h{}", shade(*times, most))) { (grouped(*times)) },
        }
    }
}

fn shade(times: u64, most: u64) -> u32 {
    let log = |times: u64| (times as f64).ln_1p();
    let part = log(times) / log(most).max(f64::MIN_POSITIVE);
    ((part * f64::from(SHADES)).ceil() as u32).clamp(1, SHADES)
}

/// Bars as long as the logarithm of the count; what never came about stands first.
fn situations(coverage: &Coverage) -> Markup {
    let most = coverage.situations.values().copied().max().unwrap_or(0);
    let missing: BTreeSet<_> = coverage.missing().collect();
    let came = coverage.situations.iter().filter(|(_, times)| **times > 0);
    let class = if missing.is_empty() { "verdict holds" } else { "verdict breaks" };
    html! {
        p class=(class) {
            (if missing.is_empty() { tick() } else { cross() })
            (outcome(coverage)) "."
        }
        table.situations {
            caption.unseen { "How often each situation came about" }
            thead.unseen { tr { th scope="col" { "Situation" } th scope="col" { "Times" } td {} } }
            tbody {
                @for name in missing {
                    tr.missing {
                        th scope="row" { (name) }
                        td.times { (cross()) "never" }
                        td.bar {}
                    }
                }
                @for (name, times) in came {
                    tr {
                        th scope="row" { (name) }
                        td.times { (grouped(*times)) }
                        td.bar { (bar(*times, most)) }
                    }
                }
            }
        }
    }
}

fn bar(times: u64, most: u64) -> Markup {
    let width = 100.0 * (times as f64).ln_1p() / (most as f64).ln_1p();
    html! {
        svg.bar aria-hidden="true" {
            rect x="0" y="0" height="100%" width=(format!("{width:.1}%")) rx="2" {}
        }
    }
}

/// A count with its thousands apart.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (count, expected) in
            [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")]
        {
            assert_eq!(grouped(count).replace('\u{202f}', " "), expected);
        }
    }

    #[test]
    fn shades_go_from_one_to_all() {
        for (times, most, expected) in
            [(1, 1, 6), (1, 1_000_000, 1), (900, 1_000_000, 3), (u64::MAX, u64::MAX, 6)]
        {
            assert_eq!(shade(times, most), expected, "{times} of {most}");
        }
    }
}
