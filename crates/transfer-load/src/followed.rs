//! A journal of `bulk`, followed from outside while a run writes it.

use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// What of a line matters here; the head has no place.
#[derive(Deserialize)]
struct Line {
    volume: String,
    place: String,
}

/// How far the runs of a journal have come.
pub(crate) struct Followed {
    path: PathBuf,
    /// The file by its number, and how much of it was read: a journal may be written anew.
    read: Option<(u64, u64)>,
    offered: BTreeSet<String>,
    arrived: BTreeSet<String>,
}

impl Followed {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: None, offered: BTreeSet::new(), arrived: BTreeSet::new() }
    }

    /// Volumes that have been offered, and those that have arrived, which a journal that was
    /// written anew does not say twice.
    pub(crate) fn steps(&self) -> usize {
        self.offered.len() + self.arrived.len()
    }

    /// Volumes that have arrived.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived.len()
    }

    /// Reads the whole lines that have been added; says whether there is a journal at all.
    pub(crate) fn read_on(&mut self) -> io::Result<bool> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        let inode = file.metadata()?.ino();
        let from = match self.read {
            Some((known, from)) if known == inode => from,
            Some(_) | None => {
                self.offered.clear();
                self.arrived.clear();
                0
            }
        };
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[..whole].lines() {
            // One that was cut short by a kill is no line.
            let Ok(Line { volume, place }) = serde_json::from_str(line) else { continue };
            if place == "arrived" {
                self.arrived.insert(volume.clone());
            }
            if ["offered", "arrived"].contains(&place.as_str()) {
                self.offered.insert(volume);
            }
        }
        self.read = Some((inode, from + whole as u64));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{OpenOptions, write};
    use std::io::Write as _;

    #[test]
    fn steps_are_counted_once_and_anew_in_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut followed = Followed::new(path.clone());
        assert!(!followed.read_on().unwrap());
        let line = |volume: &str, place: &str| {
            format!("{{\"volume\":\"{volume}\",\"place\":\"{place}\"}}\n")
        };
        let begun = format!("{{\"version\":1}}\n{}{}", line("v", "planned"), line("v", "offered"));
        write(&path, begun).unwrap();
        let mut more = OpenOptions::new().append(true).open(&path).unwrap();
        for (text, steps, arrived) in [
            ("", 1, 0),
            ("{\"volume\":\"v\",\"pla", 1, 0),
            ("\n", 1, 0),
            (&line("v", "offered"), 1, 0),
            (&line("w", "offered"), 2, 0),
            (&line("v", "arrived"), 3, 1),
        ] {
            more.write_all(text.as_bytes()).unwrap();
            assert!(followed.read_on().unwrap());
            assert_eq!((followed.steps(), followed.arrived()), (steps, arrived), "{text}");
        }
        let anew = folder.path().join("anew");
        write(&anew, line("v", "arrived")).unwrap();
        std::fs::rename(&anew, &path).unwrap();
        followed.read_on().unwrap();
        // It was offered, too.
        assert_eq!((followed.steps(), followed.arrived()), (2, 1));
    }
}
