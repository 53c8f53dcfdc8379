//! What a check says of a mistake that a test has planted.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The words with which the check fails.
///
/// # Panics
/// When it does not.
pub(crate) fn objection(check: impl FnOnce()) -> String {
    let words = catch_unwind(AssertUnwindSafe(check)).expect_err("nothing was objected to");
    words.downcast_ref::<String>().cloned().unwrap_or_else(|| {
        words.downcast_ref::<&str>().map(|words| (*words).to_owned()).unwrap_or_default()
    })
}
