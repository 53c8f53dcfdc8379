//! What a schedule is about: the world at the start, and who acts in it.
//!
//! Y and Z are interchangeable, so Z comes only where Y does. In the world `available` there is no
//! offer yet: whoever accepts or cancels begins once an initiate has been answered.

use crate::choice::Choice;
use crate::gates::Progress;
use std::fmt;
use std::str::FromStr;
use transfer_core::Operation;

/// The most actors of a scenario.
pub(crate) const MOST_ACTORS: usize = 3;

/// What one actor does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Act {
    Initiate,
    AcceptY,
    AcceptZ,
    Cancel,
    Recovery,
}

/// The world at the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Start {
    /// Whether X has offered the volume.
    pub(crate) offered: bool,
    /// Whether the second snapshot has a key of its own.
    pub(crate) two_keys: bool,
}

/// A deliberate mistake. The check is worth something because it finds each of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Planted {
    /// The old secret is deleted once its copy is filled, before the commit.
    DeleteBeforeCommit,
    /// The volume's row is repointed once the copy is filled, without claim or fence, and the
    /// snapshots' rows later, as upstream does it.
    RepointVolumeFirst,
}

/// A start and up to three actors.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Scenario {
    pub(crate) planted: Option<Planted>,
    pub(crate) start: Start,
    pub(crate) acts: Vec<Act>,
}

impl Act {
    pub(crate) const ALL: [Self; 5] =
        [Self::Initiate, Self::AcceptY, Self::AcceptZ, Self::Cancel, Self::Recovery];

    fn name(self) -> &'static str {
        match self {
            Self::Initiate => "initiate",
            Self::AcceptY => "accept-y",
            Self::AcceptZ => "accept-z",
            Self::Cancel => "cancel",
            Self::Recovery => "recovery",
        }
    }

    /// Who does what, as a report calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Initiate => "initiate by X",
            Self::AcceptY => "accept by Y",
            Self::AcceptZ => "accept by Z",
            Self::Cancel => "cancel by X",
            Self::Recovery => "recovery",
        }
    }

    /// The caller's letter; recovery has none.
    pub(crate) fn caller(self) -> Option<char> {
        match self {
            Self::Initiate | Self::Cancel => Some('X'),
            Self::AcceptY => Some('Y'),
            Self::AcceptZ => Some('Z'),
            Self::Recovery => None,
        }
    }

    /// What the caller asks for.
    pub(crate) fn operation(self) -> Option<Operation> {
        match self {
            Self::Initiate => Some(Operation::Initiate),
            Self::AcceptY | Self::AcceptZ => Some(Operation::Accept),
            Self::Cancel => Some(Operation::Cancel),
            Self::Recovery => None,
        }
    }

    /// Whether it ends an offer, and therefore needs one.
    pub(crate) fn ends_an_offer(self) -> bool {
        matches!(self.operation(), Some(Operation::Accept | Operation::Cancel))
    }
}

impl Planted {
    pub(crate) const ALL: [Self; 2] = [Self::DeleteBeforeCommit, Self::RepointVolumeFirst];

    /// The name of the protocol that makes this mistake.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeleteBeforeCommit => "delete-before-commit",
            Self::RepointVolumeFirst => "repoint-volume-first",
        }
    }
}

impl Scenario {
    /// Whether another actor, who comes before, could do the same instead, with everybody's name
    /// changed and nothing else: neither of them has begun.
    ///
    /// Equals are two that do the same, and the one who accepts as Y and the one who does as Z, as
    /// long as nobody has accepted as either.
    pub(crate) fn has_twin_before(&self, choice: Choice, progress: &[Progress]) -> bool {
        let Some(actor) = choice.actor().filter(|actor| !progress[*actor].begun) else {
            return false;
        };
        let accepts = |act: &Act| matches!(act, Act::AcceptY | Act::AcceptZ);
        let of_accepts = self.acts.iter().filter(|act| accepts(act)).count();
        (0..actor).any(|earlier| {
            let (one, other) = (self.acts[earlier], self.acts[actor]);
            let both_accept = accepts(&one) && accepts(&other) && of_accepts == 2;
            !progress[earlier].begun && (one == other || both_accept)
        })
    }
}

/// Every operation by itself.
pub(crate) fn alone(two_keys: bool) -> Vec<Scenario> {
    [(false, Act::Initiate), (true, Act::AcceptY), (true, Act::Cancel)]
        .into_iter()
        .map(move |(offered, act)| Scenario {
            planted: None,
            start: Start { offered, two_keys },
            acts: vec![act],
        })
        .collect()
}

/// Every pair.
pub(crate) fn pairs(two_keys: bool) -> Vec<Scenario> {
    let mut all = Vec::new();
    for offered in [true, false] {
        for (index, first) in Act::ALL.into_iter().enumerate() {
            for second in Act::ALL.into_iter().skip(index) {
                let acts = vec![first, second];
                if makes_sense(offered, &acts) {
                    all.push(Scenario { planted: None, start: Start { offered, two_keys }, acts });
                }
            }
        }
    }
    all
}

/// Every triple.
pub(crate) fn triples(two_keys: bool) -> Vec<Scenario> {
    let mut all = Vec::new();
    for offered in [true, false] {
        for (index, first) in Act::ALL.into_iter().enumerate() {
            for (further, second) in Act::ALL.into_iter().enumerate().skip(index) {
                for third in Act::ALL.into_iter().skip(further) {
                    let acts = vec![first, second, third];
                    if makes_sense(offered, &acts) {
                        let start = Start { offered, two_keys };
                        all.push(Scenario { planted: None, start, acts });
                    }
                }
            }
        }
    }
    all
}

/// Somebody can act at the start, Z comes only beside Y, and recovery comes once.
fn makes_sense(offered: bool, acts: &[Act]) -> bool {
    let count = |act: Act| acts.iter().filter(|one| **one == act).count();
    let begins =
        if offered { acts.iter().any(|act| act.ends_an_offer()) } else { count(Act::Initiate) > 0 };
    begins && count(Act::AcceptZ) <= count(Act::AcceptY) && count(Act::Recovery) <= 1
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = if self.offered { "offered" } else { "available" };
        write!(f, "{stage}-{}", if self.two_keys { 2 } else { 1 })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(planted) = self.planted {
            write!(f, "{}/", planted.name())?;
        }
        let acts: Vec<&str> = self.acts.iter().map(|act| act.name()).collect();
        write!(f, "{}:{}", self.start, acts.join("+"))
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (planted, rest) = match text.split_once('/') {
            None => (None, text),
            Some((name, rest)) => {
                let planted = Planted::ALL.into_iter().find(|planted| planted.name() == name);
                (Some(planted.ok_or_else(|| format!("no protocol is called {name:?}"))?), rest)
            }
        };
        let (world, acts) = rest
            .split_once(':')
            .ok_or_else(|| format!("{rest:?} is not the name of a world, `:` and of acts"))?;
        let worlds = [(true, true), (true, false), (false, true), (false, false)];
        let start = worlds
            .into_iter()
            .map(|(offered, two_keys)| Start { offered, two_keys })
            .find(|start| start.to_string() == world)
            .ok_or_else(|| format!("no world is called {world:?}"))?;
        let acts: Vec<Act> = acts
            .split('+')
            .map(|name| {
                let act = Act::ALL.into_iter().find(|act| act.name() == name);
                act.ok_or_else(|| format!("nobody does {name:?}"))
            })
            .collect::<Result<_, _>>()?;
        if acts.len() > MOST_ACTORS {
            return Err(format!("{} actors, at most {MOST_ACTORS} are known", acts.len()));
        }
        Ok(Self { planted, start, acts })
    }
}
