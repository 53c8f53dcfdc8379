//! The page for operators names everything that can be found.

use transfer_audit::Kind;
use transfer_core::Invariant;

#[test]
fn every_kind_of_finding_is_on_the_page_with_its_invariant() {
    let page = include_str!("../../../../docs/audit.md");
    for kind in Kind::ALL {
        let row = format!("| `{}` | `{}` |", kind.name(), kind.invariant().name());
        assert!(page.contains(&row), "docs/audit.md has no row that begins with {row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    let found = page.lines().filter(|line| {
        Invariant::ALL.iter().any(|of| line.contains(&format!("` | `{}` |", of.name())))
    });
    assert_eq!(found.count(), Kind::ALL.len(), "no kind is described that there is not");
    assert!(rows >= Kind::ALL.len());
}
