//! A schedule in words: who does what where, under names that are the same in every run.

use crate::choice::{Choice, ReplayError, print};
use crate::cloud::Cloud;
use crate::gates::Ask;
use crate::labels::{TRANSACTION, label, live};
use crate::names::Names;
use crate::scenario::{Act, Scenario};
use crate::stage::Stage;
use std::collections::BTreeSet;
use transfer_core::invariants::{RowId, check, check_at_rest};
use transfer_core::{History, Violation, World};
use transfer_model::{Lane, Step, Trace};

/// The name of the protocol that makes no planted mistake.
const PROTOCOL: &str = "hand-over";

/// Runs a schedule and tells it, step by step.
pub(crate) fn tell(
    cloud: &Cloud,
    scenario: &Scenario,
    choices: &[Choice],
) -> Result<Trace, ReplayError> {
    let (mut told, possible) = run(cloud, scenario, choices)?;
    if told.broken().next().is_none() && !possible.is_empty() {
        return Err(ReplayError::Short { possible });
    }
    // What a transaction was for that did nothing shows where nothing went wrong with it.
    for at in 0..told.steps.len() {
        let (Choice::Pass { actor, gate, fault: Some(_) }, TRANSACTION) =
            (choices[at], told.steps[at].what.as_str())
        else {
            continue;
        };
        let mut other = choices[..at].to_vec();
        other.push(Choice::Pass { actor, gate, fault: None });
        if let Some(same) = run(cloud, scenario, &other)?.0.steps.pop() {
            told.steps[at].what = same.what;
        }
    }
    Ok(told)
}

/// The run, and what can be chosen at its end.
fn run(
    cloud: &Cloud,
    scenario: &Scenario,
    choices: &[Choice],
) -> Result<(Trace, String), ReplayError> {
    let broken = |error: std::io::Error| crate::Broken::Stack(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_err(broken)?.block_on(async {
        let stage = Stage::set(cloud, scenario).await?;
        let mut teller = Teller::new(cloud, scenario, stage);
        let told = teller.tell(choices).await;
        teller.stage.clear().await?;
        told
    })
}

fn listed(options: &[Choice]) -> String {
    let names: Vec<String> = options.iter().map(Choice::to_string).collect();
    names.join(" ")
}

struct Teller<'a> {
    cloud: &'a Cloud,
    scenario: &'a Scenario,
    stage: Stage<'a>,
    names: Names,
    known: BTreeSet<Violation>,
}

impl<'a> Teller<'a> {
    fn new(cloud: &'a Cloud, scenario: &'a Scenario, stage: Stage<'a>) -> Self {
        let mut names = Names::default();
        for view in &cloud.world.volumes {
            for key in view.rows().filter_map(|row| row.key.as_ref()) {
                let letter = if names.is_taken("key A") { "B" } else { "A" };
                names.call(key.as_str(), format!("key {letter}"));
            }
            name_rows(&mut names, view);
        }
        for offer in &cloud.world.offers {
            names.call(offer.id.as_str(), "offer");
        }
        Self { cloud, scenario, stage, names, known: BTreeSet::new() }
    }

    async fn tell(&mut self, choices: &[Choice]) -> Result<(Trace, String), ReplayError> {
        let mut before = self.cloud.world.clone();
        let mut steps = Vec::new();
        let start = self.names.world(&before);
        for (index, choice) in choices.iter().enumerate() {
            let options = self.stage.options(&before);
            if !options.contains(choice) {
                return Err(ReplayError::Unfit {
                    step: index + 1,
                    choice: choice.to_string(),
                    possible: listed(&options),
                });
            }
            let (step, after) = self.step(*choice, before).await?;
            steps.push(step);
            before = after;
        }
        let protocol = self.scenario.planted.map_or(PROTOCOL, crate::Planted::name);
        let trace = Trace {
            protocol: protocol.to_owned(),
            scenario: self.scenario.to_string(),
            replay: print(self.scenario, choices),
            names: self.cloud.names(),
            start,
            steps,
        };
        Ok((trace, listed(&self.stage.options(&before))))
    }

    async fn step(
        &mut self,
        choice: Choice,
        before: World,
    ) -> Result<(Step, World), crate::Broken> {
        let ask = match choice {
            Choice::Pass { actor, gate, .. } => self.stage.ask_at(actor, gate),
            Choice::Expire | Choice::Land | Choice::Rest => None,
        };
        let late = self.stage.late();
        self.stage.carry_out(choice).await?;
        let after = self.stage.world().await?;
        let whose = choice.actor().or(late.as_ref().map(|(actor, _)| *actor));
        self.learn(whose, &after);
        let world = self.names.world(&after);
        let history: History = self.names.history(&self.stage.history()?);
        let broken = if self.stage.is_at_rest() {
            check_at_rest(&world, &history)
        } else {
            check(&world, &history)
        };
        let mut what = label(choice, ask.as_ref(), &before, &after).to_owned();
        let about = ask.or(late.map(|(_, ask)| ask));
        if let Some(Ask::Fill(_, secret) | Ask::Delete(_, secret)) = &about {
            what = format!("{what}: {}", self.names.of(secret.as_str()));
        }
        let (from, to) = self.lanes(choice, about.as_ref());
        let step = Step {
            actor: whose.map_or_else(|| "everybody".to_owned(), |actor| self.title(actor)),
            from,
            to,
            what,
            fault: fault(choice),
            world,
            broken: broken.into_iter().filter(|one| self.known.insert(one.clone())).collect(),
        };
        Ok((step, after))
    }

    /// Names what this actor's step has brought about.
    fn learn(&mut self, actor: Option<usize>, world: &World) {
        let of = actor.map_or_else(|| "recovery".to_owned(), |actor| self.title(actor));
        for hand_over in &world.hand_overs {
            if !self.names.knows(hand_over.id().as_str()) {
                self.names.call(hand_over.id().as_str(), format!("hand-over of {of}"));
                self.names.call(hand_over.transfer().as_str(), format!("offer of {of}"));
            }
        }
        for secret in world.secrets.keys() {
            if !self.names.knows(secret.as_str()) {
                let name = (1..).map(|number| format!("shell {number} of {of}"));
                let free = name.into_iter().find(|name| !self.names.is_taken(name));
                self.names.call(secret.as_str(), free.unwrap_or_default());
            }
        }
    }

    /// An actor's title; with a number where several do the same.
    fn title(&self, actor: usize) -> String {
        title(&self.scenario.acts, actor)
    }

    fn lanes(&self, choice: Choice, ask: Option<&Ask>) -> (Lane, Lane) {
        let replica = |actor: usize| Lane::Replica(format!("replica {}", actor + 1));
        let from = match choice {
            Choice::Pass { actor, .. } => replica(actor),
            Choice::Expire => Lane::Database,
            Choice::Land => Lane::Replica("network".to_owned()),
            Choice::Rest => Lane::Replica("recovery".to_owned()),
        };
        let to = match ask {
            Some(Ask::Create(project) | Ask::Fill(project, _) | Ask::Delete(project, _)) => {
                Lane::Secrets(project.clone())
            }
            Some(Ask::Begin | Ask::Claim | Ask::Write) | None => Lane::Database,
        };
        (from, to)
    }
}

fn title(acts: &[Act], actor: usize) -> String {
    let act = acts[actor];
    if acts.iter().filter(|other| **other == act).count() == 1 {
        return act.title().to_owned();
    }
    let number = acts[..=actor].iter().filter(|other| **other == act).count();
    format!("{} ({number})", act.title())
}

fn fault(choice: Choice) -> Option<String> {
    match choice {
        Choice::Pass { fault, .. } => fault.map(|fault| fault.title().to_owned()),
        Choice::Expire => Some("held up".to_owned()),
        Choice::Land | Choice::Rest => None,
    }
}

fn name_rows(names: &mut Names, view: &transfer_core::invariants::VolumeView) {
    for (index, row) in view.rows().enumerate() {
        match &row.id {
            RowId::Volume(id) => names.call(id.as_str(), "volume"),
            RowId::Snapshot(id) => names.call(id.as_str(), format!("snapshot {index}")),
        }
    }
}

/// A world at rest under names that say what things are for, whoever made them in whichever order.
pub(crate) fn without_names(world: &World) -> World {
    let mut names = Names::default();
    for view in &world.volumes {
        for (index, row) in view.rows().enumerate() {
            if let Some(key) = &row.key {
                names.call(key.as_str(), format!("key of row {index}"));
            }
        }
    }
    for (index, offer) in world.offers.iter().enumerate() {
        names.call(offer.id.as_str(), format!("offer {index}"));
    }
    for (index, debt) in world.debts.iter().enumerate() {
        names.call(debt.hand_over.as_str(), format!("hand-over of debt {index}"));
    }
    let unnamed = world.secrets.keys().filter(|id| !names.knows(id.as_str()));
    let unnamed: Vec<String> = unnamed.map(|id| id.as_str().to_owned()).collect();
    for (index, id) in unnamed.iter().enumerate() {
        names.call(id, format!("other secret {index}"));
    }
    let mut named = names.world(world);
    // What is left in the journal has ended, and tells of secrets that are gone.
    named.hand_overs.retain(|hand_over| live(world).is_some_and(|one| one.id() == hand_over.id()));
    named
}
