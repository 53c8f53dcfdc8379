//! Who may begin: so many hand-overs at once, the others in turn by project, and no more than fit.
//!
//! A key manager that is slow makes a queue, and a queue must not become the service's memory, nor
//! one project's everybody's. When the queue is full, whoever has most in it gives way to whoever
//! has less. Who waited too long, or does not fit, is told so: nothing of theirs has begun.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use transfer_core::ProjectId;

/// How many may be at it, and how many may wait for how long.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) at_once: usize,
    pub(crate) waiting: usize,
    pub(crate) patience: Duration,
}

/// The gate. Clones are the same gate.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Gate>);

struct Gate {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inside: usize,
    waiting: usize,
    /// Those of a project in the order in which they came.
    queues: BTreeMap<ProjectId, VecDeque<oneshot::Sender<Permit>>>,
    /// The projects that have a queue; the first is next.
    turns: VecDeque<ProjectId>,
}

/// The right to be at it. Whoever is next gets it when this one is dropped.
pub(crate) struct Permit(Option<Admission>);

/// There is no room.
#[derive(Debug)]
pub(crate) struct Busy;

/// A place in a queue, given up when dropped.
struct Place<'a> {
    admission: &'a Admission,
    project: &'a ProjectId,
    turn: Option<oneshot::Receiver<Permit>>,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Gate { limits, state: Mutex::default() }))
    }

    /// Waits for a permit.
    pub(crate) async fn enter(&self, project: &ProjectId) -> Result<Permit, Busy> {
        let turn = {
            let mut state = self.state();
            if state.inside < self.0.limits.at_once {
                state.inside += 1;
                return Ok(Permit(Some(self.clone())));
            }
            if state.waiting >= self.0.limits.waiting && !state.makes_room_for(project) {
                return Err(Busy);
            }
            state.join(project)
        };
        let mut place = Place { admission: self, project, turn: Some(turn) };
        let Some(turn) = place.turn.as_mut() else { return Err(Busy) };
        match tokio::time::timeout(self.0.limits.patience, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_gave_way)) => Err(Busy),
            Err(_too_long) => Err(Busy),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn join(&mut self, project: &ProjectId) -> oneshot::Receiver<Permit> {
        let (sender, receiver) = oneshot::channel();
        let queue = self.queues.entry(project.clone()).or_default();
        if queue.is_empty() {
            self.turns.push_back(project.clone());
        }
        queue.push_back(sender);
        self.waiting += 1;
        receiver
    }

    /// Sends away the last one of the longest queue, if that is longer than the project's will be.
    fn makes_room_for(&mut self, project: &ProjectId) -> bool {
        let own = self.queues.get(project).map_or(0, VecDeque::len);
        let longest = self.queues.iter_mut().max_by_key(|(_, queue)| queue.len());
        match longest {
            Some((_, queue)) if queue.len() > own + 1 => {
                self.waiting -= usize::from(queue.pop_back().is_some());
                true
            }
            Some(_) | None => false,
        }
    }

    /// Who is next, the projects in turn.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        let project = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&project)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&project);
        } else {
            self.turns.push_back(project);
        }
        self.waiting -= usize::from(next.is_some());
        next
    }

    /// Forgets those of a project who wait no longer.
    fn tidy(&mut self, project: &ProjectId) {
        let Some(queue) = self.queues.get_mut(project) else { return };
        let before = queue.len();
        queue.retain(|sender| !sender.is_closed());
        self.waiting -= before - queue.len();
        if queue.is_empty() {
            self.queues.remove(project);
            self.turns.retain(|other| other != project);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(admission) = self.0.take() else { return };
        let mut state = admission.state();
        while let Some(next) = state.next() {
            match next.send(Self(Some(admission.clone()))) {
                Ok(()) => return,
                // Gone meanwhile: the permit comes back, and must not end here once more.
                Err(mut returned) => returned.0 = None,
            }
        }
        state.inside -= 1;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.turn.take());
        self.admission.state().tidy(self.project);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use futures::future::BoxFuture;

    fn admission(at_once: usize, waiting: usize) -> Admission {
        Admission::new(Limits { at_once, waiting, patience: Duration::from_secs(3600) })
    }

    impl Admission {
        /// How many are inside, and how many wait.
        fn numbers(&self) -> (usize, usize) {
            let state = self.state();
            (state.inside, state.waiting)
        }
    }

    /// Whoever has asked, and what they are told.
    type Asking<'a> = BoxFuture<'a, Result<Permit, Busy>>;

    /// Somebody who has asked already; `None` while they wait.
    fn ask<'a>(
        admission: &'a Admission,
        project: &'a ProjectId,
    ) -> (Asking<'a>, Option<Result<Permit, Busy>>) {
        let mut asking = admission.enter(project).boxed();
        let told = asking.as_mut().now_or_never();
        (asking, told)
    }

    #[tokio::test]
    async fn projects_take_turns_however_many_one_of_them_sends() {
        let admission = admission(1, 10);
        let (a, b) = (ProjectId::new("a"), ProjectId::new("b"));
        let mut inside = admission.enter(&a).await.unwrap();
        let order = [("a1", &a), ("a2", &a), ("a3", &a), ("b1", &b), ("b2", &b)];
        let mut waiting: Vec<_> =
            order.iter().map(|(name, project)| (*name, ask(&admission, project).0)).collect();
        let mut served = Vec::new();
        while !waiting.is_empty() {
            drop(inside);
            let ready = waiting.iter_mut().enumerate().find_map(|(place, (name, asking))| {
                asking.as_mut().now_or_never().map(|permit| (place, *name, permit.unwrap()))
            });
            let (place, name, permit) = ready.expect("somebody is next");
            served.push(name);
            inside = permit;
            drop(waiting.remove(place));
        }
        assert_eq!(served, ["a1", "b1", "a2", "b2", "a3"]);
        assert_eq!(admission.numbers(), (1, 0));
    }

    #[tokio::test]
    async fn a_full_queue_takes_nobody_but_at_the_cost_of_whoever_has_most_in_it() {
        let admission = admission(1, 3);
        let (a, b) = (ProjectId::new("a"), ProjectId::new("b"));
        let _inside = admission.enter(&a).await.unwrap();
        let mut of_a: Vec<_> = (0..3).map(|_| ask(&admission, &a)).collect();
        assert!(of_a.iter().all(|(_, told)| told.is_none()));
        assert!(matches!(ask(&admission, &a).1, Some(Err(Busy))), "a has most already");
        let first_of_b = ask(&admission, &b);
        assert!(first_of_b.1.is_none(), "b has none yet");
        let told: Vec<_> =
            of_a.iter_mut().map(|(asking, _)| asking.as_mut().now_or_never().is_some()).collect();
        assert_eq!(told, [false, false, true], "the last of a gave way");
        assert_eq!(admission.numbers(), (1, 3));
        assert!(matches!(ask(&admission, &b).1, Some(Err(Busy))), "b would have as many as a");
    }

    #[tokio::test]
    async fn who_hangs_up_frees_the_place_and_the_permit() {
        let admission = admission(1, 1);
        let project = ProjectId::new("a");
        let inside = admission.enter(&project).await.unwrap();
        drop(ask(&admission, &project));
        let (mut second, told) = ask(&admission, &project);
        assert!(told.is_none(), "the place is free again");
        drop(inside);
        let permit = second.as_mut().now_or_never().expect("its turn").unwrap();
        drop((permit, second));
        let (granted, told) = ask(&admission, &project);
        assert!(matches!(told, Some(Ok(_))), "nobody is inside");
        drop((granted, told));
        // A permit that is on its way to somebody who has gone comes back.
        let inside = admission.enter(&project).await.unwrap();
        let (waiting, _) = ask(&admission, &project);
        drop(inside);
        drop(waiting);
        assert!(matches!(ask(&admission, &project).1, Some(Ok(_))), "nobody is inside");
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so() {
        let limits = Limits { at_once: 1, waiting: 1, patience: Duration::from_millis(1) };
        let admission = Admission::new(limits);
        let project = ProjectId::new("a");
        let _inside = admission.enter(&project).await.unwrap();
        assert!(admission.enter(&project).await.is_err());
        assert_eq!(admission.numbers(), (1, 0));
    }

    #[tokio::test]
    async fn who_hangs_up_takes_nobody_elses_turn() {
        let admission = admission(1, 4);
        let (a, b) = (ProjectId::new("a"), ProjectId::new("b"));
        let inside = admission.enter(&a).await.unwrap();
        let mut of_b: Vec<_> = (0..2).map(|_| ask(&admission, &b)).collect();
        let of_a = ask(&admission, &a);
        drop(of_b.remove(0));
        assert_eq!(admission.numbers(), (1, 2));
        drop(of_a);
        assert_eq!(admission.numbers(), (1, 1));
        drop(inside);
        assert!(matches!(of_b[0].0.as_mut().now_or_never(), Some(Ok(_))), "b is next");
    }
}
