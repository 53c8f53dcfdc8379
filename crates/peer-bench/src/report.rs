//! Figures of both grounds as one document, a table and a plot.

use crate::figures::rounded;
use crate::plot::{Group, Plot};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The grounds, by their names in the document.
pub const GROUNDS: [&str; 2] = ["real", "simulated"];
const OPERATIONS: [&str; 3] = ["initiate", "accept", "cancel"];
/// An offer and its accept, one after the other: reckoned from the figures of both.
const HAND_OVER: &str = "hand_over";
/// This service on SQLite, where it was measured; `ours` keeps its rows where upstream does.
const ON_SQLITE: &str = "ours_on_sqlite";
const CONTENDERS: [&str; 4] = ["upstream", "ours", ON_SQLITE, "floor"];
/// Processor time by who uses it, and what a table calls them.
const USERS: [(&str, &str); 4] = [
    ("cpu_ms", "service"),
    ("key_manager_cpu_ms", "key manager"),
    ("client_cpu_ms", "client"),
    ("others_cpu_ms", "others"),
];

/// Adds whole hand-overs, the ratios to every cell, and what the simulator is to the real Barbican.
pub fn complete(document: &mut Map<String, Value>) {
    for ground in GROUNDS {
        if let Some(figures) = document.get_mut(ground).and_then(Value::as_object_mut) {
            let whole = hand_overs(figures);
            figures.insert(HAND_OVER.to_owned(), whole);
        }
    }
    for (ground, operation, concurrency) in places() {
        let Some(cell) = document
            .get_mut(ground)
            .and_then(|ground| ground.get_mut(operation)?.get_mut(concurrency)?.as_object_mut())
        else {
            continue;
        };
        let rate = |name: &str| cell.get(name).and_then(Value::as_f64);
        let (upstream, ours, floor) =
            (rate("upstream_per_s"), rate("ours_per_s"), rate("floor_per_s"));
        let on_sqlite = rate(&format!("{ON_SQLITE}_per_s"));
        cell.insert("ours_to_upstream".to_owned(), json!(ratio(ours, upstream)));
        cell.insert("floor_to_ours".to_owned(), json!(ratio(floor, ours)));
        if on_sqlite.is_some() {
            let (times, share) = (ratio(on_sqlite, upstream), ratio(floor, on_sqlite));
            cell.insert(format!("{ON_SQLITE}_to_upstream"), json!(times));
            cell.insert(format!("floor_to_{ON_SQLITE}"), json!(share));
        }
    }
    let bare = |ground: &str, what: &str| document.get(ground)?["bare_barbican"][what].as_f64();
    let times = |what: &str| ratio(bare("simulated", what), bare("real", what));
    let (post, get) = (times("post_secret_per_s"), times("get_payload_per_s"));
    if post.is_some() && get.is_some() {
        let ratios = json!({"post_secret": post, "get_payload": get});
        document.insert("simulator_vs_barbican".to_owned(), ratios);
    }
}

fn ratio(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    Some(rounded(above? / below.filter(|below| *below > 0.0)?))
}

/// Of each contender, at each concurrency: how many whole hand-overs it does in a second, and what
/// one takes of its processor and asks of Barbican.
fn hand_overs(figures: &Map<String, Value>) -> Value {
    let [initiate, accept] = ["initiate", "accept"].map(|operation| figures.get(operation));
    let mut whole = Map::new();
    for (concurrency, first) in initiate.and_then(Value::as_object).into_iter().flatten() {
        let Some(second) = accept.and_then(|accept| accept.get(concurrency)) else { continue };
        let mut cell = Map::new();
        for who in CONTENDERS {
            let both = |what: &str| {
                let what = format!("{who}_{what}");
                Some((first[&what].as_f64()?, second[&what].as_f64()?))
            };
            if let Some((one, two)) = both("per_s").filter(|(one, two)| one * two > 0.0) {
                let rate = 1.0 / (1.0 / one + 1.0 / two);
                cell.insert(format!("{who}_per_s"), json!(rounded(rate)));
            }
            for what in USERS.map(|(what, _)| what).into_iter().chain(["barbican_requests"]) {
                if let Some((one, two)) = both(what) {
                    cell.insert(format!("{who}_{what}"), json!(rounded(one + two)));
                }
            }
        }
        whole.insert(concurrency.clone(), Value::Object(cell));
    }
    Value::Object(whole)
}

/// What is compared, one below the other.
fn rows() -> impl Iterator<Item = &'static str> {
    OPERATIONS.into_iter().chain([HAND_OVER])
}

fn places() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    const NAMES: [&str; 3] = ["c1", "c8", "c32"];
    GROUNDS.into_iter().flat_map(|ground| {
        rows().flat_map(move |operation| {
            NAMES.into_iter().map(move |concurrency| (ground, operation, concurrency))
        })
    })
}

/// What a terminal shows.
pub fn table(document: &Map<String, Value>) -> String {
    let mut text = String::new();
    for ground in GROUNDS {
        if let Some(figures) = document.get(ground) {
            table_of(ground, figures, &mut text);
        }
    }
    if let Some(ratios) = document.get("simulator_vs_barbican") {
        let _ = writeln!(
            text,
            "simulator to real Barbican: POST secret {:.1} times, GET payload {:.1} times",
            number(&ratios["post_secret"]),
            number(&ratios["get_payload"])
        );
    }
    text
}

fn table_of(ground: &str, figures: &Value, text: &mut String) {
    let load = figures["load_average"].as_array().map(Vec::as_slice).unwrap_or_default();
    let load: Vec<_> = load.iter().filter_map(Value::as_str).collect();
    let _ = writeln!(text, "{ground}: load average {}", load.join(" before, "));
    let _ = writeln!(text, "  the machine does other work, too: read the ratios");
    let _ = writeln!(
        text,
        "{:13}|{:^23}|{:^17}|{:^35}|{:^17}|{:^14}|{:^29}",
        "",
        "operations a second",
        "ratio",
        "p50 / p95 / p99 ms",
        "Barbican requests",
        "CPU ms",
        "ours on SQLite"
    );
    let _ = writeln!(
        text,
        "{:9} {:>3}|{:>8}{:>8}{:>7}|{:>8}{:>9}|{:>18}{:>17}|{:>6}{:>6}{:>5}|{:>8}{:>6}|{:>8}{:>7}\
         {:>7}{:>7}",
        "",
        "at",
        "upstream",
        "ours",
        "floor",
        "ours:up",
        "floor:us",
        "upstream",
        "ours",
        "up",
        "ours",
        "flr",
        "upstream",
        "ours",
        "a second",
        "us:up",
        "flr:us",
        "CPU ms"
    );
    for operation in rows() {
        for (concurrency, cell) in cells(figures, operation) {
            let of = |name: &str| number(&cell[name]);
            let latencies = |who: &str| {
                let of = |what: &str| cell[format!("{who}_{what}_ms")].as_f64();
                match (of("p50"), of("p95"), of("p99")) {
                    (Some(p50), Some(p95), Some(p99)) => format!("{p50:.0}/{p95:.0}/{p99:.0}"),
                    _ => String::new(),
                }
            };
            let on_sqlite = match cell[format!("{ON_SQLITE}_per_s")].as_f64() {
                Some(rate) => format!(
                    "{rate:>8.1}{:>7.1}{:>7.2}{:>7.1}",
                    of(&format!("{ON_SQLITE}_to_upstream")),
                    of(&format!("floor_to_{ON_SQLITE}")),
                    of(&format!("{ON_SQLITE}_cpu_ms"))
                ),
                None => String::new(),
            };
            let _ = writeln!(
                text,
                "{operation:9} {concurrency:>3}|{:>8.1}{:>8.1}{:>7.1}|{:>8.1}{:>9.2}|{:>18}{:>17}\
                 |{:>6.1}{:>6.1}{:>5.1}|{:>8.0}{:>6.1}|{on_sqlite}",
                of("upstream_per_s"),
                of("ours_per_s"),
                of("floor_per_s"),
                of("ours_to_upstream"),
                of("floor_to_ours"),
                latencies("upstream"),
                latencies("ours"),
                of("upstream_barbican_requests"),
                of("ours_barbican_requests"),
                of("floor_barbican_requests"),
                of("upstream_cpu_ms"),
                of("ours_cpu_ms"),
            );
            for who in CONTENDERS {
                if of(&format!("{who}_errors")) > 0.0 {
                    let first = cell[format!("{who}_first_error")].as_str().unwrap_or_default();
                    let count = of(&format!("{who}_errors"));
                    let _ = writeln!(text, "  {who}: {count} failed, the first: {first}");
                }
            }
        }
    }
    users(figures, text);
    let peaks = figures["peak_mib"].as_object().into_iter().flatten();
    let peaks: Vec<_> = peaks.map(|(who, mib)| format!("{who} {:.0} MiB", number(mib))).collect();
    let _ = writeln!(text, "peak memory: {}\n", peaks.join(", "));
}

/// Where the processors' time goes: what limits, where they have no more of it.
fn users(figures: &Value, text: &mut String) {
    let _ = write!(text, "processor time of a hand-over, ms");
    for (_, user) in USERS {
        let _ = write!(text, "{user:>13}");
    }
    let _ = writeln!(text, "{:>13}{:>13}", "together", "a second");
    for who in CONTENDERS {
        for (concurrency, cell) in cells(figures, HAND_OVER) {
            let of = |what: &str| cell[format!("{who}_{what}")].as_f64();
            let Some(rate) = of("per_s") else { continue };
            let used = USERS.map(|(what, _)| of(what).unwrap_or(f64::NAN));
            let _ = write!(text, "{who:>28} {concurrency:>5}");
            for ms in used.into_iter().chain([used.iter().sum()]) {
                let _ = write!(text, "{ms:>13.2}");
            }
            let _ = writeln!(text, "{rate:>13.1}");
        }
    }
}

/// What was measured of an operation, by the number of requests at once.
fn cells<'a>(figures: &'a Value, operation: &str) -> Vec<(usize, &'a Value)> {
    let all = figures[operation].as_object().into_iter().flatten();
    let mut cells: Vec<_> = all
        .filter_map(|(name, cell)| Some((name.strip_prefix('c')?.parse().ok()?, cell)))
        .collect();
    cells.sort_by_key(|(concurrency, _)| *concurrency);
    cells
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Operations a second as bars, each ground below the other.
pub fn plot(document: &Map<String, Value>) -> String {
    let mut plot = Plot::new(
        "Hand-overs of an encrypted volume: operations a second, by concurrency",
        &[
            "upstream cinder-api 29",
            "volume-transfer",
            "floor: bare requests",
            "volume-transfer on SQLite",
        ],
    );
    for ground in GROUNDS {
        let Some(figures) = document.get(ground) else { continue };
        let groups = OPERATIONS.into_iter().flat_map(|operation| {
            cells(figures, operation).into_iter().map(move |(concurrency, cell)| {
                let of = |name: &str| number(&cell[name]);
                Group {
                    label: format!("{operation} {concurrency}"),
                    values: vec![
                        of("upstream_per_s"),
                        of("ours_per_s"),
                        of("floor_per_s"),
                        of(&format!("{ON_SQLITE}_per_s")),
                    ],
                }
            })
        });
        plot.panel(&format!("before the {ground} Keystone and Barbican"), groups.collect());
    }
    plot.svg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Map<String, Value> {
        let figures = |rate: f64, bare: f64| {
            let cell = json!({
                "upstream_per_s": rate, "ours_per_s": 10.0 * rate, "floor_per_s": 11.0 * rate,
                "ours_on_sqlite_per_s": 20.0 * rate, "ours_cpu_ms": 1.5,
                "ours_key_manager_cpu_ms": 0.5, "ours_client_cpu_ms": 0.25,
                "ours_others_cpu_ms": 2.0,
            });
            let cells = json!({"c1": cell, "c8": cell, "c32": cell});
            json!({"initiate": cells, "accept": cells, "cancel": cells, "bare_barbican":
                   {"post_secret_per_s": bare, "get_payload_per_s": 2.0 * bare}})
        };
        Map::from_iter([
            ("real".to_owned(), figures(2.0, 30.0)),
            ("simulated".to_owned(), figures(5.0, 3000.0)),
        ])
    }

    #[test]
    fn every_cell_gets_its_ratios() {
        let mut document = document();
        complete(&mut document);
        for (ground, operation, concurrency) in places() {
            let cell = &document[ground][operation][concurrency];
            assert_eq!(cell["ours_to_upstream"], 10.0, "{ground} {operation} {concurrency}");
            assert_eq!(cell["floor_to_ours"], 1.1, "{ground} {operation} {concurrency}");
            assert_eq!(cell["ours_on_sqlite_to_upstream"], 20.0, "{ground} {operation}");
            assert_eq!(cell["floor_to_ours_on_sqlite"], 0.55, "{ground} {operation}");
        }
        // Half as many hand-overs as operations, and each takes what two operations take.
        let whole = &document["real"]["hand_over"]["c8"];
        assert_eq!((&whole["ours_per_s"], &whole["ours_cpu_ms"]), (&json!(10.0), &json!(3.0)));
        let table = table(&document);
        let shares: Vec<&str> = "ours 8 3.00 1.00 0.50 4.00 8.50 10.0".split(' ').collect();
        let is_told = |line: &str| line.split_whitespace().eq(shares.iter().copied());
        assert!(table.lines().any(is_told), "{table}");
        let ratios = json!({"post_secret": 100.0, "get_payload": 100.0});
        assert_eq!(document["simulator_vs_barbican"], ratios);
    }

    #[test]
    fn one_ground_alone_is_told_without_the_other() {
        let mut document = document();
        document.remove("real");
        complete(&mut document);
        assert!(!document.contains_key("simulator_vs_barbican"));
        let table = table(&document);
        assert!(table.contains("simulated:") && !table.contains("real:"), "{table}");
        assert!(plot(&document).contains("before the simulated"));
    }
}
