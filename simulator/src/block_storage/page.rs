//! Pages of a list: `sort`, `marker`, `offset`, `limit` (cinder: `api/common.py`).

use serde_json::{Value, json};
use time::PrimitiveDateTime;

use super::Caller;
use super::fault::Fault;
use crate::query::strict_bool;

/// Cinder's `osapi_max_limit`.
const MOST: usize = 1000;

/// Something that is listed.
pub(super) trait Listed {
    /// Its name in messages, as `Volume`.
    const KIND: &'static str;

    fn id(&self) -> &str;

    /// What lists are sorted by under that name; `None` when they are not.
    fn sort_key(name: &str) -> Option<fn(&Self) -> SortKey>;
}

/// A value that lists are sorted by. An absent one comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey {
    Text(Option<String>),
    Number(i64),
    Time(Option<PrimitiveDateTime>),
}

/// The part of a list that a query asks for.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    total: usize,
    next: Option<String>,
}

impl<T: Listed> Page<T> {
    /// The page of `items`, which come newest first.
    pub(super) fn of(caller: &Caller, mut items: Vec<T>) -> Result<Self, Fault> {
        sort(caller, &mut items)?;
        let total = items.len();
        let limit = limit(caller)?;
        let first = match caller.query.get("marker") {
            None => 0,
            Some(marker) => {
                let at = items.iter().position(|item| item.id() == marker);
                let missing = || Fault::not_found(T::KIND, marker);
                at.ok_or_else(missing)? + 1
            }
        };
        let from = first.saturating_add(offset(caller)?);
        let items: Vec<T> = items.into_iter().skip(from).take(limit).collect();
        let last = items.last().filter(|_| items.len() == limit);
        let next = last.map(|last| caller.link_to_page_after(last.id()));
        Ok(Self { items, total, next })
    }

    /// The reply: `shown` under the name of the collection, and where the list goes on.
    pub(super) fn document(
        self,
        caller: &Caller,
        collection: &str,
        links: &str,
        shown: Vec<Value>,
    ) -> Value {
        let mut document = json!({ collection: shown });
        if let Some(href) = self.next {
            document[links] = json!([{"rel": "next", "href": href}]);
        }
        let counts = caller.query.get("with_count").and_then(strict_bool).unwrap_or(false);
        if counts && caller.microversion.is_at_least(45) {
            document["count"] = self.total.into();
        }
        document
    }
}

fn sort<T: Listed>(caller: &Caller, items: &mut [T]) -> Result<(), Fault> {
    let query = &caller.query;
    let deprecated = || {
        let key = query.get("sort_key")?;
        Some(format!("{key}:{}", query.get("sort_dir").unwrap_or("desc")))
    };
    let asked = query.get("sort").map(str::to_owned).or_else(deprecated);
    // The sort is stable, so the first key goes last.
    for part in asked.iter().flat_map(|asked| asked.rsplit(',')) {
        let (name, direction) = part.split_once(':').unwrap_or((part, "desc"));
        let key = T::sort_key(name.trim())
            .ok_or_else(|| Fault::bad("Invalid input received: Invalid sort key"))?;
        match direction.trim() {
            "asc" => items.sort_by_key(key),
            "desc" => items.sort_by_key(|item| std::cmp::Reverse(key(item))),
            _ => {
                return Err(Fault::bad(
                    "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.",
                ));
            }
        }
    }
    Ok(())
}

fn limit(caller: &Caller) -> Result<usize, Fault> {
    let Some(text) = caller.query.get("limit") else { return Ok(MOST) };
    let number: i64 = text.parse().map_err(|_| Fault::bad("limit param must be an integer"))?;
    let number = usize::try_from(number).map_err(|_| Fault::bad("limit param must be positive"))?;
    Ok(number.min(MOST))
}

fn offset(caller: &Caller) -> Result<usize, Fault> {
    let Some(text) = caller.query.get("offset") else { return Ok(0) };
    let number: i64 = text.parse().map_err(|_| Fault::bad("offset must be an integer"))?;
    usize::try_from(number).map_err(|_| Fault::bad("offset must be >= 0"))
}
