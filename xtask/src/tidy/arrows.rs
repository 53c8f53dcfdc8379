//! The arrows between crates, as ARCHITECTURE.md draws them: they point down only.
//!
//! Normal and build dependencies count; a test may look at more. A crate that is not in the table
//! breaks the rule, so that a new one gets its place.

use super::{House, Violation};
use crate::workspace::Package;

/// A crate, and those of ours that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("transfer-core", &[]),
    ("openstack-http", &[]),
    ("transfer-metrics", &[]),
    ("oslo-policy", &[]),
    ("keystone-client", &["openstack-http", "transfer-core"]),
    ("barbican-client", &["openstack-http", "transfer-core"]),
    ("cinder-conf", &[]),
    ("cinder-db", &["transfer-core"]),
    (
        "transfer-engine",
        &[
            "barbican-client",
            "cinder-db",
            "keystone-client",
            "openstack-http",
            "transfer-core",
            "transfer-metrics",
        ],
    ),
    (
        "transfer-api",
        &[
            "cinder-db",
            "keystone-client",
            "openstack-http",
            "oslo-policy",
            "transfer-core",
            "transfer-engine",
            "transfer-metrics",
        ],
    ),
    (
        "transfer-audit",
        &[
            "barbican-client",
            "cinder-db",
            "keystone-client",
            "openstack-http",
            "transfer-core",
            "transfer-engine",
        ],
    ),
    // not the clients: it must not share their faults
    ("simulator", &["cinder-db", "transfer-core"]),
    ("transfer-model", &["transfer-core"]),
    (
        "transfer-schedules",
        &[
            "barbican-client",
            "cinder-db",
            "keystone-client",
            "openstack-http",
            "simulator",
            "transfer-core",
            "transfer-engine",
            "transfer-model",
        ],
    ),
    // not the engine: it sees what any client sees
    ("bulk-transfer", &["keystone-client", "openstack-http", "transfer-core"]),
    ("check-page", &["transfer-core", "transfer-model"]),
    (
        "transfer-fuzz",
        &[
            "barbican-client",
            "cinder-db",
            "keystone-client",
            "openstack-http",
            "simulator",
            "transfer-api",
            "transfer-core",
            "transfer-engine",
        ],
    ),
    (
        "volume-transfer",
        &[
            "barbican-client",
            "bulk-transfer",
            "check-page",
            "cinder-conf",
            "cinder-db",
            "keystone-client",
            "openstack-http",
            "oslo-policy",
            "simulator",
            "transfer-api",
            "transfer-audit",
            "transfer-core",
            "transfer-engine",
            "transfer-metrics",
            "transfer-model",
            "transfer-schedules",
        ],
    ),
    ("test-database", &[]),
    // the service itself only as a process: it judges what that says
    ("transfer-chaos", &["simulator", "test-database", "transfer-core", "volume-transfer"]),
    ("transfer-load", &["simulator", "test-database", "transfer-core", "volume-transfer"]),
    ("benches", &["transfer-core"]),
    // nobody of ours: it judges the simulator, and must share nobody's faults
    ("peer-replay", &[]),
    // nor this one: it measures, and knows what any client knows
    ("peer-bench", &[]),
    ("xtask", &["peer-bench", "peer-replay"]),
];

/// What the core may take from outside.
const CORE: (&str, &[&str]) = ("transfer-core", &["serde", "serde_json", "thiserror"]);

/// No crate depends on one that stands above it.
pub(super) fn arrows_point_down(house: &House) -> Vec<Violation> {
    let ours: Vec<_> = house.packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in &house.packages {
        let Some((_, below)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
            found.push(violation(package, "has no place in the table of arrows".to_owned()));
            continue;
        };
        for name in dependencies(package) {
            if ours.contains(&name) && !below.contains(&name) {
                found.push(violation(package, format!("may not depend on {name}")));
            }
        }
    }
    found
}

/// The core takes in nothing that has a clock, randomness, I/O or async.
pub(super) fn the_core_stays_small(house: &House) -> Vec<Violation> {
    let core = house.packages.iter().filter(|package| package.name == CORE.0);
    core.flat_map(|package| {
        dependencies(package)
            .filter(|name| !CORE.1.contains(name))
            .map(|name| violation(package, format!("takes {name} from outside")))
            .collect::<Vec<_>>()
    })
    .collect()
}

/// What the crate itself is built with.
fn dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
        .map(|dependency| dependency.name.as_str())
}

fn violation(package: &Package, what: String) -> Violation {
    Violation { path: package.name.clone(), line: 0, what }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::tests::house;
    use super::*;
    use crate::workspace::Dependency;

    /// Packages as `name` and `(dependency, kind)`.
    type Planted<'a> = &'a [(&'a str, &'a [(&'a str, Option<&'a str>)])];

    fn check(rule: Rule, packages: Planted<'_>, expected: &[&str]) {
        let mut house = house(&[]);
        house.packages = packages
            .iter()
            .map(|(name, dependencies)| Package {
                name: (*name).to_owned(),
                dependencies: dependencies
                    .iter()
                    .map(|(name, kind)| Dependency {
                        name: (*name).to_owned(),
                        kind: kind.map(Into::into),
                    })
                    .collect(),
                targets: Vec::new(),
            })
            .collect();
        let found: Vec<_> = rule(&house).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        check(
            arrows_point_down,
            &[
                ("simulator", &[("cinder-db", None), ("barbican-client", None)]),
                ("cinder-db", &[("simulator", Some("dev")), ("sqlx", None)]),
                ("barbican-client", &[("cinder-db", Some("build"))]),
            ],
            &[
                "simulator: may not depend on barbican-client",
                "barbican-client: may not depend on cinder-db",
            ],
        );
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        check(
            arrows_point_down,
            &[("novelty", &[("serde", None)])],
            &["novelty: has no place in the table of arrows"],
        );
    }

    #[test]
    fn a_core_that_grows_is_found() {
        check(
            the_core_stays_small,
            &[
                ("transfer-core", &[("serde", None), ("tokio", None), ("proptest", Some("dev"))]),
                ("cinder-db", &[("tokio", None)]),
            ],
            &["transfer-core: takes tokio from outside"],
        );
    }

    #[test]
    fn the_table_itself_points_down() {
        // each crate stands below those that name it: the table's order is the order of building
        for (index, (name, below)) in ARROWS.iter().enumerate() {
            for lower in *below {
                let place = ARROWS.iter().position(|(name, _)| name == lower);
                assert!(place.is_some_and(|place| place < index), "{name} -> {lower}");
            }
        }
    }
}
