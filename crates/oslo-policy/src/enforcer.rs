//! Answers whether a caller may do something, by rules that files may change at any time.
//!
//! Files are looked at when a rule is enforced, once a second at most, and read when one of them
//! came, went, or changed its time or size. Files that cannot be used leave the rules as they were;
//! the log says so once.

use crate::attributes::{Attributes, is_set};
use crate::defaults::{RuleDefault, Scope};
use crate::evaluation::Evaluation;
use crate::files::{LoadError, Sources, Survey};
use crate::rules::Rules;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often files are looked at, at most.
const PERIOD: Duration = Duration::from_secs(1);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What a deployment chooses. The names are those of `[oslo_policy]`.
#[derive(Clone, Debug)]
pub struct Options {
    /// `policy_file`: a file whose rules override the defaults.
    pub policy_file: Option<PathBuf>,
    /// `policy_dirs`: directories of more such files.
    pub policy_dirs: Vec<PathBuf>,
    /// `enforce_new_defaults`: whether a default alone holds, and not what it was before as well.
    pub enforce_new_defaults: bool,
    /// `enforce_scope`: whether a token of a scope that a rule is not for is refused.
    pub enforce_scope: bool,
}

impl Default for Options {
    /// oslo.policy's defaults, without files.
    fn default() -> Self {
        Self {
            policy_file: None,
            policy_dirs: Vec::new(),
            enforce_new_defaults: true,
            enforce_scope: true,
        }
    }
}

/// Enforces rules.
pub struct Enforcer {
    defaults: Vec<RuleDefault>,
    sources: Sources,
    enforce_new_defaults: bool,
    enforce_scope: bool,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    rules: Arc<Rules>,
    survey: Survey,
    looked_at: Instant,
    /// What the log said last of files that cannot be used.
    complaint: Option<String>,
}

impl Enforcer {
    /// Enforces these defaults, and no files.
    pub fn of_defaults(defaults: Vec<RuleDefault>) -> Self {
        let rules = Rules::new(&defaults, &Default::default(), true);
        Self::with(defaults, Options::default(), Arc::new(Instant::now), rules, Survey::default())
    }

    /// Enforces these defaults and what the files of the options say instead.
    ///
    /// # Errors
    /// When a file is there and cannot be used.
    pub fn new(
        defaults: Vec<RuleDefault>,
        options: Options,
        clock: Clock,
    ) -> Result<Self, LoadError> {
        let sources =
            Sources { file: options.policy_file.clone(), dirs: options.policy_dirs.clone() };
        let survey = sources.survey()?;
        let missing = options.policy_file.as_ref().filter(|file| !survey.has(file));
        if let Some(file) = missing {
            tracing::warn!(file = %file.display(), "no policy file there: defaults hold");
        }
        let rules = Rules::new(&defaults, &survey.read()?, options.enforce_new_defaults);
        Ok(Self::with(defaults, options, clock, rules, survey))
    }

    fn with(
        defaults: Vec<RuleDefault>,
        options: Options,
        clock: Clock,
        rules: Rules,
        survey: Survey,
    ) -> Self {
        report(&rules);
        let looked_at = clock();
        let state = State { rules: Arc::new(rules), survey, looked_at, complaint: None };
        Self {
            defaults,
            sources: Sources { file: options.policy_file, dirs: options.policy_dirs },
            enforce_new_defaults: options.enforce_new_defaults,
            enforce_scope: options.enforce_scope,
            clock,
            state: Mutex::new(state),
        }
    }

    /// Whether the rule lets a caller do this to a target. A rule that nobody defines lets nobody.
    pub fn enforce(&self, rule: &str, target: &Attributes, credentials: &Attributes) -> bool {
        let rules = self.rules();
        if !self.scope_fits(rule, credentials) {
            return false;
        }
        let decided = Evaluation::new(&rules, target, credentials).rule(rule);
        decided.unwrap_or_else(|error| {
            tracing::error!(rule, %error, "the rule cannot be decided: refused");
            false
        })
    }

    fn scope_fits(&self, rule: &str, credentials: &Attributes) -> bool {
        let is_set = |name| is_set(credentials.get(name));
        let scope = if is_set("system_scope") || is_set("system") {
            Scope::System
        } else if is_set("domain_id") {
            Scope::Domain
        } else {
            Scope::Project
        };
        let scopes = self.defaults.iter().find(|default| default.name == rule);
        let scopes = scopes.map_or(&[] as &[_], |default| &default.scopes);
        let fits = scopes.is_empty() || scopes.contains(&scope);
        if !fits && !self.enforce_scope {
            tracing::warn!(rule, ?scope, ?scopes, "the token's scope is none of the rule's");
        }
        fits || !self.enforce_scope
    }

    /// The rules that hold now.
    fn rules(&self) -> Arc<Rules> {
        // what a panic left behind is whole: each field is set at once
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        if now.duration_since(state.looked_at) >= PERIOD {
            state.looked_at = now;
            self.look(&mut state);
        }
        state.rules.clone()
    }

    fn look(&self, state: &mut State) {
        let files = self.sources.survey().and_then(|survey| {
            if survey == state.survey {
                return Ok(None);
            }
            let files = survey.read();
            // what could not be read may be readable later without having changed
            if !matches!(files, Err(LoadError::Unreadable { .. })) {
                state.survey = survey;
            }
            files.map(Some)
        });
        let complaint = files.as_ref().err().map(ToString::to_string);
        match files {
            Ok(None) => {}
            Ok(Some(files)) => {
                tracing::info!("policy files have changed: their rules hold");
                let rules = Rules::new(&self.defaults, &files, self.enforce_new_defaults);
                report(&rules);
                state.rules = Arc::new(rules);
            }
            Err(error) if complaint != state.complaint => {
                tracing::error!(%error, "policy files cannot be used: the old rules hold");
            }
            Err(_) => {}
        }
        state.complaint = complaint;
    }
}

fn report(rules: &Rules) {
    for flaw in rules.flaws() {
        tracing::warn!(%flaw, "policy");
    }
}

impl fmt::Debug for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcer")
            .field("sources", &self.sources)
            .field("enforce_new_defaults", &self.enforce_new_defaults)
            .field("enforce_scope", &self.enforce_scope)
            .finish_non_exhaustive()
    }
}
