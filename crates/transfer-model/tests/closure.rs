//! The hand-over in every interleaving, to closure: nothing breaks, and everything comes about.

use transfer_model::{Coverage, Setting};

/// What is explored here, its distinct states, and the states reached counting each way to one.
const EXPLORED: [(&str, u64, u64); 6] = [
    ("everything-0-0", 384, 613),
    ("everything-1-0", 13_706, 24_558),
    ("everything-0-1", 4_684, 7_862),
    ("everything-1-1", 138_475, 262_997),
    ("unreduced-1-0", 28_357, 53_047),
    ("unreduced-0-1", 96_266, 176_002),
];

#[test]
fn every_interleaving_of_every_request_keeps_every_invariant() {
    let mut found = Vec::new();
    let mut coverage = Coverage::default();
    for setting in [
        Setting::everything(0, 0),
        Setting::everything(1, 0),
        Setting::everything(0, 1),
        Setting::everything(1, 1),
        Setting::everything(1, 0).unreduced(),
        Setting::everything(0, 1).unreduced(),
    ] {
        let explored = setting.explore(2, &|_progress| ());
        assert_eq!(explored.violation, None, "{}", setting.name);
        assert_eq!(setting.known_states(), Some(explored.states), "{}", setting.name);
        coverage.merge(&explored.coverage);
        found.push((setting.name, explored.states, explored.reached));
    }
    let found: Vec<_> = found.iter().map(|(name, a, b)| (name.as_str(), *a, *b)).collect();
    assert_eq!(found, EXPLORED);
    assert_eq!(coverage.missing().collect::<Vec<_>>(), Vec::<&str>::new());
}
