//! The hand-over in every interleaving, to closure: nothing breaks, and everything comes about.

use transfer_model::{CLOSED, Coverage, Setting};

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
        coverage.merge(&explored.coverage);
        found.push((setting.name, explored.states, explored.reached));
    }
    let found: Vec<_> = found.iter().map(|(name, a, b)| (name.as_str(), *a, *b)).collect();
    assert_eq!(found, CLOSED[..found.len()]);
    assert_eq!(coverage.missing().collect::<Vec<_>>(), Vec::<&str>::new());
}
