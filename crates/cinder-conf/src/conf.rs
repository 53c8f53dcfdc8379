//! What was said of the options, in layers: files, environment, flags.
//!
//! Follows oslo.config: `cfg.py` `_Namespace._get_file_value`. Within a layer an option's own name
//! wins over its deprecated ones, and the last assignment over earlier ones; a later layer wins
//! over both. Groups are compared in lower case, but for `DEFAULT`.

use crate::effective::masked;
use crate::option::{Declared, Opt, Secret};
use crate::options::{self, barbican_service_user, keystone_authtoken};
use crate::types::OptionType;
use crate::wrong::{Problems, Wrong};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of a file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// An option, and the text that it is given.
#[derive(Clone)]
pub struct Assignment {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

impl Assignment {
    /// Of any option, known or not.
    pub fn new(group: &str, name: &str, text: impl Into<String>, origin: Origin) -> Self {
        Self { group: normal(group), name: name.to_owned(), text: text.into(), origin }
    }

    /// Of a known option.
    pub fn of(option: &Declared, text: impl Into<String>, origin: Origin) -> Self {
        Self::new(option.group, option.name, text, origin)
    }
}

/// oslo.config: `cfg.py` `_normalize_group_name`.
pub(crate) fn normal(group: &str) -> String {
    if group == "DEFAULT" { group.to_owned() } else { group.to_lowercase() }
}

/// Everything that was said. Has no `Debug`: it holds secrets.
#[derive(Clone, Default)]
pub struct Conf {
    layers: Vec<Vec<Assignment>>,
    pub(crate) folders: Vec<PathBuf>,
}

/// The assignments of an option that count, weakest first, and the layer of the strongest.
pub(crate) struct Found<'a> {
    pub(crate) rank: usize,
    pub(crate) assignments: Vec<&'a Assignment>,
}

impl Conf {
    /// Adds a layer that is stronger than all before.
    pub fn add(&mut self, layer: Vec<Assignment>) {
        self.layers.push(layer);
    }

    /// A file that an option names without a folder, where the files that were read are, or where
    /// it would be if it is nowhere (oslo.config: `find_file`).
    pub fn beside(&self, name: &str) -> Option<PathBuf> {
        let mut places = self.folders.iter().map(|folder| folder.join(name));
        let first = places.next()?;
        let found = if first.exists() { None } else { places.find(|place| place.exists()) };
        Some(found.unwrap_or(first))
    }

    /// The value of an option; `None` where nothing is said and there is no default, or where
    /// what is said is empty.
    ///
    /// # Errors
    /// [`Wrong`], with the place.
    pub fn get<T: OptionType>(&self, option: &Opt<T>) -> Result<Option<T>, Wrong> {
        let declared = &option.declared;
        let texts = self.texts(declared)?;
        T::read_all(&texts.texts, &declared.limits).map_err(|what| self.refuse(declared, what))
    }

    /// The value of an option that cannot be without one.
    ///
    /// # Errors
    /// As [`Conf::get`], and when it is empty.
    pub fn need<T: OptionType>(&self, option: &Opt<T>) -> Result<T, Wrong> {
        self.get(option)?.ok_or_else(|| {
            let default = option.declared.default.unwrap_or_default();
            let what = format!("empty; take the line out for the default, {default}");
            self.refuse(&option.declared, what)
        })
    }

    /// Says that the value of an option cannot be used, together with its place.
    pub fn refuse(&self, option: &Declared, what: impl fmt::Display) -> Wrong {
        let found = self.found(option);
        let last = found.as_ref().and_then(|found| found.assignments.last());
        let last = last.filter(|_| option.secret == Secret::Nothing);
        Wrong {
            origin: self.origin(option),
            group: self.group_of(option).into(),
            name: option.name.into(),
            value: last.map(|last| masked(Secret::Nothing, &last.text)),
            what: what.to_string(),
        }
    }

    /// Where the value of an option comes from.
    pub fn origin(&self, option: &Declared) -> Origin {
        let found = self.found(option);
        let last = found.as_ref().and_then(|found| found.assignments.last());
        last.map_or(Origin::Default, |last| last.origin.clone())
    }

    /// How strong that is: 0 for the default, and more with every layer.
    pub fn rank(&self, option: &Declared) -> usize {
        self.found(option).map_or(0, |found| found.rank)
    }

    /// Reads every option, and looks for options that the service's own group does not have.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self) -> Result<(), Problems> {
        let read = options::all().filter_map(|option| self.shown(option).err());
        let problems: Vec<_> = self.unknown().chain(read).collect();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }

    pub(crate) fn assignments(&self) -> impl Iterator<Item = &Assignment> {
        self.layers.iter().flatten()
    }

    /// The section that an option stands in.
    pub(crate) fn group_of(&self, option: &Declared) -> Cow<'static, str> {
        let section = match option.group {
            "keystone_authtoken" => &keystone_authtoken::AUTH_SECTION,
            "barbican_service_user" => &barbican_service_user::AUTH_SECTION,
            group => return Cow::Borrowed(group),
        };
        if !option.in_auth_section {
            return Cow::Borrowed(option.group);
        }
        // As it is written: what is substituted may itself stand in that section.
        let names: Vec<_> = section.declared.names().collect();
        let found = self.find(&names, false, |one| one.group == option.group);
        match found.as_ref().and_then(|found| found.assignments.last()) {
            Some(named) if !named.text.is_empty() => Cow::Owned(normal(&named.text)),
            Some(_) | None => Cow::Borrowed(option.group),
        }
    }

    pub(crate) fn found(&self, option: &Declared) -> Option<Found<'_>> {
        let names: Vec<_> = option.names().collect();
        let section = self.group_of(option);
        self.find(&names, option.multi, |assignment| {
            // Flags and variables know nothing of another section.
            let in_file = matches!(assignment.origin, Origin::File { .. });
            assignment.group == if in_file { &*section } else { option.group }
        })
    }

    /// What is said of names that mean the same, the first of them being the best.
    pub(crate) fn find(
        &self,
        names: &[&str],
        multi: bool,
        here: impl Fn(&Assignment) -> bool,
    ) -> Option<Found<'_>> {
        let mut found: Option<Found<'_>> = None;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            for name in names {
                let of_name = layer.iter().filter(|one| one.name == *name && here(one));
                let mut assignments: Vec<_> = of_name.collect();
                let Some(last) = assignments.last().copied() else {
                    continue;
                };
                if !multi {
                    return Some(Found { rank: index + 1, assignments: vec![last] });
                }
                match &mut found {
                    Some(found) => {
                        assignments.append(&mut found.assignments);
                        found.assignments = assignments;
                    }
                    None => found = Some(Found { rank: index + 1, assignments }),
                }
            }
        }
        found
    }
}
