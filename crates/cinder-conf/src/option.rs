//! The declaration of an option: everything that is known of it before any file is read.

use crate::types::{Limits, OptionType};
use std::marker::PhantomData;

/// An option whose values are `T`.
pub struct Opt<T> {
    /// What does not depend on the type.
    pub declared: Declared,
    marker: PhantomData<fn() -> T>,
}

/// How much of a value is secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secret {
    /// Nothing; of a URL still the password.
    Nothing,
    /// The password of a URL.
    Password,
    /// All of it.
    All,
}

/// An option, whatever its type.
pub struct Declared {
    /// The section that it stands in.
    pub group: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What counts where no file, variable or flag says anything.
    pub default: Option<&'static str>,
    /// How much of its value must not be shown.
    pub secret: Secret,
    /// Why the service does nothing about it, if so.
    pub unused: Option<&'static str>,
    /// Whether it stands in the section that `auth_section` of its group names, if that is set.
    pub(crate) in_auth_section: bool,
    /// Older names, in the same section.
    pub(crate) deprecated: &'static [&'static str],
    pub(crate) limits: Limits,
    pub(crate) multi: bool,
    /// Reads the texts and shows what they mean.
    pub(crate) shown: fn(&[String], &Limits) -> Result<Option<String>, String>,
}

impl<T: OptionType> Opt<T> {
    pub(crate) const fn new(group: &'static str, name: &'static str, help: &'static str) -> Self {
        let declared = Declared {
            group,
            name,
            help,
            default: None,
            secret: Secret::Nothing,
            unused: None,
            in_auth_section: false,
            deprecated: &[],
            limits: Limits { least: None, most: None, one_of: &[] },
            multi: T::MULTI,
            shown: shown::<T>,
        };
        Self { declared, marker: PhantomData }
    }

    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.declared.default = Some(default);
        self
    }

    pub(crate) const fn secret(mut self, secret: Secret) -> Self {
        self.declared.secret = secret;
        self
    }

    pub(crate) const fn unused(mut self, why: &'static str) -> Self {
        self.declared.unused = Some(why);
        self
    }

    pub(crate) const fn in_auth_section(mut self) -> Self {
        self.declared.in_auth_section = true;
        self
    }

    pub(crate) const fn was(mut self, deprecated: &'static [&'static str]) -> Self {
        self.declared.deprecated = deprecated;
        self
    }

    pub(crate) const fn least(mut self, least: i64) -> Self {
        self.declared.limits.least = Some(least);
        self
    }

    pub(crate) const fn most(mut self, most: i64) -> Self {
        self.declared.limits.most = Some(most);
        self
    }

    pub(crate) const fn one_of(mut self, texts: &'static [&'static str]) -> Self {
        self.declared.limits.one_of = texts;
        self
    }
}

fn shown<T: OptionType>(texts: &[String], limits: &Limits) -> Result<Option<String>, String> {
    Ok(T::read_all(texts, limits)?.map(|value| value.show()))
}

impl Declared {
    /// Its name now, then the older ones.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.deprecated.iter().copied())
    }
}
