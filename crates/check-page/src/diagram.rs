//! The lanes of a sequence diagram, and one drawing for each row of it.
//!
//! Each drawing fills its cell and places the lanes by percentages of it, so that the lifelines go
//! on from row to row whatever room the words beside them need.

use crate::cast::Cast;
use crate::signs::BOLT;
use maud::{Markup, html};
use transfer_model::{Lane, Step, Trace};

/// How far below the top of its row an arrow runs: beside the first line of its words.
const HEIGHT: u32 = 24;

/// The lanes that a run uses, from left to right.
pub(crate) struct Lanes<'a> {
    cast: &'a Cast<'a>,
    lanes: Vec<&'a Lane>,
}

impl<'a> Lanes<'a> {
    pub(crate) fn new(cast: &'a Cast<'a>, trace: &'a Trace) -> Self {
        let mut lanes: Vec<_> =
            trace.steps.iter().flat_map(|step| [&step.from, &step.to]).collect();
        lanes.sort_by_key(|lane| (order(lane, cast), *lane));
        lanes.dedup();
        Self { cast, lanes }
    }

    /// What stands over the lanes.
    pub(crate) fn head(&self) -> Markup {
        html! {
            div.lanes {
                @for lane in &self.lanes {
                    div {
                        span.kind { (kind(lane)) }
                        span class={ "name " (self.colour(lane)) } { (self.name(lane)) }
                    }
                }
            }
        }
    }

    /// A lane in words.
    pub(crate) fn title(&self, lane: &'a Lane) -> String {
        match lane {
            Lane::Caller(name) | Lane::Replica(name) => name.clone(),
            Lane::Database => "database".to_owned(),
            Lane::Secrets(owner) => format!("secrets of {}", self.cast.name(owner)),
        }
    }

    /// A row in which nothing goes from lane to lane.
    pub(crate) fn quiet_row(&self) -> Markup {
        html! { svg.arrow aria-hidden="true" { (self.lifelines()) } }
    }

    /// The row of a step.
    pub(crate) fn row(&self, step: &'a Step, number: usize) -> Markup {
        let title = self.spoken(step, number);
        html! {
            svg.arrow role="img" aria-label=(title) {
                title { (title) }
                (self.lifelines())
                g.message.faulty[step.fault.is_some()] {
                    (self.message(step))
                    svg x=(self.x(self.place(&step.from))) y=(HEIGHT) overflow="visible" {
                        circle class={ "number " (self.colour(&step.from)) } r="11" {}
                        text.number text-anchor="middle" y="4" { (number) }
                    }
                }
            }
        }
    }

    /// From lane to lane, or back to the lane where it begins.
    fn message(&self, step: &Step) -> Markup {
        let (from, to) = (self.place(&step.from), self.place(&step.to));
        let head = if from < to { "M0 0 L-11 -5 V5 Z" } else { "M0 0 L11 -5 V5 Z" };
        let faulty = step.fault.is_some();
        html! {
            @if from == to {
                svg x=(self.x(from)) y=(HEIGHT) overflow="visible" {
                    path.line d="M8 -8 H34 a8 8 0 0 1 0 16 H18" {}
                    path.head d="M8 8 L18 3.5 V12.5 Z" {}
                    @if faulty { g transform="translate(42 0)" { (fault_mark()) } }
                }
            } @else {
                line.line x1=(self.x(from)) x2=(self.x(to)) y1=(HEIGHT) y2=(HEIGHT) {}
                svg x=(self.x(to)) y=(HEIGHT) overflow="visible" { path.head d=(head) {} }
                @if faulty {
                    svg x=(self.middle(from, to)) y=(HEIGHT) overflow="visible" { (fault_mark()) }
                }
            }
        }
    }

    fn spoken(&self, step: &'a Step, number: usize) -> String {
        let (from, to) = (self.title(&step.from), self.title(&step.to));
        let way = if from == to { format!("at {from}") } else { format!("from {from} to {to}") };
        let fault = step.fault.as_ref().map(|fault| format!(" ({fault})")).unwrap_or_default();
        format!("step {number}, {way}: {}{fault}", step.what)
    }

    fn lifelines(&self) -> Markup {
        html! {
            @for (place, lane) in self.lanes.iter().enumerate() {
                line class={ "lifeline " (self.colour(lane)) }
                    x1=(self.x(place)) x2=(self.x(place)) y1="0" y2="100%" {}
            }
        }
    }

    fn place(&self, lane: &Lane) -> usize {
        self.lanes.iter().position(|other| *other == lane).unwrap_or_default()
    }

    /// Where a lane's line is.
    fn x(&self, place: usize) -> String {
        self.middle(place, place)
    }

    /// The middle between two lanes.
    fn middle(&self, one: usize, other: usize) -> String {
        format!("{:.3}%", (one + other + 1) as f64 * 50.0 / self.lanes.len() as f64)
    }

    fn name(&self, lane: &'a Lane) -> String {
        match lane {
            Lane::Caller(name) | Lane::Replica(name) => name.clone(),
            Lane::Database => "database".to_owned(),
            Lane::Secrets(owner) => self.cast.name(owner).into_owned(),
        }
    }

    fn colour(&self, lane: &Lane) -> &'static str {
        match lane {
            Lane::Caller(name) => self.cast.colour_of_name(name).unwrap_or("plain"),
            Lane::Replica(_) | Lane::Database => "plain",
            Lane::Secrets(owner) => self.cast.colour(owner),
        }
    }
}

/// Callers, processes, the database, then secrets in the order of the projects.
fn order(lane: &Lane, cast: &Cast<'_>) -> (usize, usize) {
    match lane {
        Lane::Caller(_) => (0, 0),
        Lane::Replica(_) => (1, 0),
        Lane::Database => (2, 0),
        Lane::Secrets(owner) => (3, cast.place(owner)),
    }
}

fn kind(lane: &Lane) -> &'static str {
    match lane {
        Lane::Caller(_) => "caller",
        Lane::Replica(_) => "process",
        Lane::Database => "Cinder's",
        Lane::Secrets(_) => "secrets of",
    }
}

fn fault_mark() -> Markup {
    html! {
        circle.fault r="10" {}
        path.bolt d=(BOLT) {}
    }
}
