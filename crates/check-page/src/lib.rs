//! What a check has found, as one page that a browser opens without a network.
//!
//! Runs are sequence diagrams with the keys that everybody holds after each step; coverage is a
//! matrix of steps and outcomes. The page knows [`Trace`] and [`Coverage`] and nothing of where
//! they come from. Everything is in the page itself (style and drawings; no script), it is complete
//! in black and white, and the same input gives the same page.

mod cast;
mod coverage;
mod diagram;
mod holdings;
mod keys;
mod meaning;
mod run;
mod signs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use transfer_model::{Coverage, Trace};

const STYLE: &str = include_str!("page.css");

/// What the page shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The page's heading.
    pub title: String,
    /// Facts of the check, as label and value: states, schedules, seeds, time.
    pub facts: Vec<(String, String)>,
    /// Runs to look at; one that breaks an invariant says so.
    pub traces: Vec<Trace>,
    /// What was visited, under the name of what visited it.
    pub coverage: Vec<(String, Coverage)>,
}

impl Page {
    /// The page as HTML.
    pub fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy());
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header { (self.summary()) }
                    main {
                        @for (index, trace) in self.traces.iter().enumerate() {
                            (run::section(trace, index + 1))
                        }
                        @for (index, (name, coverage)) in self.coverage.iter().enumerate() {
                            (coverage::section(name, coverage, index + 1))
                        }
                    }
                }
            }
        };
        page.into_string()
    }

    fn summary(&self) -> Markup {
        html! {
            h1 { (self.title) }
            (self.verdict())
            @if !self.facts.is_empty() {
                dl.facts {
                    @for (label, value) in &self.facts { div { dt { (label) } dd { (value) } } }
                }
            }
            @if self.traces.len() + self.coverage.len() > 1 { (self.contents()) }
        }
    }

    /// What the runs say, in one line: the page shows some runs, it does not know of others.
    fn verdict(&self) -> Markup {
        let broken = self.traces.iter().filter(|trace| trace.broken().next().is_some()).count();
        let words = match (broken, self.traces.len()) {
            (0, 0) => "No run breaks an invariant.".to_owned(),
            (0, 1) => "The run breaks no invariant.".to_owned(),
            (0, all) => format!("None of {all} runs breaks an invariant."),
            (1, 1) => "The run breaks an invariant.".to_owned(),
            (1, all) => format!("1 of {all} runs breaks an invariant."),
            (some, all) => format!("{some} of {all} runs break an invariant."),
        };
        html! {
            @if broken == 0 { p.verdict.holds { (signs::tick()) (words) } }
            @else { p.verdict.breaks { (signs::cross()) (words) } }
        }
    }

    fn contents(&self) -> Markup {
        html! {
            nav aria-label="Contents" {
                ol {
                    @for (index, trace) in self.traces.iter().enumerate() {
                        li {
                            a href=(format!("#run-{}", index + 1)) { (trace.scenario) }
                            span.muted { " " (run::outcome(trace)) }
                        }
                    }
                    @for (index, (name, coverage)) in self.coverage.iter().enumerate() {
                        li {
                            a href=(format!("#coverage-{}", index + 1)) { "Coverage: " (name) }
                            span.muted { " " (coverage::outcome(coverage)) }
                        }
                    }
                }
            }
        }
    }
}

/// Nothing is loaded, nothing runs, and no style applies but the page's own.
fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}
