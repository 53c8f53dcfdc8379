//! The differences that are known, each with its reason: rows of a table in Markdown.
//!
//! A row is `` | `file / script / step` | `place` | reason | ``, of one place or of several; other
//! lines of the page are for its reader. A place stands for all that is below it.

use crate::compare::Difference;

/// A difference that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `file / script / step`.
    pub case: String,
    /// Where in the reply, as in [`Difference::place`].
    pub place: String,
    /// Why it is so.
    pub reason: String,
}

/// A row that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnownError {
    /// It looks like a row of the table, but is not one.
    #[error("line {line}: not | `file / script / step` | `place` | reason |")]
    Malformed {
        /// From 1.
        line: usize,
    },
}

impl Known {
    /// The rows of the page.
    ///
    /// # Errors
    /// [`KnownError`] for a row that names a case and lacks a place or a reason.
    pub fn read_all(page: &str) -> Result<Vec<Self>, KnownError> {
        let rows = page.lines().enumerate().filter(|(_, line)| line.starts_with("| `"));
        let rows = rows.filter(|(_, line)| line.contains(" / "));
        let mut known = Vec::new();
        for (index, line) in rows {
            known.extend(Self::read(line).ok_or(KnownError::Malformed { line: index + 1 })?);
        }
        Ok(known)
    }

    /// One for each place of a row.
    fn read(line: &str) -> Option<Vec<Self>> {
        let cells: Vec<_> = line.trim().trim_matches('|').splitn(3, " | ").collect();
        let [case, places, reason] = cells.try_into().ok()?;
        let quoted =
            |cell: &str| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned());
        let (case, reason) = (quoted(case)?, reason.trim().to_owned());
        if reason.is_empty() || case.matches(" / ").count() != 2 {
            return None;
        }
        let known = |place| {
            Some(Self { case: case.clone(), place: quoted(place)?, reason: reason.clone() })
        };
        places.split_whitespace().map(known).collect()
    }

    /// The reason, if this is what explains the difference.
    pub fn reason_for(&self, difference: &Difference) -> Option<&str> {
        self.explains(difference).then_some(self.reason.as_str())
    }

    /// Whether this is what explains the difference.
    pub(crate) fn explains(&self, difference: &Difference) -> bool {
        let below = difference.place.strip_prefix(self.place.as_str());
        let is_there = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.case == difference.case && is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_other_lines_are_not() {
        let page = "# Page\n\n| request | place | reason |\n|---|---|---|\n\
                    | `a / b c / d` | `headers/allow` | it | is so |\n| `command` | what |\n";
        let known = Known {
            case: "a / b c / d".to_owned(),
            place: "headers/allow".to_owned(),
            reason: "it | is so".to_owned(),
        };
        let both = page.replace("`headers/allow`", "`headers/allow` `status`");
        let status = Known { place: "status".to_owned(), ..known.clone() };
        assert_eq!(Known::read_all(&both), Ok(vec![known.clone(), status]));
        assert_eq!(Known::read_all(page), Ok(vec![known]));
    }

    #[test]
    fn a_row_without_a_reason_or_a_whole_case_is_an_error() {
        for row in
            ["| `a / b / c` | `status` |  |", "| `a / b / c` | `status` |", "| `a / b` | `c` | d |"]
        {
            let page = format!("\n{row}\n");
            assert_eq!(Known::read_all(&page), Err(KnownError::Malformed { line: 2 }), "{row}");
        }
    }

    #[test]
    fn a_place_stands_for_all_that_is_below_it() {
        let known =
            Known { case: "a / b / c".into(), place: "body".into(), reason: "so it is".into() };
        for (case, place, expected) in [
            ("a / b / c", "body", true),
            ("a / b / c", "body/json/total", true),
            ("a / b / c", "bodyguard", false),
            ("a / b / d", "body", false),
        ] {
            let difference =
                Difference { case: case.into(), place: place.into(), real: None, ours: None };
            assert_eq!(known.explains(&difference), expected, "{case} {place}");
        }
    }
}
