//! `config`: every option as it counts in the end, and where it came from.

use crate::settings::Settings;
use anstream::println;
use cinder_conf::{Effective, Origin, Secret};
use serde_json::{Value, json};

/// Prints the effective configuration, as JSON or as text.
///
/// # Errors
/// When a value cannot be read.
pub fn print(settings: &Settings, as_json: bool) -> anyhow::Result<()> {
    let effective = settings.conf().effective()?;
    if as_json {
        let all: Vec<_> = effective.iter().map(document).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let width = effective.iter().map(|one| said(one).chars().count()).max().unwrap_or(0);
    let mut group = "";
    for one in &effective {
        if one.option.group != group {
            let between = if group.is_empty() { "" } else { "\n" };
            group = one.option.group;
            println!("{between}[{group}]");
        }
        let said = said(one);
        let unused = one.option.unused.map(|why| format!("; not used: {why}"));
        println!("{said:width$}  # {}{}", one.origin, unused.unwrap_or_default());
    }
    Ok(())
}

/// One line of a value, whatever lines it has.
fn said(one: &Effective) -> String {
    let value = one.value.as_deref().unwrap_or_default().replace('\n', "\\n");
    format!("{} = {value}", one.option.name).trim_end().to_owned()
}

fn document(one: &Effective) -> Value {
    let (kind, file, line) = match &one.origin {
        Origin::Default => ("default", None, None),
        Origin::File { path, line } => ("file", Some(path.display().to_string()), Some(*line)),
        Origin::Environment(_) => ("environment", None, None),
        Origin::Flag(_) => ("flag", None, None),
    };
    json!({
        "group": one.option.group,
        "name": one.option.name,
        "value": one.value,
        "origin": kind,
        "place": (one.origin != Origin::Default).then(|| one.origin.to_string()),
        "file": file,
        "line": line,
        "secret": one.option.secret != Secret::Nothing,
        "unused": one.option.unused,
        "help": one.option.help,
    })
}
