//! What batches came to, and the figures that are told of them.

use crate::load::Batch;
use crate::processes::Usage;
use serde_json::{Map, Value, json};

/// All batches of one operation at one concurrency.
#[derive(Default)]
pub(crate) struct Measured {
    /// Operations a second, of each batch.
    rates: Vec<f64>,
    /// Milliseconds.
    latencies: Vec<f64>,
    seconds: f64,
    requests: u64,
    usage: Usage,
    errors: Vec<String>,
}

impl Measured {
    pub(crate) fn add<T>(&mut self, batch: &Batch<T>, requests: u64, usage: Usage) {
        let seconds = batch.wall.as_secs_f64();
        self.rates.push(batch.latencies.len() as f64 / seconds);
        self.seconds += seconds;
        self.latencies.extend(batch.latencies.iter().map(|one| one.as_secs_f64() * 1000.0));
        self.requests += requests;
        self.usage += usage;
        self.errors.extend(batch.errors.iter().cloned());
    }

    pub(crate) fn first_error(&self) -> Option<&str> {
        self.errors.first().map(String::as_str)
    }

    /// Puts the figures under `NAME_…`, or without a name as they are.
    pub(crate) fn tell(&self, name: &str, into: &mut Map<String, Value>) {
        let count = self.latencies.len() as f64;
        let mut tell = |what: &str, value: Value| into.insert(named(name, what), value);
        tell("per_s", json!(rounded(count / self.seconds)));
        tell("per_s_of_each_batch", self.rates.iter().copied().map(rounded).collect());
        for (what, share) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
            tell(what, json!(percentile(&self.latencies, share).map(rounded)));
        }
        tell("operations", json!(self.latencies.len()));
        tell("barbican_requests", json!(rounded(self.requests as f64 / count)));
        for (what, seconds) in [
            ("cpu_ms", self.usage.own),
            ("key_manager_cpu_ms", self.usage.key_manager),
            ("client_cpu_ms", self.usage.client),
            ("others_cpu_ms", self.usage.others),
        ] {
            tell(what, json!(rounded(seconds * 1000.0 / count)));
        }
        tell("errors", json!(self.errors.len()));
        if let Some(first) = self.errors.first() {
            tell("first_error", json!(first));
        }
    }
}

fn named(name: &str, what: &str) -> String {
    if name.is_empty() { what.to_owned() } else { format!("{name}_{what}") }
}

/// The value that this share of the values does not exceed; between two of them, in proportion.
fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

/// Three digits behind the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_values() {
        let check = |values: &[f64], share, expected| {
            assert_eq!(percentile(values, share), expected, "{values:?} at {share}");
        };
        check(&[], 0.5, None);
        check(&[4.0], 0.99, Some(4.0));
        check(&[3.0, 1.0, 2.0], 0.5, Some(2.0));
        check(&[1.0, 2.0], 0.5, Some(1.5));
        check(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95, Some(4.8));
    }

    #[test]
    fn a_rate_is_that_of_all_batches_together() {
        let batch = |count: usize, seconds| Batch {
            wall: std::time::Duration::from_secs(seconds),
            latencies: vec![std::time::Duration::from_millis(20); count],
            items: vec![(); count],
            left: Vec::new(),
            errors: Vec::new(),
        };
        let mut measured = Measured::default();
        let usage = |own: f64| Usage { own, key_manager: 0.3, client: 0.0, others: 3.0 * own };
        measured.add(&batch(10, 1), 50, usage(0.1));
        measured.add(&batch(20, 9), 100, usage(0.2));
        let mut told = Map::new();
        measured.tell("ours", &mut told);
        assert_eq!(told["ours_per_s"], 3.0);
        assert_eq!(told["ours_barbican_requests"], 5.0);
        assert_eq!(
            (&told["ours_cpu_ms"], &told["ours_others_cpu_ms"]),
            (&json!(10.0), &json!(30.0))
        );
        assert_eq!(told["ours_key_manager_cpu_ms"], 20.0);
        assert_eq!(told["ours_p99_ms"], 20.0);
    }
}
