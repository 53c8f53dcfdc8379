//! `cargo xtask mutants`: every small change to the heart of the protocol must make a test fail.
//!
//! cargo-mutants changes the code, one place at a time, and runs the tests of the crate. A mutant
//! that survives is a property that nobody checks: it gets a test, or an entry with its reason in
//! `xtask/survivors.toml`. A survivor without an entry fails the run, and so does an entry whose
//! mutant no longer survives. Where few tests catch most mutants, those come first, and only
//! what they let live is judged by all tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::workspace::Workspace;

/// The entries, from the root.
const SURVIVORS: &str = "xtask/survivors.toml";

/// A part of the code, and the package whose tests it must not survive.
struct Part {
    name: &'static str,
    package: &'static str,
    files: &'static [&'static str],
    /// Few tests that judge most of it: their target, and how their names begin.
    first: Option<(&'static str, &'static [&'static str])>,
}

const PARTS: &[Part] = &[
    Part {
        name: "core",
        package: "transfer-core",
        files: &["crates/transfer-core/src/**/*.rs"],
        first: None,
    },
    Part {
        name: "store",
        package: "cinder-db",
        files: &[
            "crates/cinder-db/src/claims.rs",
            "crates/cinder-db/src/claims/*.rs",
            "crates/cinder-db/src/commit.rs",
            "crates/cinder-db/src/commit/*.rs",
            "crates/cinder-db/src/committed.rs",
            "crates/cinder-db/src/debts.rs",
            "crates/cinder-db/src/journal.rs",
            "crates/cinder-db/src/transfers.rs",
        ],
        first: Some((
            "store",
            &["claims::", "debts::", "ends::", "fences::", "restore::", "transfers::"],
        )),
    },
    Part {
        name: "engine",
        package: "transfer-engine",
        files: &["crates/transfer-engine/src/**/*.rs"],
        first: None,
    },
];

/// What to mutate.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// core, store or engine; without it each of them in turn
    part: Option<String>,
    /// How many mutants are tested at once
    #[arg(long, default_value_t = 1)]
    jobs: u32,
    /// Longest time for the tests of one mutant, in seconds; one that takes longer is caught
    #[arg(long, default_value_t = 60)]
    timeout: u32,
    /// Judge what the last run left, and mutate nothing
    #[arg(long)]
    report: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    survivor: Vec<Survivor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    mutant: String,
    reason: String,
}

/// What became of the mutants of a part, by their names without line numbers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    caught: usize,
    hung: usize,
    unviable: usize,
    survived: BTreeSet<String>,
}

/// Mutates, and judges what survived.
///
/// # Errors
/// When cargo-mutants is missing or fails, or the survivors are not those that have a reason.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
    let chosen = |part: &&Part| options.part.as_ref().is_none_or(|name| name == part.name);
    let parts: Vec<_> = PARTS.iter().filter(chosen).collect();
    ensure!(!parts.is_empty(), "no part {:?}; there are {names:?}", options.part);
    let known: Known = toml::from_str(&workspace.read(SURVIVORS)?).context(SURVIVORS)?;
    let reasons: BTreeMap<&str, &str> =
        known.survivor.iter().map(|one| (one.mutant.as_str(), one.reason.as_str())).collect();
    let mut troubles = Vec::new();
    for part in parts {
        let output = workspace.target.join("mutants").join(part.name);
        if !options.report {
            mutate_part(workspace, part, options, &output)?;
        }
        let outcome = read_part(&output)?;
        println!("{}", score(part.name, &outcome));
        for mutant in &outcome.survived {
            println!("  {mutant}\n    {}", reasons.get(mutant.as_str()).unwrap_or(&"NO REASON"));
        }
        let of_part = |mutant: &&&str| part.owns(mutant);
        troubles.extend(judge(&outcome.survived, reasons.keys().filter(of_part).copied()));
    }
    ensure!(troubles.is_empty(), "{}", troubles.join("\n"));
    Ok(())
}

impl Part {
    /// Whether a mutant is in this part's package.
    fn owns(&self, mutant: &str) -> bool {
        mutant.starts_with(&format!("crates/{}/", self.package))
    }
}

/// The rounds of a part, as their folders are called.
const FIRST: &str = "first";
const ALL: &str = "all";

fn mutate_part(workspace: &Workspace, part: &Part, options: &Options, output: &Path) -> Result<()> {
    if output.exists() {
        std::fs::remove_dir_all(output).with_context(|| output.display().to_string())?;
    }
    let all = ["--cargo-arg=--tests".to_owned()];
    let Some((target, tests)) = part.first else {
        return mutate(workspace, part, options, &output.join(ALL), &all, &[]);
    };
    let directory = output.join(FIRST);
    let few = [format!("--cargo-arg=--test={target}")];
    mutate(workspace, part, options, &directory, &few, tests)?;
    let mut live = lines(&directory, "missed.txt")?;
    live.extend(lines(&directory, "timeout.txt")?);
    if live.is_empty() {
        return Ok(());
    }
    let only = live.iter().map(|mutant| format!("--re=^{}$", pattern(mutant)));
    let all: Vec<String> = all.into_iter().chain(only).collect();
    mutate(workspace, part, options, &output.join(ALL), &all, &[])
}

/// A regular expression for this text: what may have a meaning there stands for any character.
fn pattern(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect()
}

/// Runs cargo-mutants; it copies the workspace and leaves this one alone. Without `tests`, whose
/// names begin like that, all tests judge.
fn mutate(
    workspace: &Workspace,
    part: &Part,
    options: &Options,
    output: &Path,
    chosen: &[String],
    tests: &[&str],
) -> Result<()> {
    let installed = workspace.cargo(["mutants", "--version"]).output();
    ensure!(
        installed.is_ok_and(|output| output.status.success()),
        "cargo-mutants is missing: cargo install cargo-mutants --locked"
    );
    std::fs::create_dir_all(output).with_context(|| output.display().to_string())?;
    let mut mutants = workspace.cargo(["mutants", "--no-shuffle", "--package", part.package]);
    for file in part.files {
        mutants.args(["--file", file]);
    }
    // Debug information would be most of what a mutant's build takes.
    mutants
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_TEST_DEBUG", "0")
        .args(chosen)
        .args(["--jobs", &options.jobs.to_string(), "--timeout", &options.timeout.to_string()])
        .arg("--output")
        .arg(output);
    if !tests.is_empty() {
        // The first is for cargo-mutants, the second for cargo.
        mutants.args(["--", "--"]).args(tests);
    }
    println!("$ {}", crate::process::shown(&mutants));
    let status = mutants.status().context("cargo mutants does not start")?;
    // 2: some survived, 3: some ran out of time
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo mutants: {status}");
    Ok(())
}

/// A list that cargo-mutants has left in a round's folder.
fn lines(round: &Path, name: &str) -> Result<Vec<String>> {
    let path = round.join("mutants.out").join(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// What became of a part: what the first round has not caught is the other round's.
fn read_part(output: &Path) -> Result<Outcome> {
    let first = output.join(FIRST);
    let all = output.join(ALL);
    let first = if first.exists() { Some(read(&first)?) } else { None };
    match first {
        Some(first) if !all.exists() => Ok(first),
        Some(first) => {
            let last = read(&all)?;
            Ok(Outcome {
                caught: first.caught + last.caught,
                unviable: first.unviable + last.unviable,
                ..last
            })
        }
        None => read(&all),
    }
}

fn read(round: &Path) -> Result<Outcome> {
    let survived = lines(round, "missed.txt")?;
    Ok(Outcome {
        caught: lines(round, "caught.txt")?.len(),
        hung: lines(round, "timeout.txt")?.len(),
        unviable: lines(round, "unviable.txt")?.len(),
        survived: survived.iter().map(|line| unnumbered(line)).collect(),
    })
}

/// `file:line:column: change` without the numbers, which move with every edit.
fn unnumbered(line: &str) -> String {
    let mut parts = line.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_line), Some(_column), Some(change)) => {
            format!("{file}: {}", change.trim())
        }
        _ => line.to_owned(),
    }
}

fn score(part: &str, outcome: &Outcome) -> String {
    let caught = outcome.caught + outcome.hung;
    let all = caught + outcome.survived.len();
    let percent = 100.0 * caught as f64 / all.max(1) as f64;
    format!(
        "{part}: {caught} of {all} mutants caught ({percent:.1} %; {} of them by hanging), {} do \
         not compile",
        outcome.hung, outcome.unviable
    )
}

/// What is wrong: survivors without a reason, reasons without a survivor.
fn judge<'a>(survived: &BTreeSet<String>, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let known: BTreeSet<&str> = known.collect();
    let new = survived.iter().filter(|mutant| !known.contains(mutant.as_str()));
    let new = new.map(|mutant| format!("survives without a reason: {mutant}"));
    let gone = known.iter().filter(|mutant| !survived.contains(**mutant));
    let gone = gone.map(|mutant| format!("does not survive, strike it from the list: {mutant}"));
    new.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survivors_and_reasons_must_be_the_same() {
        let survived = BTreeSet::from(["a: x".to_owned(), "b: y".to_owned()]);
        assert_eq!(judge(&survived, ["a: x", "b: y"].into_iter()), Vec::<String>::new());
        let found = judge(&survived, ["a: x", "c: z"].into_iter());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("b: y") && found[1].contains("c: z"), "{found:?}");
    }

    #[test]
    fn a_run_is_read_without_its_line_numbers() {
        let directory = std::env::temp_dir().join(format!("mutants-{}", std::process::id()));
        let missed = "a.rs:5:6: replace z -> Option<a::B> with None\n";
        let write = |round: &str, [caught, timeout, unviable, missed]: [&str; 4]| {
            let round = directory.join(round).join("mutants.out");
            std::fs::create_dir_all(&round).unwrap();
            for (name, text) in [
                ("caught.txt", caught),
                ("timeout.txt", timeout),
                ("unviable.txt", unviable),
                ("missed.txt", missed),
            ] {
                std::fs::write(round.join(name), text).unwrap();
            }
        };
        write(ALL, ["a.rs:1:2: replace x -> y\n", "a.rs:3:4: delete !\n", "", missed]);
        let outcome = read_part(&directory).unwrap();
        write(FIRST, ["b.rs:1:2: c\nb.rs:1:2: d\n", "a.rs:3:4: delete !\n", "e\n", missed]);
        let both = read_part(&directory).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!((both.caught, both.hung, both.unviable, both.survived.len()), (3, 1, 1, 1));
        let survived = "a.rs: replace z -> Option<a::B> with None".to_owned();
        assert_eq!(outcome.survived, BTreeSet::from([survived]));
        assert_eq!(
            score("part", &outcome),
            "part: 2 of 3 mutants caught (66.7 %; 1 of them by hanging), 0 do not compile"
        );
    }

    #[test]
    fn every_part_is_there_and_every_reason_belongs_to_one() {
        let workspace = Workspace::locate().unwrap();
        for part in PARTS {
            assert!(workspace.packages.iter().any(|package| package.name == part.package));
            for file in part.files.iter().filter(|file| !file.contains('*')) {
                assert!(workspace.root.join(file).exists(), "{file}");
            }
        }
        let known: Known = toml::from_str(&workspace.read(SURVIVORS).unwrap()).unwrap();
        for one in known.survivor {
            assert!(PARTS.iter().any(|part| part.owns(&one.mutant)), "{}", one.mutant);
            assert!(one.reason.len() > 20, "{}: {}", one.mutant, one.reason);
        }
    }
}
