//! `cargo xtask bench`: the benchmarks of `benches/`, and `docs/benchmarks.md` of what they, and
//! `bench-peers` and `bench-growth` before them, have found.
//!
//! Criterion measures and keeps its estimates under `target/criterion`; they are read from there.
//! The store's benchmarks get a MariaDB and a PostgreSQL of `cargo xtask services`, on databases
//! of their own. A quick run only sees whether everything runs, and writes nothing. What has been
//! measured is kept from run to run: a part can be measured alone, and the page tells all there is.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use peer_bench::{Group, Plot};
use serde::Deserialize;

use crate::workspace::Workspace;
use crate::{bench_growth, bench_peers, process, services};

const PAGE: &str = "docs/benchmarks.md";

const PEERS: &str = "
## Beside upstream

Written by `cargo xtask bench-peers`: upstream's cinder-api 29, this service, and bare requests to
Barbican (the floor), in turns, before the same Keystone and Barbican. Upstream and ours keep their
rows in one MariaDB; *ours on SQLite* keeps them in a file. A real Barbican has two processes, and
HAProxy gives each request to the one that has fewer. A hand-over is an offer and its accept; what
is said of it is reckoned from both. MariaDB is told not to wait for the disk when it commits;
SQLite does wait.

![Beside upstream](peers.svg)
";
const LIMITS: &str = "
What limits it:

- Before a real Barbican, Barbican. The floor sends the requests that the service sends, and does
  nothing else: there is no quicker way through Barbican's API.
- With eight clients and more, both processors are busy, and what the service and its database
  server compute is taken from Barbican: *floor:us* says then how their processor time relates to
  Barbican's.
- What the service adds to the floor on MariaDB is round trips: every statement is one, and wakes a
  thread on either side. `crates/cinder-db/tests/store/statements.rs` pins how many there are. On
  SQLite, where a statement is a call, less is added.
- Before the simulator, which takes next to nothing, the processors, as *processor time of a
  hand-over* shows. *Others* is the database server: on MariaDB it uses more than all else
  together. On SQLite nearly all is the service's own. There is one writer, which waits for the
  disk: all parts together use less than the processors have.
- An accept writes a reservation for each quota and project, as Cinder does; that is what makes it
  twice as long as an offer.
- Barbican takes longer for a request that names a media type in `Accept` than for one that does
  not, by about as much as it takes to look a secret up. Neither the service nor the floor does.
";
const GROWTH: &str = "
## Beside ever more rows

Written by `cargo xtask bench-growth`: this service beside so many volumes, and ten times as many
transfers that have ended, in so many replicas, before the simulator. All take turns; *to first* is
the rate divided by that of the first line of its kind. PostgreSQL and MariaDB have 1 GiB for
buffers, and are told not to wait for the disk; their statistics are up to date. All hand-overs are
between the same two projects: accepts wait for each other, for the same rows of quotas.

![Beside ever more rows](growth.svg)
";

/// How to run them.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only those whose name holds this, as `bulk` or `"store, SQLite"`; the page keeps what was
    /// found of the others before
    #[arg(value_name = "PART")]
    part: Option<String>,
    /// See whether they run, and write nothing
    #[arg(long)]
    quick: bool,
    /// Measure nothing, and write the page of what has been found
    #[arg(long, conflicts_with_all = ["part", "quick"])]
    page: bool,
}

impl Options {
    /// As `cargo xtask ci` runs it.
    pub(crate) fn quick() -> Self {
        Self { part: None, quick: true, page: false }
    }
}

/// One benchmark's result.
struct Found {
    group: String,
    name: String,
    /// Nanoseconds of one round: the mean, and where it lies with a confidence of 95 %.
    mean: f64,
    low: f64,
    high: f64,
    /// What one round consists of.
    elements: Option<f64>,
}

/// Runs them all.
///
/// # Errors
/// When one fails, or what criterion wrote cannot be read.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let results = workspace.target.join("criterion");
    if !options.page {
        let is_whole = options.part.is_none() && !options.quick;
        if is_whole && results.exists() {
            std::fs::remove_dir_all(&results).with_context(|| results.display().to_string())?;
        }
        let how = if options.quick { "test" } else { "bench" };
        let mut bench = workspace.cargo([how, "--quiet", "-p", "benches", "--bench", "all", "--"]);
        bench.args(&options.part);
        let lent = [services::postgresql(workspace)?, services::mariadb(workspace)?];
        for (server, variable) in lent.iter().zip(["POSTGRESQL", "MARIADB"]) {
            bench.env(format!("VOLUME_TRANSFER_BENCH_{variable}"), server.fresh_database()?);
        }
        process::run(&mut bench)?;
    }
    if options.quick { Ok(()) } else { write_page(workspace, &results) }
}

fn write_page(workspace: &Workspace, results: &Path) -> Result<()> {
    let mut found = Vec::new();
    read_all(results, &mut found)?;
    found.sort_by(|a, b| (&a.group, a.mean as u64).cmp(&(&b.group, b.mean as u64)));
    let mut text = page(&found);
    let docs = workspace.root.join("docs");
    std::fs::write(docs.join("benchmarks.svg"), plot(&found))?;
    let (peers, growth) = (bench_peers::figures(workspace)?, bench_growth::figures(workspace)?);
    if !peers.is_empty() {
        std::fs::write(docs.join("peers.svg"), peer_bench::plot(&peers))?;
        text.push_str(PEERS);
        let _ = write!(text, "\n```\n{}```\n{LIMITS}", peer_bench::table(&peers));
    }
    if !growth.is_empty() {
        std::fs::write(docs.join("growth.svg"), peer_bench::growth_plot(&growth))?;
        text.push_str(GROWTH);
        let _ = write!(text, "\n```\n{}```\n", peer_bench::growth_table(&growth));
    }
    std::fs::write(workspace.root.join(PAGE), text)?;
    println!("{PAGE}");
    Ok(())
}

/// Every `new/estimates.json` below a directory, with what it is of.
fn read_all(directory: &Path, found: &mut Vec<Found>) -> Result<()> {
    #[derive(Deserialize)]
    struct Benchmark {
        group_id: String,
        function_id: Option<String>,
        value_str: Option<String>,
        throughput: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    struct Estimates {
        mean: Estimate,
    }
    #[derive(Deserialize)]
    struct Estimate {
        point_estimate: f64,
        confidence_interval: Interval,
    }
    #[derive(Deserialize)]
    struct Interval {
        lower_bound: f64,
        upper_bound: f64,
    }
    let estimates = directory.join("new/estimates.json");
    if estimates.exists() {
        let of: Benchmark = read(&directory.join("new/benchmark.json"))?;
        let Estimates { mean } = read(&estimates)?;
        let name = [of.function_id, of.value_str].into_iter().flatten().collect::<Vec<_>>();
        found.push(Found {
            group: of.group_id,
            name: name.join(", "),
            mean: mean.point_estimate,
            low: mean.confidence_interval.lower_bound,
            high: mean.confidence_interval.upper_bound,
            elements: of.throughput.and_then(|of| of.get("Elements")?.as_f64()),
        });
        return Ok(());
    }
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, found)?;
        }
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn page(found: &[Found]) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`. One process does everything: the key manager is the \
         simulator, the database a file\nof SQLite unless its name says otherwise.\n\n\
         Machine: {}.\n\n![Benchmarks](benchmarks.svg)\n",
        machine()
    );
    let mut group = "";
    for one in found {
        if one.group != group {
            group = &one.group;
            let _ = write!(page, "\n## {group}\n\n| | a round | 95 % between | a second |\n|");
            page.push_str("---|---:|---:|---:|\n");
        }
        let rate = one.elements.unwrap_or(1.0) * 1e9 / one.mean;
        let _ = writeln!(
            page,
            "| {} | {} | {} and {} | {rate:.0} |",
            one.name,
            time(one.mean),
            time(one.low),
            time(one.high)
        );
    }
    page
}

/// How often each runs in a second.
fn plot(found: &[Found]) -> String {
    let mut plot = Plot::new("Benchmarks: how often a second", &["a second"]);
    let mut groups: Vec<&str> = found.iter().map(|one| one.group.as_str()).collect();
    groups.dedup();
    for group in groups {
        let own = found.iter().filter(|one| one.group == group);
        let bars = own.map(|one| Group {
            label: one.name.clone(),
            values: vec![one.elements.unwrap_or(1.0) * 1e9 / one.mean],
        });
        plot.panel(group, bars.collect());
    }
    plot.svg()
}

fn time(nanoseconds: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    match units.into_iter().find(|(unit, _)| nanoseconds >= *unit) {
        Some((unit, name)) => format!("{:.2} {name}", nanoseconds / unit),
        None => format!("{nanoseconds:.0} ns"),
    }
}

/// Processor, memory and system.
fn machine() -> String {
    let value = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!(
        "{cores} × {}, {} of memory, Linux {}, load average {load} when it was written",
        value("/proc/cpuinfo", "model name"),
        value("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let told = [12.0, 1_500.0, 2_345_678.0, 3e9].map(time);
        assert_eq!(told, ["12 ns", "1.50 µs", "2.35 ms", "3.00 s"]);
    }

    #[test]
    fn estimates_are_found_wherever_criterion_put_them() {
        let directory = std::env::temp_dir().join(format!("estimates-{}", std::process::id()));
        let own = directory.join("bulk").join("volumes").join("100").join("new");
        std::fs::create_dir_all(&own).unwrap();
        let benchmark = r#"{"group_id": "bulk", "function_id": "volumes", "value_str": "100",
                            "throughput": {"Elements": 100}}"#;
        std::fs::write(own.join("benchmark.json"), benchmark).unwrap();
        let estimates = r#"{"mean": {"point_estimate": 2e9, "confidence_interval":
                            {"lower_bound": 1e9, "upper_bound": 3e9}}}"#;
        std::fs::write(own.join("estimates.json"), estimates).unwrap();
        let mut found = Vec::new();
        read_all(&directory, &mut found).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let page = page(&found);
        assert!(page.contains("| volumes, 100 | 2.00 s | 1.00 s and 3.00 s | 50 |"), "{page}");
        assert!(plot(&found).contains("volumes, 100"));
    }
}
