//! `cargo xtask conformance peers`: real and simulated services, asked the same and compared.
//!
//! The requests are the files of `conformance/peers/cases`; what the real side replies is kept in
//! `conformance/peers/recorded`, which plain tests compare the simulator with. Differences that
//! stay are listed in `simulator/FIDELITY.md`. `conformance/peer_services.py` starts both sides.

mod services;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use peer_replay::{CaseFile, Endpoints, Known, Policy, Recording, Session, Verdict};
use serde_json::json;

use crate::workspace::Workspace;
use services::{Side, Sides};

const CASES: &str = "conformance/peers/cases";
const RECORDED: &str = "conformance/peers/recorded";
const KNOWN: &str = "simulator/FIDELITY.md";

/// How to run it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// Write down what the real side replies, and compare nothing
    #[arg(long)]
    record: bool,
    /// This file of cases alone; may be given several times
    #[arg(long, value_name = "FILE")]
    only: Vec<String>,
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
    /// Write agreement and differences here
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    json: Option<PathBuf>,
}

impl Options {
    /// The real side, if it need not be started; its policy is whatever it is.
    fn real(&self) -> Option<Side> {
        let bare = |url: &str| url.trim_end_matches('/').trim_end_matches("/v3").to_owned();
        let endpoints = Endpoints {
            keystone: bare(self.keystone.as_ref()?),
            barbican: bare(self.barbican.as_ref()?),
            password: self.password.clone()?,
        };
        Some(Side::from([(Policy::New, endpoints.clone()), (Policy::Legacy, endpoints)]))
    }
}

/// Records the real side, or compares both sides.
///
/// # Errors
/// When a side does not start or cannot be asked, or the agreement is not enough.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let files = chosen(CaseFile::read_all(&workspace.root.join(CASES))?, &options.only)?;
    let policies = files.iter().map(|file| file.policy).collect();
    let sides = Sides::start(workspace, options.real(), &policies, !options.record)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let real = runtime.block_on(replay(&files, &sides.real)).context("the real side")?;
    if options.record {
        return record(&workspace.root.join(RECORDED), &files, &real);
    }
    let simulated = replay(&files, &sides.simulated);
    let simulated = runtime.block_on(simulated).context("the simulated side")?;
    drop(sides);
    let known = Known::read_all(&workspace.read(KNOWN)?).context(KNOWN)?;
    let mut verdict = Verdict::default();
    for ((file, real), simulated) in files.iter().zip(&real).zip(&simulated) {
        verdict.add(file, real, simulated);
    }
    let mut verdict = verdict.under(&known);
    verdict.problems.extend(stale(&workspace.root.join(RECORDED), &files, &real)?);
    report(&verdict, &known, options.json.as_deref())
}

/// The files of those names; all of them when none is named.
fn chosen(files: Vec<CaseFile>, only: &[String]) -> Result<Vec<CaseFile>> {
    for name in only {
        let there = files.iter().any(|file| file.name == *name);
        ensure!(there, "{CASES} has no {name}.json");
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
            let shown = one.to_string().replace(", simulated ", ", recorded ");
            format!("not as recorded: {shown}")
        }));
    }
    Ok(found)
}

/// Prints agreement, the differences that are known, and what is wrong: each difference is in one
/// of both. An error when something is wrong.
fn report(verdict: &Verdict, known: &[Known], json: Option<&Path>) -> Result<()> {
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
    println!("{} of these requests the service sends itself", verdict.of_the_service());
    if let Some(path) = json {
        let found = json!({
            "all": verdict.total(),
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
            let files = CaseFile::read_all(&workspace.root.join(CASES)).unwrap();
            let names = chosen(files, &only)
                .map(|files| files.into_iter().map(|file| file.name).collect::<Vec<_>>())
                .map_err(|error| error.to_string());
            let expected = expected
                .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
                .map_err(ToOwned::to_owned);
            assert_eq!(names, expected);
        };
        check(&["keystone-tokens", "barbican-lists"], Ok(&["barbican-lists", "keystone-tokens"]));
        check(&["nothing"], Err("conformance/peers/cases has no nothing.json"));
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
        let files = chosen(CaseFile::read_all(&workspace.root.join(CASES)).unwrap(), &only);
        let files = files.unwrap();
        let path = workspace.root.join(RECORDED).join("keystone-discovery.json");
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
