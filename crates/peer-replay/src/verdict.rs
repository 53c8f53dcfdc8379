//! How far two sides agree, and whether that is enough.
//!
//! Enough means: as many of a hundred requests as are asked for are answered alike; those that the
//! transfer service itself sends, all of them; every difference is known, with a reason; and what
//! is known is still so.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::case::{CaseFile, Tag};
use crate::compare::{self, Difference};
use crate::known::Known;
use crate::recording::Recording;

/// How far one file agrees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileAgreement {
    /// The file's name.
    pub file: String,
    /// What was compared: its requests, and the rows that its scripts leave.
    pub requests: usize,
    /// Those that both sides answer alike.
    pub alike: usize,
}

/// How far all files agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// By file.
    pub files: Vec<FileAgreement>,
    /// All differences, known or not.
    pub differences: Vec<Difference>,
    /// What is wrong; nothing, when the agreement is enough.
    pub problems: Vec<String>,
    service: BTreeSet<String>,
}

impl Verdict {
    /// Compares what the two sides answered to a file.
    pub fn add(&mut self, file: &CaseFile, real: &Recording, ours: &Recording) {
        let found = compare::differences(&file.name, real, ours);
        let different: BTreeSet<_> = found.iter().map(|one| one.case.as_str()).collect();
        let requests = real.scripts.iter().map(|script| script.answers.len()).sum::<usize>();
        let alike = requests.saturating_sub(different.len());
        self.files.push(FileAgreement { file: file.name.clone(), requests, alike });
        for script in &file.scripts {
            let service = script.steps.iter().filter(|step| step.tag == Some(Tag::Service));
            let case = |step: &str| format!("{} / {} / {step}", file.name, script.name);
            self.service.extend(service.map(|step| case(&step.name)));
        }
        self.differences.extend(found);
    }

    /// Judges what was added, once all is: so many of a hundred requests have to agree.
    #[must_use]
    pub fn under(mut self, known: &[Known], enough: usize) -> Self {
        let mut problems = Vec::new();
        for difference in &self.differences {
            if self.service.contains(&difference.case) {
                problems.push(format!("a request of the service itself: {difference}"));
            } else if !known.iter().any(|known| known.explains(difference)) {
                problems.push(format!("not known: {difference}"));
            }
        }
        for known in known.iter().filter(|known| self.covers(known)) {
            if !self.differences.iter().any(|difference| known.explains(difference)) {
                problems.push(format!("no longer so: {}: {}", known.case, known.place));
            }
        }
        let all = self.total();
        if all.alike * 100 < all.requests * enough {
            problems.push(format!("{all}; {enough} % are enough"));
        }
        self.problems = problems;
        self
    }

    /// All files together.
    pub fn total(&self) -> FileAgreement {
        FileAgreement {
            file: "all".to_owned(),
            requests: self.files.iter().map(|file| file.requests).sum(),
            alike: self.files.iter().map(|file| file.alike).sum(),
        }
    }

    /// How many of those requests the transfer service sends itself.
    pub fn of_the_service(&self) -> usize {
        self.service.len()
    }

    /// Whether the known difference is one of a file that was compared.
    fn covers(&self, known: &Known) -> bool {
        let file = known.case.split(" / ").next();
        self.files.iter().any(|compared| Some(compared.file.as_str()) == file)
    }
}

impl fmt::Display for FileAgreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, requests, alike } = self;
        // in tenths, rounded down: 100 % means all
        let tenths = (alike * 1000).checked_div(*requests).unwrap_or(1000);
        write!(f, "{file}: {alike} of {requests}, {}.{} %", tenths / 10, tenths % 10)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |side: &Option<serde_json::Value>| match side {
            Some(value) => value.to_string(),
            None => "nothing".to_owned(),
        };
        let (real, ours) = (shown(&self.real), shown(&self.ours));
        write!(f, "{}: {}: real {real}, ours {ours}", self.case, self.place)
    }
}
