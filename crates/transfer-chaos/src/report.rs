//! A run in figures.

use crate::record::{Answer, Record};
use crate::verdict::Findings;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many findings of each kind are told in words.
const TOLD: usize = 20;

/// What one run came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) operations: usize,
    pub(crate) kills: u32,
    pub(crate) pauses: u32,
    pub(crate) database_restarts: u64,
    /// Barbican's requests that failed or were not answered.
    pub(crate) faults: u64,
    pub(crate) inconsistent: usize,
    pub(crate) untrue_answers: usize,
    pub(crate) left_over: usize,
    /// How often each status was told, by operation; `none` where no answer came.
    pub(crate) answers: BTreeMap<String, BTreeMap<String, usize>>,
    pub(crate) lists: usize,
    /// The first of what was found, in words.
    pub(crate) findings: Vec<String>,
}

impl Report {
    pub(crate) fn of(record: &Record, found: Findings) -> Self {
        let mut answers: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for one in &record.asked {
            let Answer { status, .. } = one.answer;
            let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            let of_operation = answers.entry(one.operation.to_string()).or_default();
            *of_operation.entry(status).or_default() += 1;
        }
        let Findings { inconsistent, untrue_answers, left_over } = found;
        Self {
            operations: record.asked.len(),
            inconsistent: inconsistent.len(),
            untrue_answers: untrue_answers.len(),
            left_over: left_over.len(),
            answers,
            lists: record.listed.len(),
            findings: [inconsistent, untrue_answers, left_over]
                .into_iter()
                .flat_map(|found| found.into_iter().take(TOLD))
                .collect(),
            ..Self::default()
        }
    }
}
