//! `recover`: one pass of recovery and of the service's debts, and of what waits for projects whose
//! credentials are at hand, with a report.

use crate::audit::CloudOptions;
use crate::service::Service;
use crate::settings::Settings;
use serde::Serialize;
use std::collections::BTreeMap;
use transfer_engine::{Payments, Recovered};

/// What one pass did, and what stays.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it did.
    #[serde(flatten)]
    pub recovered: Recovered,
    /// Payments of the debts of projects, by whose credentials were used.
    pub paid_by: BTreeMap<String, Payments>,
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
/// When the database, or Keystone at the start, does not answer, or a cloud's credentials are of no
/// use.
pub async fn run(settings: &Settings, clouds: &CloudOptions) -> anyhow::Result<Report> {
    let service = Service::build(settings).await?;
    let viewers = clouds.viewers(settings).await?;
    let recovered = service.engine.recover().await?;
    let mut paid_by = BTreeMap::new();
    for viewer in viewers {
        let payments = service.engine.recover_for(&viewer.caller().await?).await?;
        paid_by.insert(viewer.name().to_owned(), payments);
    }
    // What was taken back leaves an old secret, which goes by the way.
    service.engine.shut_down(settings.grace()?).await;
    let store = service.engine.store();
    let mut owed = BTreeMap::new();
    for debt in store.debts().await? {
        *owed.entry(debt.debt.authority.to_string()).or_insert(0) += 1;
    }
    let expired_offers = store.standing(&[]).await?.expired_offers;
    let under_way = store.claims().await?.len();
    Ok(Report { recovered, paid_by, under_way, expired_offers, owed })
}
