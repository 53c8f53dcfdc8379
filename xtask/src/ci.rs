//! `cargo xtask ci`: every check in order, each under a heading and with its time.
//!
//! A failure ends the run, and says which step it was and how to repeat that step alone. The first
//! two steps are the README's own two commands.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::workspace::Workspace;
use crate::{bench, chaos, conformance, fuzz, load, page, process, readme, services, tidy};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run the nightly steps, too
    #[arg(long)]
    nightly: bool,
    /// Say what there is, and run nothing
    #[arg(long)]
    list: bool,
    /// Begin with this step
    #[arg(long, value_name = "STEP", conflicts_with = "only")]
    from: Option<String>,
    /// Run this step alone
    #[arg(long, value_name = "STEP")]
    only: Option<String>,
}

/// One check.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "test", about: "the README's test command", run: |w| documented(w, readme::TEST) },
    Step { name: "demo", about: "the README's demo command", run: |w| documented(w, readme::DEMO) },
    Step {
        name: "fmt",
        about: "formatting",
        run: |w| {
            process::run(&mut w.cargo(["fmt", "--all", "--check"]))?;
            // fuzz/ is a workspace of its own
            process::run(&mut w.cargo("fmt --check --manifest-path fuzz/Cargo.toml".split(' ')))
        },
    },
    Step {
        name: "clippy",
        about: "lints, warnings denied",
        run: |w| {
            let lint = "clippy --workspace --all-targets -- -D warnings";
            process::run(&mut w.cargo(lint.split(' ')))
        },
    },
    Step {
        name: "doc",
        about: "rustdoc, warnings denied",
        run: |w| {
            let mut doc = w.cargo(["doc", "--workspace", "--no-deps"]);
            process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
        },
    },
    Step { name: "tidy", about: "house rules", run: tidy::run },
    Step {
        name: "fuzz",
        about: "every fuzz target over its corpus, and a little beyond",
        run: fuzz::run_corpora,
    },
    Step {
        name: "databases",
        about: "the store, replicas, crashes and races on MariaDB and PostgreSQL",
        run: services::test,
    },
    Step {
        name: "bench",
        about: "every benchmark runs, on each database",
        run: |w| bench::run(w, &bench::Options::quick()),
    },
    Step {
        name: "chaos",
        about: "replicas killed and paused, Barbican failing, the database restarted",
        run: |w| chaos::run(w, &chaos::Options::quick()),
    },
    Step { name: "page", about: "the page of a check in a browser", run: page::run },
    Step {
        name: "clients",
        about: "the real clients against serve --dev",
        run: |w| conformance::run(w, &conformance::Suite::Clients),
    },
    Step {
        name: "real",
        about: "real Keystone and Barbican, real clients",
        run: |w| conformance::run(w, &conformance::Suite::Real),
    },
];

/// What takes too long, or asks too much of a busy machine, to be run before each change lands.
/// Plain tests judge the same by what the real services were recorded to reply.
const NIGHTLY: &[Step] = &[
    Step {
        name: "proxies",
        about: "HAProxy and nginx in front of the service",
        run: |w| conformance::run(w, &conformance::Suite::Proxies),
    },
    Step {
        name: "beside",
        about: "real clients, real cinder-api, HAProxy, on MariaDB and PostgreSQL",
        run: |w| conformance::run(w, &conformance::Suite::Beside),
    },
    Step {
        name: "bulk",
        about: "a bulk of 1,000 encrypted volumes, killed five times",
        run: |w| load::run(w, "bulk", &load::Options::default()),
    },
    Step {
        name: "overload",
        about: "1,000 clients before a slow Barbican",
        run: |w| load::run(w, "overload", &load::Options::default()),
    },
    Step {
        name: "audit",
        about: "an audit of a million volumes, with damage planted among them",
        run: |w| load::run(w, "audit-growth", &load::Options::default()),
    },
    Step {
        name: "peers",
        about: "the simulator against real Keystone and Barbican, request by request",
        run: |w| conformance::run(w, &conformance::Suite::peers()),
    },
    Step {
        name: "cinder",
        about: "the service against upstream's cinder-api, request by request and row by row",
        run: |w| conformance::run(w, &conformance::Suite::cinder()),
    },
    Step {
        name: "damage",
        about: "audit and repair after upstream's transfers went wrong in every way",
        run: |w| conformance::run(w, &conformance::Suite::Audit { record: false }),
    },
    Step {
        name: "tempest",
        about: "OpenStack's own test suite against the simulator",
        run: |w| conformance::run(w, &conformance::Suite::Tempest { real: false }),
    },
];

/// Runs the chosen steps.
///
/// # Errors
/// Names the first step that fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let steps = chosen(options)?;
    if options.list {
        for step in steps {
            println!("{:9} {}", step.name, step.about);
        }
        return Ok(());
    }
    let start = Instant::now();
    let mut times = Vec::new();
    for step in steps {
        println!("\n==> {}: {}", step.name, step.about);
        let begun = Instant::now();
        let result = (step.run)(workspace);
        times.push((step.name, begun.elapsed()));
        if let Err(error) = result {
            print_times(&times, start.elapsed());
            let name = step.name;
            bail!("step {name} failed: {error:#}\nto repeat it: cargo xtask ci --only {name}");
        }
    }
    print_times(&times, start.elapsed());
    println!("all steps passed");
    Ok(())
}

/// Runs a command that the README documents, as it stands there.
fn documented(workspace: &Workspace, command: &str) -> Result<()> {
    let page = workspace.read("README.md")?;
    let documented = readme::commands(&page).contains(&command);
    ensure!(documented, "README.md has no line of fenced code that says: {command}");
    let mut words = command.split_whitespace();
    ensure!(words.next() == Some("cargo"), "not a cargo command: {command}");
    process::run(&mut workspace.cargo(words))
}

/// The steps that the options select. One that is named need not be asked for otherwise.
fn chosen(options: &Options) -> Result<Vec<&'static Step>> {
    let all = || STEPS.iter().chain(NIGHTLY);
    let at = |name: &str| match all().position(|step| step.name == name) {
        Some(index) => Ok(index),
        None => bail!("no step {name}; see cargo xtask ci --nightly --list"),
    };
    let end = STEPS.len() + if options.nightly { NIGHTLY.len() } else { 0 };
    Ok(match (&options.only, &options.from) {
        (Some(only), _) => all().skip(at(only)?).take(1).collect(),
        (None, Some(from)) => {
            let from = at(from)?;
            all().take(end.max(from + 1)).skip(from).collect()
        }
        (None, None) => all().take(end).collect(),
    })
}

fn print_times(times: &[(&str, Duration)], total: Duration) {
    println!();
    for (name, time) in times {
        println!("{name:9} {:6.1} s", time.as_secs_f64());
    }
    println!("{:9} {:6.1} s", "total", total.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(nightly: bool, from: Option<&str>, only: Option<&str>, expected: &[&str]) {
        let (from, only) = (from.map(Into::into), only.map(Into::into));
        let chosen = chosen(&Options { nightly, list: false, from, only }).unwrap();
        assert_eq!(chosen.iter().map(|step| step.name).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn steps_are_chosen_by_name() {
        check(false, Some("clients"), None, &["clients", "real"]);
        check(
            true,
            Some("real"),
            None,
            &[
                "real", "proxies", "beside", "bulk", "overload", "audit", "peers", "cinder",
                "damage", "tempest",
            ],
        );
        check(true, Some("cinder"), None, &["cinder", "damage", "tempest"]);
        check(false, None, Some("fmt"), &["fmt"]);
        check(false, None, Some("peers"), &["peers"]);
        let only = Some("fnt".to_owned());
        let unknown = chosen(&Options { nightly: false, list: false, from: None, only });
        let error = unknown.err().unwrap().to_string();
        assert_eq!(error, "no step fnt; see cargo xtask ci --nightly --list");
    }

    #[test]
    fn a_command_that_the_readme_does_not_document_is_not_run() {
        let workspace = Workspace::locate().unwrap();
        let error = documented(&workspace, "cargo no-such-command").unwrap_err();
        assert!(error.to_string().contains("README.md"), "{error}");
    }
}
