//! What was measured, and what of it breaks a promise.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

/// What half of the starts may take at most, in milliseconds.
const SOON_MS: f64 = 50.0;
/// How many times as many requests as the real Barbican it takes in a second, at least.
const TIMES: f64 = 20.0;
/// After so many requests nothing may grow any more: the log of events and the tokens have reached
/// their bounds, which are 65,536 of each, and one request of four makes a token.
const FULL: usize = 300_000;
/// What growth from there on may be an allocator's.
const SLACK: f64 = 1.05;

/// All of it.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) starts_ms: Vec<f64>,
    pub(super) rates: Vec<Rate>,
    pub(super) memory: Vec<Held>,
}

/// Requests in a second.
#[derive(Serialize)]
pub(super) struct Rate {
    pub(super) what: &'static str,
    pub(super) simulated: f64,
    pub(super) real: f64,
}

/// What is resident after so many requests.
#[derive(Serialize)]
pub(super) struct Held {
    pub(super) requests: usize,
    pub(super) mib: f64,
}

impl Figures {
    pub(super) fn told_starts(&self) -> String {
        let (least, most) =
            self.starts_ms.iter().fold((f64::INFINITY, 0.0), |(least, most), one| {
                (f64::min(least, *one), f64::max(most, *one))
            });
        let count = self.starts_ms.len();
        format!(
            "start to first reply: {:.1} ms (median of {count}; {least:.1} to {most:.1})",
            median(&self.starts_ms)
        )
    }

    /// The promises that it does not keep.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let start = median(&self.starts_ms);
        if start >= SOON_MS {
            found.push(format!("it starts in under {SOON_MS} ms: {start:.1} ms"));
        }
        for rate in self.rates.iter().filter(|rate| rate.times() < TIMES) {
            found.push(format!("at least {TIMES} times the real Barbican: {rate}"));
        }
        let mut full = self.memory.iter().filter(|held| held.requests >= FULL);
        if let Some(first) = full.next()
            && let Some(more) = full.find(|held| held.mib > first.mib * SLACK)
        {
            found.push(format!("the memory is flat: {first}, {more}"));
        }
        found
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let document = json!({
            "starts_ms": self.starts_ms,
            "rates": self.rates,
            "memory": self.memory,
            "problems": self.problems(),
        });
        let text = serde_json::to_string_pretty(&document)? + "\n";
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}

impl Rate {
    fn times(&self) -> f64 {
        self.simulated / self.real
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, simulated, real } = self;
        let times = self.times();
        write!(
            formatter,
            "{what}: {simulated:.0} a second, the real Barbican {real:.0}: {times:.0} times"
        )
    }
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1} MiB after {} requests", self.mib, self.requests)
    }
}

/// The one in the middle, the later of two; 0 of none.
pub(super) fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(starts_ms: &[f64], real: f64, memory: &[(usize, f64)], expected: &[&str]) {
        let rates = vec![Rate { what: "GET payload", simulated: 2000.0, real }];
        let memory = memory.iter().map(|&(requests, mib)| Held { requests, mib }).collect();
        let figures = Figures { starts_ms: starts_ms.to_vec(), rates, memory };
        assert_eq!(figures.problems(), expected);
    }

    #[test]
    fn what_does_not_hold_is_told() {
        let flat = [(10, 1.0), (FULL - 1, 40.0), (FULL, 50.0), (2 * FULL, 52.0), (3 * FULL, 51.0)];
        check(&[1.0, 49.0, 70.0], 100.0, &flat, &[]);
        check(&[1.0, 50.0, 50.0], 100.0, &flat, &["it starts in under 50 ms: 50.0 ms"]);
        check(
            &[1.0],
            100.1,
            &flat,
            &["at least 20 times the real Barbican: GET payload: 2000 a second, the real \
               Barbican 100: 20 times"],
        );
        let grown = [(FULL, 50.0), (2 * FULL, 52.0), (3 * FULL, 52.6)];
        let told = "the memory is flat: 50.0 MiB after 300000 requests, 52.6 MiB after 900000 \
                    requests";
        check(&[1.0], 50.0, &grown, &[told]);
    }
}
