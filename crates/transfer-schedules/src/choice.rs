//! What the scheduler can choose, and how a schedule is written down.
//!
//! `offered-2:accept-y+cancel:aabaR.` is a scenario and its choices: `a` lets the first actor pass
//! its gate, `a1` the second gate it stands at, `aR` lets it pass with a fault, `!` has the leases
//! run out, `*` lets a late effect land, and `.` brings the world to rest.

use crate::scenario::{MOST_ACTORS, Scenario};
use std::fmt;

/// What goes wrong at a gate. At most one of these, or a [`Choice::Expire`], in a schedule; after a
/// crash leases may expire as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Fault {
    /// The key manager says no.
    Refused,
    /// The key manager is not available; nothing happens.
    Unavailable { patience: Patience },
    /// The effect takes place and its reply is lost.
    ReplyLost { patience: Patience },
    /// The reply is lost now; the effect takes place later.
    Late { patience: Patience },
    /// The token has ended, for this call and for all later ones.
    TokenEnded,
    /// The transaction does not begin.
    NoBegin,
    /// The commit fails.
    NoCommit,
    /// The transaction commits and its reply is lost.
    CommitReplyLost,
    /// The process dies before the effect.
    CrashBefore,
    /// The process dies right after the effect.
    CrashAfter,
}

/// What a driver makes of an unknown outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Patience {
    /// It gives up at once: it is told to come back after its time.
    Ends,
    /// It tries again.
    Lasts,
}

/// One choice of the scheduler.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Choice {
    /// An actor passes a gate: the n-th of those that it stands at.
    Pass { actor: usize, gate: usize, fault: Option<Fault> },
    /// Whoever is at work has been held up at its gate for so long that every lease runs out.
    Expire,
    /// The late effect takes place.
    Land,
    /// All has ended: leases run out, recovery runs, every project pays.
    Rest,
}

/// Why a string is no schedule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// The scenario cannot be read.
    #[error("no schedule: {0}")]
    Scenario(String),
    /// The choices cannot be read.
    #[error(
        "no schedule: {found:?} at character {at} of the choices is none; a choice is an actor \
         (a, b, c), and perhaps its gate and a fault; or ! (leases end), * (a late effect lands), \
         . (rest)"
    )]
    Choice {
        /// What stands there.
        found: char,
        /// Where, counted from 1.
        at: usize,
    },
    /// The schedule wants what cannot be chosen there.
    #[error("the schedule does not fit: step {step} chooses {choice}, possible are: {possible}")]
    Unfit {
        /// Counted from 1.
        step: usize,
        /// What it wants.
        choice: String,
        /// What can be chosen.
        possible: String,
    },
    /// The schedule breaks nothing, and stops before everything is at rest.
    #[error("the schedule ends early: nothing is broken yet, and possible next are: {possible}")]
    Short {
        /// What can be chosen.
        possible: String,
    },
    /// The stack itself failed.
    #[error(transparent)]
    Broken(#[from] crate::Broken),
}

impl Fault {
    pub(crate) const AT_DATABASE: [Self; 5] =
        [Self::NoBegin, Self::NoCommit, Self::CommitReplyLost, Self::CrashBefore, Self::CrashAfter];

    pub(crate) const WHILE_COPYING: [Self; 10] = [
        Self::Refused,
        Self::Unavailable { patience: Patience::Ends },
        Self::Unavailable { patience: Patience::Lasts },
        Self::ReplyLost { patience: Patience::Ends },
        Self::ReplyLost { patience: Patience::Lasts },
        Self::Late { patience: Patience::Ends },
        Self::Late { patience: Patience::Lasts },
        Self::TokenEnded,
        Self::CrashBefore,
        Self::CrashAfter,
    ];

    /// A payment is tried once, whatever the answer.
    pub(crate) const WHILE_PAYING: [Self; 7] = [
        Self::Refused,
        Self::Unavailable { patience: Patience::Ends },
        Self::ReplyLost { patience: Patience::Ends },
        Self::Late { patience: Patience::Ends },
        Self::TokenEnded,
        Self::CrashBefore,
        Self::CrashAfter,
    ];

    /// As a report calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unavailable { patience: Patience::Ends } => "unavailable, patience ends",
            Self::Unavailable { patience: Patience::Lasts } => "unavailable",
            Self::ReplyLost { patience: Patience::Ends } => "reply lost, patience ends",
            Self::ReplyLost { patience: Patience::Lasts } | Self::CommitReplyLost => "reply lost",
            Self::Late { patience: Patience::Ends } => "lands late, patience ends",
            Self::Late { patience: Patience::Lasts } => "lands late",
            Self::TokenEnded => "token ended",
            Self::NoBegin => "does not begin",
            Self::NoCommit => "commit fails",
            Self::CrashBefore => "crash before",
            Self::CrashAfter => "crash after",
        }
    }

    pub(crate) fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }

    fn code(self) -> &'static str {
        match self {
            Self::Refused => "R",
            Self::Unavailable { patience: Patience::Ends } => "U",
            Self::Unavailable { patience: Patience::Lasts } => "U+",
            Self::ReplyLost { patience: Patience::Ends } => "L",
            Self::ReplyLost { patience: Patience::Lasts } => "L+",
            Self::Late { patience: Patience::Ends } => "D",
            Self::Late { patience: Patience::Lasts } => "D+",
            Self::TokenEnded => "T",
            Self::NoBegin => "N",
            Self::NoCommit => "F",
            Self::CommitReplyLost => "K",
            Self::CrashBefore => "C",
            Self::CrashAfter => "E",
        }
    }
}

impl Choice {
    /// Whether it is the one thing that may go wrong in a schedule.
    pub(crate) fn is_fault(self) -> bool {
        matches!(self, Self::Pass { fault: Some(_), .. } | Self::Expire)
    }

    /// Whose step it is.
    pub(crate) fn actor(self) -> Option<usize> {
        match self {
            Self::Pass { actor, .. } => Some(actor),
            Self::Expire | Self::Land | Self::Rest => None,
        }
    }
}

fn letter(actor: usize) -> char {
    ['a', 'b', 'c'].get(actor).copied().unwrap_or('?')
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass { actor, gate, fault } => {
                write!(f, "{}", letter(*actor))?;
                if *gate > 0 {
                    write!(f, "{gate}")?;
                }
                f.write_str(fault.map_or("", Fault::code))
            }
            Self::Expire => f.write_str("!"),
            Self::Land => f.write_str("*"),
            Self::Rest => f.write_str("."),
        }
    }
}

/// Writes a schedule down.
pub(crate) fn print(scenario: &Scenario, choices: &[Choice]) -> String {
    let choices: String = choices.iter().map(Choice::to_string).collect();
    format!("{scenario}:{choices}")
}

/// Reads a schedule. Whether it fits shows when it is run.
pub(crate) fn parse(text: &str) -> Result<(Scenario, Vec<Choice>), ReplayError> {
    let (scenario, choices) = text.rsplit_once(':').ok_or_else(|| {
        let form = "those look like offered-1:accept-y+cancel:aabaR.";
        ReplayError::Scenario(format!("there is no `:` in it; {form}"))
    })?;
    let scenario = scenario.parse().map_err(ReplayError::Scenario)?;
    let mut rest = choices;
    let mut parsed = Vec::new();
    while let Some(found) = rest.chars().next() {
        let at = choices.len() - rest.len() + 1;
        let (choice, left) = next(rest).ok_or(ReplayError::Choice { found, at })?;
        parsed.push(choice);
        rest = left;
    }
    Ok((scenario, parsed))
}

/// The first choice of a text, and what comes after it.
fn next(text: &str) -> Option<(Choice, &str)> {
    for (sign, choice) in [('!', Choice::Expire), ('*', Choice::Land), ('.', Choice::Rest)] {
        if let Some(rest) = text.strip_prefix(sign) {
            return Some((choice, rest));
        }
    }
    let (actor, mut rest) =
        (0..MOST_ACTORS).find_map(|actor| Some((actor, text.strip_prefix(letter(actor))?)))?;
    let mut gate = 0;
    if let Some(digit) = rest.chars().next().and_then(|first| first.to_digit(10)) {
        gate = usize::try_from(digit).ok()?;
        rest = &rest[1..];
    }
    // The longer code first: `U+` begins with `U`.
    let all = Fault::WHILE_COPYING.into_iter().chain(Fault::AT_DATABASE);
    let fitting = all.filter(|fault| rest.starts_with(fault.code()));
    let fault = fitting.max_by_key(|fault| fault.code().len());
    let rest = fault.map_or(rest, |fault| &rest[fault.code().len()..]);
    Some((Choice::Pass { actor, gate, fault }, rest))
}
