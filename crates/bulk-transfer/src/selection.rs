//! Which of the donor's volumes are meant.

use crate::block_storage::Volume;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use wildmatch::WildMatch;

/// What a volume must be to be meant; without any, all are.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Its name fits this pattern of `*` and `?`.
    pub name: Option<String>,
    /// Its type's name.
    pub type_name: Option<String>,
    /// These pairs are in its metadata.
    pub properties: Vec<(String, String)>,
    /// Its id or its name is one of these.
    pub listed: Option<Vec<String>>,
}

/// Why a selection is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// The list cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Names or ids without a volume.
    #[error("not among the donor's volumes: {0}")]
    Unknown(String),
    /// Names that more than one volume has.
    #[error("more than one volume is called {0}: list their ids")]
    Ambiguous(String),
}

/// As options spell it. A list is told by its digest: it is the same with the same names in the
/// same order.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, type_name, properties, listed } = self;
        let mut said = Vec::new();
        said.extend(name.iter().map(|pattern| format!("--name {pattern}")));
        said.extend(type_name.iter().map(|name| format!("--type {name}")));
        said.extend(properties.iter().map(|(key, value)| format!("--property {key}={value}")));
        said.extend(listed.iter().map(|names| {
            let digest = hex::encode(Sha256::digest(names.join("\n")));
            format!("--list of {} volumes ({})", names.len(), &digest[..8])
        }));
        f.write_str(&if said.is_empty() { "--all".to_owned() } else { said.join(" ") })
    }
}

impl Selection {
    /// Reads a list: a JSON array of texts or of objects with `id` or `name`, or CSV with a column
    /// `id`, `volume_id` or `name`, or without a head and with one column.
    ///
    /// # Errors
    /// [`SelectionError::Unreadable`].
    pub fn read_list(path: &Path) -> Result<Vec<String>, SelectionError> {
        let unreadable = |why: String| SelectionError::Unreadable { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let listed = match text.trim_start().chars().next() {
            Some('[') => of_json(&text),
            // What the clients show to people, and a document that is no list.
            Some('+' | '{') => Err("is no list: write it with -f csv or -f json".to_owned()),
            Some(_) | None => of_csv(&text),
        };
        match listed {
            Ok(listed) if listed.is_empty() => Err(unreadable("names no volume".to_owned())),
            other => other.map_err(unreadable),
        }
    }

    /// Those that are meant, in the order of the list if there is one.
    ///
    /// # Errors
    /// [`SelectionError`] when the list names what is not there, or not one volume.
    pub fn of(&self, volumes: &[Volume]) -> Result<Vec<Volume>, SelectionError> {
        let pattern = self.name.as_deref().map(WildMatch::new);
        let fits = |volume: &&Volume| {
            let name = volume.name.as_deref().unwrap_or_default();
            let typed = self.type_name.is_none() || self.type_name == volume.volume_type;
            let has = |(key, value): &(String, String)| volume.metadata.get(key) == Some(value);
            pattern.as_ref().is_none_or(|pattern| pattern.matches(name))
                && typed
                && self.properties.iter().all(has)
        };
        let listed = match &self.listed {
            None => volumes.iter().collect(),
            Some(names) => listed(names, volumes)?,
        };
        Ok(listed.into_iter().filter(fits).cloned().collect())
    }
}

fn listed<'a>(names: &[String], volumes: &'a [Volume]) -> Result<Vec<&'a Volume>, SelectionError> {
    let mut by_name: BTreeMap<&str, Vec<&Volume>> = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for volume in volumes {
        by_id.insert(volume.id.as_str(), volume);
        by_name.entry(volume.name.as_deref().unwrap_or_default()).or_default().push(volume);
    }
    let (mut found, mut seen, mut unknown) = (Vec::new(), BTreeSet::new(), Vec::new());
    for name in names {
        let named = by_name.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let volume = match (by_id.get(name.as_str()), named) {
            (Some(volume), _) => *volume,
            (None, [volume]) => volume,
            (None, []) => {
                unknown.push(name.as_str());
                continue;
            }
            (None, _) => return Err(SelectionError::Ambiguous(name.clone())),
        };
        if seen.insert(volume.id.as_str()) {
            found.push(volume);
        }
    }
    if unknown.is_empty() { Ok(found) } else { Err(SelectionError::Unknown(unknown.join(", "))) }
}

/// Where a row tells which volume it means, the first that there is; in capitals as well, as the
/// clients write them.
const COLUMNS: [&str; 3] = ["id", "volume_id", "name"];

fn of_json(text: &str) -> Result<Vec<String>, String> {
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let named = |row: &serde_json::Value| {
        let fields = || row.as_object().into_iter().flatten();
        let field = || {
            COLUMNS.into_iter().find_map(|wanted| {
                let found = fields().find(|(key, _)| key.eq_ignore_ascii_case(wanted));
                found.and_then(|(_, value)| value.as_str())
            })
        };
        row.as_str().or_else(field).map(str::to_owned)
    };
    rows.iter()
        .enumerate()
        .map(|(at, row)| named(row).ok_or(format!("entry {} has no id and no name", at + 1)))
        .collect()
}

fn of_csv(text: &str) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader
        .records()
        .collect::<Result<_, _>>()
        .map_err(|error| format!("is not CSV: {error}"))?;
    let Some(head) = rows.first() else { return Ok(Vec::new()) };
    let column = COLUMNS.into_iter().find_map(|name| {
        head.iter().position(|cell| cell.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
    });
    let (column, rows) = match column {
        Some(column) => (column, &rows[1..]),
        None if head.len() == 1 => (0, &rows[..]),
        None => return Err("has no column id, volume_id or name".to_owned()),
    };
    rows.iter()
        .enumerate()
        .map(|(at, row)| match row.get(column) {
            Some(cell) if !cell.is_empty() => Ok(cell.to_owned()),
            Some(_) | None => Err(format!("row {} names no volume", at + 1)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volumes() -> Vec<Volume> {
        let volume = |id: &str, name: &str, type_name: &str, metadata: &[(&str, &str)]| Volume {
            id: id.into(),
            name: Some(name.to_owned()),
            status: "available".to_owned(),
            size: 1,
            encrypted: false,
            volume_type: Some(type_name.to_owned()),
            metadata: metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            consistencygroup_id: None,
            project: None,
        };
        vec![
            volume("1", "data-a", "luks", &[("site", "north")]),
            volume("2", "data-b", "plain", &[("site", "south"), ("kind", "db")]),
            volume("3", "logs", "luks", &[]),
            volume("4", "logs", "luks", &[]),
        ]
    }

    #[test]
    fn volumes_are_meant_by_name_type_metadata_and_list() {
        let text = |text: &str| Some(text.to_owned());
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let all = Selection::default;
        for (selection, expected) in [
            (all(), Ok(vec!["1", "2", "3", "4"])),
            (Selection { name: text("data-*"), ..all() }, Ok(vec!["1", "2"])),
            (Selection { type_name: text("luks"), ..all() }, Ok(vec!["1", "3", "4"])),
            (Selection { properties: vec![pair("site", "south")], ..all() }, Ok(vec!["2"])),
            (Selection { listed: list(&["data-b", "3", "2"]), ..all() }, Ok(vec!["2", "3"])),
            (Selection { listed: list(&["3", "1"]), name: text("data-?"), ..all() }, Ok(vec!["1"])),
            (
                Selection { listed: list(&["x", "1", "y"]), ..all() },
                Err(SelectionError::Unknown("x, y".to_owned())),
            ),
            (
                Selection { listed: list(&["logs"]), ..all() },
                Err(SelectionError::Ambiguous("logs".to_owned())),
            ),
        ] {
            let found = selection.of(&volumes());
            let found =
                found.map(|found| found.iter().map(|v| v.id.to_string()).collect::<Vec<_>>());
            assert_eq!(found, expected.map(|ids| ids.into_iter().map(str::to_owned).collect()));
        }
    }

    #[test]
    fn a_selection_is_told_as_options_spell_it() {
        let list = |names: &[&str]| Selection {
            listed: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..Selection::default()
        };
        assert_eq!(Selection::default().to_string(), "--all");
        let some = Selection {
            name: Some("data-*".to_owned()),
            type_name: Some("luks".to_owned()),
            properties: vec![("site".to_owned(), "north".to_owned())],
            listed: None,
        };
        assert_eq!(some.to_string(), "--name data-* --type luks --property site=north");
        assert_eq!(list(&["a", "b"]).to_string(), list(&["a", "b"]).to_string());
        assert_ne!(list(&["a", "b"]).to_string(), list(&["a", "c"]).to_string());
    }

    #[test]
    fn lists_are_read_from_json_and_csv() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        for (text, expected) in [
            (r#"["a", {"id": "b"}, {"name": "c"}]"#, Ok(vec!["a", "b", "c"])),
            (r#"[{"Name": "x", "ID": "a"}, {"Name": "c"}]"#, Ok(vec!["a", "c"])),
            ("a\nb\n", Ok(vec!["a", "b"])),
            ("Name,Size\nx,1\ny,2\n", Ok(vec!["x", "y"])),
            ("\u{feff}ID,Name\n7,x\n", Ok(vec!["7"])),
            ("Size,Status\n1,2\n", Err("has no column")),
            ("[1]", Err("entry 1 has no id")),
            ("[", Err("is not JSON")),
            (r#"{"volumes": [{"name": "x"}]}"#, Err("is no list")),
            ("+----+\n| ID |\n+----+\n", Err("is no list")),
            ("id\n", Err("names no volume")),
            ("id,name\n,x\n", Err("row 1 names no volume")),
        ] {
            std::fs::write(&path, text).unwrap();
            match (Selection::read_list(&path), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
            }
        }
    }
}
