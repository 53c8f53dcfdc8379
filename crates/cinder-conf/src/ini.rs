//! The lines of a file: sections, assignments, continuations, comments.
//!
//! Follows oslo.config: `iniparser.py` and `cfg.py` `ConfigParser`. A value has its quotes and the
//! spaces around it taken off; nothing is substituted or typed here. Invariant: no text of a file
//! is in an error, for it may be a secret.

/// One assignment.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The section as it is written.
    pub section: String,
    /// The name before `=` or `:`.
    pub name: String,
    /// The value; its continuation lines are joined with newlines.
    pub value: String,
    /// The line that it begins on, from 1.
    pub line: usize,
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mistake {
    /// Indented, with no value before it that it could go on with.
    #[error(
        "an indented line goes on with the value above it, and there is none: take the indent off"
    )]
    Continuation,
    /// `[name` without its end.
    #[error("a section must end with ]: write [name] and nothing behind it")]
    Unclosed,
    /// `[]`.
    #[error("a section needs a name: write [name]")]
    Nameless,
    /// Neither `=` nor `:`.
    #[error("neither a section nor an assignment: write name = value")]
    NoAssignment,
    /// Nothing before `=`.
    #[error("an assignment needs a name: write name = value")]
    NoName,
    /// Something before the first section.
    #[error("an assignment before the first section: write [DEFAULT] above it")]
    NoSection,
}

/// A line that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{mistake}")]
pub struct BadLine {
    /// Which one, from 1.
    pub line: usize,
    /// Why.
    pub mistake: Mistake,
}

/// Reads the text of one file, in its order.
///
/// # Errors
/// [`BadLine`], the first.
pub fn parse(text: &str) -> Result<Vec<Entry>, BadLine> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut entries: Vec<Entry> = Vec::new();
    let mut section: Option<String> = None;
    let mut continues = false;
    for (index, line) in text.split('\n').enumerate() {
        let bad = |mistake| BadLine { line: index + 1, mistake };
        let line = line.trim_end_matches(is_space);
        if line.starts_with([' ', '\t']) {
            let last = entries.last_mut().filter(|_| continues);
            let entry = last.ok_or(bad(Mistake::Continuation))?;
            entry.value.push('\n');
            entry.value.push_str(line.trim_start_matches(is_space));
            continue;
        }
        continues = false;
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            section = Some(section_name(line).map_err(bad)?.to_owned());
            continue;
        }
        let (name, value) = split(line).map_err(bad)?;
        let section = section.clone().ok_or(bad(Mistake::NoSection))?;
        let (name, value) = (name.to_owned(), value.to_owned());
        entries.push(Entry { section, name, value, line: index + 1 });
        continues = true;
    }
    Ok(entries)
}

fn section_name(line: &str) -> Result<&str, Mistake> {
    let name = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match name {
        None => Err(Mistake::Unclosed),
        Some("") => Err(Mistake::Nameless),
        Some(name) => Ok(name),
    }
}

/// At the first `=` or `:`, whichever comes first.
fn split(line: &str) -> Result<(&str, &str), Mistake> {
    let (name, value) = line.split_once(['=', ':']).ok_or(Mistake::NoAssignment)?;
    let (name, value) = (name.trim_matches(is_space), value.trim_matches(is_space));
    if name.is_empty() { Err(Mistake::NoName) } else { Ok((name, unquoted(value))) }
}

/// Without the quotes at both ends. A lone quote is both ends of nothing.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return if rest.is_empty() { "" } else { rest.strip_suffix(quote).unwrap_or(value) };
        }
    }
    value
}

/// Python's idea of white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
