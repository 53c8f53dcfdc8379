//! Writes the pages that the tests are made with: `cargo run -p check-page --example pages -- DIR`.

#[path = "../tests/page/fixture.rs"]
mod fixture;

use anyhow::{Context, Result};
use std::path::PathBuf;

fn main() -> Result<()> {
    let directory = PathBuf::from(std::env::args_os().nth(1).context("to which directory?")?);
    for (name, page) in [("failing", fixture::failing()), ("passing", fixture::passing())] {
        let path = directory.join(name).with_extension("html");
        std::fs::write(&path, page.html()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
