//! What is on record and should have ended: hand-overs, debts, and offers.

use crate::{Audit, Finding, Kind};
use cinder_db::{DbError, Scope};
use std::collections::BTreeSet;
use transfer_core::{Authority, HandOverId, VolumeId};

/// Hand-overs whose lease is over, debts that are old and belong to no live hand-over, and offers
/// that expired as long ago and are not being ended.
pub(crate) async fn wrong(audit: &Audit) -> Result<Vec<Finding>, DbError> {
    let mut found = Vec::new();
    let claims = audit.store.claims().await?;
    for claim in claims.iter().filter(|claim| claim.lease_is_over) {
        let hand_over = &claim.hand_over;
        let what = format!("{} {} was left unfinished", hand_over.operation(), hand_over.id());
        found.push(
            Finding::new(Kind::ClaimExpired, what)
                .at(hand_over.volume(), &hand_over.parties().donor)
                .on_record(hand_over.id().as_str()),
        );
    }
    let live: BTreeSet<&HandOverId> = claims.iter().map(|claim| claim.hand_over.id()).collect();
    let now_ms = (audit.clock)().unix_timestamp_nanos() / 1_000_000;
    let grace_ms = audit.options.older_than.as_millis();
    for row in audit.store.debts().await? {
        let age_ms = now_ms - i128::from(row.created_at_ms);
        let is_old = u128::try_from(age_ms).is_ok_and(|age| age >= grace_ms);
        if !is_old || live.contains(&row.debt.hand_over) {
            continue;
        }
        let id = row.debt.id();
        let why = row.last_error.map_or(String::new(), |error| format!(": {error}"));
        let what =
            format!("{} takes {}; {} attempts{why}", id.as_str(), row.debt.authority, row.attempts);
        let project = match &row.debt.authority {
            Authority::Service => audit.viewers.service().project(),
            Authority::Project(project) => project,
        };
        let finding = Finding::new(Kind::DebtUnpaid, what).in_project(project);
        found.push(finding.on_record(id.as_str()));
    }
    let claimed: BTreeSet<&VolumeId> =
        claims.iter().map(|claim| claim.hand_over.volume()).collect();
    let mut after = None;
    loop {
        let (over_for, page) = (audit.options.older_than, audit.options.page);
        let page = audit.store.expired_offers(&Scope::All, over_for, after.as_ref(), page).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id.clone());
        for offer in page.iter().filter(|offer| !claimed.contains(&offer.volume)) {
            let what = format!("offer {} has expired, and nobody has taken it back", offer.id);
            found.push(
                Finding::new(Kind::OfferExpired, what)
                    .at(&offer.volume, &offer.project)
                    .on_record(offer.id.as_str()),
            );
        }
    }
}
