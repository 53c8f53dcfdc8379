//! What has been seen is not continued: situations from which the same things follow are told by
//! their digest.
//!
//! A *situation* is all that decides what can follow:
//! - the rows of every table that hand-overs write, in the order in which they were inserted. Of
//!   times nothing is kept but what a statement asks of them: whether a lease is over, whether a
//!   payment is due. Left out is what no statement reads: struck-out reservations, the words of the
//!   last failed payment, and, of a hand-over that has ended and whose driver is gone, all but its
//!   id and how it ended: only its driver reads more, to learn what became of its commit;
//! - every secret that the key manager holds, in the order of creation;
//! - of each actor the gates that it stands at, what its caller was told, whether it has begun, is
//!   over or has crashed, the tokens that it has lost and may yet use, and its [`Memory`];
//! - the offer that callers know of, the effect that has not landed yet, what a watcher has seen,
//!   and what may still go wrong.
//!
//! Schedules differ in random ids and in who comes first. So an id is called by whoever brought it
//! about, as its n-th: what an actor remembers of it is then the same in every schedule. An id that
//! nobody has brought about keeps its own name, and a random one is never taken for another.
//!
//! Nobody can look into an actor. But a step of it is decided by what it remembers, by the choice,
//! and by what its footprint says that it touched, as it was before the step; so a digest of these,
//! step after step, stands for its memory. Once a driver's claim, state, commit or abort is in the
//! database, its own row of the journal is all that it goes by: the engine's loop takes its state
//! from there. What it still has beside is what it has read of secrets, which is kept, and where
//! its answer has not come yet the rest of the step, which shows in where it stands. Who has ended
//! or crashed remembers nothing.
//!
//! This relies on what the search relies on, footprints that are complete above all, and on that
//! nothing waits for time to pass. Digests have 128 bits.
//!
//! **Sleep sets** stand in the way of matching: what slept at a situation was not explored from it.
//! So it is kept with the situation, and where that comes about again, whatever of it is awake now
//! is explored (Godefroid, *Partial-Order Methods*, 1996, chapter 6).

use crate::Broken;
use crate::choice::Choice;
use crate::cloud::Cloud;
use crate::footprint::{Footprint, Resource};
use crate::gates::Ask;
use crate::labels;
use crate::rows::RowText;
use crate::scenario::{Act, Scenario};
use crate::stage::Stage;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The fewest hexadecimal digits of an id.
const SHORTEST_ID: usize = 8;

/// Stands for a text that is too long to be kept.
pub(crate) type Digest = u128;

/// What an actor goes by that is not in the database.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Memory {
    /// Its steps since it last wrote down how far it is.
    since: Digest,
    /// What it has read of secrets in its operation.
    read: BTreeSet<String>,
}

/// Situations, each with what slept whenever it was explored.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<Digest, BTreeSet<Choice>>);

/// What is left to be explored of a situation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    /// It has not been seen.
    Everything,
    /// These slept whenever it was seen, and do not sleep now; the others of what sleeps now have
    /// been explored.
    Awake {
        /// To be explored.
        awake: BTreeSet<Choice>,
        /// Still asleep.
        asleep: BTreeSet<Choice>,
    },
    /// Nothing.
    Nothing,
}

impl Seen {
    /// Comes to a situation in which these choices sleep. What is left is explored from now on.
    pub(crate) fn visit(&mut self, situation: Digest, asleep: &BTreeSet<Choice>) -> Left {
        let Some(slept) = self.0.get_mut(&situation) else {
            self.0.insert(situation, asleep.clone());
            return Left::Everything;
        };
        let awake: BTreeSet<Choice> = slept.difference(asleep).copied().collect();
        if awake.is_empty() {
            return Left::Nothing;
        }
        slept.retain(|choice| asleep.contains(choice));
        Left::Awake { awake, asleep: slept.clone() }
    }
}

/// Follows one run.
pub(crate) struct Follower<'a> {
    cloud: &'a Cloud,
    scenario: &'a Scenario,
    names: Names,
    shared: Shared,
    pub(crate) memories: Vec<Memory>,
}

/// What a follower knows at one moment.
#[derive(Clone)]
pub(crate) struct Knowledge {
    names: Names,
    shared: Shared,
    memories: Vec<Memory>,
}

/// What actors share, as it stands.
#[derive(Clone, Default)]
struct Shared {
    /// The rows, under their names, by table.
    rows: BTreeMap<&'static str, Vec<RowText>>,
    /// The secrets, by their names, in the order of creation.
    secrets: Vec<(String, String)>,
}

impl<'a> Follower<'a> {
    /// At the start of a run.
    pub(crate) fn new(cloud: &'a Cloud, scenario: &'a Scenario) -> Result<Self, Broken> {
        let mut follower = Self {
            cloud,
            scenario,
            names: Names::default(),
            shared: Shared::default(),
            memories: vec![Memory::default(); scenario.acts.len()],
        };
        for constant in cloud.constants() {
            follower.names.keep(&constant);
        }
        for (_table, rows) in cloud.rows(|_every| true)? {
            rows.iter().for_each(|row| follower.names.keep(&row.text));
        }
        for secret in cloud.simulator.secrets() {
            follower.names.keep(&secret.id);
        }
        follower.look(None)?;
        Ok(follower)
    }

    /// At a moment that was kept.
    pub(crate) fn resume(cloud: &'a Cloud, scenario: &'a Scenario, known: &Knowledge) -> Self {
        let Knowledge { names, shared, memories } = known.clone();
        Self { cloud, scenario, names, shared, memories }
    }

    pub(crate) fn knowledge(&self) -> Knowledge {
        let (names, shared) = (self.names.clone(), self.shared.clone());
        Knowledge { names, shared, memories: self.memories.clone() }
    }

    /// Looks at everything that is shared, after a step or where its new ids are known; whether
    /// there were new ids.
    pub(crate) fn look(&mut self, step: Option<Choice>) -> Result<bool, Broken> {
        self.look_at(|_every| true, step)
    }

    /// Looks at these tables, and at the secrets.
    fn look_at(
        &mut self,
        tables: impl Fn(&str) -> bool,
        step: Option<Choice>,
    ) -> Result<bool, Broken> {
        let known = self.names.0.len();
        let whose = whose(step);
        let read = self.cloud.rows(tables)?;
        for row in read.iter().flat_map(|(_, rows)| rows) {
            self.names.learn(&row.text, &whose);
        }
        for (table, rows) in read {
            let named = rows.into_iter().map(|RowText { text, ended }| RowText {
                text: self.names.apply(&text),
                ended: ended.map(|ended| self.names.apply(&ended)),
            });
            let named = named.collect();
            self.shared.rows.insert(table, named);
        }
        self.look_at_secrets(&whose);
        Ok(self.names.0.len() > known)
    }

    fn look_at_secrets(&mut self, whose: &str) {
        let secrets = self.cloud.simulator.secrets();
        for one in &secrets {
            self.names.learn(&one.id, whose);
        }
        self.shared.secrets.clear();
        for one in secrets {
            let attributes = (&one.content_type, &one.algorithm, one.bit_length, &one.mode);
            let owner = (&one.project, &one.creator, &one.name, &one.secret_type);
            let text = format!("{owner:?} {:?} {attributes:?}", one.fingerprint);
            self.shared.secrets.push((self.names.apply(&one.id), self.names.apply(&text)));
        }
    }

    /// After a step: what whoever made it remembers, and whether there are new ids.
    pub(crate) fn step(
        &mut self,
        stage: &Stage<'_>,
        choice: Choice,
        ask: Option<&Ask>,
        footprint: &Footprint,
        label: &'static str,
    ) -> Result<bool, Broken> {
        let touched = self.touched(footprint);
        // What happens on the way to a rest passes no door.
        let is_written = |table: &str| choice == Choice::Rest || footprint.writes_table(table);
        let is_new = self.look_at(is_written, Some(choice))?;
        let Choice::Pass { actor, fault, .. } = choice else { return Ok(is_new) };
        let memory = &mut self.memories[actor];
        let progress = &stage.progress()[actor];
        if progress.over || progress.crashed {
            *memory = Memory::default();
            return Ok(is_new);
        }
        memory.read.extend(touched.secrets.iter().cloned());
        if progress.told.is_some() {
            memory.read.clear();
        }
        let drives = self.scenario.acts[actor] != Act::Recovery;
        let writes_itself_down = drives && fault.is_none() && labels::WRITTEN_DOWN.contains(&label);
        memory.since = if writes_itself_down {
            digest(&[label])
        } else {
            let ask = self.names.apply(&format!("{ask:?}"));
            let before = memory.since.to_string();
            digest(&[&before, &choice.to_string(), &ask, &touched.text()])
        };
        Ok(is_new)
    }

    /// The situation.
    pub(crate) fn situation(&self, stage: &Stage<'_>) -> Result<Digest, Broken> {
        let own = self.names.apply(&stage.describe()?);
        let progress = stage.progress();
        let is_gone = |ended: &&String| driver(ended).is_none_or(|actor| progress[actor].is_gone());
        let rows = self.shared.rows.values().map(|rows| {
            let known =
                rows.iter().map(|row| row.ended.as_ref().filter(is_gone).unwrap_or(&row.text));
            known.collect::<Vec<_>>()
        });
        let rows: Vec<_> = rows.collect();
        let tables = format!("{rows:?} {:?}", self.shared.secrets);
        Ok(digest(&[&own, &tables, &format!("{:?}", self.memories)]))
    }

    /// What a footprint touches, as it stands.
    fn touched(&self, footprint: &Footprint) -> Touched {
        let mut touched = Touched::default();
        for resource in footprint.touched() {
            match resource {
                Resource::Table(table) => {
                    let rows = self.shared.rows.get(table.as_str()).into_iter().flatten();
                    let rows = rows.map(|row| row.text.clone()).collect();
                    touched.tables.insert(table.clone(), rows);
                }
                Resource::Secret(id) => {
                    let name = self.names.apply(id);
                    let found = self.shared.secrets.iter().find(|(other, _)| *other == name);
                    touched.secrets.insert(format!("{name} {found:?}"));
                }
                Resource::Listing => {
                    touched.secrets.insert(format!("{:?}", self.shared.secrets));
                }
                Resource::Created(_) | Resource::Fault => {}
            }
        }
        touched
    }
}

/// Who drove a hand-over that has ended; nobody whose id was there from the start.
fn driver(ended: &str) -> Option<usize> {
    ended.split_once(" of ")?.1.split('>').next()?.parse().ok()
}

/// Whose the ids are that a step has brought about.
fn whose(step: Option<Choice>) -> String {
    step.map_or_else(String::new, |step| match step.actor() {
        Some(actor) => format!("of {actor}"),
        None => format!("of {step}"),
    })
}

#[derive(Default)]
struct Touched {
    tables: BTreeMap<String, Vec<String>>,
    secrets: BTreeSet<String>,
}

impl Touched {
    fn text(&self) -> String {
        format!("{:?} {:?}", self.tables, self.secrets)
    }
}

/// What ids are called.
#[derive(Clone, Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    /// The ids of a text are the same in every run.
    fn keep(&mut self, text: &str) {
        for (id, _) in pieces(text).filter(|(_, is_id)| *is_id) {
            self.0.insert(id.to_owned(), id.to_owned());
        }
    }

    /// The ids of a text that are new are somebody's.
    fn learn(&mut self, text: &str, whose: &str) {
        for (id, _) in pieces(text).filter(|(_, is_id)| *is_id) {
            if self.0.contains_key(id) {
                continue;
            }
            let suffix = format!(" {whose}>");
            let earlier = self.0.values().filter(|name| name.ends_with(&suffix)).count();
            self.0.insert(id.to_owned(), format!("<{earlier}{suffix}"));
        }
    }

    /// The text with names in place of ids. What has no name stays as it is.
    fn apply(&self, text: &str) -> String {
        let mut named = String::with_capacity(text.len());
        for (piece, is_id) in pieces(text) {
            let name = self.0.get(piece).filter(|_| is_id);
            named.push_str(name.map_or(piece, String::as_str));
        }
        named
    }
}

/// The ids of a text, and what stands between them.
fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c) || c == '-';
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_digit = digit(first) && first != '-';
        let end = rest
            .find(|c: char| if is_digit { !digit(c) } else { digit(c) && c != '-' })
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some((piece, is_digit && piece.len() >= SHORTEST_ID))
    })
}

fn digest(parts: &[&str]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    Digest::from_be_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_called_by_who_brought_it_about_and_a_constant_keeps_its_name() {
        let mut names = Names::default();
        names.keep("volume '11111111-1111-4111-8111-111111111101'");
        names.learn("{\"id\":\"5e5b3bc0-0000-4000-8000-00000000000a\"}", "of 1");
        names.learn("5e5b3bc0-0000-4000-8000-00000000000a 0123abcd", "of 0");
        names.learn("89abcdef", "of 1");
        let text = "state 1: 5e5b3bc0-0000-4000-8000-00000000000a, 0123abcd, deadbeef, 89abcdef of \
                    11111111-1111-4111-8111-111111111101";
        assert_eq!(
            names.apply(text),
            "state 1: <0 of 1>, <0 of 0>, deadbeef, <1 of 1> of \
             11111111-1111-4111-8111-111111111101"
        );
    }

    #[test]
    fn of_a_situation_that_has_been_seen_only_what_always_slept_is_left() {
        let choices = |choices: &[Choice]| choices.iter().copied().collect::<BTreeSet<_>>();
        let (expire, land, rest) = (Choice::Expire, Choice::Land, Choice::Rest);
        let mut seen = Seen::default();
        for (situation, asleep, left) in [
            (1, choices(&[rest, land]), Left::Everything),
            (2, choices(&[]), Left::Everything),
            (1, choices(&[rest, land, expire]), Left::Nothing),
            (
                1,
                choices(&[land, expire]),
                Left::Awake { awake: choices(&[rest]), asleep: choices(&[land]) },
            ),
            (1, choices(&[land]), Left::Nothing),
            (1, choices(&[]), Left::Awake { awake: choices(&[land]), asleep: choices(&[]) }),
            (1, choices(&[]), Left::Nothing),
            (2, choices(&[land]), Left::Nothing),
        ] {
            assert_eq!(seen.visit(situation, &asleep), left, "{situation} {asleep:?}");
        }
    }
}
