//! Running other programs: shown before they run, and their failure named after.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Shows the command, runs it with this process's output, and waits for it.
///
/// # Errors
/// When it does not start or ends with anything but 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("does not start: {shown}"))?;
    if status.success() {
        return Ok(());
    }
    bail!("{shown}: {status}")
}

/// The command as one would type it; the variables that it adds come first.
pub(crate) fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={}", name.to_string_lossy(), quoted(&value?.to_string_lossy())))
    });
    let program = std::path::Path::new(command.get_program());
    // cargo runs cargo by its full path, which nobody types
    let program = match program.file_name() {
        Some(name) if name == "cargo" => name.to_string_lossy(),
        _ => program.to_string_lossy(),
    };
    let arguments = command.get_args().map(|argument| quoted(&argument.to_string_lossy()));
    variables
        .chain(std::iter::once(program.into_owned()))
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(shown(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let error = run(&mut Command::new("false")).unwrap_err();
        assert!(error.to_string().starts_with("false: exit status"), "{error}");
    }
}
