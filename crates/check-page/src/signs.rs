//! Signs that stand before words, so that no meaning rests on a colour alone.

use maud::{Markup, html};

/// A bolt around the point 0 0: something went wrong here.
pub(crate) const BOLT: &str = "M1.5 -7 L-4 1 H-0.5 L-1.5 7 L4 -1.5 H0.5 Z";

/// What holds.
pub(crate) fn tick() -> Markup {
    sign("0 0 16 16", "M6.4 12.6 2 8.2l1.6-1.6 2.8 2.8 6-6L14 5z")
}

/// What is broken.
pub(crate) fn cross() -> Markup {
    let first = "M8 6.4 11.9 2.5l1.6 1.6L9.6 8l3.9 3.9-1.6 1.6L8 9.6l-3.9 3.9-1.6-1.6";
    sign("0 0 16 16", &format!("{first}L6.4 8 2.5 4.1l1.6-1.6z"))
}

/// What went wrong.
pub(crate) fn bolt() -> Markup {
    sign("-8 -8 16 16", BOLT)
}

/// A secret.
pub(crate) fn key() -> Markup {
    let bow_and_bit = "M5 5a3 3 0 1 0 2.8 4H11v2h2V9h2V7H7.8A3 3 0 0 0 5 5Z";
    sign("0 0 16 16", &format!("{bow_and_bit}m0 2a1 1 0 1 1 0 2 1 1 0 0 1 0-2Z"))
}

fn sign(view: &str, path: &str) -> Markup {
    html! { svg.icon viewBox=(view) aria-hidden="true" { path d=(path) {} } }
}
