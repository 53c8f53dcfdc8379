//! More clients than a slow Barbican can serve: each is told to come again, and served afterwards.
//!
//! A third of the clients offer, a third accept, a third take back, all at the same moment. Who is
//! told 503 comes again after as long as it says. Barbican is slow until everybody has been
//! answered once, and quick from then on.

use crate::ground::{Ground, Size};
use crate::left::{self, Expected};
use crate::too_much_memory;
use anyhow::{Context as _, bail};
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use simulator::Service;
use simulator::faults::{Action, Rule};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use transfer_core::invariants::Answer as Told;
use transfer_core::{TransferId, VolumeId};
use volume_transfer::stage::{Call, Reply};

/// How many snapshots each volume has.
const SNAPSHOTS: usize = 1;
/// How many offers are made at once beforehand.
const MAKERS: usize = 16;
/// Who is still not served so long after Barbican has become quick is not served.
const RECOVERY: Duration = Duration::from_secs(30);
/// A client that is told to come again so often gives up.
const TRIES: usize = 100;
/// What a 503 has to say.
const NOTHING_CHANGED: &str = "Nothing has changed";

/// What is to be done.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// How many clients at once
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub clients: usize,
    /// How long Barbican takes for each call
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    pub delay_ms: u64,
}

/// What it came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many clients.
    pub clients: usize,
    /// How long Barbican took for each call.
    pub delay_ms: u64,
    /// How often each status was told while Barbican was slow, by operation.
    pub slow: BTreeMap<String, BTreeMap<u16, usize>>,
    /// As `slow`, afterwards.
    pub quick: BTreeMap<String, BTreeMap<u16, usize>>,
    /// How long it took until everybody had been answered once.
    pub slow_seconds: f64,
    /// From the end of that to the first success.
    pub first_success_seconds: f64,
    /// From the end of that until everybody was served.
    pub recovery_seconds: f64,
    /// The service's peak, in MiB.
    pub service_peak_mib: f64,
    /// What is wrong.
    pub findings: Vec<String>,
}

impl crate::Report for Report {
    fn findings(&self) -> &[String] {
        &self.findings
    }
}

/// What a client wants, again and again.
struct Wish {
    call: Call,
    volume: VolumeId,
    /// The offer that it is about, and what opens it.
    offer: Option<(String, String)>,
}

/// One answer.
struct Answer {
    call: Call,
    offer: Option<String>,
    reply: Reply,
    at: Instant,
}

/// Does it.
///
/// # Errors
/// What kept it from being done: nothing that it found out.
pub async fn run(plan: &Plan, binary: &Path) -> anyhow::Result<Report> {
    let ground = Ground::set(binary, 0).await?;
    let volumes = ground.make(Size { volumes: plan.clients, snapshots: SNAPSHOTS }).await?;
    let mut history = ground.history().await?;
    let wishes = wishes(&ground, volumes).await?;
    let delay = Duration::from_millis(plan.delay_ms);
    let delay = Rule::on(Service::Barbican, Action::Delay { from: delay, to: delay }).standing();
    let delay = ground.stage.simulator.faults().add(delay);

    let (answers, answered) = (Mutex::new(Vec::new()), Semaphore::new(0));
    let everybody = u32::try_from(wishes.len()).context("so many clients")?;
    let begun = Instant::now();
    let clients = async {
        let insist = |wish| insist(&ground, wish, &answers, &answered);
        let served = futures::future::try_join_all(wishes.iter().map(insist)).await;
        // Nobody is left who would answer.
        answered.close();
        served
    };
    let relief = async {
        drop(answered.acquire_many(everybody).await);
        ground.stage.simulator.faults().remove(&delay);
        Instant::now()
    };
    let (clients, relieved) = tokio::join!(clients, relief);
    clients?;
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);

    let world = ground.rest().await?;
    for wish in wishes.iter().filter(|wish| wish.call == Call::Accept) {
        history.showed_auth_key(&world, &wish.volume, &ground.recipient.project);
    }
    history.answers = answers.iter().filter_map(|answer| answer.told(&ground)).collect();
    let expected: Vec<Expected> = wishes.iter().map(|wish| wish.expected(&ground)).collect();
    let since = |at: Instant| at.saturating_duration_since(relieved).as_secs_f64();
    let after = |answer: &&Answer| answer.at > relieved;
    let successes = answers.iter().filter(after).filter(|answer| answer.reply.status == 202);
    let recovery_seconds = answers.iter().map(|answer| since(answer.at)).fold(0.0, f64::max);
    let service_peak_mib = ground.server.peak_mib()?;
    let mut findings: Vec<String> = answers.iter().filter_map(Answer::unclear).collect();
    findings.extend(left::findings(&world, &history, &expected));
    findings.extend(ground.audit().await?);
    findings.extend(too_much_memory(service_peak_mib, wishes.len()));
    if recovery_seconds > RECOVERY.as_secs_f64() {
        findings.push(format!("it took {recovery_seconds:.1} s until everybody was served"));
    }
    let report = Report {
        clients: wishes.len(),
        delay_ms: plan.delay_ms,
        slow: by_status(answers.iter().filter(|answer| answer.at <= relieved)),
        quick: by_status(answers.iter().filter(after)),
        slow_seconds: relieved.duration_since(begun).as_secs_f64(),
        first_success_seconds: successes.map(|answer| since(answer.at)).fold(f64::NAN, f64::min),
        recovery_seconds,
        service_peak_mib,
        findings,
    };
    ground.strike().await?;
    Ok(report)
}

/// A wish for each volume; what is to be accepted or taken back is offered beforehand.
async fn wishes(ground: &Ground, volumes: Vec<VolumeId>) -> anyhow::Result<Vec<Wish>> {
    let wish = async |(number, volume): (usize, VolumeId)| -> anyhow::Result<Wish> {
        let call = [Call::Initiate, Call::Accept, Call::Cancel][number % 3];
        let mut offer = None;
        if call != Call::Initiate {
            let made = ground.donor.offer(ground.server.url(), volume.as_str()).await?;
            let made = made.expect(202)?;
            offer = Some((made.text("/transfer/id")?, made.text("/transfer/auth_key")?));
        }
        Ok(Wish { call, volume, offer })
    };
    let volumes = volumes.into_iter().enumerate();
    futures::stream::iter(volumes.map(wish)).buffered(MAKERS).try_collect().await
}

/// Asks until it is served, and waits as long as it is told in between.
async fn insist(
    ground: &Ground,
    wish: &Wish,
    answers: &Mutex<Vec<Answer>>,
    answered: &Semaphore,
) -> anyhow::Result<()> {
    for attempt in 0..TRIES {
        let reply = wish.ask(ground).await;
        if attempt == 0 {
            answered.add_permits(1);
        }
        let reply = reply?;
        let again = reply.retry_after.filter(|_| reply.status == 503);
        let offer = wish.offer.as_ref().map(|(id, _)| id.clone());
        let answer = Answer { call: wish.call, offer, reply, at: Instant::now() };
        answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
        let Some(seconds) = again else { return Ok(()) };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    bail!("{} of {} was told to come again {TRIES} times", wish.call, wish.volume)
}

impl Wish {
    async fn ask(&self, ground: &Ground) -> anyhow::Result<Reply> {
        let service = ground.server.url();
        match (self.call, &self.offer) {
            (Call::Accept, Some((offer, auth_key))) => {
                ground.recipient.accept(service, offer, auth_key).await
            }
            (Call::Cancel, Some((offer, _))) => ground.donor.cancel(service, offer).await,
            (Call::Initiate | Call::Accept | Call::Cancel, _) => {
                ground.donor.offer(service, self.volume.as_str()).await
            }
        }
    }

    /// How its volume is to end, once it is served.
    fn expected(&self, ground: &Ground) -> Expected {
        let (user, status, accepts) = match self.call {
            Call::Initiate => (&ground.donor, "awaiting-transfer", 0),
            Call::Accept => (&ground.recipient, "available", 1),
            Call::Cancel => (&ground.donor, "available", 0),
        };
        let (volume, project) = (self.volume.clone(), user.project.clone());
        Expected { volume, project, status, snapshots: SNAPSHOTS, accepts }
    }
}

impl Answer {
    /// As the invariants want to know it.
    fn told(&self, ground: &Ground) -> Option<Told> {
        let caller = if self.call == Call::Accept { &ground.recipient } else { &ground.donor };
        Some(Told {
            offer: TransferId::new(self.offer.as_deref()?),
            operation: self.call.into(),
            caller: caller.project.clone(),
            told: self.reply.told(),
        })
    }

    fn unclear(&self) -> Option<String> {
        let Self { call, reply, .. } = self;
        unclear(reply).then(|| format!("{call} was told {}: {}", reply.status, reply.body))
    }
}

/// Whether an answer is neither success nor a 503 that says when to come again, and that nothing
/// has changed.
fn unclear(reply: &Reply) -> bool {
    match reply.status {
        202 => false,
        503 => reply.retry_after.is_none() || !reply.body.to_string().contains(NOTHING_CHANGED),
        _ => true,
    }
}

fn by_status<'a>(
    answers: impl Iterator<Item = &'a Answer>,
) -> BTreeMap<String, BTreeMap<u16, usize>> {
    let mut counted: BTreeMap<String, BTreeMap<u16, usize>> = BTreeMap::new();
    for answer in answers {
        let of_call = counted.entry(answer.call.to_string()).or_default();
        *of_call.entry(answer.reply.status).or_default() += 1;
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_is_no_success_and_no_clear_503_is_noticed() {
        let busy = json!({"serviceUnavailable": {"message": "Too many. Nothing has changed."}});
        for (status, retry_after, body, expected) in [
            (202, None, json!({}), false),
            (503, Some(5), busy.clone(), false),
            (503, None, busy.clone(), true),
            (503, Some(5), json!("upstream is down"), true),
            (500, Some(5), busy.clone(), true),
            (400, None, busy, true),
        ] {
            assert_eq!(unclear(&Reply { status, retry_after, body }), expected, "{status}");
        }
    }
}
