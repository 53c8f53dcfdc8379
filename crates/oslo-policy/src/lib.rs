//! oslo.policy: the rule language, the files that override rules, and the enforcer.
//!
//! Owns what `oslo_policy` 6 does with a rule, a target and credentials. Knows nothing of Cinder:
//! whoever enforces brings the defaults.
//!
//! Invariants: a rule that is not understood refuses everybody, and so does one that cannot be
//! decided (a cycle, a malformed attribute), whatever stands around it: where `oslo_policy` raises,
//! nobody is let in. Reading a rule and printing it again never panics and loses nothing. A file
//! that cannot be used never replaces the rules that hold.
//!
//! Does not: ask remote servers (`http:` and `https:` checks are refused when a file is read), nor
//! log credentials.

mod attributes;
mod check;
mod defaults;
mod enforcer;
mod evaluation;
mod files;
mod parser;
mod rules;
mod template;

pub use attributes::Attributes;
pub use check::Check;
pub use defaults::{DeprecatedRule, RuleDefault, Scope};
pub use enforcer::{Clock, Enforcer, Options};
pub use files::LoadError;
