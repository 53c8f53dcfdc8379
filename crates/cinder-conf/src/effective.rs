//! What counts in the end, option by option, for people to look at.

use crate::conf::{Conf, Origin};
use crate::option::{Declared, Secret};
use crate::options;
use crate::wrong::Wrong;

/// An option, its value and where that came from.
pub struct Effective {
    /// The option.
    pub option: &'static Declared,
    /// The value as text, masked if it is secret.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

const MASK: &str = "***";

impl Conf {
    /// Every option, in the order of [`options`].
    ///
    /// # Errors
    /// The first value that cannot be read.
    pub fn effective(&self) -> Result<Vec<Effective>, Wrong> {
        let one = |option| {
            Ok(Effective { option, value: self.shown(option)?, origin: self.origin(option) })
        };
        options::all().map(one).collect()
    }

    pub(crate) fn shown(&self, option: &Declared) -> Result<Option<String>, Wrong> {
        let texts = self.texts(option)?;
        let shown = (option.shown)(&texts.texts, &option.limits)
            .map_err(|what| self.refuse(option, what))?;
        let all = texts.secret && option.secret == Secret::Nothing;
        let secret = if all { Secret::All } else { option.secret };
        Ok(shown.map(|text| masked(secret, &text)))
    }
}

/// A value as it may be shown.
pub(crate) fn masked(secret: Secret, text: &str) -> String {
    match (secret, text.split_once("://")) {
        (Secret::Nothing, Some((scheme, rest))) if rest.contains('@') => of_url(scheme, rest),
        (Secret::Nothing, _) => text.to_owned(),
        (Secret::Password, Some((scheme, rest))) => of_url(scheme, rest),
        (Secret::Password, None) | (Secret::All, _) => MASK.to_owned(),
    }
}

/// A URL without its password, and without options, which may hold one.
fn of_url(scheme: &str, rest: &str) -> String {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        None if rest.contains(['@', '?']) => MASK.to_owned(),
        None => format!("{scheme}://{rest}"),
        Some((user, host)) => {
            let name = user.split(':').next().unwrap_or_default();
            let behind = rest.get(authority.len()..).unwrap_or_default();
            let behind = behind.split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://{name}:{MASK}@{host}{behind}")
        }
    }
}
