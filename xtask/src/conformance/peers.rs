//! `cargo xtask conformance peers` and `cinder`: real services and ours, asked the same.
//!
//! The requests are the files of a directory `cases`; what the real side replies is kept beside it
//! in `recorded`, which plain tests compare ours with. Differences that stay are listed on a page
//! for people. A script of `conformance/` starts both sides.

mod services;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use peer_replay::{CaseFile, Endpoints, Known, Policy, Recording, Service, Session, Verdict};
use serde_json::json;

use crate::workspace::Workspace;
use services::{Side, Sides};

/// Two sides, and what is kept of them.
struct Pair {
    /// Of the directory of its cases and recordings.
    name: &'static str,
    /// The page of the differences that are known.
    known: &'static str,
    /// What starts both.
    script: &'static str,
    /// The virtual environments that the real side runs in.
    environments: &'static [&'static str],
    /// How many of a hundred requests have to be answered alike.
    enough: usize,
    /// Whether the real side has one of ours for a neighbour.
    mixed: bool,
}

/// Real Keystone and Barbican, and the simulator.
const PEERS: Pair = Pair {
    name: "peers",
    known: "simulator/FIDELITY.md",
    script: "peer_services.py",
    environments: &["services"],
    enough: 98,
    mixed: false,
};

/// Upstream's cinder-api, and the service: whatever differs is meant to.
const CINDER: Pair = Pair {
    name: "cinder",
    known: "docs/differences.md",
    script: "cinder_services.py",
    environments: &["services", "cinder"],
    enough: 0,
    mixed: true,
};

/// What of it to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Wanted {
    /// Write down what the real side replies, and compare nothing
    #[arg(long)]
    record: bool,
    /// This file of cases alone; may be given several times
    #[arg(long, value_name = "FILE")]
    only: Vec<String>,
    /// Write agreement and differences here
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    json: Option<PathBuf>,
}

/// How to run `peers`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// A real Keystone that is up, in the place of one that is started; the files of cases have to
    /// be for the policy that its Barbican enforces
    #[arg(long, value_name = "URL", requires = "barbican", requires = "password")]
    keystone: Option<String>,
    /// Its Barbican
    #[arg(long, value_name = "URL", requires = "keystone")]
    barbican: Option<String>,
    /// The password of its users
    #[arg(long, value_name = "PASSWORD", requires = "keystone")]
    password: Option<String>,
}

impl Pair {
    fn cases(&self, workspace: &Workspace) -> PathBuf {
        workspace.root.join("conformance").join(self.name).join("cases")
    }

    fn recorded(&self, workspace: &Workspace) -> PathBuf {
        workspace.root.join("conformance").join(self.name).join("recorded")
    }
}

impl Options {
    /// The real side, if it need not be started; its policy is whatever it is.
    fn real(&self) -> Option<Side> {
        let bare = |url: &str| url.trim_end_matches('/').trim_end_matches("/v3").to_owned();
        let endpoints = Endpoints {
            keystone: bare(self.keystone.as_ref()?),
            barbican: bare(self.barbican.as_ref()?),
            password: self.password.clone()?,
            block_storage: None,
        };
        Some(Side::from([(Policy::New, endpoints.clone()), (Policy::Legacy, endpoints)]))
    }
}

/// Records real Keystone and Barbican, or compares the simulator with them.
///
/// # Errors
/// When a side does not start or cannot be asked, or the agreement is not enough.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    replay_both(workspace, &PEERS, options.real(), &options.wanted)
}

/// Records upstream's cinder-api, or compares the service with it.
///
/// # Errors
/// As [`run`].
pub(super) fn run_cinder(workspace: &Workspace, wanted: &Wanted) -> Result<()> {
    replay_both(workspace, &CINDER, None, wanted)
}

fn replay_both(
    workspace: &Workspace,
    pair: &Pair,
    up: Option<Side>,
    wanted: &Wanted,
) -> Result<()> {
    let files = chosen(CaseFile::read_all(&pair.cases(workspace))?, &wanted.only)?;
    let policies = files.iter().map(|file| file.policy).collect();
    let sides = Sides::start(workspace, pair, up, &policies, pair.mixed || !wanted.record)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let real = runtime.block_on(replay(&files, &sides.real)).context("the real side")?;
    let recorded = pair.recorded(workspace);
    if wanted.record {
        return record(&recorded, &files, &real);
    }
    let ours = runtime.block_on(replay(&files, &sides.ours)).context("our side")?;
    drop(sides);
    let known = Known::read_all(&workspace.read(pair.known)?).context(pair.known)?;
    let mut verdict = Verdict::default();
    for ((file, real), ours) in files.iter().zip(&real).zip(&ours) {
        verdict.add(file, real, ours);
    }
    let mut verdict = verdict.under(&known, pair.enough);
    verdict.problems.extend(stale(&recorded, &files, &real)?);
    report(&files, &verdict, &known, wanted.json.as_deref())
}

/// The files of those names; all of them when none is named.
fn chosen(files: Vec<CaseFile>, only: &[String]) -> Result<Vec<CaseFile>> {
    for name in only {
        let there = files.iter().any(|file| file.name == *name);
        ensure!(there, "no cases are called {name}");
    }
    let wanted = |file: &CaseFile| only.is_empty() || only.contains(&file.name);
    Ok(files.into_iter().filter(wanted).collect())
}

/// What one side answers to every file.
async fn replay(files: &[CaseFile], side: &Side) -> Result<Vec<Recording>> {
    let mut sessions = BTreeMap::new();
    let mut recordings = Vec::new();
    for file in files {
        let session = match sessions.entry(file.policy) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let endpoints = side.get(&file.policy).cloned();
                let endpoints = endpoints.with_context(|| format!("{:?}: not up", file.policy))?;
                place.insert(Session::open(endpoints).await?)
            }
        };
        let recording = session.replay(file).await.with_context(|| file.name.clone())?;
        recordings.push(recording);
    }
    Ok(recordings)
}

/// Writes the recordings; those of whole runs only.
fn record(directory: &Path, files: &[CaseFile], real: &[Recording]) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    for (file, recording) in files.iter().zip(real) {
        if let Some(step) = recording.unsent() {
            bail!("{}: {step}", file.name);
        }
        let path = directory.join(format!("{}.json", file.name));
        let text = recording.to_text()?;
        let same = std::fs::read_to_string(&path).is_ok_and(|before| before == text);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        let state = if same { "as before" } else { "written" };
        println!("{}: {} replies, {state}", file.name, file.requests());
    }
    Ok(())
}

/// What the recordings have and the real side does not reply.
fn stale(directory: &Path, files: &[CaseFile], real: &[Recording]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (file, live) in files.iter().zip(real) {
        let recorded = Recording::read(&directory.join(format!("{}.json", file.name)))?;
        let differences = peer_replay::differences(&file.name, live, &recorded);
        found.extend(differences.iter().map(|one| {
            let shown = one.to_string().replace(", ours ", ", recorded ");
            format!("not as recorded: {shown}")
        }));
    }
    Ok(found)
}

/// Prints agreement, the differences that are known, and what is wrong: each difference is in one
/// of both. An error when something is wrong.
fn report(
    files: &[CaseFile],
    verdict: &Verdict,
    known: &[Known],
    json: Option<&Path>,
) -> Result<()> {
    for difference in &verdict.differences {
        if let Some(reason) = known.iter().find_map(|known| known.reason_for(difference)) {
            println!("known: {difference}\n    because {reason}");
        }
    }
    for problem in &verdict.problems {
        println!("{problem}");
    }
    println!();
    for file in &verdict.files {
        println!("{file}");
    }
    println!("{}", verdict.total());
    let to = |service| files.iter().map(|file| file.requests_to(service)).sum::<usize>();
    let to_cinder = to(Service::Cinder) + to(Service::Neighbour);
    println!("{to_cinder} of these requests are for Cinder");
    println!("{} of these requests the service sends itself", verdict.of_the_service());
    if let Some(path) = json {
        let found = json!({
            "all": verdict.total(),
            "to_cinder": to_cinder,
            "of_the_service": verdict.of_the_service(),
            "files": verdict.files,
            "differences": verdict.differences,
            "problems": verdict.problems,
        });
        let text = serde_json::to_string_pretty(&found)? + "\n";
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    match verdict.problems.len() {
        0 => Ok(()),
        count => bail!("{count} problems"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_chosen_by_name_and_a_name_that_is_none_is_told() {
        let workspace = Workspace::locate().unwrap();
        let check = |only: &[&str], expected: Result<&[&str], &str>| {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            let files = CaseFile::read_all(&PEERS.cases(&workspace)).unwrap();
            let names = chosen(files, &only)
                .map(|files| files.into_iter().map(|file| file.name).collect::<Vec<_>>())
                .map_err(|error| error.to_string());
            let expected = expected
                .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
                .map_err(ToOwned::to_owned);
            assert_eq!(names, expected);
        };
        check(&["keystone-tokens", "barbican-lists"], Ok(&["barbican-lists", "keystone-tokens"]));
        check(&["nothing"], Err("no cases are called nothing"));
    }

    #[test]
    fn a_side_that_is_up_is_named_with_or_without_a_version() {
        let mut options = Options {
            keystone: Some("http://127.0.0.1:5000/v3/".to_owned()),
            barbican: Some("http://127.0.0.1:9311".to_owned()),
            ..Options::default()
        };
        assert!(options.real().is_none());
        options.password = Some("open sesame".to_owned());
        for endpoints in options.real().unwrap().values() {
            assert_eq!(endpoints.keystone, "http://127.0.0.1:5000");
            assert_eq!(endpoints.barbican, "http://127.0.0.1:9311");
        }
    }

    #[test]
    fn a_recording_that_is_not_what_is_replied_is_told() {
        let directory = std::env::temp_dir().join(format!("recorded-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let workspace = Workspace::locate().unwrap();
        let only = ["keystone-discovery".to_owned()];
        let files = chosen(CaseFile::read_all(&PEERS.cases(&workspace)).unwrap(), &only);
        let files = files.unwrap();
        let path = PEERS.recorded(&workspace).join("keystone-discovery.json");
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(directory.join("keystone-discovery.json"), &text).unwrap();
        let live = |text: &str| vec![serde_json::from_str::<Recording>(text).unwrap()];
        assert_eq!(stale(&directory, &files, &live(&text)).unwrap(), Vec::<String>::new());
        let changed = text.replacen("300", "200", 1);
        let told = "not as recorded: keystone-discovery / version documents / the list: status: \
                    real 200, recorded 300";
        assert_eq!(stale(&directory, &files, &live(&changed)).unwrap(), [told]);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
