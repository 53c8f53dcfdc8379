//! Block storages beside ever more rows, and in more replicas, for ever more clients.

use crate::figures::rounded;
use crate::ground::{Logins, Ready, Storage};
use crate::lane::Lane;
use crate::load::Operation;
use crate::measure::{Plan, load_average};
use crate::plot::{Group, Plot};
use crate::processes;
use crate::requests::Requests;
use crate::wire::Wire;
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// At once in the round before the first.
const WARM: usize = 8;
const OPERATIONS: [Operation; 3] = [Operation::Initiate, Operation::Accept, Operation::Cancel];
/// An offer and its accept, one after the other: reckoned from the figures of both.
const HAND_OVER: &str = "hand-over";

/// Measures all storages of the ground in turns, and tells all figures until then after each
/// number of clients.
///
/// # Errors
/// When a storage does not do its work at all, or `tell` fails.
pub async fn grow(
    ready: &Ready,
    plan: Plan,
    mut tell: impl FnMut(&Value) -> Result<()>,
) -> Result<()> {
    let wire = Wire::new();
    let logins = Logins::of(&wire, ready).await?;
    let requests = Requests::of(&wire, ready).await?;
    let mut lanes: Vec<_> =
        ready.storages.iter().map(|one| (one, Lane::of(one, ready, &wire, &logins))).collect();
    for (_, lane) in &mut lanes {
        // All volumes, so that what is measured is no first look at a page of the database.
        lane.warm_up(WARM, usize::MAX, &requests).await?;
    }
    let (load, count) = (load_average(), lanes.len());
    for &clients in &plan.concurrencies {
        for round in 0..plan.rounds {
            for turn in 0..count {
                let (_, lane) = &mut lanes[(round + turn) % count];
                lane.round(clients, plan.bound, &requests).await?;
            }
        }
        let storages = lanes.iter().map(|(storage, lane)| {
            let cells = plan.concurrencies.iter().flat_map(|clients| {
                OPERATIONS.iter().filter_map(move |operation| {
                    let measured = lane.measured.get(&(*operation, *clients))?;
                    let mut cell = Map::new();
                    measured.tell("", &mut cell);
                    cell.insert("operation".to_owned(), json!(operation.to_string()));
                    cell.insert("clients".to_owned(), json!(clients));
                    Some(Value::Object(cell))
                })
            });
            json!({
                "volumes": storage.others, "replicas": storage.replicas.len(),
                "peak_mib": peak(storage), "cells": cells.collect::<Vec<_>>(),
            })
        });
        let storages: Vec<_> = storages.collect();
        tell(&json!({"load_average": [load, load_average()], "storages": storages}))?;
    }
    Ok(())
}

/// Of all replicas together.
fn peak(storage: &Storage) -> f64 {
    rounded(storage.pids().into_iter().map(processes::peak_mib).sum())
}

/// What a terminal shows of figures by the databases' names: operations a second, how that is to
/// the first storage, and latencies.
#[must_use]
pub fn growth_table(document: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (database, figures) in document {
        let _ = writeln!(text, "{database}: load average {}", figures["load_average"]);
        let _ = writeln!(
            text,
            "{:>9} {:>8} {:9} {:>7} |{:>9}{:>10} |{:>9}{:>9}{:>9} |{:>7}{:>7}",
            "volumes",
            "replicas",
            "operation",
            "clients",
            "a second",
            "to first",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "CPU ms",
            "errors"
        );
        let storages = figures["storages"].as_array().map(Vec::as_slice).unwrap_or_default();
        for operation in told() {
            for clients in clients(storages) {
                rows(&mut text, storages, &operation, clients);
            }
        }
        for storage in storages {
            let _ = writeln!(
                text,
                "{} volumes, {} replicas: peak memory {:.0} MiB",
                storage["volumes"],
                storage["replicas"],
                number(&storage["peak_mib"])
            );
        }
    }
    text
}

/// Operations a second as bars, by the number of clients: each database below the other.
#[must_use]
pub fn growth_plot(document: &Map<String, Value>) -> String {
    let storages_of = |figures: &Value| figures["storages"].as_array().cloned().unwrap_or_default();
    let mut series: Vec<String> = Vec::new();
    for storage in document.values().flat_map(&storages_of) {
        let name = named(&storage);
        if !series.contains(&name) {
            series.push(name);
        }
    }
    let names: Vec<&str> = series.iter().map(String::as_str).collect();
    let title = "Operations a second, by clients, beside ever more volumes and in more replicas";
    let mut plot = Plot::new(title, &names);
    for (database, figures) in document {
        let storages = storages_of(figures);
        let mut groups = Vec::new();
        for operation in told() {
            for clients in clients(&storages) {
                let bars = series.iter().map(|name| {
                    let storage = storages.iter().find(|storage| named(storage) == *name);
                    let cell = storage.and_then(|storage| cell(storage, &operation, clients));
                    cell.map_or(f64::NAN, |cell| number(&cell["per_s"]))
                });
                let label = format!("{operation} {clients}");
                groups.push(Group { label, values: bars.collect() });
            }
        }
        plot.panel(database, groups);
    }
    plot.svg()
}

fn named(storage: &Value) -> String {
    format!("{} volumes x{}", storage["volumes"], storage["replicas"])
}

/// What is told of each storage, one below the other.
fn told() -> impl Iterator<Item = String> {
    OPERATIONS.iter().map(ToString::to_string).chain([HAND_OVER.to_owned()])
}

/// The numbers of clients that were measured, ascending.
fn clients(storages: &[Value]) -> BTreeSet<u64> {
    let cells = storages.iter().filter_map(|storage| storage["cells"].as_array()).flatten();
    cells.filter_map(|cell| cell["clients"].as_u64()).collect()
}

fn rows(text: &mut String, storages: &[Value], operation: &str, clients: u64) {
    let cell = |storage| cell(storage, operation, clients);
    let first = storages.first().and_then(cell).map_or(f64::NAN, |cell| number(&cell["per_s"]));
    for storage in storages {
        let Some(cell) = cell(storage) else { continue };
        let of = |name: &str| number(&cell[name]);
        // Two operations one after the other have no latencies of their own.
        let shown = |name: &str| cell[name].as_f64().map_or(String::new(), |ms| format!("{ms:.1}"));
        let _ = writeln!(
            text,
            "{:>9} {:>8} {operation:9} {clients:>7} |{:>9.1}{:>10.2} |{:>9}{:>9}{:>9} \
             |{:>7.1}{:>7.0}",
            storage["volumes"],
            storage["replicas"],
            of("per_s"),
            of("per_s") / first,
            shown("p50_ms"),
            shown("p95_ms"),
            shown("p99_ms"),
            of("cpu_ms"),
            of("errors"),
        );
        if let Some(first) = cell["first_error"].as_str() {
            let _ = writeln!(text, "  the first error: {first}");
        }
    }
}

fn cell(storage: &Value, operation: &str, clients: u64) -> Option<Value> {
    if operation == HAND_OVER {
        let [offer, accept] = [Operation::Initiate, Operation::Accept]
            .map(|operation| cell(storage, &operation.to_string(), clients));
        return Some(one_after_the_other(&offer?, &accept?));
    }
    let mut cells = storage["cells"].as_array()?.iter();
    let found = cells.find(|one| one["operation"] == operation && one["clients"] == json!(clients));
    found.cloned()
}

fn one_after_the_other(first: &Value, second: &Value) -> Value {
    let both = |name: &str| (number(&first[name]), number(&second[name]));
    let sum = |name: &str| both(name).0 + both(name).1;
    let (one, other) = both("per_s");
    json!({
        "per_s": rounded(1.0 / (1.0 / one + 1.0 / other)),
        "cpu_ms": rounded(sum("cpu_ms")), "errors": sum("errors"),
    })
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_compared_with_that_of_the_first_storage() {
        let storage = |volumes: u64, rate: f64| {
            json!({"volumes": volumes, "replicas": 1, "peak_mib": 20.0, "cells": [
                {"operation": "accept", "clients": 8, "per_s": rate, "errors": 1,
                 "first_error": "503"},
                {"operation": "initiate", "clients": 8, "per_s": 2.0 * rate, "errors": 0},
            ]})
        };
        let figures = json!({
            "load_average": ["0", "1"], "storages": [storage(1000, 200.0), storage(9000, 190.0)],
        });
        let document = Map::from_iter([("sqlite".to_owned(), figures)]);
        let table = growth_table(&document);
        assert!(table.contains("    200.0      1.00"), "{table}");
        assert!(table.contains("    190.0      0.95"), "{table}");
        assert!(table.contains("hand-over       8 |    126.7      0.95"), "{table}");
        assert!(table.contains("the first error: 503"), "{table}");
        let plot = growth_plot(&document);
        for told in ["accept 8", "1000 volumes x1", "9000 volumes x1", ">200<", ">190<"] {
            assert!(plot.contains(told), "{told}: {plot}");
        }
    }
}
