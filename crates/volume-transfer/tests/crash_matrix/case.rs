//! One case: which step of which operation fails, and how.

use super::story::{Keys, Story};
use anyhow::{Context as _, ensure};
use simulator::faults::{Action, Rule};
use simulator::{Service, events::Event};
use std::fmt;
use std::path::PathBuf;
use transfer_core::Operation;
use volume_transfer::stage::{Reply, ServerOptions};

/// One request of the server, told apart from the others by its ordinal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    service: Service,
    method: String,
    template: String,
    /// The n-th request of this kind in the operation.
    nth: u32,
}

/// What happens at the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    KilledBefore,
    KilledAfter,
    Refused,
    Failed,
    ReplyLost,
    ReplyGarbled,
    LandsLate,
}

/// One case of the matrix.
pub(crate) struct Case {
    pub(crate) operation: Operation,
    pub(crate) keys: Keys,
    pub(crate) step: Step,
    pub(crate) fault: Fault,
}

impl Step {
    /// The steps behind a stretch of the simulator's log, in its order.
    pub(crate) fn of(events: &[Event]) -> Vec<Self> {
        let mut steps: Vec<Self> = Vec::new();
        for event in events {
            let mut step = Self {
                service: event.service,
                method: event.method.to_string(),
                template: event.template.clone(),
                nth: 1,
            };
            let same = |known: &&Self| {
                (known.service, &known.method, &known.template)
                    == (step.service, &step.method, &step.template)
            };
            step.nth += u32::try_from(steps.iter().filter(same).count()).unwrap_or(u32::MAX);
            steps.push(step);
        }
        steps
    }

    fn creates_a_shell(&self) -> bool {
        self.service == Service::Barbican && self.method == "POST"
    }

    fn rule(&self, action: Action) -> Rule {
        Rule::on(self.service, action).method(&self.method).template(&self.template).nth(self.nth)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {} #{}", self.service, self.method, self.template, self.nth)
    }
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Refused,
        Self::Failed,
        Self::ReplyLost,
        Self::ReplyGarbled,
        Self::LandsLate,
    ];

    fn action(self) -> Action {
        match self {
            Self::KilledBefore => Action::HoldBefore,
            Self::KilledAfter => Action::HoldAfter,
            Self::Refused => Action::Answer { status: 403, retry_after: None },
            Self::Failed => Action::Answer { status: 503, retry_after: None },
            Self::ReplyLost => Action::DropAfter,
            Self::ReplyGarbled => Action::Garbage,
            Self::LandsLate => Action::Late(simulator::faults::Early::Drop),
        }
    }

    fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), {:?} at {}", self.operation, self.keys, self.fault, self.step)
    }
}

impl Case {
    pub(crate) async fn play(&self, binary: PathBuf) -> anyhow::Result<()> {
        let mut story = Story::begin(binary, self.keys).await?;
        story.prepare(self.operation).await?;
        let fault = story.stage.simulator.faults().add(self.step.rule(self.fault.action()));
        let answer = if self.fault.kills() {
            let server = story.server.take().context("no server")?;
            let url = server.url().to_owned();
            let kill = async {
                fault.reached().await;
                server.kill().await
            };
            let (answer, killed) = tokio::join!(story.act(self.operation, &url), kill);
            killed?;
            fault.release();
            story.server = Some(story.stage.start_server(&ServerOptions::default()).await?);
            answer
        } else {
            let url = story.url()?;
            let answer = story.act(self.operation, &url).await;
            fault.reached().await;
            answer
        };
        self.check_answer(&story, answer).await?;
        if self.fault == Fault::LandsLate {
            // It lands after the operation has ended, one way or the other.
            story.stage.rest().await?;
            fault.release();
        }
        story.stage.simulator.faults().clear();
        story.next_calls().await?;
        story.check("after recovery and the users' next calls").await?;
        story.tell_to_the_end(self.operation).await?;
        story.check("at the end of the story").await?;
        if !self.leaves_a_shell() {
            story.check_shells()?;
        }
        story.end().await
    }

    /// A shell that comes to be after its sweep stays: it is empty, and nothing knows of it.
    fn leaves_a_shell(&self) -> bool {
        self.fault == Fault::LandsLate && self.step.creates_a_shell()
    }

    /// An error answer, other than 5xx or none, promises that the rows are as before.
    async fn check_answer(
        &self,
        story: &Story,
        answer: anyhow::Result<Reply>,
    ) -> anyhow::Result<()> {
        let Ok(reply) = answer else {
            ensure!(self.fault.kills(), "no answer, although the server lives");
            return story.told_nothing(self.operation);
        };
        story.told(self.operation, &reply).await
    }
}
