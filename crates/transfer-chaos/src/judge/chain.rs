//! One volume's past: offer after offer, each with what began and what ended it.

use crate::record::{Asked, Listed, Moment, Span};
use std::collections::BTreeSet;
use transfer_core::invariants::{OfferFate, OfferView, Told};
use transfer_core::{ProjectId, TransferId, VolumeId};
use volume_transfer::stage::Call;

const NEVER: Moment = Moment::MAX;

/// The offers of a volume in their order.
#[derive(Debug)]
pub(super) struct Chain {
    first_owner: ProjectId,
    links: Vec<Link>,
    /// The numbers of the requests that began or ended them.
    doers: BTreeSet<usize>,
}

/// One offer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) offer: TransferId,
    pub(super) source: ProjectId,
    fate: OfferFate,
    opened: Between,
    ended: Between,
}

/// When something can have happened, at the earliest and at the latest.
#[derive(Clone, Copy, Debug)]
struct Between {
    earliest: Moment,
    latest: Moment,
}

impl Chain {
    /// Puts the offers into their order and finds who did what; says what nobody can have done.
    pub(super) fn of(
        volume: &VolumeId,
        first_owner: &ProjectId,
        offers: &[&OfferView],
        asked: &[&Asked],
        lists: &[Listed],
        found: &mut Vec<String>,
    ) -> Self {
        // Nobody ends an offer that nobody has been told of, and the next one comes after that:
        // the order of first being told of is the order of the offers.
        let mut ordered: Vec<(Moment, &OfferView)> =
            offers.iter().map(|offer| (first_told(&offer.id, asked, lists), *offer)).collect();
        ordered.sort_by_key(|(told, _)| *told);
        let mut doers = Doers { asked, taken: BTreeSet::new() };
        let mut owner = first_owner.clone();
        let mut links: Vec<Link> = Vec::new();
        for (told, offer) in ordered {
            let opened = doers.opening(offer, &owner, told).unwrap_or_else(|| {
                found.push(format!(
                    "volume {volume}: offer {} is there, and all who asked for one were refused",
                    offer.id
                ));
                Between { earliest: 0, latest: told }
            });
            let ended = doers.ending(offer, &owner).unwrap_or_else(|| {
                found.push(format!(
                    "volume {volume}: offer {} is {:?}, and all who asked for that were refused",
                    offer.id, offer.fate
                ));
                Between { earliest: 0, latest: NEVER }
            });
            let source = owner.clone();
            if let OfferFate::Accepted(project) = &offer.fate {
                owner = project.clone();
            }
            let (offer, fate) = (offer.id.clone(), offer.fate.clone());
            links.push(Link { offer, source, fate, opened, ended });
        }
        let mut chain = Self { first_owner: first_owner.clone(), links, doers: doers.taken };
        chain.narrow();
        found.extend(chain.impossible().map(|what| format!("volume {volume}: {what}")));
        chain
    }

    /// Nothing comes before what went before it, or after what came after it.
    fn narrow(&mut self) {
        let mut earliest = 0;
        for link in &mut self.links {
            for moment in [&mut link.opened, &mut link.ended] {
                earliest = earliest.max(moment.earliest);
                moment.earliest = earliest;
            }
        }
        let mut latest = NEVER;
        for link in self.links.iter_mut().rev() {
            for moment in [&mut link.ended, &mut link.opened] {
                latest = latest.min(moment.latest);
                moment.latest = latest;
            }
        }
    }

    fn impossible(&self) -> impl Iterator<Item = String> {
        let open = self.links.iter().rev().skip(1).filter(|link| link.fate == OfferFate::Open);
        let open = open.map(|link| format!("offer {} is open beside a later one", link.offer));
        let late = self.links.iter().filter(|link| {
            let never = |moment: &Between| moment.earliest > moment.latest;
            never(&link.opened) || never(&link.ended)
        });
        open.chain(late.map(|link| format!("no order of events has a place for {link:?}")))
    }

    /// The offers in their order.
    pub(super) fn links(&self) -> &[Link] {
        &self.links
    }

    pub(super) fn last_owner(&self) -> &ProjectId {
        match self.links.last() {
            None => &self.first_owner,
            Some(link) => link.owner_afterwards(),
        }
    }

    /// Whether the request of this number is the one that did something.
    pub(super) fn did(&self, number: usize) -> bool {
        self.doers.contains(&number)
    }

    /// Whether the volume can have been on offer at a moment of the span.
    pub(super) fn was_on_offer(&self, span: Span) -> bool {
        self.links.iter().any(|link| link.was_open_sometime(span))
    }

    /// Whether another project can have owned the volume at a moment of the span.
    pub(super) fn had_another_owner(&self, project: &ProjectId, span: Span) -> bool {
        let mut owner = (&self.first_owner, 0);
        for link in self.links.iter().filter(|link| matches!(link.fate, OfferFate::Accepted(_))) {
            let owned = Span { began: owner.1, ended: link.ended.latest };
            if owner.0 != project && owned.meets(span) {
                return true;
            }
            owner = (link.owner_afterwards(), link.ended.earliest);
        }
        owner.0 != project && Span { began: owner.1, ended: NEVER }.meets(span)
    }

    pub(super) fn find(&self, offer: &TransferId) -> Option<&Link> {
        self.links.iter().find(|link| link.offer == *offer)
    }
}

impl Link {
    /// Whether the offer can have been open at a moment of the span.
    pub(super) fn was_open_sometime(&self, span: Span) -> bool {
        span.meets(Span { began: self.opened.earliest, ended: self.ended.latest })
    }

    /// Whether the offer was open at every moment of the span, whatever the order of events.
    pub(super) fn was_open_throughout(&self, span: Span) -> bool {
        self.opened.latest < span.began && span.ended < self.ended.earliest
    }

    fn owner_afterwards(&self) -> &ProjectId {
        match &self.fate {
            OfferFate::Accepted(project) => project,
            OfferFate::Open | OfferFate::Cancelled => &self.source,
        }
    }
}

/// The requests on one volume; each did one thing at most.
struct Doers<'a> {
    asked: &'a [&'a Asked],
    taken: BTreeSet<usize>,
}

impl Doers<'_> {
    /// The request that made the offer: the one that was told of it, or one in doubt.
    fn opening(&mut self, offer: &OfferView, owner: &ProjectId, told: Moment) -> Option<Between> {
        let by_owner = |one: &Asked| one.operation == Call::Initiate && one.project == *owner;
        let doer = self.doer(
            |one| by_owner(one) && one.offer.as_ref() == Some(&offer.id),
            |one| by_owner(one) && one.span.began <= told,
        )?;
        Some(Between { latest: doer.latest.min(told), ..doer })
    }

    /// The request that ended it.
    fn ending(&mut self, offer: &OfferView, owner: &ProjectId) -> Option<Between> {
        let of_it = |one: &Asked| {
            one.offer.as_ref() == Some(&offer.id)
                && match (&offer.fate, one.operation) {
                    (OfferFate::Accepted(project), Call::Accept) => {
                        one.right_key && one.project == *project
                    }
                    (OfferFate::Cancelled, Call::Cancel) => one.project == *owner,
                    (OfferFate::Open | OfferFate::Accepted(_) | OfferFate::Cancelled, _) => false,
                }
        };
        if offer.fate == OfferFate::Open {
            return Some(Between { earliest: NEVER, latest: NEVER });
        }
        self.doer(of_it, of_it)
    }

    /// Of those that were told of a success the one that fits, else the first of those in doubt.
    fn doer(
        &mut self,
        told: impl Fn(&Asked) -> bool,
        in_doubt: impl Fn(&Asked) -> bool,
    ) -> Option<Between> {
        let free = |index: &usize| !self.taken.contains(index);
        let of = |index: &usize| self.asked[*index];
        let all = || (0..self.asked.len()).filter(free);
        let successes = all().filter(|i| of(i).answer.told == Told::Done && told(of(i)));
        let doubts = all().filter(|i| of(i).answer.told == Told::Nothing && in_doubt(of(i)));
        let first = |index: &usize| of(index).span.began;
        let doer = successes.min_by_key(first).or_else(|| doubts.min_by_key(first))?;
        let one = of(&doer);
        let latest = if one.answer.told == Told::Done { one.span.ended } else { NEVER };
        self.taken.insert(doer);
        Some(Between { earliest: one.span.began, latest })
    }
}

/// When somebody knew for the first time that there is this offer.
fn first_told(offer: &TransferId, asked: &[&Asked], lists: &[Listed]) -> Moment {
    let of_it = asked.iter().filter(|one| one.offer.as_ref() == Some(offer));
    let named = of_it.map(|one| match one.operation {
        Call::Initiate => one.span.ended,
        Call::Accept | Call::Cancel => one.span.began,
    });
    let listed = lists.iter().filter(|list| list.offers.contains(offer));
    named.chain(listed.map(|list| list.span.ended)).min().unwrap_or(NEVER)
}
