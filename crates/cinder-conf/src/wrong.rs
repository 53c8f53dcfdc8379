//! What is wrong with a value: where it stands, and what to write instead.

use crate::conf::Origin;
use std::fmt;

/// A value that cannot be used. A secret's value is not in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{origin}: [{group}] {name}{}: {what}", quoted(.value.as_deref()))]
pub struct Wrong {
    /// Where the value came from.
    pub origin: Origin,
    /// The option's group.
    pub group: Box<str>,
    /// The option.
    pub name: Box<str>,
    /// The value as it is written, unless it is secret or there is none.
    pub value: Option<String>,
    /// What is wrong, and the remedy.
    pub what: String,
}

fn quoted(value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!(" = {value:?}"))
}

/// Everything that is wrong, a line each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems(pub Vec<Wrong>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, wrong) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "\n" };
            write!(f, "{between}{wrong}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
