//! The rules that hold: a service's defaults, and what files say instead.
//!
//! oslo.policy: `policy.py` `load_rules`, `_handle_deprecated_rule`, `check_rules`. A rule of a
//! file wins over every default. A name that nobody defines stands for the rule `default`, if there
//! is one.

use crate::check::{Check, Subject};
use crate::defaults::RuleDefault;
use std::collections::{BTreeMap, BTreeSet};

/// The rule that stands for those that are not defined.
const DEFAULT_RULE: &str = "default";

/// Rules by name.
pub(crate) type Checks = BTreeMap<String, Check>;

/// The rules that hold.
#[derive(Debug)]
pub(crate) struct Rules(Checks);

/// What is wrong with a rule, although it can be loaded. Each of them refuses, once it is come to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("rule {rule} refers to {name}, which is not defined")]
    Undefined { rule: String, name: String },
    #[error("rule {rule} refers to itself, or to one that does")]
    Cyclic { rule: String },
    #[error("rule {rule} holds {check}, which can never be decided")]
    Malformed { rule: String, check: String },
}

impl Rules {
    /// The defaults, where the files are silent.
    pub(crate) fn new(
        defaults: &[RuleDefault],
        files: &Checks,
        enforce_new_defaults: bool,
    ) -> Self {
        let mut rules = files.clone();
        for default in defaults {
            rules
                .entry(default.name.clone())
                .or_insert_with(|| resolve(default, files, enforce_new_defaults));
        }
        Self(rules)
    }

    /// The rule of this name, or the one that stands for it, with the name of what was found.
    pub(crate) fn find(&self, name: &str) -> Option<(&str, &Check)> {
        let found = self.0.get_key_value(name).or_else(|| self.0.get_key_value(DEFAULT_RULE));
        found.map(|(name, check)| (name.as_str(), check))
    }

    /// What the log should say of these rules.
    pub(crate) fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        for (rule, check) in &self.0 {
            for leaf in check.leaves() {
                if let Check::Rule(name) = leaf
                    && !self.0.contains_key(name)
                {
                    flaws.push(Flaw::Undefined { rule: rule.clone(), name: name.clone() });
                }
                if is_malformed(leaf) {
                    flaws.push(Flaw::Malformed { rule: rule.clone(), check: leaf.to_string() });
                }
            }
        }
        flaws.extend(self.cyclic().into_iter().map(|rule| Flaw::Cyclic { rule: rule.to_owned() }));
        flaws
    }

    /// The rules from which a cycle is reached: what is left after taking away, again and again,
    /// those that refer to nothing that is left.
    fn cyclic(&self) -> BTreeSet<&str> {
        let mut left: BTreeSet<_> = self.0.keys().map(String::as_str).collect();
        loop {
            let refers = |name: &&str| {
                self.0.get(*name).is_some_and(|check| {
                    check.leaves().into_iter().any(|leaf| match leaf {
                        Check::Rule(name) => {
                            self.find(name).is_some_and(|(name, _)| left.contains(name))
                        }
                        Check::True
                        | Check::False
                        | Check::Not(_)
                        | Check::And(_)
                        | Check::Or(_)
                        | Check::Role(_)
                        | Check::Attribute(_)
                        | Check::Remote(_) => false,
                    })
                })
            };
            let kept: BTreeSet<_> = left.iter().copied().filter(refers).collect();
            if kept.len() == left.len() {
                return kept;
            }
            left = kept;
        }
    }
}

/// A default that no file overrides: the file's rule under its older name, the new rule, or that
/// or the older one.
fn resolve(default: &RuleDefault, files: &Checks, enforce_new_defaults: bool) -> Check {
    let Some(deprecated) = &default.deprecated else { return default.check.clone() };
    if deprecated.name != default.name
        && let Some(file) = files.get(&deprecated.name)
        && *file != deprecated.check
        && *file != Check::Rule(default.name.clone())
    {
        return file.clone();
    }
    if enforce_new_defaults || deprecated.text == default.text {
        default.check.clone()
    } else {
        Check::Or(vec![default.check.clone(), deprecated.check.clone()])
    }
}

fn is_malformed(leaf: &Check) -> bool {
    match leaf {
        Check::Role(template) => template.is_malformed(),
        Check::Attribute(attribute) => {
            attribute.template.is_malformed() || attribute.subject == Subject::Malformed
        }
        Check::Remote(_) => true,
        Check::True
        | Check::False
        | Check::Not(_)
        | Check::And(_)
        | Check::Or(_)
        | Check::Rule(_) => false,
    }
}
