//! `cargo xtask mutants`: every small change to the heart of the protocol must make a test fail.
//!
//! cargo-mutants changes the code, one place at a time, and runs the tests of the crate. A mutant
//! that survives is a property that nobody checks: it gets a test, or an entry with its reason in
//! `xtask/survivors.toml`. A survivor without an entry fails the run, and so does an entry whose
//! mutant no longer survives.
//!
//! The tests of a mutant end with the first that fails, and `.config/nextest.toml` says which come
//! last. Each part has a target directory that it keeps, so that of a mutant only its own crate is
//! built. `--again` adds a round of those that have survived, once there are tests for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::workspace::Workspace;

/// The entries, from the root.
const SURVIVORS: &str = "xtask/survivors.toml";

/// A part of the code, and the tests that it must not survive: those of its package, or of some of
/// its targets, where the others are not about it and would only take their time.
struct Part {
    name: &'static str,
    package: &'static str,
    tests: &'static str,
    files: &'static [&'static str],
}

const PARTS: &[Part] = &[
    Part {
        name: "core",
        package: "transfer-core",
        tests: "tests",
        files: &["crates/transfer-core/src/**/*.rs"],
    },
    Part {
        name: "store",
        package: "cinder-db",
        tests: "tests",
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
    },
    Part {
        name: "engine",
        package: "transfer-engine",
        tests: "test=driving",
        files: &[
            "crates/transfer-engine/src/copying.rs",
            "crates/transfer-engine/src/debts.rs",
            "crates/transfer-engine/src/drive.rs",
            "crates/transfer-engine/src/expiry.rs",
            "crates/transfer-engine/src/known.rs",
            "crates/transfer-engine/src/lib.rs",
            "crates/transfer-engine/src/measured.rs",
            "crates/transfer-engine/src/recovery.rs",
            "crates/transfer-engine/src/repairs.rs",
            "crates/transfer-engine/src/rounds.rs",
        ],
    },
    Part {
        name: "admission",
        package: "transfer-engine",
        tests: "lib",
        files: &[
            "crates/transfer-engine/src/admission.rs",
            "crates/transfer-engine/src/error.rs",
            "crates/transfer-engine/src/options.rs",
        ],
    },
];

/// What to mutate.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// core, store, engine or admission; without it each of them in turn
    part: Option<String>,
    /// Longest time for all tests of one mutant, in seconds; one that takes longer is caught
    #[arg(long, default_value_t = 300)]
    timeout: u32,
    /// Test only what has survived the last run, by tests that are newer; the code is the same
    #[arg(long)]
    again: bool,
    /// Judge what the last run left, and mutate nothing
    #[arg(long, conflicts_with = "again")]
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
    survived: Vec<String>,
}

impl Outcome {
    fn judged(&self) -> usize {
        self.caught + self.hung + self.unviable + self.survived.len()
    }
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
    /// Whether a file, or a mutant, which begins with its file, is in this part.
    fn owns(&self, mutant: &str) -> bool {
        let mut stems = self.files.iter().filter_map(|file| file.split('*').next());
        stems.any(|stem| mutant.starts_with(stem))
    }
}

fn mutate_part(workspace: &Workspace, part: &Part, options: &Options, output: &Path) -> Result<()> {
    if !options.again {
        if output.exists() {
            std::fs::remove_dir_all(output).with_context(|| output.display().to_string())?;
        }
        return mutate(workspace, part, options, &round(output, 1), &[]);
    }
    let last = rounds(output);
    let live = last.last().map_or_else(|| Ok(Vec::new()), |last| live(last))?;
    if live.is_empty() {
        return Ok(());
    }
    let next = round(output, last.len() + 1);
    mutate(workspace, part, options, &next, &live)?;
    let judged = read(&next, Some(&live))?.judged();
    ensure!(
        judged == live.len(),
        "{judged} of {} mutants found: run it without --again",
        live.len()
    );
    Ok(())
}

fn round(output: &Path, number: usize) -> PathBuf {
    output.join(format!("round-{number}"))
}

/// The rounds that there have been.
fn rounds(output: &Path) -> Vec<PathBuf> {
    (1..).map(|number| round(output, number)).take_while(|round| round.exists()).collect()
}

/// What a round has let live; a mutant that hangs may only have met a slow test.
fn live(round: &Path) -> Result<Vec<String>> {
    Ok([lines(round, "missed.txt")?, lines(round, "timeout.txt")?].concat())
}

/// A regular expression for this text: what may have a meaning there stands for any character.
fn pattern(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect()
}

/// Runs cargo-mutants; it copies the workspace and leaves this one alone. Unless `only` names some,
/// all mutants of the part are judged.
fn mutate(
    workspace: &Workspace,
    part: &Part,
    options: &Options,
    output: &Path,
    only: &[String],
) -> Result<()> {
    for tool in ["mutants", "nextest"] {
        let installed = workspace.cargo([tool, "--version"]).output();
        ensure!(
            installed.is_ok_and(|output| output.status.success()),
            "cargo-{tool} is missing: cargo install cargo-{tool} --locked"
        );
    }
    std::fs::create_dir_all(output).with_context(|| output.display().to_string())?;
    let mut mutants = workspace.cargo(["mutants", "--no-shuffle", "--package", part.package]);
    for file in part.files {
        mutants.args(["--file", file]);
    }
    let build = workspace.target.join("mutants").join("build").join(part.name);
    mutants
        .env("CARGO_TARGET_DIR", build)
        // Debug information would be most of what a mutant's build takes.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_TEST_DEBUG", "0")
        .env("NEXTEST_PROFILE", "mutants")
        .args(["--test-tool=nextest", &format!("--cargo-arg=--{}", part.tests)])
        .args(only.iter().map(|mutant| format!("--re=^{}$", pattern(mutant))))
        .args(["--timeout", &options.timeout.to_string()])
        .arg("--output")
        .arg(output);
    println!("$ {}", crate::process::shown(&mutants));
    let status = mutants.status().context("cargo mutants does not start")?;
    // 2: some survived, 3: some ran out of time
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo mutants: {status}");
    Ok(())
}

/// A list that cargo-mutants has left in a round's folder.
fn lines(round: &Path, name: &str) -> Result<Vec<String>> {
    Ok(left(round, name)?.lines().map(str::to_owned).collect())
}

/// A file that cargo-mutants has left in a round's folder.
fn left(round: &Path, name: &str) -> Result<String> {
    let path = round.join("mutants.out").join(name);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// What became of a part: what a round has not caught is the next one's.
fn read_part(output: &Path) -> Result<Outcome> {
    let rounds = rounds(output);
    ensure!(!rounds.is_empty(), "{}: nothing has been run", output.display());
    let mut outcome = Outcome::default();
    let mut only = None;
    for round in rounds {
        let Outcome { caught, unviable, .. } = outcome;
        outcome = read(&round, only.as_deref())?;
        outcome.caught += caught;
        outcome.unviable += unviable;
        only = Some(live(&round)?);
    }
    Ok(outcome)
}

/// What became of the mutants of a round, or of those that it was about: cargo-mutants adds some
/// that no expression leaves out.
fn read(round: &Path, only: Option<&[String]>) -> Result<Outcome> {
    let all: Vec<serde_json::Value> = serde_json::from_str(&left(round, "mutants.json")?)?;
    let [caught, hung, unviable, survived] =
        ["caught.txt", "timeout.txt", "unviable.txt", "missed.txt"].map(|name| lines(round, name));
    let mut ends = [caught?, hung?, unviable?, survived?];
    let judged: usize = ends.iter().map(Vec::len).sum();
    ensure!(
        judged == all.len(),
        "{}: the run ended after {judged} of {} mutants: run it again",
        round.display(),
        all.len()
    );
    for end in &mut ends {
        end.retain(|mutant| only.is_none_or(|only| only.contains(mutant)));
    }
    let [caught, hung, unviable, survived] = ends;
    Ok(Outcome {
        caught: caught.len(),
        hung: hung.len(),
        unviable: unviable.len(),
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
fn judge<'a>(survived: &[String], known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let known: BTreeSet<&str> = known.collect();
    let survived: BTreeSet<&str> = survived.iter().map(String::as_str).collect();
    let new = survived.difference(&known);
    let new = new.map(|mutant| format!("survives without a reason: {mutant}"));
    let gone = known.difference(&survived);
    let gone = gone.map(|mutant| format!("does not survive, strike it from the list: {mutant}"));
    new.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survivors_and_reasons_must_be_the_same() {
        let survived = ["a: x".to_owned(), "b: y".to_owned()];
        assert_eq!(judge(&survived, ["a: x", "b: y"].into_iter()), Vec::<String>::new());
        let found = judge(&survived, ["a: x", "c: z"].into_iter());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("b: y") && found[1].contains("c: z"), "{found:?}");
    }

    #[test]
    fn a_run_is_read_round_by_round_and_without_its_line_numbers() {
        let directory = std::env::temp_dir().join(format!("mutants-{}", std::process::id()));
        assert!(read_part(&directory).is_err(), "nothing has been run");
        let [one, two] = [
            "a.rs:5:6: replace z -> Option<a::B> with None\n",
            "a.rs:7:8: replace && with || in f\n",
        ];
        let write = |number: usize, [caught, timeout, unviable, missed]: [&str; 4]| {
            let round = round(&directory, number).join("mutants.out");
            std::fs::create_dir_all(&round).unwrap();
            for (name, text) in [
                ("caught.txt", caught),
                ("timeout.txt", timeout),
                ("unviable.txt", unviable),
                ("missed.txt", missed),
            ] {
                std::fs::write(round.join(name), text).unwrap();
            }
            let all = [caught, timeout, unviable, missed].concat();
            let all: Vec<_> = all.lines().collect();
            let all = serde_json::to_string(&all).unwrap();
            std::fs::write(round.join("mutants.json"), all).unwrap();
        };
        let both = format!("{one}{two}");
        write(1, ["b.rs:1:2: c\nb.rs:1:2: d\n", "a.rs:3:4: delete !\n", "e\n", &both]);
        let first = read_part(&directory).unwrap();
        assert_eq!(
            score("part", &first),
            "part: 3 of 5 mutants caught (60.0 %; 1 of them by hanging), 1 do not compile"
        );
        let live = live(&round(&directory, 1)).unwrap();
        assert_eq!(live.len(), 3, "a mutant that hangs is judged once more: {live:?}");
        write(2, [&format!("{two}b.rs:1:2: d\n"), "a.rs:3:4: delete !\n", "", one]);
        let last = read_part(&directory).unwrap();
        let caught = round(&directory, 2).join("mutants.out").join("caught.txt");
        std::fs::write(caught, "").unwrap();
        let error = read_part(&directory).unwrap_err().to_string();
        assert!(error.contains("ended after 2 of 4 mutants"), "{error}");
        std::fs::remove_dir_all(&directory).unwrap();
        let survived = vec!["a.rs: replace z -> Option<a::B> with None".to_owned()];
        assert_eq!(last, Outcome { caught: 3, hung: 1, unviable: 1, survived });
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
        let engine = std::fs::read_dir(workspace.root.join("crates/transfer-engine/src")).unwrap();
        for file in engine {
            let file = file.unwrap().file_name().into_string().unwrap();
            let owners = PARTS
                .iter()
                .filter(|part| part.owns(&format!("crates/transfer-engine/src/{file}")))
                .count();
            assert_eq!(owners, 1, "{file}");
        }
        let known: Known = toml::from_str(&workspace.read(SURVIVORS).unwrap()).unwrap();
        for one in known.survivor {
            assert!(PARTS.iter().any(|part| part.owns(&one.mutant)), "{}", one.mutant);
            assert!(one.reason.len() > 20, "{}: {}", one.mutant, one.reason);
        }
    }
}
