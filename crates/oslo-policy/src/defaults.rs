//! The rules that a service brings along, before any file overrides them.

use crate::check::Check;

/// A rule that a service enforces or refers to.
#[derive(Clone, Debug)]
pub struct RuleDefault {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) check: Check,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) deprecated: Option<DeprecatedRule>,
}

/// What a rule was called and said before its default changed.
#[derive(Clone, Debug)]
pub struct DeprecatedRule {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) check: Check,
}

/// What a token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The whole deployment.
    System,
    /// A domain.
    Domain,
    /// A project; also what is said of tokens without any scope.
    Project,
}

impl RuleDefault {
    /// A rule under its name, in the rule language.
    pub fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            check: Check::parse(text),
            scopes: Vec::new(),
            deprecated: None,
        }
    }

    /// The same rule for tokens of these scopes only; of none, for all tokens.
    #[must_use]
    pub fn scopes(self, scopes: &[Scope]) -> Self {
        Self { scopes: scopes.to_vec(), ..self }
    }

    /// The same rule in the place of an older one.
    #[must_use]
    pub fn replaces(self, deprecated: DeprecatedRule) -> Self {
        Self { deprecated: Some(deprecated), ..self }
    }
}

impl DeprecatedRule {
    /// The older rule under its name, in the rule language.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), check: Check::parse(text) }
    }
}
