//! `cinder.conf` as it is: read as oslo.config reads it, in the options that the service honours.
//!
//! [`options`] declares every option once. [`Conf`] is what files, the environment and flags say,
//! in layers of which the strongest wins; it knows of every value where it came from, and says
//! what is wrong with one together with its file and line.
//!
//! Invariants: the value of a secret is in no error and no `Debug`, and [`Conf::effective`] masks
//! it; what is put into a value by `$name` makes it as secret as its source.
//!
//! Does not: know flags, connect to anything, or warn of options that it does not know, except in
//! the service's own group.

mod conf;
mod effective;
mod files;
mod ini;
mod option;
pub mod options;
mod substitution;
mod types;
mod unknown;
mod wrong;

pub use conf::{Assignment, Conf, Origin};
pub use effective::Effective;
pub use files::{ConfigPath, ReadError, default_paths};
pub use ini::{BadLine, Entry, Mistake, parse};
pub use option::{Declared, Opt, Secret};
pub use types::{Limits, Multi, OptionType};
pub use wrong::{Problems, Wrong};
