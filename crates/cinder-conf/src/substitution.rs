//! `$name`, `${name}`, `${group.name}` and `$$` in the values of files.
//!
//! Follows oslo.config: `cfg.py` `ConfigOpts._substitute`. A name without a group is looked for in
//! the value's own group, then in `[DEFAULT]`. Where this knowingly differs: an option that neither
//! of them declares here is taken as the files have it, for Cinder may know it. What flags and
//! variables say is taken as it is.

use crate::conf::{Assignment, Conf, Origin};
use crate::option::{Declared, Secret};
use crate::options;
use crate::wrong::Wrong;

/// The texts of an option, substituted.
pub(crate) struct Texts {
    pub(crate) texts: Vec<String>,
    /// Whether another option's secret went into them.
    pub(crate) secret: bool,
}

/// What went into a text.
#[derive(Default)]
struct Taken {
    secret: bool,
    /// The references under way, so that a circle is noticed.
    path: Vec<(String, String)>,
}

impl Conf {
    /// What is said of an option, else its default.
    pub(crate) fn texts(&self, option: &Declared) -> Result<Texts, Wrong> {
        let mut taken = Taken::default();
        let group = self.group_of(option).into_owned();
        taken.path.push((group, option.name.to_owned()));
        self.declared(option, &mut taken)
            .map(|texts| Texts { texts, secret: taken.secret })
            .map_err(|what| match option.secret {
                Secret::Nothing => self.refuse(option, what),
                // What is behind the sign may be a part of the secret.
                Secret::Password | Secret::All => self.refuse(
                    option,
                    "there is a $ before what is no option; write $$ for a dollar sign",
                ),
            })
    }

    fn declared(&self, option: &Declared, taken: &mut Taken) -> Result<Vec<String>, String> {
        match self.found(option) {
            Some(found) => found.assignments.iter().map(|one| self.text(one, taken)).collect(),
            None => Ok(option.default.map(str::to_owned).into_iter().collect()),
        }
    }

    fn text(&self, assignment: &Assignment, taken: &mut Taken) -> Result<String, String> {
        match assignment.origin {
            Origin::File { .. } => self.expand(&assignment.text, &assignment.group, taken),
            Origin::Default | Origin::Environment(_) | Origin::Flag(_) => {
                Ok(assignment.text.clone())
            }
        }
    }

    fn expand(&self, text: &str, group: &str, taken: &mut Taken) -> Result<String, String> {
        let text = text.replace(r"\$", "$$");
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, behind)) = rest.split_once('$') {
            expanded.push_str(before);
            rest = behind;
            if let Some(behind) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = behind;
                continue;
            }
            match reference(rest) {
                Some((name, behind)) => {
                    expanded.push_str(&self.referred(name, group, taken)?);
                    rest = behind;
                }
                None => expanded.push('$'),
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn referred(&self, name: &str, group: &str, taken: &mut Taken) -> Result<String, String> {
        let (of, short) = name.split_once('.').unwrap_or((group, name));
        let places = [(of, short), ("DEFAULT", name)];
        let known = places.iter().find_map(|place| Some((place, self.known(place)?)));
        let said = || places.iter().find_map(|place| Some((place, self.said(place)?)));
        if let Some((place, option)) = known {
            let texts = taken.through(place, |taken| self.declared(option, taken))?;
            taken.secret |= option.secret != Secret::Nothing;
            Ok((option.shown)(&texts, &option.limits)?.unwrap_or_default())
        } else if let Some((place, assignment)) = said() {
            taken.through(place, |taken| self.text(assignment, taken))
        } else {
            Err(format!(
                "${name} is set nowhere in the files; write the value out, or $$ for a dollar sign"
            ))
        }
    }

    fn known(&self, (group, name): &(&str, &str)) -> Option<&'static Declared> {
        options::all().find(|option| option.name == *name && self.group_of(option) == *group)
    }

    fn said(&self, (group, name): &(&str, &str)) -> Option<&Assignment> {
        self.find(&[name], false, |one| one.group == *group)?.assignments.pop()
    }
}

impl Taken {
    /// Goes into a reference and comes back.
    fn through<T>(
        &mut self,
        (group, name): &(&str, &str),
        inside: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let place = ((*group).to_owned(), (*name).to_owned());
        if self.path.contains(&place) {
            return Err(format!("${name} leads back to itself; write the value out"));
        }
        self.path.push(place);
        let found = inside(self)?;
        self.path.pop();
        Ok(found)
    }
}

/// The name at the beginning of a text, in braces or not, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let text = braced.unwrap_or(text);
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let end = text.find(|c| !in_name(c)).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    if braced.is_some() { Some((name, behind.strip_prefix('}')?)) } else { Some((name, behind)) }
}
