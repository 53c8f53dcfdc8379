//! Files as oslo.config reads them, and what is said of those that cannot be used.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod layers;
mod lines;
mod mistakes;
mod round_trips;
mod secrets;
mod values;

use cinder_conf::{Conf, ConfigPath};

/// What these texts say as files, the later the stronger.
fn conf(texts: &[&str]) -> Conf {
    let folder = tempfile::tempdir().unwrap();
    let write = |(index, text): (usize, &&str)| {
        let path = folder.path().join(format!("{index}.conf"));
        std::fs::write(&path, text).unwrap();
        ConfigPath::File(path)
    };
    let paths: Vec<_> = texts.iter().enumerate().map(write).collect();
    Conf::read(&paths).unwrap()
}
