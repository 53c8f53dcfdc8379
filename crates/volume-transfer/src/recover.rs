//! `recover`: one pass of recovery and of the service's debts, with a report.

use crate::service::Service;
use crate::settings::Settings;
use serde::Serialize;
use std::collections::BTreeMap;
use transfer_engine::Recovered;

/// What one pass did, and what stays.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it did.
    #[serde(flatten)]
    pub recovered: Recovered,
    /// Hand-overs whose drivers are still at work, as far as their leases tell.
    pub under_way: usize,
    /// Offers that have expired, and wait for a request of their project to be taken back.
    pub expired_offers: u64,
    /// Debts that stay, by whose authority they need.
    pub owed: BTreeMap<String, usize>,
}

impl Report {
    /// Whether nothing is left to do.
    pub fn is_clean(&self) -> bool {
        self.under_way == 0 && self.owed.is_empty()
    }
}

/// One pass.
///
/// # Errors
/// When the database, or Keystone at the start, does not answer.
pub async fn run(settings: &Settings) -> anyhow::Result<Report> {
    let service = Service::build(settings).await?;
    let recovered = service.engine.recover().await?;
    let store = service.engine.store();
    let mut owed = BTreeMap::new();
    for debt in store.debts().await? {
        *owed.entry(debt.debt.authority.to_string()).or_insert(0) += 1;
    }
    let expired_offers = store.standing(&[]).await?.expired_offers;
    Ok(Report { recovered, under_way: store.claims().await?.len(), expired_offers, owed })
}
