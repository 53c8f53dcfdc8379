//! `repair`: what can be done about the findings of an audit, and with `--apply` doing it.

use crate::audit::{LookOptions, Lookout, Sheet};
use crate::settings::Settings;
use anyhow::ensure;
use clap::Args;
use serde_json::json;
use std::sync::{Mutex, PoisonError};
use transfer_audit::{Event, Finding, Outcome, Repairs, Summary};

/// What is to be mended, and whether it is.
#[derive(Args, Clone, Debug)]
pub struct RepairOptions {
    #[command(flatten)]
    look: LookOptions,
    /// Mend, instead of saying what would be done
    #[arg(long)]
    apply: bool,
    /// Only this finding, or what is found about this volume; may be said again
    #[arg(long, value_name = "ID|VOLUME")]
    item: Vec<String>,
}

/// Looks, and mends if asked to; says whether nothing of it is left.
///
/// # Errors
/// When settings, credentials, the database or the services are of no use.
pub async fn run(settings: &Settings, options: &RepairOptions) -> anyhow::Result<bool> {
    let lookout = Lookout::new(settings, &options.look).await?;
    let found = Mutex::new(Vec::new());
    let tell = |event, _progress: &_| {
        if let Event::Found(finding) = event
            && options.means(&finding)
        {
            found.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
        }
    };
    let summary = lookout.look(&tell).await?;
    let mut findings = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    options.must_be_found(&findings)?;
    Repairs::in_order(&mut findings);
    let engine = lookout.peers.engine(settings, lookout.store.clone())?;
    let mut repairs = Repairs::new(lookout.audit, engine, lookout.images);
    let sheet = Sheet::new(options.look.json);
    let mut left = 0;
    for finding in &findings {
        let outcome = repairs.mend(finding, options.apply).await;
        left += u64::from(!outcome.is_mended());
        sheet.add(&told(finding, &outcome));
    }
    let is_paid = repairs.finish().await;
    sheet.end(&json!(summary), &words(options, &findings, left, is_paid));
    Ok(left == 0 && is_paid && is_answered(&summary))
}

fn is_answered(summary: &Summary) -> bool {
    summary.unanswered == 0
}

impl RepairOptions {
    /// Whether `--item` says so, or nothing is said.
    fn means(&self, finding: &Finding) -> bool {
        self.item.is_empty() || self.item.iter().any(|item| is_about(finding, item))
    }

    /// A word that nothing is found about is a slip, or has been mended.
    fn must_be_found(&self, findings: &[Finding]) -> anyhow::Result<()> {
        for item in &self.item {
            ensure!(
                findings.iter().any(|finding| is_about(finding, item)),
                "--item {item}: nothing is found about it; `audit` shows the ids of what is wrong"
            );
        }
        Ok(())
    }
}

fn is_about(finding: &Finding, item: &str) -> bool {
    finding.id == item || finding.volume.as_ref().is_some_and(|volume| volume.as_str() == item)
}

fn told(finding: &Finding, outcome: &Outcome) -> serde_json::Value {
    let (name, done) = match outcome {
        Outcome::Mended(done) => ("mended", done),
        Outcome::WouldMend(done) => ("would_mend", done),
        Outcome::Left(done) => ("left", done),
        Outcome::Lost(done) => ("lost", done),
    };
    let mut told = json!(finding);
    told["outcome"] = json!(name);
    told["done"] = json!(done);
    told
}

fn words(options: &RepairOptions, findings: &[Finding], left: u64, is_paid: bool) -> String {
    let all = findings.len();
    let mut words = match (all, options.apply) {
        (0, _) => "nothing to mend was seen".to_owned(),
        (_, true) => format!("{all} findings, {left} of them left"),
        (_, false) => format!("{all} findings; nothing was changed: say --apply to mend them"),
    };
    if !is_paid {
        words.push_str("\nold secrets are still being deleted; recovery goes on with it");
    }
    words
}
