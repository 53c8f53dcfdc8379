//! Pages that keep up with the code: ARCHITECTURE.md names what there is, README.md begins well.

use super::{House, Violation};
use crate::readme;

const MAP: &str = "ARCHITECTURE.md";
const README: &str = "README.md";
const INVARIANTS: &str = "crates/transfer-core/src/invariants.rs";

/// Every crate of the workspace is on the map.
pub(super) fn the_map_names_every_crate(house: &House) -> Vec<Violation> {
    let map = match house.page(MAP) {
        Ok(map) => map,
        Err(missing) => return vec![missing],
    };
    let crates = house.packages.iter().filter(|package| !names(map, &package.name));
    crates.map(|package| broken(MAP, format!("does not name the crate {}", package.name))).collect()
}

/// Every invariant that the core exports is described on the map, under its name.
pub(super) fn invariants_are_described(house: &House) -> Vec<Violation> {
    let (map, source) = match (house.page(MAP), house.page(INVARIANTS)) {
        (Ok(map), Ok(source)) => (map, source),
        (Err(missing), _) | (_, Err(missing)) => return vec![missing],
    };
    let Some((count, exported)) = exported_invariants(source) else {
        return vec![broken(INVARIANTS, "has no Invariant::ALL with a length".to_owned())];
    };
    if exported.len() != count {
        let what = format!("exports {count} invariants and names {}", exported.len());
        return vec![broken(INVARIANTS, what)];
    }
    exported
        .iter()
        .filter(|name| !names(map, name))
        .map(|name| broken(MAP, format!("does not describe the invariant {name}")))
        .collect()
}

/// The demo and the tests are the first two commands that a newcomer reads.
pub(super) fn the_readme_begins_with_its_commands(house: &House) -> Vec<Violation> {
    let page = match house.page(README) {
        Ok(page) => page,
        Err(missing) => return vec![missing],
    };
    let mut first: Vec<_> = readme::commands(page).into_iter().take(2).collect();
    first.sort_unstable();
    if first == [readme::DEMO, readme::TEST] {
        return Vec::new();
    }
    let (demo, test) = (readme::DEMO, readme::TEST);
    vec![broken(README, format!("the first two commands are {first:?}, not {demo} and {test}"))]
}

/// The length of `Invariant::ALL`, and the names in `Invariant::name`.
fn exported_invariants(source: &str) -> Option<(usize, Vec<&str>)> {
    let (_, rest) = source.split_once("const ALL: [Self; ")?;
    let count = rest.split(']').next()?.parse().ok()?;
    let (_, rest) = source.split_once("fn name(")?;
    let body = rest.split("\n    }\n").next()?;
    let named = body.lines().filter_map(|line| {
        let (_, value) = line.split_once("=> \"")?;
        value.split('"').next()
    });
    Some((count, named.collect()))
}

/// Whether the text has the name as a whole word.
fn names(text: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.split(|c| !part_of_name(c)).any(|word| word == name)
}

fn broken(path: &str, what: String) -> Violation {
    Violation { path: path.to_owned(), line: 0, what }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, house};
    use super::*;
    use crate::workspace::Package;

    const SOURCE: &str = "
    pub const ALL: [Self; 2] = [
        Self::RowsAgree,
        Self::Drains,
    ];
    pub fn name(self) -> &'static str {
        match self {
            Self::RowsAgree => \"rows_agree\",
            Self::Drains => \"drains\",
        }
    }
    pub fn other() { a => \"unrelated\" }
";

    #[test]
    fn a_crate_that_the_map_forgets_is_found() {
        let mut house = house(&[(MAP, "the simulator-like thing and `xtask/`")]);
        house.packages = ["simulator", "xtask"]
            .map(|name| Package {
                name: name.to_owned(),
                dependencies: Vec::new(),
                targets: Vec::new(),
            })
            .into();
        let found: Vec<_> =
            the_map_names_every_crate(&house).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["ARCHITECTURE.md: does not name the crate simulator"]);
    }

    #[test]
    fn an_invariant_that_the_map_forgets_is_found() {
        check(
            invariants_are_described,
            &[(MAP, "| `rows_agree` | says |"), (INVARIANTS, SOURCE)],
            &["ARCHITECTURE.md: does not describe the invariant drains"],
        );
    }

    #[test]
    fn an_invariant_without_a_name_is_found() {
        check(
            invariants_are_described,
            &[(MAP, "rows_agree drains"), (INVARIANTS, &SOURCE.replace("; 2]", "; 3]"))],
            &["crates/transfer-core/src/invariants.rs: exports 3 invariants and names 2"],
        );
    }

    #[test]
    fn a_source_that_has_moved_is_found() {
        check(invariants_are_described, &[(MAP, "")], &[&format!("{INVARIANTS}: is missing")]);
        check(
            invariants_are_described,
            &[(MAP, ""), (INVARIANTS, "moved")],
            &[&format!("{INVARIANTS}: has no Invariant::ALL with a length")],
        );
    }

    #[test]
    fn a_readme_that_begins_otherwise_is_found() {
        let page = |lines: &[&str]| format!("# Name\n```sh\n{}\n```\n", lines.join("\n"));
        let rule = the_readme_begins_with_its_commands;
        check(rule, &[(README, &page(&[readme::DEMO, readme::TEST, "ls"]))], &[]);
        check(rule, &[(README, &page(&[readme::TEST, readme::DEMO]))], &[]);
        for lines in [vec!["ls", readme::DEMO, readme::TEST], vec![readme::DEMO], vec![]] {
            let text = page(&lines);
            assert_eq!(rule(&house(&[(README, &text)])).len(), 1, "{lines:?}");
        }
        check(rule, &[], &["README.md: is missing"]);
    }
}
