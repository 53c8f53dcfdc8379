//! Worlds in which protocols that are known to be bad break what they are known to break.
//!
//! A check that cannot fail proves nothing: every invariant is broken by at least one of these.

use crate::verdict::Hunt;
use crate::world::Secret;
use crate::{Protocol, Setting, Start, Trace, upstream};
use transfer_core::Invariant;

/// One known way to break one invariant.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called, after its protocol.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// What it breaks.
    pub breaks: Invariant,
    /// The world.
    pub setting: Setting,
    hunt: Hunt,
}

impl Scenario {
    /// A shortest way to break it; none says that the check has lost its teeth.
    pub fn counterexample(&self) -> Option<Trace> {
        self.setting.hunt(self.name, self.hunt)
    }

    pub(crate) fn hunt(&self) -> Hunt {
        self.hunt
    }
}

/// Requests by number.
const INITIATE: usize = 0;
const ACCEPT_Y: usize = 2;
const ACCEPT_Z: usize = 4;
const CANCEL: usize = 5;
const ADMIN_CANCEL: usize = 8;

/// All scenarios, protocol by protocol.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = upstream();
    all.extend(variations());
    all
}

/// A volume with one snapshot on the same key.
fn plain(name: &'static str, protocol: Protocol, start: Start, requests: &[usize]) -> Setting {
    Setting {
        name: name.to_owned(),
        protocol,
        start,
        rows: [Some(Some(Secret::A)), Some(Some(Secret::A)), None, None],
        ..Setting::everything(0, 0).only(requests)
    }
}

fn upstream() -> Vec<Scenario> {
    let world = |name, about, start, requests: &[usize], (faults, crashes), breaks| Scenario {
        name,
        about,
        breaks,
        setting: Setting { faults, crashes, ..plain(name, Protocol::Upstream, start, requests) },
        // Its steps break invariants in between all the time.
        hunt: Hunt::AtRest(breaks),
    };
    let mut all = vec![
        world(
            "upstream-failed-delete",
            "the delete of the old key fails: the volume is X's again, its key the service's",
            Start::Available,
            &[INITIATE],
            (1, 0),
            Invariant::CustodianOwnsKey,
        ),
        world(
            "upstream-accept-against-cancel",
            "Y accepts while X cancels: the volume is Y's, its key X's",
            Start::Offered,
            &[ACCEPT_Y, CANCEL],
            (0, 0),
            Invariant::CustodianOwnsKey,
        ),
        world(
            "upstream-accept-against-accept",
            "Y and Z accept: the volume is one's, its key the other's",
            Start::Offered,
            &[ACCEPT_Y, ACCEPT_Z],
            (0, 0),
            Invariant::CustodianOwnsKey,
        ),
        world(
            "upstream-crash-between-rows",
            "the process dies between the volume and its snapshot: they name different keys",
            Start::Available,
            &[INITIATE],
            (0, 1),
            Invariant::RowsAgree,
        ),
        world(
            "upstream-foreign-admin",
            "an administrator cancels: the volume is X's, its key in the administrator's project",
            Start::Offered,
            &[ADMIN_CANCEL],
            (0, 0),
            Invariant::CustodianOwnsKey,
        ),
        world(
            "upstream-lost-reply",
            "the reply to the store is lost: a copy of the key that nobody knows of",
            Start::Available,
            &[INITIATE],
            (1, 0),
            Invariant::NoStrayKeyMaterial,
        ),
        world(
            "upstream-told-wrong",
            "an accept is told that it failed, and the volume is its caller's",
            Start::Offered,
            &[ACCEPT_Y],
            (1, 0),
            Invariant::OneOutcome,
        ),
        world(
            "upstream-quota",
            "the process dies when it has reserved the quota: it stays reserved for ever",
            Start::Offered,
            &[ACCEPT_Y],
            (0, 1),
            Invariant::QuotaConserved,
        ),
        world(
            "upstream-distinct-keys",
            "a snapshot with a key of its own gets the volume's",
            Start::Available,
            &[INITIATE],
            (0, 0),
            Invariant::KeyBytesPreserved,
        ),
    ];
    for scenario in &mut all {
        let setting = &mut scenario.setting;
        match scenario.name {
            "upstream-failed-delete" => setting.fails_at = Some(upstream::Next::Delete),
            "upstream-lost-reply" => setting.fails_at = Some(upstream::Next::Store),
            "upstream-told-wrong" => setting.fails_at = Some(upstream::Next::Quota),
            "upstream-accept-against-accept" => setting.rows[1] = None,
            "upstream-distinct-keys" => setting.rows[1] = Some(Some(Secret::B)),
            _ => {}
        }
    }
    all
}

fn variations() -> Vec<Scenario> {
    use Protocol as P;
    let world = |name, about, protocol, start, requests: &[usize], (faults, crashes), breaks| {
        let plain = plain(name, protocol, start, requests);
        let rows = Setting::everything(0, 0).rows;
        let setting = Setting { faults, crashes, rows, ..plain };
        Scenario { name, about, breaks, setting, hunt: Hunt::Anywhere(breaks) }
    };
    vec![
        world(
            "delete-before-commit",
            "the old keys are deleted while the rows still name them",
            P::DeleteBeforeCommit,
            Start::Available,
            &[INITIATE],
            (0, 0),
            Invariant::ReferencedKeyIsLive,
        ),
        world(
            "shell-not-journaled",
            "the process dies when a shell is filled that nobody else knows of",
            P::ShellNotJournaled,
            Start::Available,
            &[INITIATE],
            (0, 1),
            Invariant::NoStrayKeyMaterial,
        ),
        world(
            "no-claim",
            "an accept and a cancel are both told that they are done",
            P::NoClaim,
            Start::Offered,
            &[ACCEPT_Y, CANCEL],
            (0, 0),
            Invariant::OneOutcome,
        ),
        world(
            "no-fence",
            "a driver sleeps past its lease and commits shells that have been deleted",
            P::NoFence,
            Start::Available,
            &[INITIATE],
            (0, 1),
            Invariant::ReferencedKeyIsLive,
        ),
        world(
            "merge-distinct-keys",
            "a snapshot with a key of its own gets the volume's",
            P::MergeDistinctKeys,
            Start::Available,
            &[INITIATE],
            (0, 0),
            Invariant::RowsAgree,
        ),
        world(
            "merge-distinct-keys-bytes",
            "a snapshot cannot be read with the key that it names",
            P::MergeDistinctKeys,
            Start::Available,
            &[INITIATE],
            (0, 0),
            Invariant::KeyBytesPreserved,
        ),
        world(
            "delete-shell-before-abort",
            "a commit arrives late, when its shells have been deleted to abort it",
            P::DeleteShellBeforeAbort,
            Start::Available,
            &[INITIATE],
            (1, 0),
            Invariant::ReferencedKeyIsLive,
        ),
        world(
            "cancel-into-callers-project",
            "an administrator cancels, and owns the key of X's volume",
            P::CancelIntoCallersProject,
            Start::Offered,
            &[ADMIN_CANCEL],
            (0, 0),
            Invariant::CustodianOwnsKey,
        ),
        world(
            "cancel-into-callers-project-copy",
            "an administrator holds a copy that nobody gave him",
            P::CancelIntoCallersProject,
            Start::Offered,
            &[ADMIN_CANCEL],
            (0, 0),
            Invariant::NoUnauthorisedCopy,
        ),
        world(
            "quota-after-commit",
            "the volume is Y's, and X pays for it",
            P::QuotaAfterCommit,
            Start::Offered,
            &[ACCEPT_Y],
            (0, 0),
            Invariant::QuotaConserved,
        ),
        world(
            "no-lease",
            "the process dies, and its claim stays for ever",
            P::NoLease,
            Start::Available,
            &[INITIATE],
            (0, 1),
            Invariant::Drains,
        ),
    ]
}
