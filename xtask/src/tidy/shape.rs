//! The shape of files: what they begin with, how long they are, what they are called.

use super::{House, Violation};

/// The most lines that a file of code may have.
const LINES: usize = 500;
/// The most columns that a line of code may have.
const COLUMNS: usize = 100;
/// Names under which anything could be put.
const CATCH_ALL: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];

/// Every Rust file begins with `//!`.
pub(super) fn files_say_what_they_are(house: &House) -> Vec<Violation> {
    house
        .ending(".rs")
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.violation(1, "does not begin with //! and what the file owns"))
        .collect()
}

/// A module `foo` is `foo.rs`, with its children in `foo/`.
pub(super) fn no_mod_rs(house: &House) -> Vec<Violation> {
    house
        .ending("mod.rs")
        .filter(|file| file.path.rsplit('/').next() == Some("mod.rs"))
        .map(|file| file.violation(0, "is a mod.rs; name the file after the module"))
        .collect()
}

/// Modules are named after what they hold.
pub(super) fn no_catch_all_modules(house: &House) -> Vec<Violation> {
    let files = house.files.iter().filter(|file| {
        let code = file.path.ends_with(".rs") || file.path.ends_with(".py");
        code && file
            .path
            .split('/')
            .any(|part| CATCH_ALL.contains(&part.split('.').next().unwrap_or_default()))
    });
    let files = files.map(|file| file.violation(0, "has a name under which anything could be"));
    let inline = house.ending(".rs").flat_map(|file| {
        file.lines().filter_map(|(number, line)| {
            let name = line.trim().split("mod ").nth(1)?.split([' ', ';', '{']).next()?;
            let declared = line.trim().starts_with("mod ") || line.trim().starts_with("pub");
            (declared && CATCH_ALL.contains(&name))
                .then(|| file.violation(number, format!("module {name} could hold anything")))
        })
    });
    files.chain(inline).collect()
}

/// Files of code are at most 500 lines long.
pub(super) fn files_are_short(house: &House) -> Vec<Violation> {
    let code = house.ending(".rs").chain(house.ending(".py"));
    code.filter_map(|file| {
        let lines = file.text.lines().count();
        (lines > LINES).then(|| file.violation(0, format!("{lines} lines; the limit is {LINES}")))
    })
    .collect()
}

/// Lines of code are at most 100 columns wide.
pub(super) fn lines_are_short(house: &House) -> Vec<Violation> {
    let code = house.ending(".rs").chain(house.ending(".py"));
    code.flat_map(|file| {
        file.lines().filter_map(|(number, line)| {
            let columns = line.chars().count();
            let what = || format!("{columns} columns; the limit is {COLUMNS}");
            (columns > COLUMNS).then(|| file.violation(number, what()))
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn a_file_that_does_not_say_what_it_is_is_found() {
        check(
            files_say_what_they_are,
            &[("a.rs", "//! Owns a.\n"), ("b.rs", "use a;\n"), ("c.md", "text")],
            &["b.rs:1: does not begin with //! and what the file owns"],
        );
    }

    #[test]
    fn a_mod_rs_is_found() {
        check(
            no_mod_rs,
            &[("src/a/mod.rs", ""), ("src/commod.rs", ""), ("src/a.rs", "")],
            &["src/a/mod.rs: is a mod.rs; name the file after the module"],
        );
    }

    #[test]
    fn a_catch_all_name_is_found() {
        check(
            no_catch_all_modules,
            &[
                ("src/utils.rs", ""),
                ("tests/common/world.rs", ""),
                ("src/lib.rs", "mod rows;\npub(crate) mod helpers {\n// a mod utils\n"),
                ("src/uncommon.rs", ""),
            ],
            &[
                "src/utils.rs: has a name under which anything could be",
                "tests/common/world.rs: has a name under which anything could be",
                "src/lib.rs:2: module helpers could hold anything",
            ],
        );
    }

    #[test]
    fn a_long_file_is_found() {
        check(
            files_are_short,
            &[("a.rs", &"\n".repeat(LINES)), ("b.rs", &"\n".repeat(LINES + 1))],
            &["b.rs: 501 lines; the limit is 500"],
        );
    }

    #[test]
    fn a_wide_line_is_found_and_columns_are_characters() {
        let (fits, wide) = ("é".repeat(COLUMNS), "é".repeat(COLUMNS + 1));
        check(
            lines_are_short,
            &[("a.rs", &fits), ("b.rs", &format!("\n{wide}")), ("c.md", &wide)],
            &["b.rs:2: 101 columns; the limit is 100"],
        );
    }
}
