//! The clients: users of three projects who offer, accept and take back the same volumes.
//!
//! They share a board of what they believe. It is often wrong, since others act meanwhile and
//! answers are lost; what they are told is judged afterwards, not here.

use crate::fleet::Fleet;
use crate::record::{Answer, Asked, Listed, Moment, Record, Span};
use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use transfer_core::invariants::Told;
use transfer_core::{ProjectId, TransferId, VolumeId};
use volume_transfer::stage::{Call, Reply, User};

/// How long clients wait for an answer: some of them not long enough.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(1_500),
    Duration::from_secs(6),
    Duration::from_secs(10),
    Duration::from_secs(10),
];

/// Before a client asks again where no replica could be reached.
const PAUSE: Duration = Duration::from_millis(50);

/// A volume that changes hands.
#[derive(Clone, Debug)]
pub(crate) struct Ball {
    pub(crate) volume: VolumeId,
    /// The users who may be shown its auth keys, by their number: its owner first.
    pub(crate) players: Vec<usize>,
}

/// What the clients believe of a volume.
#[derive(Clone, Debug)]
struct Belief {
    owner: usize,
    offer: Option<(TransferId, Option<String>)>,
    /// Whether it should be looked at first.
    in_doubt: bool,
}

/// What all clients share.
pub(crate) struct Game {
    pub(crate) users: Vec<User>,
    pub(crate) balls: Vec<Ball>,
    pub(crate) fleet: Arc<Fleet>,
    /// How many operations there are to be.
    pub(crate) goal: u64,
    pub(crate) operations: AtomicU64,
    board: Mutex<Board>,
    record: Mutex<Record>,
    start: Instant,
}

#[derive(Default)]
struct Board {
    beliefs: BTreeMap<VolumeId, Belief>,
    auth_keys: BTreeMap<TransferId, String>,
}

/// What a client is about to do.
struct Move {
    operation: Call,
    volume: VolumeId,
    user: usize,
    offer: Option<TransferId>,
    auth_key: String,
    right_key: bool,
}

impl Game {
    pub(crate) fn new(users: Vec<User>, balls: Vec<Ball>, fleet: Arc<Fleet>, goal: u64) -> Self {
        let belief = |ball: &Ball| Belief { owner: ball.players[0], offer: None, in_doubt: false };
        let beliefs = balls.iter().map(|ball| (ball.volume.clone(), belief(ball))).collect();
        Self {
            users,
            balls,
            fleet,
            goal,
            operations: AtomicU64::new(0),
            board: Mutex::new(Board { beliefs, auth_keys: BTreeMap::new() }),
            record: Mutex::default(),
            start: Instant::now(),
        }
    }

    /// Plays until the goal is reached.
    pub(crate) async fn play(&self, seed: u64) {
        let mut dice = StdRng::seed_from_u64(seed);
        while self.operations.load(Ordering::Relaxed) < self.goal {
            let Some(ball) = self.balls.choose(&mut dice) else { return };
            let belief = self.board().beliefs.get(&ball.volume).cloned();
            let Some(belief) = belief else { return };
            if belief.in_doubt || dice.random_bool(0.05) {
                self.look(ball, &mut dice).await;
            } else {
                let next = self.choose(ball, &belief, &mut dice);
                self.make(next, &mut dice).await;
            }
        }
    }

    pub(crate) fn record(&self) -> Record {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment::try_from(self.start.elapsed().as_micros()).unwrap_or(Moment::MAX)
    }

    /// Mostly what makes sense, and now and then what must be refused.
    fn choose(&self, ball: &Ball, belief: &Belief, dice: &mut StdRng) -> Move {
        let stranger = |dice: &mut StdRng| {
            (belief.owner + dice.random_range(1..self.users.len())) % self.users.len()
        };
        let mut next = Move {
            operation: Call::Initiate,
            volume: ball.volume.clone(),
            user: belief.owner,
            offer: None,
            auth_key: String::new(),
            right_key: false,
        };
        let Some((offer, auth_key)) = &belief.offer else {
            if dice.random_bool(0.1) {
                next.user = stranger(dice);
            }
            return next;
        };
        next.offer = Some(offer.clone());
        let others: Vec<usize> =
            ball.players.iter().copied().filter(|player| *player != belief.owner).collect();
        match (auth_key, dice.random_range(0..100)) {
            (Some(auth_key), 0..60) => {
                next.operation = Call::Accept;
                next.user = *others.choose(dice).unwrap_or(&belief.owner);
                next.auth_key.clone_from(auth_key);
                next.right_key = true;
            }
            (_, 60..67) => {
                next.operation = Call::Accept;
                next.user = stranger(dice);
                "0123456789abcdef".clone_into(&mut next.auth_key);
            }
            (_, 67..74) => {
                next.operation = Call::Cancel;
                next.user = stranger(dice);
            }
            _ => next.operation = Call::Cancel,
        }
        next
    }

    /// Makes the move, at one replica, once.
    async fn make(&self, next: Move, dice: &mut StdRng) {
        let Some(url) = self.fleet.pick(dice) else {
            tokio::time::sleep(PAUSE).await;
            return;
        };
        let user = &self.users[next.user];
        let patience = *PATIENCE.choose(dice).unwrap_or(&PATIENCE[0]);
        let offer = next.offer.as_ref().map_or("", TransferId::as_str);
        let began = self.now();
        let asking = async {
            match next.operation {
                Call::Initiate => user.offer(&url, next.volume.as_str()).await,
                Call::Accept => user.accept(&url, offer, &next.auth_key).await,
                Call::Cancel => user.cancel(&url, offer).await,
            }
        };
        let reply = match tokio::time::timeout(patience, asking).await {
            Ok(Err(error)) if never_left(&error) => {
                tokio::time::sleep(PAUSE).await;
                return;
            }
            Ok(Ok(reply)) => Some(reply),
            Ok(Err(_)) | Err(_) => None,
        };
        let span = Span { began, ended: self.now() };
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.conclude(next, reply, span);
    }

    /// Enters what was asked and told, and what is believed now.
    fn conclude(&self, next: Move, reply: Option<Reply>, span: Span) {
        let project = self.users[next.user].project.clone();
        let answer = reply
            .as_ref()
            .map_or(Answer::NONE, |reply| Answer::of(reply.status, &reply.body.to_string()));
        let mut offer = next.offer.clone();
        let mut board = self.board();
        let mut belief = None;
        if answer.told == Told::Done {
            belief = match next.operation {
                Call::Initiate => {
                    let made = reply.and_then(|reply| told_of(&reply).ok());
                    made.map(|(id, auth_key)| {
                        board.auth_keys.insert(id.clone(), auth_key.clone());
                        offer = Some(id.clone());
                        (next.user, Some((id, Some(auth_key))))
                    })
                }
                Call::Accept => Some((next.user, None)),
                Call::Cancel => Some((next.user, None)),
            };
        }
        if let Some(known) = board.beliefs.get_mut(&next.volume) {
            match belief {
                Some((owner, offer)) => *known = Belief { owner, offer, in_doubt: false },
                None => known.in_doubt = true,
            }
        }
        drop(board);
        let asked = Asked {
            operation: next.operation,
            volume: next.volume,
            offer,
            project,
            right_key: next.right_key,
            span,
            answer,
        };
        self.record.lock().unwrap_or_else(PoisonError::into_inner).asked.push(asked);
    }

    /// Asks each project's list for the volume, and believes what is there.
    async fn look(&self, ball: &Ball, dice: &mut StdRng) {
        let first = dice.random_range(0..self.users.len());
        let mut found = None;
        for turn in 0..self.users.len() {
            let number = (first + turn) % self.users.len();
            let Some(url) = self.fleet.pick(dice) else {
                tokio::time::sleep(PAUSE).await;
                return;
            };
            let Some(offers) = self.list(number, &url).await else { return };
            if let Some(offer) = offers.get(&ball.volume) {
                found = Some((number, offer.clone()));
                break;
            }
        }
        let owner = match &found {
            Some((owner, _)) => Some(*owner),
            None => self.owner(ball).await,
        };
        let Some(owner) = owner else { return };
        let mut board = self.board();
        let offer = found.map(|(_, offer)| {
            let auth_key = board.auth_keys.get(&offer).cloned();
            (offer, auth_key)
        });
        if let Some(belief) = board.beliefs.get_mut(&ball.volume) {
            *belief = Belief { owner, offer, in_doubt: false };
        }
    }

    /// Whose the volume is, as the block storage says.
    async fn owner(&self, ball: &Ball) -> Option<usize> {
        let path = format!("/volumes/{}", ball.volume);
        for (number, user) in self.users.iter().enumerate() {
            let reply = user.block_storage(reqwest::Method::GET, &path, None).await.ok()?;
            if reply.status == 200 {
                return Some(number);
            }
        }
        None
    }

    /// One list; none when there was no answer.
    pub(crate) async fn list(
        &self,
        user: usize,
        url: &str,
    ) -> Option<BTreeMap<VolumeId, TransferId>> {
        let began = self.now();
        let user = &self.users[user];
        let reply = tokio::time::timeout(PATIENCE[1], user.offers(url)).await.ok()?.ok()?;
        let span = Span { began, ended: self.now() };
        if reply.status != 200 {
            return None;
        }
        let rows = reply.body["transfers"].as_array().cloned().unwrap_or_default();
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().map(str::to_owned);
        let offers = rows.iter().filter_map(|row| {
            let (volume, id) = (text(row, "volume_id")?, text(row, "id")?);
            Some((VolumeId::new(volume), TransferId::new(id)))
        });
        let offers: Vec<(VolumeId, TransferId)> = offers.collect();
        let listed: BTreeSet<TransferId> = offers.iter().map(|(_, id)| id.clone()).collect();
        let listed = Listed { project: user.project.clone(), span, offers: listed };
        self.record.lock().unwrap_or_else(PoisonError::into_inner).listed.push(listed);
        Some(offers.into_iter().collect())
    }

    /// The project of each ball's first owner.
    pub(crate) fn first_owners(&self) -> BTreeMap<VolumeId, ProjectId> {
        let owner = |ball: &Ball| self.users[ball.players[0]].project.clone();
        self.balls.iter().map(|ball| (ball.volume.clone(), owner(ball))).collect()
    }
}

fn told_of(reply: &Reply) -> anyhow::Result<(TransferId, String)> {
    let id = reply.text("/transfer/id").context("an offer without an id")?;
    Ok((TransferId::new(id), reply.text("/transfer/auth_key")?))
}

/// Whether the request cannot have reached anybody.
fn never_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect)
}
