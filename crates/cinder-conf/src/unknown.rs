//! Options of the service's own group that there are not: most likely misspelt.

use crate::conf::Conf;
use crate::options::{self, volume_transfer};
use crate::wrong::Wrong;

const OWN: &str = "volume_transfer";

impl Conf {
    pub(crate) fn unknown(&self) -> impl Iterator<Item = Wrong> {
        self.assignments().filter_map(|assignment| {
            let what = if assignment.group == OWN {
                missing(&assignment.name)?
            } else if assignment.group.replace(['-', '.', ' '], "_") == OWN {
                format!("there is no such group; write [{OWN}]")
            } else {
                return None;
            };
            Some(Wrong {
                origin: assignment.origin.clone(),
                group: assignment.group.as_str().into(),
                name: assignment.name.as_str().into(),
                value: None,
                what,
            })
        })
    }
}

/// What to say of a name, unless the group has it.
fn missing(name: &str) -> Option<String> {
    let own = volume_transfer::TABLE;
    if own.iter().any(|option| option.name == name) {
        return None;
    }
    if let Some(option) = options::all().find(|option| option.name == name) {
        return Some(format!("the option stands in [{}]; move it there", option.group));
    }
    let near = own.iter().map(|option| (distance(name, option.name), option.name)).min();
    Some(match near {
        Some((steps, near)) if steps <= near.len() / 3 => {
            format!("there is no such option; did you mean {near}?")
        }
        Some(_) | None => {
            let names: Vec<_> = own.iter().map(|option| option.name).collect();
            format!("there is no such option; write one of {}", names.join(", "))
        }
    })
}

/// How many letters to add, drop or change to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut corner = index;
        let mut left = index + 1;
        for (above, wanted) in row.iter_mut().skip(1).zip(&to) {
            let changed = corner + usize::from(letter != *wanted);
            corner = *above;
            *above = changed.min(corner + 1).min(left + 1);
            left = *above;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
