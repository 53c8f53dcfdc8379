//! The query of a list: page, order, filters.
//!
//! cinder: `api/common.py` `get_pagination_params`, `get_sort_params`, `limited`;
//! `transfer/api.py` `get_all`. Before 3.59, and through `os-volume-transfer`, paging and sorting
//! parameters count as filters, and a filter that is no column fits nothing.
//!
//! Differs from Cinder in one thing: it skips `offset` rows in the database and once more in what
//! comes back; here they are skipped once, as its documentation says.

use crate::context::Context;
use crate::fault::Fault;
use crate::schema::is_true;
use cinder_db::{Direction, ListError, Scope, Store, Transfer, TransferQuery};
use std::collections::BTreeMap;
use transfer_core::TransferId;

/// Cinder's `DB_MAX_INT`.
const MAX_OFFSET: i128 = 2_147_483_647;

/// What a list asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listing {
    all_tenants: bool,
    limit: u32,
    offset: u32,
    marker: Option<String>,
    sort: Vec<(String, Direction)>,
    filters: Vec<(String, String)>,
}

impl Listing {
    /// Reads the query's parameters.
    ///
    /// # Errors
    /// A 400 in Cinder's words.
    pub(crate) fn read(
        query: &[(String, String)],
        paged: bool,
        page_limit: u32,
    ) -> Result<Self, Fault> {
        let mut params = Params(query.to_vec());
        let limit = limit(params.get("limit"), page_limit)?;
        let offset = offset(params.get("offset"))?;
        let (marker, sort) = if paged {
            params.take("limit");
            params.take("offset");
            let marker = params.take("marker");
            (marker, params.take_sort()?)
        } else {
            let sort = ["created_at", "id"].map(|key| (key.to_owned(), Direction::Ascending));
            (None, sort.to_vec())
        };
        if let Some(name) = params.take("name") {
            params.0.push(("display_name".to_owned(), name));
        }
        let all_tenants = params.take("all_tenants").is_some_and(|value| is_true(&value));
        Ok(Self { all_tenants, limit, offset, marker, sort, filters: params.0 })
    }

    /// The transfers of this page, as far as the caller may see them.
    ///
    /// # Errors
    /// A 404 for a marker that the caller does not see, a 400 for a bad sort key.
    pub(crate) async fn find(
        &self,
        store: &Store,
        context: &Context,
    ) -> Result<Vec<Transfer>, Fault> {
        let mut filters: BTreeMap<String, String> = self.filters.iter().cloned().collect();
        let scope = match context.project() {
            _ if context.is_admin() && self.all_tenants => Scope::All,
            project => {
                filters.remove("project_id");
                // Cinder asks an admin of the system for no project either
                if context.is_admin() && project.is_none() {
                    Scope::All
                } else {
                    Scope::Project(context.project_caller()?.project)
                }
            }
        };
        let query = TransferQuery {
            scope,
            filters,
            sort: self.sort.clone(),
            marker: self.marker.clone().map(TransferId::new),
            limit: Some(self.limit.into()),
            offset: self.offset.into(),
        };
        Ok(store.transfers(&query).await?)
    }

    /// Where the next page begins, if this one is full.
    pub(crate) fn next_marker<'a>(&self, page: &'a [Transfer]) -> Option<&'a TransferId> {
        let full = u32::try_from(page.len()).is_ok_and(|len| len >= self.limit);
        page.last().filter(|_| full).map(|last| &last.id)
    }
}

/// Parameters by name. Of several with one name the first is meant; the others are left, and a
/// filter of such a name fits nothing.
struct Params(Vec<(String, String)>);

impl Params {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(param, _)| param == name).map(|(_, value)| value.as_str())
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(param, _)| param == name)?;
        Some(self.0.remove(at).1)
    }

    fn take_sort(&mut self) -> Result<Vec<(String, Direction)>, Fault> {
        let (key, direction) = (self.take("sort_key"), self.take("sort_dir"));
        let Some(sort) = self.take("sort") else {
            let key = key.unwrap_or_else(|| "created_at".to_owned());
            return Ok(vec![(key.trim().to_owned(), read_direction(direction.as_deref())?)]);
        };
        if key.is_some() || direction.is_some() {
            return Err(Fault::bad_request(
                "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with \
                 the 'sort' parameter.",
            ));
        }
        let read = |key: &str| {
            let (key, direction) = key.split_once(':').unwrap_or((key, ""));
            let direction = Some(direction).filter(|direction| !direction.is_empty());
            Ok((key.trim().to_owned(), read_direction(direction)?))
        };
        sort.trim().split(',').map(read).collect()
    }
}

fn read_direction(direction: Option<&str>) -> Result<Direction, Fault> {
    match direction.map(str::trim) {
        None | Some("desc") => Ok(Direction::Descending),
        Some("asc") => Ok(Direction::Ascending),
        Some(_) => Err(Fault::bad_request(
            "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.",
        )),
    }
}

fn limit(limit: Option<&str>, page_limit: u32) -> Result<u32, Fault> {
    let Some(limit) = limit else { return Ok(page_limit) };
    let limit =
        integer(limit).ok_or_else(|| Fault::bad_request("limit param must be an integer"))?;
    if limit < 0 {
        return Err(Fault::bad_request("limit param must be positive"));
    }
    Ok(u32::try_from(limit).map_or(page_limit, |limit| limit.min(page_limit)))
}

fn offset(offset: Option<&str>) -> Result<u32, Fault> {
    let Some(offset) = offset else { return Ok(0) };
    let offset = integer(offset).ok_or_else(|| Fault::bad_request("offset must be an integer"))?;
    if offset < 0 {
        return Err(Fault::bad_request("offset must be >= 0"));
    }
    u32::try_from(offset)
        .ok()
        .filter(|offset| i128::from(*offset) <= MAX_OFFSET)
        .ok_or_else(|| Fault::bad_request(format!("offset must be <= {MAX_OFFSET}")))
}

/// Python's `int()`, but for underscores and for what is beyond 127 bits.
fn integer(text: &str) -> Option<i128> {
    text.trim().parse().ok()
}

impl From<ListError> for Fault {
    fn from(error: ListError) -> Self {
        let message = error.to_string();
        match error {
            ListError::MarkerNotFound(_) => Self::not_found(message),
            ListError::InvalidSortKey(_) => Self::bad_request(message),
            ListError::Db(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Listing;
    use cinder_db::Direction::{self, Ascending as Asc, Descending as Desc};
    use url::form_urlencoded;

    fn read(query: &str, paged: bool) -> Result<Listing, String> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Listing::read(&pairs, paged, 1000).map_err(|fault| fault.message)
    }

    fn pairs<T: Copy>(pairs: &[(&str, T)]) -> Vec<(String, T)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn pages_are_read_as_cinder_reads_them() {
        for (query, limit, offset) in [
            ("", 1000, 0),
            ("limit=1", 1, 0),
            ("limit=0", 0, 0),
            ("limit=%201%20", 1, 0),
            ("limit=%2B1", 1, 0),
            ("limit=5000", 1000, 0),
            ("limit=99999999999999", 1000, 0),
            ("offset=2147483647", 1000, 2_147_483_647),
        ] {
            let listing = read(query, true).unwrap();
            assert_eq!((listing.limit, listing.offset), (limit, offset), "{query}");
        }
    }

    #[test]
    fn bad_pages_and_orders_are_refused_in_cinders_words() {
        let direction = "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.";
        let mixed = "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used \
                     with the 'sort' parameter.";
        for (query, paged, message) in [
            ("limit=x", true, "limit param must be an integer"),
            ("limit=x", false, "limit param must be an integer"),
            ("limit=", true, "limit param must be an integer"),
            ("limit=1.5", true, "limit param must be an integer"),
            ("limit=x&limit=1", true, "limit param must be an integer"),
            ("limit=-1", true, "limit param must be positive"),
            ("offset=x", false, "offset must be an integer"),
            ("offset=1.0", true, "offset must be an integer"),
            ("offset=-1", true, "offset must be >= 0"),
            ("offset=2147483648", true, "offset must be <= 2147483647"),
            ("sort=created_at:x", true, direction),
            ("sort_dir=ASC", true, direction),
            ("sort=id&sort_key=id", true, mixed),
            ("sort=id&sort_dir=asc", true, mixed),
        ] {
            assert_eq!(read(query, paged), Err(message.to_owned()), "{query}");
        }
    }

    #[test]
    fn orders_are_read_as_cinder_reads_them() {
        let check = |query, paged, sort: &[(&str, Direction)]| {
            assert_eq!(read(query, paged).unwrap().sort, pairs(sort), "{query}");
        };
        check("", true, &[("created_at", Desc)]);
        check("", false, &[("created_at", Asc), ("id", Asc)]);
        check(
            "sort=created_at:asc,id:desc,name",
            true,
            &[("created_at", Asc), ("id", Desc), ("name", Desc)],
        );
        check("sort=", true, &[("", Desc)]);
        check("sort_key=id", true, &[("id", Desc)]);
        check("sort_dir=asc", true, &[("created_at", Asc)]);
    }

    #[test]
    fn what_is_neither_page_nor_order_is_a_filter() {
        let check = |query, paged, filters: &[(&str, &str)]| {
            let expected: Vec<(String, String)> =
                filters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            assert_eq!(read(query, paged).unwrap().filters, expected, "{query}");
        };
        check("limit=1&offset=2&marker=m&sort=id&foo=bar", true, &[("foo", "bar")]);
        check("limit=1&sort=id", false, &[("limit", "1"), ("sort", "id")]);
        check("limit=1&limit=2", true, &[("limit", "2")]);
        check("name=a&name=b", true, &[("name", "b"), ("display_name", "a")]);
        check("all_tenants=1", true, &[]);
    }

    #[test]
    fn all_tenants_is_read_leniently() {
        for (query, all) in [("", false), ("all_tenants=1", true), ("all_tenants=Yes", true)] {
            assert_eq!(read(query, true).unwrap().all_tenants, all, "{query}");
        }
        assert!(!read("all_tenants=x", true).unwrap().all_tenants);
    }
}
