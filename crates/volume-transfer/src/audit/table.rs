//! Findings on standard output as they come: rows of a table, or the elements of a JSON document.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What is being printed.
pub(crate) struct Sheet {
    json: bool,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    rows: u64,
    /// What to do, by the kind of finding.
    remedies: BTreeMap<String, String>,
}

impl Sheet {
    pub(crate) fn new(json: bool) -> Self {
        if json {
            anstream::print!("{{\"findings\": [");
        }
        Self { json, shown: Mutex::default() }
    }

    /// Shows one finding, with its outcome if it has one.
    pub(crate) fn add(&self, finding: &Value) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = shown.rows == 0;
        shown.rows += 1;
        if self.json {
            let between = if is_first { "" } else { "," };
            anstream::print!("{between}\n  {finding}");
            return;
        }
        let text = |key: &str| finding[key].as_str().unwrap_or("-").to_owned();
        if is_first {
            line("ID", "FINDING", "VOLUME", "PROJECT", "SECRET");
        }
        line(&text("id"), &text("kind"), &text("volume"), &text("project"), &text("secret"));
        anstream::println!("              {}: {}", text("invariant"), text("what"));
        if finding["outcome"].is_string() {
            let outcome = text("outcome").replace('_', " ");
            anstream::println!("              {outcome}: {}", text("done"));
        } else {
            shown.remedies.insert(text("kind"), text("remedy"));
        }
    }

    /// Shows the summary.
    pub(crate) fn end(self, summary: &Value, words: &str) {
        let shown = self.shown.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.json {
            anstream::println!("\n], \"summary\": {summary}}}");
            return;
        }
        if !shown.remedies.is_empty() {
            anstream::println!("\nWhat to do:");
        }
        for (kind, remedy) in &shown.remedies {
            anstream::println!("  {kind}: {remedy}");
        }
        if shown.rows > 0 {
            anstream::println!();
        }
        anstream::println!("{words}");
    }
}

fn line(id: &str, kind: &str, volume: &str, project: &str, secret: &str) {
    anstream::println!("{id:12}  {kind:24}  {volume:36}  {project:32}  {secret:36}");
}
