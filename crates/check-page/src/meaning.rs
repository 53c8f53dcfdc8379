//! What each invariant says, in one sentence, for those who read the page first.

use transfer_core::invariants::Invariant;

pub(crate) fn meaning(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::ReferencedKeyIsLive => {
            "Every key id on a live volume or snapshot names a secret that exists and is filled."
        }
        Invariant::RowsAgree => {
            "Volume and snapshots change hands together; rows that shared a key still share one."
        }
        Invariant::CustodianOwnsKey => {
            "The secret belongs to the volume's project, or to the service while an offer is open."
        }
        Invariant::NoStrayKeyMaterial => {
            "Every filled copy of a key is named by a row, the journal or a debt."
        }
        Invariant::KeyBytesPreserved => "The bytes and attributes that arrive are those that left.",
        Invariant::OneOutcome => {
            "Of all accepts and cancels of an offer at most one takes effect, and what each caller \
             was told is true."
        }
        Invariant::NoUnauthorisedCopy => {
            "Only the donor, the service, and a project that showed the auth key ever hold a copy."
        }
        Invariant::QuotaConserved => "What the donor loses the recipient gains, once.",
        Invariant::Drains => {
            "Left alone, every run comes to rest with no claim and no payable debt."
        }
    }
}
