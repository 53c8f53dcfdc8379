//! Words that do not belong: silenced lints and tests, sleeps in tests, names of machines.
//!
//! The words stand here in two halves each, so that this file does not break its own rules.

use super::{File, House, Violation};

/// What silences a lint or a test, or stands for work not done.
const SILENCED: &[&str] = &[
    concat!("#[ign", "ore"),
    concat!("#[all", "ow("),
    concat!("#![all", "ow("),
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
];

/// Waiting for time to pass, where a test should wait for the event.
const SLEEPS: &[&str] =
    &[concat!("thread::sl", "eep"), concat!("tokio::time::sl", "eep"), concat!("time::sl", "eep(")];

/// Paths of one machine and hosts of registries: they are nobody else's.
const MACHINES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tmp/", "peer"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted"),
    concat!("npmjs", ".org"),
    concat!("debian", ".org"),
];

/// No lint and no test is switched off, and nothing is left for later.
pub(super) fn nothing_is_silenced(house: &House) -> Vec<Violation> {
    house.ending(".rs").flat_map(|file| found(file, SILENCED)).collect()
}

/// Integration tests wait for events, not for time.
pub(super) fn tests_do_not_sleep(house: &House) -> Vec<Violation> {
    let tests = house.ending(".rs").filter(|file| file.path.split('/').any(|p| p == "tests"));
    tests.flat_map(|file| found(file, SLEEPS)).collect()
}

/// The project names no machine that it was made on, nor the registries it is built from.
pub(super) fn no_machine_is_named(house: &House) -> Vec<Violation> {
    let ours = house.files.iter().filter(|file| !file.path.ends_with("Cargo.lock"));
    ours.flat_map(|file| found(file, MACHINES)).collect()
}

/// One violation for each line with one of the words.
fn found(file: &File, words: &[&str]) -> Vec<Violation> {
    file.lines()
        .filter_map(|(number, line)| {
            let word = words.iter().find(|word| line.contains(**word))?;
            Some(file.violation(number, format!("has {word}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn every_silencer_is_found() {
        for word in SILENCED {
            check(
                nothing_is_silenced,
                &[("a.rs", &format!("//! A.\n{word}\n")), ("b.md", word)],
                &[&format!("a.rs:2: has {word}")],
            );
        }
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        for word in SLEEPS {
            let (path, text) = ("crates/a/tests/b.rs", format!("    {word}(second)"));
            let found = tests_do_not_sleep(&super::super::tests::house(&[(path, &text)]));
            assert_eq!(found.len(), 1, "{word}");
            check(tests_do_not_sleep, &[("crates/a/src/tests.rs", &text)], &[]);
        }
    }

    #[test]
    fn a_machine_is_found_everywhere_but_in_the_lock_file() {
        for word in MACHINES {
            check(
                no_machine_is_named,
                &[("Cargo.lock", word), ("docs/a.md", &format!("see {word}"))],
                &[&format!("docs/a.md:1: has {word}")],
            );
        }
    }
}
