//! What is said at the end of a run, as text or as one JSON document.

use super::BulkOptions;
use anyhow::Context as _;
use bulk_transfer::{Failed, Journal, Standing, Stopped, Summary, TakenBack};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use transfer_core::VolumeId;

/// Writes the whole of a report to the standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = anstream::stdout();
    output.write_all(text.as_bytes()).context("the report cannot be written")?;
    output.flush().context("the report cannot be written")
}

pub(super) fn print_json(document: &Value) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(document)? + "\n"))
}

/// A volume as people know it, on one line.
pub(super) fn called(volume: &VolumeId, name: Option<&str>) -> String {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return volume.to_string() };
    let mut called = format!("{volume} (");
    for letter in name.chars() {
        if letter.is_control() {
            called.extend(letter.escape_default());
        } else {
            called.push(letter);
        }
    }
    called.push(')');
    called
}

/// What became of the offers of a run.
///
/// # Errors
/// When it cannot be written.
pub(super) fn taken_back(
    options: &BulkOptions,
    journal: &Journal,
    taken: &TakenBack,
) -> anyhow::Result<()> {
    let TakenBack { taken_back, arrived, failed, stopped } = taken;
    let stopped = stopped.as_ref().map(why);
    let standing = Standing::of(journal);
    if options.json {
        return print_json(&json!({
            "from": options.from, "to": options.to, "complete": taken.is_complete(),
            "taken_back": taken_back, "arrived": arrived,
            "arrived_before": standing.arrived.saturating_sub(*arrived),
            "failed": listed(failed, |id| journal.name(id)),
            "failed_before": listed(&standing.failed, |id| journal.name(id)),
            "left": standing.left, "on_offer": standing.on_offer, "stopped": stopped,
        }));
    }
    let mut text = format!("{taken_back} offers are taken back, {arrived} had been accepted\n");
    let (all_arrived, all_failed, left) = (standing.arrived, standing.failed.len(), standing.left);
    let _ = writeln!(text, "{all_arrived} have arrived, {all_failed} failed, {left} are left");
    for Failed { volume, reason } in failed {
        let volume = called(volume, journal.name(volume).as_deref());
        let _ = writeln!(text, "still open: {volume}: {reason}");
    }
    if let Some(why) = stopped {
        let _ = writeln!(text, "stopped: {why}");
    }
    print(&text)
}

pub(super) fn listed(failed: &[Failed], name: impl Fn(&VolumeId) -> Option<String>) -> Vec<Value> {
    let one = |Failed { volume, reason }: &Failed| {
        let name = name(volume);
        json!({"volume": volume.as_str(), "name": name, "reason": reason})
    };
    failed.iter().map(one).collect()
}

fn why(stopped: &Stopped) -> String {
    match stopped {
        Stopped::Asked => "interrupted".to_owned(),
        Stopped::Systemic(reason) | Stopped::Outage(reason) => reason.clone(),
    }
}

/// What a run came to.
///
/// # Errors
/// When it cannot be written.
pub(super) fn summary(
    options: &BulkOptions,
    journal: &Journal,
    summary: &Summary,
) -> anyhow::Result<()> {
    let seconds = summary.elapsed.as_secs_f64();
    let stopped = summary.stopped.as_ref().map(why);
    if options.json {
        return print_json(&json!({
            "from": options.from, "to": options.to, "complete": summary.is_complete(),
            "arrived": summary.arrived, "arrived_before": summary.arrived_before,
            "failed": listed(&summary.failed, |id| journal.name(id)), "left": summary.left,
            "on_offer": summary.on_offer,
            "under_way": listed(&summary.under_way, |id| journal.name(id)),
            "stopped": stopped, "unwritten": summary.unwritten, "seconds": seconds,
        }));
    }
    let all = summary.arrived + summary.arrived_before + summary.failed.len() + summary.left;
    let rate = summary.arrived as f64 / seconds.max(0.001);
    let mut text = format!(
        "{} of {all} volumes have arrived, {} of them now: {seconds:.1} s, {rate:.1} a second\n",
        summary.arrived + summary.arrived_before,
        summary.arrived
    );
    for Failed { volume, reason } in &summary.failed {
        let volume = called(volume, journal.name(volume).as_deref());
        let _ = writeln!(text, "failed: {volume}: {reason}");
    }
    for Failed { volume, reason } in &summary.under_way {
        let volume = called(volume, journal.name(volume).as_deref());
        let _ = writeln!(text, "still under way: {volume}: {reason}");
    }
    if let Some(why) = stopped {
        let _ = writeln!(text, "stopped: {why}");
    }
    if let Some(why) = &summary.unwritten {
        let _ = writeln!(text, "{why}; it may hold auth keys of offers that have ended");
    }
    if summary.left > 0 {
        let _ = writeln!(text, "{} are left: say the same again to go on", summary.left);
    }
    if summary.on_offer > 0 {
        let _ = writeln!(
            text,
            "{} of them stay on offer; to have them back instead: the same with --take-back",
            summary.on_offer
        );
    }
    if !summary.failed.is_empty() {
        text.push_str("to try what failed again: the same with --retry-failed\n");
    }
    print(&text)
}

#[cfg(test)]
mod tests {
    use super::called;

    #[test]
    fn a_name_takes_no_more_than_its_line() {
        for (name, expected) in [
            (None, "v"),
            (Some(""), "v"),
            (Some("data-\u{e9}"), "v (data-\u{e9})"),
            (Some("a\nfailed: b\u{1b}[31m"), "v (a\\nfailed: b\\u{1b}[31m)"),
        ] {
            assert_eq!(called(&"v".into(), name), expected);
        }
    }
}
