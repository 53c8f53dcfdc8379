//! The service's metrics: each is declared once, in [`TABLE`], and recorded through its static.
//!
//! Owns names, labels, help and buckets. Names follow Prometheus' conventions: a prefix, the base
//! unit, `_total` for what only grows.
//!
//! Invariant: a label takes few values: words of this service, methods, statuses, templates of
//! routes. No id of a project, a volume or a request is ever a label.
//!
//! Does not: export. Without a recorder, recording does nothing.

use metrics::{Label, SharedString, Unit};
use std::time::Duration;

/// The upper bounds of every histogram's buckets, in seconds.
pub const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Stands somewhere.
    Gauge,
    /// Durations in seconds, in [`BUCKETS`].
    Histogram,
}

/// A metric as its readers see it.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// Counts events.
pub struct Counter<const N: usize>(&'static str, [&'static str; N]);

/// Holds a value.
pub struct Gauge<const N: usize>(&'static str, [&'static str; N]);

/// Collects durations.
pub struct Histogram<const N: usize>(&'static str, [&'static str; N]);

impl<const N: usize> Counter<N> {
    /// Counts `events` more; the labels' values stand in the labels' order.
    pub fn add(&self, values: [impl Into<SharedString>; N], events: u64) {
        metrics::counter!(self.0, labels(self.1, values)).increment(events);
    }
}

impl<const N: usize> Gauge<N> {
    /// Sets the value.
    pub fn set(&self, values: [impl Into<SharedString>; N], value: f64) {
        metrics::gauge!(self.0, labels(self.1, values)).set(value);
    }
}

impl<const N: usize> Histogram<N> {
    /// Records how long something took.
    pub fn record(&self, values: [impl Into<SharedString>; N], took: Duration) {
        metrics::histogram!(self.0, labels(self.1, values)).record(took.as_secs_f64());
    }
}

fn labels<const N: usize>(
    names: [&'static str; N],
    values: [impl Into<SharedString>; N],
) -> Vec<Label> {
    names.into_iter().zip(values).map(|(name, value)| Label::new(name, value)).collect()
}

/// The label values of what has none.
pub const NO_LABELS: [&str; 0] = [];

/// Tells the recorder what each metric is, and begins at 0 what has no label.
pub fn describe() {
    for &Declared { name, kind, labels, help } in TABLE {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, Unit::Seconds, help),
        }
        if kind == Kind::Counter && labels.is_empty() {
            metrics::counter!(name).increment(0);
        }
    }
}

macro_rules! declare {
    ($(
        $id:ident: $kind:ident<$n:literal> = $name:literal, [$($label:literal),*], $help:literal;
    )*) => {
        /// Every metric.
        pub static TABLE: &[Declared] = &[$(Declared {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        }),*];
        $(
            #[doc = $help]
            pub static $id: $kind<$n> = $kind($name, [$($label),*]);
        )*
    };
}

declare! {
    API_REQUESTS: Counter<3> = "volume_transfer_api_requests_total", ["route", "method", "status"],
        "Requests answered, by the route's template, method and status";
    API_DURATION: Histogram<1> = "volume_transfer_api_request_duration_seconds", ["route"],
        "From a request's arrival to its answer";
    OPERATIONS: Counter<2> = "volume_transfer_operations_total", ["operation", "outcome"],
        "Operations that came to an end in this process, by kind and outcome";
    OPERATION_DURATION: Histogram<1> = "volume_transfer_operation_duration_seconds", ["operation"],
        "From the turn of an operation to its end";
    PHASE_DURATION: Histogram<2> = "volume_transfer_phase_duration_seconds", ["phase", "outcome"],
        "One attempt at a phase of an operation";
    PEER_REQUESTS: Counter<3> = "volume_transfer_peer_requests_total",
        ["peer", "method", "outcome"],
        "Calls to Keystone and Barbican, by status, or by why there was no reply";
    PEER_DURATION: Histogram<2> = "volume_transfer_peer_request_duration_seconds",
        ["peer", "method"],
        "One call to Keystone or Barbican, with or without a reply";
    PAYMENTS: Counter<1> = "volume_transfer_debt_payments_total", ["outcome"],
        "Attempts to pay a debt";
    RECOVERY_PASSES: Counter<1> = "volume_transfer_recovery_passes_total", ["outcome"],
        "Passes of recovery in this process";
    RECOVERED: Counter<0> = "volume_transfer_recovered_total", [],
        "Hand-overs taken over from drivers that were gone, and aborted";
    DATABASE_UP: Gauge<0> = "volume_transfer_database_up", [],
        "1 if the database answered this scrape; if 0, what is read from it is NaN";
    OPEN_OFFERS: Gauge<0> = "volume_transfer_open_offers", [],
        "Offers that can be accepted, of upstream's too";
    EXPIRED_OFFERS: Gauge<0> = "volume_transfer_expired_offers", [],
        "Offers that have expired, and wait for a request of their project to be taken back";
    CLAIMS: Gauge<1> = "volume_transfer_claims", ["lease"],
        "Operations under way on any replica, by whether the lease is live or over";
    DEBTS: Gauge<2> = "volume_transfer_debts", ["owed_by", "older_than"],
        "Secrets on record to be deleted, by who can do it and for how long they have been there";
    OLDEST_DEBT: Gauge<1> = "volume_transfer_oldest_debt_age_seconds", ["owed_by"],
        "How long the oldest debt has been on record";
    BUILD: Gauge<1> = "volume_transfer_build_info", ["version"],
        "Always 1; the label tells the version";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for metric in TABLE {
            let Declared { name, kind, labels, help } = metric;
            let words = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(name.starts_with("volume_transfer_") && words(name), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            let timed = name.ends_with("_duration_seconds");
            assert_eq!(timed, *kind == Kind::Histogram, "{name}");
            assert!(labels.iter().all(|label| words(label) && *label != "le"), "{name}");
            assert!(!help.ends_with('.') && !help.is_empty(), "{name}");
            assert_eq!(TABLE.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        }
    }
}
