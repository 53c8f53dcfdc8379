//! Names that are used again, and what nobody can tell apart any more.

use super::{
    Due, Fate, Kept, Late, OFFERS, Owed, Progress, Project, REQUESTS, SLOTS, Secret, State, Volume,
};
use crate::memo::Held;
use arrayvec::ArrayVec;
use transfer_core::Operation;

impl State {
    /// The lowest number that no offer has which anybody speaks of. The second volume's offer has
    /// a place of its own.
    pub(crate) fn free_offer(&self, volume: Volume) -> usize {
        if volume == Volume::Second {
            return OFFERS - 1;
        }
        let spoken_of = |at: usize| self.requests.iter().any(|request| request.offer() == Some(at));
        (0..OFFERS).find(|at| self.offers[*at].is_none() && !spoken_of(*at)).unwrap_or(0)
    }

    /// The lowest secret of this letter and owner that nobody knows.
    pub(crate) fn free_secret(&self, like: Secret, owner: Project) -> Secret {
        like.alike(owner).find(|secret| !self.is_known(*secret)).unwrap_or(like)
    }

    fn is_known(&self, secret: Secret) -> bool {
        let by_debt = |owed: &Owed| match owed.due {
            Due::Secret { secret: due, .. } => due == secret,
            Due::Shells { .. } => false,
        };
        self.kept(secret).is_some()
            || self.debts.iter().any(by_debt)
            || self.network.iter().any(|late| late.knows(secret))
            || self.rows.iter().flatten().any(|row| row.key == Some(secret))
            || self.journal.iter().flatten().any(|entry| entry.held.info().names(secret))
            || self.requests.iter().any(|request| request.knows(secret))
    }

    /// Forgets what nobody can tell apart any more: answers that stay true whatever comes, offers
    /// that have ended and that nobody speaks of, and shells that nobody will ever fill. The next
    /// request of the same kind may then come again: there is no end to the requests, only to how
    /// many of one kind are under way at once.
    pub(crate) fn forget(&mut self) {
        let requests = self.requests;
        // What a request was told has to be known for as long as another one may still turn out
        // to have done it, or not.
        let rests = |slot: usize| {
            let Progress::Over { offer, .. } = requests[slot] else { return false };
            let unsettled = |other: &usize| {
                let alike = REQUESTS[*other].operation == REQUESTS[slot].operation
                    && REQUESTS[*other].project == REQUESTS[slot].project;
                let speaks_of = requests[*other].offer() == Some(usize::from(offer));
                let moves = requests[*other].is_active()
                    || self.journal[*other].is_some()
                    || self.commits_late(*other);
                alike && speaks_of && moves
            };
            let mut others = 0..SLOTS;
            if REQUESTS[slot].operation == Operation::Initiate {
                !unsettled(&slot)
            } else {
                !others.any(|other| unsettled(&other))
            }
        };
        let over: [bool; SLOTS] = std::array::from_fn(rests);
        for (slot, over) in over.into_iter().enumerate() {
            let named = self.leaves_shells(slot);
            if over {
                self.requests[slot] = if named { Progress::Named } else { Progress::Idle };
            } else if self.requests[slot] == Progress::Named && !named {
                self.requests[slot] = Progress::Idle;
            }
        }
        for at in 0..OFFERS {
            let ended = self.offers[at].is_some_and(|o| !matches!(o.fate, Fate::Open { .. }));
            if ended && !self.requests.iter().any(|request| request.offer() == Some(at)) {
                self.offers[at] = None;
            }
        }
    }

    fn commits_late(&self, slot: usize) -> bool {
        self.network.iter().any(|late| match late {
            Late::Commit { slot: by, .. } => usize::from(*by) == slot,
            Late::Create { .. } | Late::Fill { .. } | Late::Delete { .. } => false,
        })
    }

    /// Whether something is called by this request's hand-over, or will be.
    fn leaves_shells(&self, slot: usize) -> bool {
        let slot = slot as u8;
        let late = self.network.iter().any(|late| match late {
            Late::Create { slot: by, .. } => *by == slot,
            Late::Fill { .. } | Late::Delete { .. } | Late::Commit { .. } => false,
        });
        let debt = self.debts.iter().any(|owed| match owed.due {
            Due::Shells { slot: by, .. } => by == slot,
            Due::Secret { .. } => false,
        });
        late || debt || self.secrets.iter().any(|kept| kept.shell_of == Some(slot))
    }

    /// Forgets what can have no effect any more: late effects on what is gone, late commits that
    /// will not get through, and empty shells that nobody knows: they stay for ever and mean
    /// nothing.
    pub(crate) fn forget_orphans(&mut self, gets_through: impl Fn(&Self, usize, Held) -> bool) {
        let lost = |late: &Late| match *late {
            Late::Create { slot, .. } => !self.is_called_after(slot),
            Late::Fill { shell, material } => {
                self.kept(shell).is_none_or(|kept| kept.material == Some(material))
            }
            Late::Delete { secret } => self.kept(secret).is_none(),
            Late::Commit { slot, held } => !gets_through(self, usize::from(slot), held),
        };
        let network: ArrayVec<Late, 4> =
            self.network.iter().filter(|late| !lost(late)).copied().collect();
        self.network = network;
        let orphan = |kept: &Kept| {
            let due = |owed: &Owed| match owed.due {
                Due::Shells { .. } => false,
                Due::Secret { secret, .. } => secret == kept.secret,
            };
            kept.shell_of.is_some_and(|slot| !self.is_called_after(slot))
                && !self.debts.iter().any(due)
                && !self.network.iter().any(|late| late.knows(kept.secret))
        };
        let orphans: ArrayVec<Secret, 24> =
            self.secrets.iter().filter(|kept| orphan(kept)).map(|kept| kept.secret).collect();
        for secret in orphans {
            self.delete(secret);
        }
    }

    /// Whether anybody may still ask for shells by this request's name.
    fn is_called_after(&self, slot: u8) -> bool {
        let swept = self.debts.iter().any(|owed| match owed.due {
            Due::Shells { slot: by, .. } => by == slot,
            Due::Secret { .. } => false,
        });
        let at = usize::from(slot);
        swept || self.journal[at].is_some() || self.requests[at].is_active()
    }
}
