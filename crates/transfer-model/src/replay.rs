//! Running a run again from the text that was printed of it.

use crate::verdict::Hunt;
use crate::{Setting, Trace, known_bad, telling};

/// Why a text is not a run of the model.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// Not of the form that is printed.
    #[error("that is no run of the model: those look like model/WORLD/1.0.2")]
    Malformed,
    /// No such world.
    #[error("there is no world {0:?}")]
    NoSuchWorld(String),
    /// A step that is not there.
    #[error("step {step} asks for choice {choice}, and there are {there_are}")]
    NoSuchChoice {
        /// Which step, from 1.
        step: usize,
        /// What is asked for.
        choice: usize,
        /// How many choices there are.
        there_are: usize,
    },
}

/// The run of this text.
///
/// # Errors
/// [`ReplayError`] when the text is not a run.
pub fn replay(text: &str) -> Result<Trace, ReplayError> {
    let mut parts = text.trim().split('/');
    let (Some("model"), Some(world), Some(choices), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(ReplayError::Malformed);
    };
    let (setting, hunt) =
        world_named(world).ok_or_else(|| ReplayError::NoSuchWorld(world.to_owned()))?;
    let mut state = setting.start_state();
    let mut run = Vec::new();
    for (at, choice) in choices.split('.').enumerate() {
        let choice: usize = choice.parse().map_err(|_error| ReplayError::Malformed)?;
        let mut actions = Vec::new();
        setting.actions(&state, &mut actions);
        let there_are = actions.len();
        let Some(action) = actions.get(choice).copied() else {
            return Err(ReplayError::NoSuchChoice { step: at + 1, choice, there_are });
        };
        state = setting.step(&state, action);
        run.push(action);
    }
    Ok(telling::tell(&setting, world, hunt, run))
}

fn world_named(name: &str) -> Option<(Setting, Hunt)> {
    if let Some(budget) = name.strip_prefix("everything-") {
        let (faults, crashes) = budget.split_once('-')?;
        let setting = Setting::everything(faults.parse().ok()?, crashes.parse().ok()?);
        return Some((setting, Hunt::Anything));
    }
    if let Some(budget) = name.strip_prefix("unreduced-") {
        let (faults, crashes) = budget.split_once('-')?;
        let setting = Setting::everything(faults.parse().ok()?, crashes.parse().ok()?).unreduced();
        return Some((setting, Hunt::Anything));
    }
    let scenario = known_bad::scenarios().into_iter().find(|scenario| scenario.name == name)?;
    let hunt = scenario.hunt();
    Some((scenario.setting, hunt))
}
