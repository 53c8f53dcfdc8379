//! Exploring a setting: all of it, or up to the shortest counterexample.

use crate::model::{Model, SOUND};
use crate::telling;
use crate::verdict::{Hunt, Inspector};
use crate::{Coverage, Setting, Trace};
use stateright::{Checker, Model as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far an exploration has got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Distinct states so far.
    pub states: u64,
    /// States reached so far, counting each way to one.
    pub reached: u64,
    /// Since the beginning.
    pub elapsed: Duration,
}

/// What an exploration came to.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Distinct states.
    pub states: u64,
    /// States reached, counting each way to one.
    pub reached: u64,
    /// The longest way that was gone.
    pub depth: u64,
    /// What it took.
    pub elapsed: Duration,
    /// What was visited.
    pub coverage: Coverage,
    /// A shortest way to something broken, if anything is.
    pub violation: Option<Trace>,
}

/// Between two reports of progress.
const PERIOD: Duration = Duration::from_millis(200);

impl Setting {
    /// Explores every state of it, to closure.
    pub fn explore(&self, threads: usize, progress: &dyn Fn(Progress)) -> Explored {
        let begun = Instant::now();
        let inspector = Arc::new(Inspector::new(self, Hunt::Anything));
        let model = Model { setting: self.clone(), inspector: Arc::clone(&inspector) };
        let checker = model.checker().threads(threads).spawn_dfs();
        while !checker.is_done() {
            std::thread::sleep(PERIOD);
            progress(Progress {
                states: checker.unique_state_count() as u64,
                reached: checker.state_count() as u64,
                elapsed: begun.elapsed(),
            });
        }
        let broken = checker.discovery(SOUND).is_some();
        Explored {
            states: checker.unique_state_count() as u64,
            reached: checker.state_count() as u64,
            depth: checker.max_depth() as u64,
            elapsed: begun.elapsed(),
            coverage: inspector.coverage(),
            violation: if broken { self.hunt(&self.name, Hunt::Anything) } else { None },
        }
    }

    /// A shortest way to what is looked for, if there is one.
    pub(crate) fn hunt(&self, scenario: &str, hunt: Hunt) -> Option<Trace> {
        let inspector = Arc::new(Inspector::new(self, hunt));
        let model = Model { setting: self.clone(), inspector: Arc::clone(&inspector) };
        // One thread: it goes breadth first, so that what it finds is shortest.
        let checker = model.checker().threads(1).spawn_bfs().join();
        let path = checker.discovery(SOUND)?;
        Some(telling::tell(self, scenario, hunt, path.into_actions()))
    }
}
